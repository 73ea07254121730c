package policy

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// randomRules are rules over few hosts, so that many of them match.
func randomRules(rnd *rand.Rand, n int) []Rule {
	pick := func(from []string, atMost int) List {
		var l List
		for range 1 + rnd.IntN(atMost) {
			l = append(l, from[rnd.IntN(len(from))])
		}
		return l
	}
	rules := make([]Rule, n)
	for i := range rules {
		r := &rules[i]
		r.Policy = []Policy{OneFactor, TwoFactor, Deny}[rnd.IntN(3)]
		switch rnd.IntN(3) {
		case 0:
			r.DomainRegex = pick(randomExpressions, 2)
		case 1:
			r.DomainRegex, r.Domain = pick(randomExpressions, 1), pick(randomDomains, 2)
		default:
			r.Domain = pick(randomDomains, 3)
		}
		if rnd.IntN(2) == 0 {
			r.Methods = pick([]string{"GET", "POST", "PUT"}, 1)
		}
		if rnd.IntN(3) == 0 {
			r.Subject = Subjects{pick([]string{"user:alice", "group:dev", "group:none"}, 2)}
		}
	}
	return rules
}

var (
	randomDomains = []string{"example.com", "a.example.com", "b.example.com", "alice.example.com", "dev.a.example.com", "*.example.com",
		"*.a.example.com", "*.com", "*.example.org", "{user}.example.com", "{group}.a.example.com", "*x.example.com"}
	randomExpressions = []string{`^a\.example\.com$`, `\.example\.com$`, `^[a-c]\.example\.com$`, `^a`, `example`, `^(?P<User>\w+)\.example\.com$`,
		`\.(?P<Group>\w+)\.example\.com$`, `^A\.Example`, `com$`, `^dev\..*$`, `^a\.example\.com$|^b`, `-x\.example\.com$`}
	randomHosts = []string{"example.com", "a.example.com", "b.example.com", "c.example.com", "alice.example.com", "dev.a.example.com",
		"x.dev.a.example.com", "x.dev.example.com", "staff.a.example.com", "q-x.example.com", "a.b.c.d.example.com"}
)

// naive asks one rule about a host in the plainest way: no index, no short cuts.
func naive(r *Rule, host string, sub *Subject) bool {
	for _, d := range r.Domain {
		label, rest, _ := strings.Cut(host, ".")
		switch {
		case d == host,
			strings.HasPrefix(d, "*.") && strings.HasSuffix(host, d[1:]),
			strings.HasPrefix(d, "{user}") && (host == sub.User+d[6:] || sub.User == "" && strings.HasSuffix(host, d[6:])),
			strings.HasPrefix(d, "{group}") && "."+rest == d[7:] && (sub.User == "" || slices.Contains(sub.Groups, label)):
			return true
		}
	}
	for _, s := range r.DomainRegex {
		re := regexp.MustCompile("(?i)" + s)
		m := re.FindStringSubmatch(host)
		if m == nil {
			continue
		}
		user, group := re.SubexpIndex("User"), re.SubexpIndex("Group")
		if sub.User == "" || (user < 0 || m[user] == sub.User) && (group < 0 || slices.Contains(sub.Groups, m[group])) {
			return true
		}
	}
	return false
}

// TestIndexAgreesWithAllRules: the index, with and without its budget, finds the rule
// that asking every rule in turn finds.
func TestIndexAgreesWithAllRules(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		rules := randomRules(rnd, 1+rnd.IntN(12))
		flat, err := Compile([]Domain{exampleDomain}, Config{Rules: rules})
		if err != nil {
			t.Fatal(err)
		}
		linked := *flat
		linked.index = *buildIndex(flat.domains, []string{"auth.example.com"}, flat.rules, flat.named, 0)
		for _, host := range randomHosts {
			for _, sub := range []*Subject{nobody(), alice(LevelTwo), bob(LevelTwo)} {
				req := get(host, "/")
				req.Method = []string{"GET", "POST"}[rnd.IntN(2)]
				want := DefaultRule
				for i := range rules {
					named := rules[i]
					if named.Methods != nil && named.Methods[0] != req.Method || !naive(&named, host, sub) {
						continue
					}
					if sub.User == "" || named.Subject == nil || flat.rules[i].matchSubjects(sub) {
						want = i
						break
					}
				}
				for name, r := range map[string]*Rules{"flat": flat, "linked": &linked} {
					if d := r.Decide(req, sub, now); d.Rule != want {
						t.Fatalf("%s %s for %q: %s index finds %d, want %d, in\n%+v", req.Method, host, sub.User, name, d.Rule, want, rules)
					}
				}
			}
		}
	}
}

// TestIndexCostsTheRulesOfTheHost: what a decision looks at does not grow with the rules
// of other hosts, and a host that no domain names costs the expressions alone.
func TestIndexCostsTheRulesOfTheHost(t *testing.T) {
	for _, n := range []int{10, 10_000} {
		r, err := Compile([]Domain{exampleDomain}, Config{Rules: typicalRules(n)})
		if err != nil {
			t.Fatal(err)
		}
		for host, want := range map[string]int{"app3.example.com": 1, "app4.example.com": 2, "unnamed.example.com": 1, "a.public.example.com": 2} {
			node := r.index.lookup(host)
			if node == nil || node.parent != nil || len(node.list) != want {
				t.Errorf("%d rules: %s has %+v, want %d candidates", n, host, node, want)
			}
		}
	}
}

// TestIndexBudget: wildcards times hosts do not fill the memory.
func TestIndexBudget(t *testing.T) {
	var rules []Rule
	for i := range 1500 {
		rules = append(rules, Rule{Domain: List{"*.example.com"}, Resources: List{"^/x"}, Policy: Deny},
			Rule{Domain: List{fmt.Sprintf("h%d.example.com", i)}, Policy: OneFactor})
	}
	r, err := Compile([]Domain{exampleDomain}, Config{Rules: rules})
	if err != nil {
		t.Fatal(err)
	}
	held := 0
	for _, n := range r.index.hosts {
		held += len(n.list)
	}
	if held > flattenBudget+len(rules) {
		t.Errorf("%d candidates held", held)
	}
	for i := range 1500 {
		if d := r.Decide(get(fmt.Sprintf("h%d.example.com", i), "/"), alice(LevelOne), now); d.Rule != 2*i+1 {
			t.Fatalf("h%d is decided by %s", i, r.RuleName(d.Rule))
		}
	}
}
