package portal

import (
	"net/http"
	"strings"
	"testing"
)

func TestSignInReturnsToTheExactAddress(t *testing.T) {
	h := openHouse(t)
	const rd = "https://wiki.example.com:8443/a%20b/?q=1&q=2&x=%2F+y"
	b := h.browser()
	page := b.get("https://auth.example.com/?rd=https%3A%2F%2Fwiki.example.com%3A8443%2Fa%2520b%2F%3Fq%3D1%26q%3D2%26x%3D%252F%2By&rm=GET")
	page.want(t, http.StatusOK, "wiki.example.com", `autocomplete="username"`, `autocomplete="current-password"`)
	got := b.send(page, "/", "username", "alice", "password", "wonderland")
	got.wantRedirect(t, rd)
	if b.session("wiki.example.com") == "" {
		t.Error("the application's host gets no session cookie")
	}
	var line string
	for _, c := range got.Header.Values("Set-Cookie") {
		if strings.HasPrefix(c, "__Secure-postern=") {
			line = c
		}
	}
	if !strings.HasSuffix(line, "; Path=/; Domain=example.com; Secure; HttpOnly; SameSite=Lax") {
		t.Errorf("cookie %q", line)
	}
}
