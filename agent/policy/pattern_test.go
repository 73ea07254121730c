package policy

import (
	"regexp"
	"testing"
)

func TestPatternShortCuts(t *testing.T) {
	for _, tt := range []struct {
		source, prefix, suffix string
		plain                  plain
	}{
		{`^/api`, "/api", "", plainPrefix},
		{`^/api.*`, "/api", "", plainPrefix},
		{`^/api/.*$`, "/api/", "", plainPrefix},
		{`^/api$`, "/api", "/api", plainExact},
		{`\.css$`, "", ".css", plainSuffix},
		{`.*\.css$`, "", ".css", plainSuffix},
		{`^/api(/.*)?$`, "/api", "", plainNone},
		{`^/(public|static)/`, "/", "", plainNone},
		{`^/a+\.css$`, "/", ".css", plainNone},
		{`^/a|^/b`, "", "", plainNone},
		{`(?i)^/api`, "", "", plainNone},
		{`(?m)^/api$`, "", "", plainNone},
		{`api`, "", "", plainNone},
		{`^`, "", "", plainNone},
		{`^$`, "", "", plainNone},
		{`^/u/(?P<User>.*)$`, "/u/", "", plainNone},
		{`^/api.+`, "/api", "", plainNone},
	} {
		p, err := compilePattern(tt.source, false)
		if err != nil {
			t.Fatal(err)
		}
		if p.prefix != tt.prefix || p.suffix != tt.suffix || p.plain != tt.plain {
			t.Errorf("%s: prefix %q, suffix %q, plain %d; want %q, %q, %d", tt.source, p.prefix, p.suffix, p.plain, tt.prefix, tt.suffix, tt.plain)
		}
	}
}

func TestPatternHost(t *testing.T) {
	for _, tt := range []struct {
		source string
		want   namedHost
	}{
		{`^app\.example\.com$`, namedHost{"app.example.com", true}},
		{`^App\.Example\.com$`, namedHost{"app.example.com", true}},
		{`\.example\.com$`, namedHost{".example.com", true}},
		{`^.*\.example\.com$`, namedHost{".example.com", true}},
		{`^\w+-app\.example\.com$`, namedHost{".example.com", false}},
		{`^(?P<User>\w+)\.example\.com$`, namedHost{".example.com", false}},
		{`app\.example\.com$`, namedHost{".example.com", false}},
		{`^app`, namedHost{}},
		{`com$`, namedHost{}},
		{`\.example\.com.$`, namedHost{}},
		{`^\.$`, namedHost{}},
	} {
		p, err := compilePattern(tt.source, true)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.host(); got != tt.want {
			t.Errorf("%s is kept under %v, want %v", tt.source, got, tt.want)
		}
	}
}

// FuzzPattern: the short cuts never change what an expression matches in a canonical
// path.
func FuzzPattern(f *testing.F) {
	for _, s := range []string{`^/api(/.*)?$`, `\.css$`, `^/a.*`, `(?i)^/A`, `^a|b$`, `^/.*x$`, `(?s).*a$`, `^^a$$`, `(^/a)`, `(?:/a$)`, `\Aa\z`, `^a{2}`, `(?-s)^/a.`} {
		f.Add(s, "/api/x")
		f.Add(s, "/a.css")
	}
	f.Fuzz(func(t *testing.T, source, path string) {
		re, err := regexp.Compile(source)
		if _, ok := checkPath(path, false); err != nil || !ok || len(source) > 100 {
			return
		}
		text := decode(reshape(path), false)
		p, err := compilePattern(source, false)
		if err != nil {
			t.Fatalf("%s: %v", source, err)
		}
		if got := p.match(text, nobody(), false); got != re.MatchString(text) {
			t.Fatalf("%s on %q: %v with short cuts (%+v)", source, text, got, p)
		}
	})
}
