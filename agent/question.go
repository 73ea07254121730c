package agent

import (
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
	subject policy.Subject
	buf     []byte // for location
}

// arguments are those of message check in the order in which the generated files send
// them: then each is found by one comparison.
var arguments = [...]string{
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
		name, v, ok := m.Arg()
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
		sound = q.seen&(1<<i) == 0 && q.set(arguments[i], v) && sound
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

// set stores one argument and reports whether it is of a type that goes with it. NULL
// is what HAProxy sends for what is not there.
func (q *question) set(name string, v spop.Value) bool {
	if v.Type == spop.Null {
		return true
	}
	switch name {
	case ArgVersion:
		return integer(&q.version, v)
	case ArgTokens:
		return integer(&q.tokens, v)
	case ArgTLS:
		q.TLS = v.Int != 0
		return v.Type == spop.Bool
	case ArgSource:
		q.Addr = v.Addr().Unmap()
		return q.Addr.IsValid()
	}
	if v.Type != spop.String {
		return false
	}
	if name == ArgToken {
		q.token = v.Bytes
		return true
	}
	return q.setString(name, view(v.Bytes))
}

func (q *question) setString(name, s string) bool {
	switch name {
	case ArgRequestID:
		if len(s) > maxRequestID || !printable(s) {
			return false
		}
		q.rid = s
	case ArgMethod:
		q.Method = s
	case ArgHost:
		q.Host = s
	case ArgPath:
		q.Path = s
	case ArgQuery:
		q.Query = s
	case ArgAccept:
		q.Accept = s
	case ArgRequestedWith:
		q.RequestedWith = s
	case ArgOrigin:
		q.Origin = s
	case ArgPreflight:
		q.PreflightMethod = s
	case ArgFetchMode:
		q.FetchMode = s
	case ArgFetchDest:
		q.FetchDest = s
	case ArgUpgrade:
		q.Upgrade = s
	}
	return true
}

func integer(to *int64, v spop.Value) bool {
	*to = v.Int
	return v.Type >= spop.Int32 && v.Type <= spop.Uint64
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
