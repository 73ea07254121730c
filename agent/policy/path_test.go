package policy

import (
	"net/url"
	"path"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestCanonicalPath(t *testing.T) {
	for _, tt := range []struct {
		name, path      string
		sent, decidedOn string // sent is what the application gets
	}{
		{"stays", "/wiki/Page_1", "/wiki/Page_1", "/wiki/Page_1"},
		{"the root stays", "/", "/", "/"},
		{"a trailing slash stays", "/wiki/", "/wiki/", "/wiki/"},
		{"what must be encoded stays encoded", "/a%20b/%C3%A4", "/a%20b/%C3%A4", "/a b/ä"},
		{"reserved characters stay as they came", "/a%3Ab:c%40@", "/a%3Ab:c%40@", "/a:b:c@@"},
		{"an encoded letter is decoded", "/%61dmin", "/admin", "/admin"},
		{"encoded digits, hyphen, underscore, tilde too", "/%31%2D%5F%7e", "/1-_~", "/1-_~"},
		{"a dot segment goes", "/a/./b", "/a/b", "/a/b"},
		{"a double dot takes one away", "/a/../b", "/b", "/b"},
		{"an encoded double dot too", "/a/%2e%2E/b", "/b", "/b"},
		{"half encoded too", "/a/.%2e/b", "/b", "/b"},
		{"nothing lies above the root", "/../../b", "/b", "/b"},
		{"a last dot leaves a slash", "/a/.", "/a/", "/a/"},
		{"a last double dot leaves a slash", "/a/b/..", "/a/", "/a/"},
		{"everything taken away leaves the root", "/a/..", "/", "/"},
		{"double slashes merge", "//a///b//", "/a/b/", "/a/b/"},
		{"slashes merge before dots are resolved", "/a//../b", "/b", "/b"},
		{"a slash, a dot, a slash", "/.//./", "/", "/"},
		{"three dots are a name", "/.../x", "/.../x", "/.../x"},
		{"a hidden file is a name", "/.git/..x", "/.git/..x", "/.git/..x"},
		{"a lone percent sign stays encoded", "/100%25", "/100%25", "/100%"},
		{"a percent sign before what is no hex", "/100%25/x", "/100%25/x", "/100%/x"},
		{"a character beyond the basic plane", "/%F0%9F%98%80", "/%F0%9F%98%80", "/😀"},
		{"the replacement character itself", "/%EF%BF%BD", "/%EF%BF%BD", "/\uFFFD"},
		{"parameters stay", "/a;x=1/b", "/a;x=1/b", "/a;x=1/b"},
	} {
		found, ok := checkPath(tt.path, false)
		if !ok {
			t.Errorf("%s: %q is refused", tt.name, tt.path)
			continue
		}
		got := tt.path
		if found&pathReshape != 0 {
			got = reshape(tt.path)
		}
		if got != tt.sent || (got != tt.path) != (found&pathReshape != 0) {
			t.Errorf("%s: %q is sent as %q, want %q", tt.name, tt.path, got, tt.sent)
		}
		if got := decode(got, false); got != tt.decidedOn {
			t.Errorf("%s: %q is decided on as %q, want %q", tt.name, tt.path, got, tt.decidedOn)
		}
	}
}

// uncleanPaths are refused on every host.
var uncleanPaths = []struct{ name, path string }{
	{"absent, as for CONNECT and OPTIONS *", ""},
	{"an asterisk", "*"},
	{"no leading slash (CVE-2026-33186)", "admin"},
	{"a whole URL", "https://app.example.com/"},
	{"an encoded leading slash", "%2fadmin"},
	{"a backslash", `/a\..\admin`},
	{"an encoded backslash", "/a%5c..%5Cadmin"},
	{"an encoded NUL", "/admin%00.css"},
	{"an encoded line break", "/a%0d%0aSet-Cookie:x"},
	{"an encoded DEL", "/%7f"},
	{"a raw control character", "/a\x01"},
	{"a raw space", "/a b"},
	{"a raw byte beyond ASCII", "/\xc3\xa4"},
	{"a control character of Latin-1", "/%C2%85"},
	{"an overlong slash", "/%C0%AF"},
	{"an overlong dot", "/%E0%80%AE"},
	{"half a character", "/%C3"},
	{"a lone continuation", "/%A4"},
	{"a surrogate", "/%ED%A0%80"},
	{"Latin-1", "/caf%E9"},
	{"an escape cut short", "/a%2"},
	{"a percent sign alone", "/100%"},
	{"an escape that is none", "/%zz"},
	{"a doubly encoded slash", "/a%252f..%252fadmin"},
	{"a doubly encoded dot", "/%252e%252e/admin"},
	{"a doubly encoded letter", "/%2561dmin"},
	{"a doubly encoded NUL", "/a%2500"},
	{"a triply encoded slash", "/%25252f"},
	{"a percent sign before encoded hex digits", "/%25%32%66"},
	{"a percent sign before one encoded hex digit", "/%252%66"},
	{"a fragment (CVE-2026-41059)", "/admin#/public"},
	{"a question mark", "/admin?x"},
	{"a double dot with a parameter", "/a/..;/admin"},
	{"a double dot with an encoded parameter", "/a/..%3bx/admin"},
	{"an encoded double dot with a parameter", "/a/%2e%2e;x=1/admin"},
	{"a dot with a parameter", "/.;/admin"},
	{"a last double dot with a parameter", "/a/..;"},
}

func TestUncleanPath(t *testing.T) {
	for _, tt := range uncleanPaths {
		for _, slashes := range []bool{false, true} {
			if slashes && strings.Contains(strings.ToLower(tt.path), "%2f") {
				continue
			}
			if _, ok := checkPath(tt.path, slashes); ok {
				t.Errorf("%s: %q is accepted (encoded slashes: %v)", tt.name, tt.path, slashes)
			}
		}
	}
}

func TestEncodedSlashes(t *testing.T) {
	for _, tt := range []struct {
		name, path string
		ok         bool
	}{
		{"one", "/projects/group%2Frepo", true},
		{"one that is doubly encoded, as Jenkins has them", "/job/feature%252Fx", true},
		{"two in a row, as in an address", "/proxy/https%3A%2F%2Fexample.org", true},
		{"around a double dot", "/a%2f..%2fadmin", false},
		{"before a double dot", "/a/%2f../admin", false},
		{"a double dot elsewhere", "/a%2fb/../c", false},
		{"around a dot with a parameter", "/a%2f.;x/c", false},
		{"doubly encoded around a double dot", "/a%252f..%252fadmin", false},
		{"triply encoded", "/a%25252f", false},
		{"pieced together", "/a%25%32%66", false},
		{"a backslash is still refused", "/a%5cb", false},
	} {
		if _, ok := checkPath(tt.path, true); ok != tt.ok {
			t.Errorf("%s: accepted is %v for %q, want %v", tt.name, ok, tt.path, tt.ok)
		}
		if _, ok := checkPath(tt.path, false); ok {
			t.Errorf("%s: %q is accepted where encoded slashes are not allowed", tt.name, tt.path)
		}
	}
}

func TestReadings(t *testing.T) {
	for _, tt := range []struct{ name, got, want string }{
		{"parameters are cut", withoutParams("/a;x=1/b;y"), "/a/b"},
		{"a segment of parameters alone vanishes", withoutParams("/;x/admin"), "/admin"},
		{"nothing but parameters is the root", withoutParams("/;x"), "/"},
		{"an encoded slash separates", decode("/a%2Fb", false), "/a/b"},
		{"several of them separate once", decode("/a%2F%2fb", false), "/a/b"},
		{"an encoded slash is a name's part", decode("/a%2Fb%20", true), "/a%2Fb "},
		{"a doubly encoded slash separates", decode("/a%252Fb", false), "/a/b"},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, tt.got, tt.want)
		}
	}
}

