package portal

import (
	"net/http"
	"strings"
	"testing"
)

func TestThreat02AddressOfTheClient(t *testing.T) {
	for _, tt := range []struct {
		why     string
		proxies []string
		sent    []string // lines of X-Forwarded-For that the client sends
		want    string
	}{
		{"the proxy's own line", []string{"127.0.0.0/8"}, nil, "198.51.100.9"},
		{"a line of the client's before it", []string{"127.0.0.0/8"}, []string{"203.0.113.1"}, "198.51.100.9"},
		{"many lines of the client's", []string{"127.0.0.1"}, []string{"203.0.113.1, 10.0.0.1", "::1"}, "198.51.100.9"},
		{"the peer is no proxy", []string{"192.0.2.0/24"}, nil, "127.0.0.1"},
		{"there are no proxies", nil, []string{"203.0.113.1"}, "127.0.0.1"},
	} {
		h := openHouse(t, func(s *Server) { s.Config.Proxies = tt.proxies })
		b := h.from(9)
		if tt.sent != nil {
			b.header["X-Forwarded-For"] = tt.sent
		}
		b.signIn("", "bob", "builder").wantRedirect(t, "/")
		if !strings.Contains(h.log.String(), "addr="+tt.want+" user=bob") {
			t.Errorf("%s: want %s in\n%s", tt.why, tt.want, h.log)
		}
	}
}

func TestAddressesThatAreNone(t *testing.T) {
	for _, sent := range []string{"", "unknown", "198.51.100.9, x", "198.51.100.9:80", "'; drop", strings.Repeat("1", 5000)} {
		h := openHouse(t)
		r, err := http.NewRequest("GET", "http://"+h.direct+"/", nil)
		must(t, err)
		r.Host = "auth.example.com"
		r.Header.Set("X-Forwarded-For", sent)
		resp, err := http.DefaultTransport.RoundTrip(r)
		must(t, err)
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Errorf("%q: status %d", sent, resp.StatusCode)
		}
	}
}

func TestRequestIDs(t *testing.T) {
	for id, ok := range map[string]bool{
		"0A1B2C3D:01BB_7F000001:2384_66A1": true, "a-b.c": true,
		"": false, "a b": false, "<script>": false, "a\"b": false, "ä": false, strings.Repeat("a", 81): false,
	} {
		if plainID(id) != ok {
			t.Errorf("%q is accepted: %v", id, !ok)
		}
	}
	h := openHouse(t)
	ask := func(path string, header ...string) answer {
		r, err := http.NewRequest("GET", "http://"+h.direct+path, nil)
		must(t, err)
		r.Host = "auth.example.com"
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		b := h.browser()
		resp, err := http.DefaultTransport.RoundTrip(r)
		must(t, err)
		defer resp.Body.Close()
		return b.read(resp)
	}
	if page := ask("/nowhere", "X-Request-Id", "the-proxys-own"); !strings.Contains(page.Body, "<code>the-proxys-own</code>") {
		t.Errorf("the id is not shown:\n%s", page.main())
	}
	page := ask("/nowhere", "X-Request-Id", "<b>x</b>")
	if strings.Contains(page.Body, "<b>x") || !strings.Contains(page.Body, "<code>") {
		t.Errorf("an id that is none:\n%s", page.main())
	}
}
