package agent

import (
	"time"

	"postern/agent/policy"
	"postern/agent/spop"
)

// question is one NOTIFY, read. Its strings are views into the read buffer.
type question struct {
	policy.Request
	rid     string
	token   []byte
	version int64
	tokens  int64
	seen    uint32 // a bit for each argument that came, by its place in arguments
	place   uint64 // which counters of Server.counts are this connection's
	now     time.Time
	subject policy.Subject
	buf     []byte // for location
}

// The places of the arguments in the order in which the generated files send them: each
// is then found by one comparison.
const (
	argVersion = iota
	argRequestID
	argMethod
	argTLS
	argHost
	argPath
	argQuery
	argSource
	argToken
	argTokens
	argAuthorization
	argAccept
	argRequestedWith
	argOrigin
	argPreflight
	argFetchMode
	argFetchDest
	argUpgrade
	argCount
)

var arguments = [argCount]string{
	ArgVersion, ArgRequestID, ArgMethod, ArgTLS, ArgHost, ArgPath, ArgQuery, ArgSource,
	ArgToken, ArgTokens, ArgAuthorization, ArgAccept, ArgRequestedWith, ArgOrigin,
	ArgPreflight, ArgFetchMode, ArgFetchDest, ArgUpgrade,
}

// The longest request id that is echoed, in bytes. HAProxy's uuid() has 36.
const maxRequestID = 128

// reset forgets the request before, and keeps the working memory.
func (q *question) reset() {
	q.Request, q.subject = policy.Request{}, policy.Subject{}
	q.rid, q.token, q.version, q.tokens, q.seen = "", nil, 0, 0, 0
}

// read reads the messages of n. It returns why the request cannot be decided on, "" when
// it can. It reads on behind a fault, so that the refusal bears the request's id.
func (q *question) read(n *spop.Notify) policy.Reason {
	m, ok := n.Next()
	if !ok || string(m.Name) != Message {
		return reasonMessage
	}
	next, sound := 0, true
	for {
		name, t, body, ok := m.Raw()
		if !ok {
			break
		}
		i := next
		if i >= len(arguments) || string(name) != arguments[i] {
			if i = find(name); i < 0 {
				continue // a later contract may send more
			}
		}
		next = i + 1
		if q.seen&(1<<i) != 0 || t != spop.Null && !q.set(i, t, body) {
			sound = false
		}
		q.seen |= 1 << i
	}
	if _, more := n.Next(); more || n.Err() != nil {
		return reasonMessage
	}
	if q.version != Contract {
		return reasonContract
	}
	if !sound || q.rid == "" {
		return reasonArgument
	}
	return ""
}

func find(name []byte) int {
	for i := range arguments {
		if arguments[i] == string(name) {
			return i
		}
	}
	return -1
}

// set stores one argument that is not NULL, which is what HAProxy sends for what is not
// there, and reports whether it is of a type that goes with it.
func (q *question) set(place int, t spop.Type, body []byte) bool {
	if t != spop.String {
		return q.setOther(place, t, body)
	}
	switch s := view(body); place {
	case argVersion, argTokens, argTLS, argSource:
		return false
	case argRequestID:
		if len(s) > maxRequestID || !printable(s) {
			return false
		}
		q.rid = s
	case argMethod:
		q.Method = s
	case argHost:
		q.Host = s
	case argPath:
		q.Path = s
	case argQuery:
		q.Query = s
	case argToken:
		q.token = body
	case argAccept:
		q.Accept = s
	case argRequestedWith:
		q.RequestedWith = s
	case argOrigin:
		q.Origin = s
	case argPreflight:
		q.PreflightMethod = s
	case argFetchMode:
		q.FetchMode = s
	case argFetchDest:
		q.FetchDest = s
	case argUpgrade:
		q.Upgrade = s
	}
	return true
}

// setOther is set for what is no string.
func (q *question) setOther(place int, t spop.Type, body []byte) bool {
	integer := t >= spop.Int32 && t <= spop.Uint64
	switch place {
	case argVersion:
		q.version = spop.Integer(t, body)
		return integer
	case argTokens:
		q.tokens = spop.Integer(t, body)
		return integer
	case argTLS:
		q.TLS = t == spop.Bool && spop.Integer(t, body) != 0
		return t == spop.Bool
	case argSource:
		q.Addr = spop.Addr(t, body).Unmap()
		return q.Addr.IsValid()
	}
	return false
}

// clone is a copy of q that outlives the read buffer, with no working memory.
func (q *question) clone() *question {
	c := *q
	c.buf = nil
	c.subject = policy.Subject{}
	fields := [...]*string{
		&c.rid, &c.Method, &c.Host, &c.Path, &c.Query, &c.Accept, &c.RequestedWith,
		&c.Origin, &c.PreflightMethod, &c.FetchMode, &c.FetchDest, &c.Upgrade,
	}
	size := len(c.token)
	for _, f := range fields {
		size += len(*f)
	}
	all := make([]byte, 0, size)
	for _, f := range fields {
		at := len(all)
		all = append(all, *f...)
		*f = view(all[at:])
	}
	c.token = append(all, c.token...)[len(all):]
	return &c
}
