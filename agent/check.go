package agent

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"time"

	"postern/agent/credential"
	"postern/agent/policy"
	"postern/agent/session"
	"postern/agent/spop"
	"postern/portal/journal"
)

// What waits and works at once. Passwords have workers of their own, fewer than the
// hashes that may run at once, so that Basic holds up neither the portal nor any look-up;
// and one of them is for pairs that were right lately, so that nobody's guesses hold up
// the programs that poll.
const (
	hashWorkers   = 2
	againWorkers  = 1
	maxHashes     = 64
	lookupWorkers = 4
	maxLookups    = 256
	maxJoined     = 256 // requests that wait for checks of one kind, those that gave up included
	maxRounds     = 3   // checks for one request: whose certificate, who that is
)

// lookupTimeout bounds one question to the directory. It outlives the request, so that
// the next one finds the answer.
const lookupTimeout = 10 * time.Second

// check is something that has to be found out about a credential off the read loop. One
// at a time is made for each key, however many requests wait for it.
type check struct {
	key   [sha256.Size]byte
	hash  bool // a password is hashed, perhaps
	again bool // and it was right lately
	make  func(ctx context.Context, h *handler) (found, policy.Reason)
	note  func(h *handler, q *question, f *found)
}

// found is what checks found out for one request.
type found struct {
	pair     *credential.Pair // that was checked
	user     string           // whose the pair is
	why      policy.Reason    // why the pair is no good
	who      person           // that was asked for
	entry    *session.Entry
	standing session.Standing
	der      *[sha256.Size]byte // the certificate that was resolved
	holder   string             // whose it is
}

// verified is what came of a pair; ok is false when it was not checked.
func (f *found) verified(pair credential.Pair) (user string, why policy.Reason, ok bool) {
	if f == nil || f.pair == nil || *f.pair != pair {
		return "", "", false
	}
	return f.user, f.why, true
}

// identified is what the directory said of somebody.
func (f *found) identified(who person) (*session.Entry, session.Standing) {
	if f == nil || f.who != who || f.who == (person{}) {
		return nil, session.Unsure
	}
	return f.entry, f.standing
}

// held is whose a certificate is; ok is false when that was not found out.
func (f *found) held(der []byte) (user string, ok bool) {
	if f == nil || f.der == nil || *f.der != sha256.Sum256(der) {
		return "", false
	}
	return f.holder, true
}

// add takes over what another check found out.
func (f *found) add(g found) {
	if g.pair != nil {
		f.pair, f.user, f.why = g.pair, g.user, g.why
	}
	if g.who != (person{}) {
		f.who, f.entry, f.standing = g.who, g.entry, g.standing
	}
	if g.der != nil {
		f.der, f.holder = g.der, g.holder
	}
}

// verify checks a pair.
func verify(pair credential.Pair, name, password string, addr netip.Addr) *check {
	return &check{key: pair, hash: true,
		make: func(ctx context.Context, h *handler) (found, policy.Reason) {
			user, err := h.Credentials.Passwords.Verify(ctx, name, password, addr)
			f := found{pair: &pair, user: user}
			switch wait := new(credential.WaitError); {
			case err == nil:
			case errors.As(err, &wait):
				f.why = reasonWait
			case errors.Is(err, credential.ErrWrong):
				f.why = reasonBadCredential
			default:
				h.slow.report("check of a credential", err)
				return found{}, reasonStore
			}
			return f, ""
		},
		note: func(h *handler, q *question, f *found) {
			if f.why == reasonBadCredential {
				user, reason := h.failed(f.user)
				h.note(q, journal.Event{Kind: journal.BasicFailed, User: user, Reason: reason})
			}
		},
	}
}

// identify asks the directory who somebody is.
func identify(who person) *check {
	return &check{key: sha256.Sum256([]byte("user\x00" + who.level.String() + who.user)),
		make: func(ctx context.Context, h *handler) (found, policy.Reason) {
			epoch := h.people.directory.Epoch()
			id, standing, err := h.people.directory.Identify(ctx, who.user)
			if err != nil {
				h.slow.report("check of a credential", err)
				return found{}, reasonStore
			}
			f := found{who: who, standing: standing}
			switch standing {
			case session.Present:
				f.entry = h.people.note(who, id, epoch)
			case session.Unsure:
				if f.entry = h.people.believe(who, epoch); f.entry == nil {
					return found{}, reasonStore
				}
				f.standing = session.Present
			}
			return f, ""
		},
	}
}

// holderOf finds out whose a certificate is.
func holderOf(der []byte) *check {
	print, der := sha256.Sum256(der), append([]byte(nil), der...)
	return &check{key: print,
		make: func(ctx context.Context, h *handler) (found, policy.Reason) {
			user, err := h.Credentials.Certificates.Resolve(ctx, der, h.now())
			if err != nil {
				h.slow.report("check of a credential", err) // it is nobody's for now: who has a session goes on with that
			}
			return found{der: &print, holder: user}, ""
		},
	}
}

