package policy

import "strings"

// navigation says whether a browser asks for a page that a person will see, so that a
// redirect to the portal makes sense. Everything else gets a 401. Where a rule is meant
// for machines, too, "*/*" alone is one of them: they wait for a 401 to send what they have.
func (r *Request) navigation(machines bool) bool {
	switch {
	case hasToken(r.Upgrade, "websocket"):
		return false
	case r.FetchMode != "":
		return r.FetchMode == "navigate"
	case equalFold(strings.TrimSpace(r.RequestedWith), "XMLHttpRequest"):
		return false
	}
	return acceptsHTML(r.Accept, r.Method, machines)
}

// acceptsHTML says whether an Accept header lists HTML. "*/*" alone does for GET and
// HEAD, unless machines are expected: command-line clients send it, and follow redirects.
func acceptsHTML(accept, method string, machines bool) bool {
	rest := accept
	for more := true; more; {
		var item string
		item, rest, more = strings.Cut(rest, ",")
		item, _, _ = strings.Cut(item, ";")
		item = strings.TrimSpace(item)
		if equalFold(item, "text/html") || equalFold(item, "application/xhtml+xml") || equalFold(item, "text/*") {
			return true
		}
	}
	only, _, _ := strings.Cut(accept, ";")
	return !machines && strings.TrimSpace(only) == "*/*" && (method == "GET" || method == "HEAD")
}

// hasToken says whether a comma-separated header holds a token, in any case.
func hasToken(header, token string) bool {
	for more := header != ""; more; {
		var item string
		item, header, more = strings.Cut(header, ",")
		if equalFold(strings.TrimSpace(item), token) {
			return true
		}
	}
	return false
}
