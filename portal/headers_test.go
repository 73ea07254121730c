package portal

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"postern/agent/policy"
)

// everyPage is an answer of every kind that the portal has.
func everyPage(t *testing.T) map[string]answer {
	h := openHouse(t)
	b := h.browser()
	pages := map[string]answer{
		"signin":       b.get(auth + "/?rd=https://wiki.example.com/"),
		"wrong":        b.signIn("", "bob", "wrong"),
		"error":        b.get(auth + "/nowhere"),
		"signed out":   b.get(auth + "/signed-out"),
		"origin":       b.do("POST", auth+"/nowhere", strings.NewReader("a=b")),
		"done":         b.signIn("?rd=https://wiki.example.com/", "bob", "builder"),
		"signed in":    b.get(auth + "/"),
		"denied":       b.get(auth + "/?rd=https://admin.example.com/"),
		"second":       b.get(auth + "/?rd=https://bank.example.com/"),
		"sign out":     b.get(auth + "/signout"),
		"health":       b.get(auth + "/healthz"),
		"wrong host":   b.get(auth + "/"),
		"to the wiki":  b.get(auth + "/?rd=https://wiki.example.com/"),
		"bad language": b.send(b.get(auth+"/"), "/language", "lang", "xx"),
	}
	for range 3 {
		pages["bounce"] = b.get(auth + "/?rd=https://wiki.example.com/")
	}
	b.header.Set("Cookie", "__Secure-postern=a")
	pages["cookies"] = b.get(auth + "/")
	return pages
}

func TestThreat67HeadersOfEveryPage(t *testing.T) {
	for name, a := range everyPage(t) {
		for header, want := range map[string]string{
			"Referrer-Policy": "no-referrer", "Cache-Control": "no-store",
		} {
			if got := a.Header.Get(header); got != want {
				t.Errorf("%s: %s is %q, want %q", name, header, got, want)
			}
		}
		if a.StatusCode == http.StatusSeeOther {
			continue
		}
		for header, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY",
			"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin",
		} {
			if got := a.Header.Get(header); got != want {
				t.Errorf("%s: %s is %q, want %q", name, header, got, want)
			}
		}
		csp := a.Header.Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action "} {
			if !strings.Contains(csp, want) {
				t.Errorf("%s: the policy %q lacks %s", name, csp, want)
			}
		}
		if strings.Contains(csp, "unsafe") || strings.Contains(csp, "*;") || strings.Contains(csp, "data:") {
			t.Errorf("%s: the policy is %q", name, csp)
		}
		if !strings.Contains(a.Header.Get("Permissions-Policy"), "camera=()") || a.Header.Get("Server") != "" {
			t.Errorf("%s: headers %v", name, a.Header)
		}
	}
}

func TestContentPolicy(t *testing.T) {
	got := contentPolicy(policy.Domain{Name: "example.com", Home: "https://www.example.net:8443/x"})
	const want = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; " +
		"manifest-src 'self'; base-uri 'none'; frame-ancestors 'none'; " +
		"form-action 'self' https://example.com:* https://*.example.com:* https://www.example.net:8443"
	if got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}

func TestThreat65NothingInline(t *testing.T) {
	inline := regexp.MustCompile(`(?i)<style|\sstyle=|\son[a-z]+=|javascript:|<script[^>]*>[^<]|<script>|srcdoc|<iframe|<base|http-equiv`)
	for name, a := range everyPage(t) {
		if found := inline.FindString(a.Body); found != "" {
			t.Errorf("%s holds %q", name, found)
		}
	}
}

func TestThreat65Markup(t *testing.T) {
	h := openHouse(t, func(s *Server) {
		s.Config.Brand.Name = `<img src=x>"'&`
		s.Config.Brand.Links = []Link{{Text: "<b>Imprint</b>", URL: `https://example.com/?"><script>`}}
	})
	const markup = `"><script>alert(1)</script>`
	b := h.browser()
	b.header.Set("Accept-Language", markup)
	b.header.Set("User-Agent", markup)
	for name, a := range map[string]answer{
		"in rd":       b.get(auth + "/?rd=" + url.QueryEscape("https://wiki.example.com/"+markup)),
		"in rd, kept": b.get(auth + "/?rd=" + url.QueryEscape("https://wiki.example.com/'onclick='alert(1)")),
		"in rm":       b.get(auth + "/?rd=https://wiki.example.com/&rm=" + url.QueryEscape(markup)),
		"in the path": b.get(auth + "/" + url.PathEscape(markup)),
		"in the name": b.signIn("", markup, "x"),
		"in the form": b.send(b.get(auth+"/"), "/language", "lang", markup, "here", markup),
	} {
		if strings.Contains(a.Body, "<script>") || strings.Contains(a.Body, "<img src=x") || strings.Contains(a.Body, "<b>Imprint") || strings.Contains(a.Body, "'onclick") {
			t.Errorf("%s: %s", name, a.Body)
		}
	}
	b.signIn("?rd="+url.QueryEscape("https://admin.example.com/"), "bob", "builder")
	if page := b.get(auth + "/?error=Call+0900&message=Call+0900&user=Call+0900&rd=https://admin.example.com/"); strings.Contains(page.main(), "0900") {
		t.Error("text of the query is on the page")
	}
}