// checks are those of one kind: a bounded number at a time, a bounded number waiting.
type checks struct {
	mu     sync.Mutex
	under  map[[sha256.Size]byte]*flight
	joined int // requests in flights
	queue  chan *flight
}

// flight is a check that waits or is under way, with the requests that wait for it.
type flight struct {
	*check
	jobs []*job
}

// ask has a check made for a request that waits already.
func (h *handler) ask(j *job, c *check) {
	all := &h.lookups
	switch {
	case c.again:
		all = &h.again
	case c.hash:
		all = &h.hashes
	}
	if j.rounds++; j.rounds > maxRounds || !all.join(j, c) {
		h.slow.refuse(j, reasonBusy)
	}
}

// join has a request wait for a check. It is false when there is no room.
func (s *checks) join(j *job, c *check) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.joined >= maxJoined {
		return false
	}
	if f := s.under[c.key]; f != nil {
		f.jobs = append(f.jobs, j)
		s.joined++
		return true
	}
	f := &flight{check: c, jobs: []*job{j}}
	select {
	case s.queue <- f:
	default:
		return false
	}
	if s.under == nil {
		s.under = map[[sha256.Size]byte]*flight{}
	}
	s.under[c.key] = f
	s.joined++
	return true
}

// late says that everybody has been answered who waits for a flight.
func (s *checks) late(f *flight) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	return !slices.ContainsFunc(f.jobs, func(j *job) bool { return now.Before(j.deadline) })
}

// land takes a flight from those under way: nobody joins it any more.
func (s *checks) land(f *flight) []*job {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.under, f.key)
	s.joined -= len(f.jobs)
	return f.jobs
}

// startChecks starts the workers; stop ends them. A check that does not heed its context
// is left behind: its requests have been answered.
func (h *handler) startChecks() (stop func()) {
	if h.Credentials == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for range hashWorkers {
		wg.Go(func() { h.work(ctx, &h.hashes) })
	}
	for range againWorkers {
		wg.Go(func() { h.work(ctx, &h.again) })
	}
	for range lookupWorkers {
		wg.Go(func() { h.work(ctx, &h.lookups) })
	}
	wg.Go(func() { h.keepNotes(ctx) })
	return func() {
		cancel()
		ended := make(chan struct{})
		go func() { wg.Wait(); close(ended) }()
		select {
		case <-ended:
		case <-time.After(h.slow.timeout):
			h.log.Warn("a check of a credential does not end")
		}
	}
}

func (h *handler) work(ctx context.Context, s *checks) {
	for {
		select {
		case f := <-s.queue:
			h.fly(ctx, s, f)
		case <-ctx.Done():
			return
		}
	}
}

// fly makes a check, and lets everybody go on who waits for it. One that nobody waits for
// any more is not begun.
func (h *handler) fly(ctx context.Context, s *checks, f *flight) {
	if s.late(f) {
		for _, j := range s.land(f) {
			h.slow.refuse(j, reasonBusy)
		}
		return
	}
	got, why := found{}, reasonInternal
	defer func() {
		if v := recover(); v != nil {
			h.slow.panicked(v)
			why = reasonInternal
		}
		for i, j := range s.land(f) {
			if why != "" {
				h.slow.refuse(j, why)
				continue
			}
			if i == 0 && f.note != nil {
				f.note(h, j.question, &got)
			}
			h.goOn(j, got)
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	if f.hash {
		h.hashing.Do(func() { got, why = f.make(ctx, h) })
		return
	}
	got, why = f.make(ctx, h)
}

// goOn decides for a request about which something was found out.
func (h *handler) goOn(j *job, got found) {
	if !time.Now().Before(j.deadline) {
		return // it has been answered
	}
	all := found{}
	if j.question.found != nil {
		all = *j.question.found
	}
	all.add(got)
	j.question.found = &all
	h.proceed(j)
}

// proceed answers a request that had to wait, or has it wait for what is missing still.
func (h *handler) proceed(j *job) {
	defer func() {
		if v := recover(); v != nil {
			h.slow.panicked(v)
			h.slow.refuse(j, reasonInternal)
		}
	}()
	// The rules may be others by now, and with them the domain of the host.
	q, rules, now := j.question, h.Rules(), h.now()
	q.site = rules.Site(q.Host)
	if d := q.site.Domain(); j.entry != nil && (d == nil || d.Name != j.entry.Domain) {
		j.entry = nil
	}
	if ask := h.missing(q, j.entry, rules, now); ask != nil {
		h.ask(j, ask)
		return
	}
	h.slow.answer(j, func(a *spop.Actions) {
		if h.decide(a, q, j.entry, rules, now) != nil {
			h.refuse(a, q, reasonBusy)
		}
	})
}
