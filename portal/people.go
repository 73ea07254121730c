package portal

import (
	"context"
	"errors"
	"time"

	"postern/portal/users"
)

// usersTimeout bounds one question about who somebody is.
const usersTimeout = 8 * time.Second

// person is the user of a canonical name, disabled or not: from memory, else the backend
// is asked. Errors: users.ErrNotFound, users.ErrUnavailable, ctx's.
func (s *Server) person(ctx context.Context, name string) (users.User, error) {
	if u, ok := s.Users.Known(name); ok {
		return u, nil
	}
	ctx, cancel := context.WithTimeout(ctx, usersTimeout)
	defer cancel()
	u, err := s.Users.Find(ctx, name)
	if err == nil && u.Name != name { // an address of another one, say
		err = users.ErrNotFound
	}
	if err != nil {
		return users.User{}, err
	}
	return u, nil
}

// counts is the name under which failures of a name that was typed count.
func (s *Server) counts(ctx context.Context, name string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, usersTimeout)
	defer cancel()
	return s.Users.Canonical(ctx, name)
}

// passwordVersion is the version of a user's password for a slip to be held against. A user
// who is not in memory yet is asked for.
func (s *Server) passwordVersion(name string) (version string, ok bool) {
	if _, err := s.person(context.Background(), name); err != nil {
		return "", false
	}
	return s.Password.Version(name)
}

// changes says whether the password of a user can be set here.
func (s *Server) changes(user string) (bool, error) {
	if s.Password == nil {
		return false, nil
	}
	_, err := s.person(context.Background(), user)
	switch {
	case errors.Is(err, users.ErrNotFound):
		return false, nil
	case err != nil:
		return false, err
	}
	_, ok := s.Password.Version(user)
	return ok, nil
}

// settable returns errNotFound when the password of a user is not set here.
func (s *site) settable(user string) error {
	ok, err := s.changes(user)
	if err == nil && !ok {
		return errNotFound
	}
	return err
}

// resetsFor says whether a user's password can be set by a link from a mail.
func (s *site) resetsFor(user string) bool {
	ok, _ := s.changes(user)
	return ok && s.resets()
}

// nameOf is the canonical name of a user who exists, "" when there is none or nobody can
// tell. It takes as long for either.
func (s *Server) nameOf(typed string) string {
	name, err := s.counts(context.Background(), typed)
	if err != nil {
		return ""
	}
	if _, known := s.Users.Known(name); !known {
		return ""
	}
	return name
}
