package policy

import "testing"

func TestNavigation(t *testing.T) {
	r := compile(t, `rules: [{domain: app.example.com, policy: two_factor}]`)
	for _, tt := range []struct {
		name string
		req  Request
		want bool
	}{
		{"a browser opens a page", Request{FetchMode: "navigate", Accept: "text/html,*/*;q=0.8"}, true},
		{"a browser posts a form", Request{Method: "POST", FetchMode: "navigate"}, true},
		{"fetch() of another origin", Request{FetchMode: "cors", Accept: "text/html"}, false},
		{"fetch() of the same origin", Request{FetchMode: "same-origin", Accept: "text/html"}, false},
		{"an image", Request{FetchMode: "no-cors", Accept: "image/*"}, false},
		{"a WebSocket", Request{FetchMode: "navigate", Upgrade: "websocket"}, false},
		{"a WebSocket among others", Request{Accept: "text/html", Upgrade: "foo, WebSocket"}, false},
		{"Sec-Fetch-Mode beats X-Requested-With", Request{FetchMode: "navigate", RequestedWith: "XMLHttpRequest"}, true},
		{"XMLHttpRequest", Request{Accept: "text/html", RequestedWith: "xmlhttprequest"}, false},
		{"an app's X-Requested-With says nothing", Request{Accept: "text/html", RequestedWith: "org.example.app"}, true},
		{"an old browser", Request{Accept: "application/xml, text/html;q=0.9"}, true},
		{"XHTML", Request{Accept: "application/xhtml+xml"}, true},
		{"any text", Request{Accept: "TEXT/*"}, true},
		{"JSON", Request{Accept: "application/json"}, false},
		{"JSON or anything", Request{Accept: "application/json, */*"}, false},
		{"HTML in a parameter only", Request{Accept: "application/json;v=text/html"}, false},
		{"anything", Request{Accept: "*/*"}, true},
		{"anything, weighed", Request{Accept: " */*;q=0.8"}, true},
		{"anything, by HEAD", Request{Method: "HEAD", Accept: "*/*"}, true},
		{"anything, by POST", Request{Method: "POST", Accept: "*/*"}, false},
		{"HTML, by POST", Request{Method: "POST", Accept: "text/html"}, true},
		{"no Accept at all", Request{}, false},
		{"a preflight", Request{Method: "OPTIONS", Accept: "*/*", Origin: "https://a.example.com", PreflightMethod: "PUT"}, false},
	} {
		req := tt.req
		req.Host, req.Path, req.TLS = "app.example.com", "/", true
		if req.Method == "" {
			req.Method = "GET"
		}
		for _, step := range []struct {
			sub  *Subject
			page Verdict
		}{{nobody(), VerdictLogin}, {alice(LevelOne), VerdictStepUp}} {
			want := VerdictChallenge
			if tt.want {
				want = step.page
			}
			if d := r.Decide(&req, step.sub, now); d.Verdict != want {
				t.Errorf("%s: %v, want %v", tt.name, d.Verdict, want)
			}
		}
		if d := r.Decide(&req, alice(LevelTwo), now); d.Verdict != VerdictAllow {
			t.Errorf("%s: %v with two factors", tt.name, d.Verdict)
		}
	}
}