// FuzzPath: what checkPath accepts has one canonical form, which is accepted and stays
// as it is; decoded it holds nothing that a server could read differently; and net/url
// and path, which know nothing of this package, agree on it.
func FuzzPath(f *testing.F) {
	for _, tt := range uncleanPaths {
		f.Add(tt.path)
	}
	for _, s := range []string{"/", "/a/../b", "//%61/%2e%2e/x;y", "/100%25", "/%F0%9F%98%80/", "/a%2fb%252F;c", "/..%25/", "/%2e%2e%2e/."} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, p string) {
		for _, slashes := range []bool{false, true} {
			found, ok := checkPath(p, slashes)
			if !ok {
				continue
			}
			sent := reshape(p)
			if (sent != p) != (found&pathReshape != 0) {
				t.Fatalf("%q is sent as %q; found %b", p, sent, found)
			}
			again, ok := checkPath(sent, slashes)
			if !ok || again&pathReshape != 0 || reshape(sent) != sent {
				t.Fatalf("%q is sent as %q, which is not canonical", p, sent)
			}
			text := decode(sent, false)
			if text[0] != '/' || !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl) || strings.ContainsRune(text, '\\') {
				t.Fatalf("%q is decided on as %q", p, text)
			}
			if !slashes && (strings.Contains(text, "//") || path.Clean(text) != strings.TrimSuffix(text, "/") && text != "/") {
				t.Fatalf("%q is decided on as %q", p, text)
			}
			want, err := url.PathUnescape(p)
			if err != nil {
				t.Fatal(err)
			}
			if found&pathSlashes == 0 && strings.TrimSuffix(path.Clean(want), "/") != strings.TrimSuffix(text, "/") {
				t.Fatalf("%q is decided on as %q, path.Clean says %q", p, text, path.Clean(want))
			}
			if twice, err := url.PathUnescape(text); !slashes && err == nil && twice != text {
				t.Fatalf("%q decodes twice: %q, %q", p, text, twice)
			}
		}
	})
}
