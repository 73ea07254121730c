package session

import (
	"context"
	"fmt"
	"slices"
)

// answer is what the directory said of one user. Its epoch is from before the question, so
// that a change in between is noticed at the next use.
type answer struct {
	user     string
	epoch    uint64
	id       Identity
	standing Standing // Unsure: who he was holds
}

// recall asks the directory's memory; Unsure needs to be asked further.
func (t *Table) recall(user string) answer {
	a := answer{user: user, epoch: t.Directory.Epoch()}
	a.id, a.standing = t.Directory.Recall(user)
	return a
}

// ask asks the directory for good; it may take as long as ctx allows. An error means that
// nobody can tell.
func (t *Table) ask(ctx context.Context, user string) (answer, error) {
	if t.Directory == nil {
		return answer{user: user}, nil
	}
	a := t.recall(user)
	if a.standing != Unsure {
		return a, nil
	}
	var err error
	if a.id, a.standing, err = t.Directory.Identify(ctx, user); err != nil {
		return answer{}, fmt.Errorf("session: who %s is: %w", user, err)
	}
	return a, nil
}

// about is an answer about a user: the one that was given, or one from memory; nil when
// he has to be asked for.
func (t *Table) about(user string, given *answer) *answer {
	if given != nil && given.user == user {
		return given
	}
	if t.Directory == nil {
		return &answer{user: user}
	}
	if a := t.recall(user); a.standing != Unsure {
		return &a
	}
	return nil
}

// identify fills in who the user is now; false when he may not be signed in.
func (a answer) identify(s *Session) bool {
	if a.standing == Present {
		s.Name, s.Email, s.Groups = a.id.Name, a.id.Email, a.id.Groups
	}
	return a.standing != Gone
}

// is says whether a session has that identity.
func (id Identity) is(s *Session) bool {
	return id.Name == s.Name && id.Email == s.Email && slices.Equal(id.Groups, s.Groups)
}
