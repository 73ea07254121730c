package agent

import (
	"time"

	"postern/agent/credential"
	"postern/agent/policy"
	"postern/agent/spop"
)

// question is one NOTIFY, read. Its strings are views into the read buffer.
type question struct {
	policy.Request
	rid    string
	token  []byte
	tokens int64
	now    time.Time

	authorization string
	certificate   []byte // DER; nil unless HAProxy has found it good
	carried       carried
	found         *found // what was found out off the read loop

	place   uint64 // which counters of Server.counts are this connection's
	fields  spop.Fields
	odd     bool        // an argument is of a type that does not go with it
	site    policy.Site // of Host, by the rules in force
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
	argCertificateUsed
	argCertificateVerify
	argCertificate
	argCount
)

var arguments = spop.NewNames(
	ArgVersion, ArgRequestID, ArgMethod, ArgTLS, ArgHost, ArgPath, ArgQuery, ArgSource,
	ArgToken, ArgTokens, ArgAuthorization, ArgAccept, ArgRequestedWith, ArgOrigin,
	ArgPreflight, ArgFetchMode, ArgFetchDest, ArgUpgrade,
	ArgCertificateUsed, ArgCertificateVerify, ArgCertificate,
)

// The longest request id that is echoed, in bytes. HAProxy's uuid() has 36.
const maxRequestID = 128

// read reads the messages of n. It returns why the request cannot be decided on, "" when
// it can. It reads on behind a fault, so that the refusal bears the request's id.
func (q *question) read(n *spop.Notify) policy.Reason {
	q.rid, q.token, q.subject, q.odd, q.found = "", nil, policy.Subject{}, false, nil
	m, ok := n.Next()
	if !ok || string(m.Name) != Message {
		return reasonMessage
	}
	m.Fields(&arguments, &q.fields)
	version := q.integer(argVersion)
	q.rid = q.text(argRequestID)
	if len(q.rid) > maxRequestID || !printable(q.rid) {
		q.rid, q.odd = "", true
	}
	q.take()
	switch _, more := n.Next(); {
	case more || n.Err() != nil:
		return reasonMessage
	case version != Contract:
		return reasonContract
	case q.fields.Doubled || q.odd || q.rid == "":
		return reasonArgument
	}
	return ""
}

// take fills the request from the fields.
func (q *question) take() {
	q.Method = q.text(argMethod)
	q.Host = q.text(argHost)
	q.Path = q.text(argPath)
	q.Query = q.text(argQuery)
	q.Accept = q.text(argAccept)
	q.RequestedWith = q.text(argRequestedWith)
	q.FetchMode = q.text(argFetchMode)
	q.FetchDest = q.text(argFetchDest)
	q.Origin = q.text(argOrigin)
	q.PreflightMethod = q.text(argPreflight)
	q.Upgrade = q.text(argUpgrade)
	q.authorization = q.text(argAuthorization)
	q.certificate = nil
	if q.fields.Came>>argCertificateUsed != 0 {
		q.certificate = q.verified()
	}
	q.text(argToken)
	q.token = q.fields.Body(argToken)
	q.tokens = q.integer(argTokens)

	t := q.fields.Type(argTLS)
	q.TLS = q.fields.Integer(argTLS) != 0
	q.odd = q.odd || t != spop.Bool && t != spop.Null
	q.Addr = q.fields.Addr(argSource).Unmap()
	q.odd = q.odd || !q.Addr.IsValid() && q.fields.Type(argSource) != spop.Null
}

// verified is the client's certificate, when there is one that HAProxy has found good.
func (q *question) verified() []byte {
	used, verify, der := q.fields.Type(argCertificateUsed), q.fields.Type(argCertificateVerify), q.fields.Type(argCertificate)
	q.odd = q.odd || used != spop.Bool && used != spop.Null || der != spop.Binary && der != spop.Null
	result := q.integer(argCertificateVerify)
	body := q.fields.Body(argCertificate)
	if used != spop.Bool || q.fields.Integer(argCertificateUsed) != 1 || verify == spop.Null || result != 0 ||
		der != spop.Binary || len(body) == 0 || len(body) > credential.MaxCertificate {
		return nil
	}
	return body
}

// text is the argument at that place, a string; "" when it is NULL, which is what
// HAProxy sends for what is not there.
func (q *question) text(place int) string {
	switch q.fields.Type(place) {
	case spop.String:
		return view(q.fields.Body(place))
	case spop.Null:
	default:
		q.odd = true
	}
	return ""
}

// integer is the argument at that place, an integer; 0 when it is NULL.
func (q *question) integer(place int) int64 {
	t := q.fields.Type(place)
	q.odd = q.odd || t != spop.Null && (t < spop.Int32 || t > spop.Uint64)
	return q.fields.Integer(place)
}

// clone is a copy of q that outlives the read buffer, with no working memory.
func (q *question) clone() *question {
	c := *q
	c.carried = carried{}
	c.buf, c.site, c.subject, c.fields = nil, policy.Site{}, policy.Subject{}, spop.Fields{}
	fields := [...]*string{
		&c.rid, &c.Method, &c.Host, &c.Path, &c.Query, &c.Accept, &c.RequestedWith,
		&c.Origin, &c.PreflightMethod, &c.FetchMode, &c.FetchDest, &c.Upgrade, &c.authorization,
	}
	size := len(c.token) + len(c.certificate)
	for _, f := range fields {
		size += len(*f)
	}
	all := make([]byte, 0, size)
	for _, f := range fields {
		at := len(all)
		all = append(all, *f...)
		*f = view(all[at:])
	}
	for _, f := range [...]*[]byte{&c.token, &c.certificate} {
		at := len(all)
		all = append(all, *f...)
		*f = all[at:]
	}
	return &c
}
