package agent

import (
	"slices"
	"sync"

	"postern/agent/policy"
	"postern/agent/session"
)

// people are the users who came without a session, with what HAProxy is told of them. An
// entry holds until the directory's epoch moves; then it is asked once more.
type people struct {
	directory session.Directory

	mu    sync.RWMutex
	known map[person]acquaintance
}

// person is a user at a level.
type person struct {
	user  string
	level policy.Level
}

type acquaintance struct {
	epoch uint64
	entry *session.Entry
}

// maxPeople bounds what is remembered, at some 500 bytes each.
const maxPeople = 1 << 15

// recall returns the entry of a user from memory; it is nil unless he is Present. Unsure
// says that the directory must be asked with Identify, and noted.
func (p *people) recall(who person) (*session.Entry, session.Standing) {
	epoch := p.directory.Epoch() // before the answer: who sees the number sees the users
	p.mu.RLock()
	a := p.known[who]
	p.mu.RUnlock()
	if a.entry != nil && a.epoch == epoch {
		return a.entry, session.Present
	}
	id, standing := p.directory.Recall(who.user)
	if standing != session.Present {
		return nil, standing
	}
	return p.note(who, id, epoch), session.Present
}

// note keeps who somebody is, as the directory had it at epoch.
func (p *people) note(who person, id session.Identity, epoch uint64) *session.Entry {
	p.mu.Lock()
	defer p.mu.Unlock()
	if a := p.known[who]; a.entry != nil {
		if e := a.entry; e.Name == id.Name && e.Email == id.Email && slices.Equal(e.Groups, id.Groups) {
			p.known[who] = acquaintance{epoch, e}
			return e
		}
	}
	s := session.Session{User: who.user, Level: who.level, Name: id.Name, Email: id.Email, Groups: slices.Clone(id.Groups)}
	e := &session.Entry{Session: s, Prepared: Prepare(&s)}
	if p.known == nil || len(p.known) >= maxPeople {
		p.known = map[person]acquaintance{}
	}
	p.known[who] = acquaintance{epoch, e}
	return e
}

// believe keeps who somebody was, for the directory cannot be asked now. It returns nil
// for somebody who was not known.
func (p *people) believe(who person, epoch uint64) *session.Entry {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := p.known[who]
	if a.entry != nil {
		p.known[who] = acquaintance{epoch, a.entry}
	}
	return a.entry
}
