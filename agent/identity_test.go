package agent_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"postern/agent"
	"postern/agent/policy"
	"postern/agent/session"
	"postern/agent/spop"
	"postern/agent/spop/spoptest"
)

// decode is what Prepare encoded, as variables.
func decode(t testing.TB, prepared []byte) spoptest.Ack {
	t.Helper()
	a, err := spoptest.DecodeAck(spop.Frame{Type: spop.FrameAck, Flags: spop.FlagFin, Payload: prepared})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func many(n int) (groups []string) {
	for i := range n {
		groups = append(groups, fmt.Sprintf("group-%04d", i))
	}
	return groups
}

// Case 33: what applications are told about a user is theirs to trust: nothing in it is
// a control character, a list of groups holds no group that the directory does not, and
// a user who cannot be named exactly is not named at all.
func TestCase33Identity(t *testing.T) {
	for _, tt := range []struct {
		name string
		s    session.Session
		want string // "" when the identity must not be passed on
	}{
		{"everything there", alice, "user=alice groups=staff,wiki name=Alice A. email=alice@example.com level=1"},
		{"a name alone", session.Session{User: "x"}, "user=x level=0"},
		{"not only ASCII", session.Session{User: "jürgen", Name: "Jürgen Ж", Groups: []string{"größe"}}, "user=jürgen groups=größe name=Jürgen Ж level=0"},
		{"no user", session.Session{Name: "x"}, ""},
		{"a line break in the user", session.Session{User: "alice\r\nRemote-User: bob"}, ""},
		{"NUL in the user", session.Session{User: "alice\x00"}, ""},
		{"DEL in the user", session.Session{User: "alice\x7f"}, ""},
		{"a C1 control character in the user", session.Session{User: "alice\u0085"}, ""},
		{"a space behind the user, which HTTP drops", session.Session{User: "alice "}, ""},
		{"a space in front of the user", session.Session{User: " alice"}, ""},
		{"a user that is not UTF-8", session.Session{User: "alice\xff"}, ""},
		{"a user of 257 bytes", session.Session{User: strings.Repeat("u", 257)}, ""},
		{"groups that would add or end groups", session.Session{User: "x", Groups: []string{"a", "b,admins", "c\nd", " admins", "admins ", "", "e\x00", "z"}}, "user=x groups=a,z level=0"},
		{"no group that can be passed on", session.Session{User: "x", Groups: []string{"a,b"}}, "user=x level=0"},
		{"as many groups as fit", session.Session{User: "x", Groups: many(372)}, "user=x groups=" + strings.Join(many(372), ",") + " level=0"},
		{"one group more", session.Session{User: "x", Groups: many(373)}, ""},
		{"5,000 groups", session.Session{User: "x", Groups: many(5000)}, ""},
		{"line breaks in the name", session.Session{User: "x", Name: "\tA\r\nB\x00C "}, "user=x name=A  B C level=0"},
		{"a name that is not UTF-8", session.Session{User: "x", Name: "A\xffB"}, "user=x name=AB level=0"},
		{"a long name, cut between characters", session.Session{User: "x", Name: "a" + strings.Repeat("ж", 200)}, "user=x name=a" + strings.Repeat("ж", 127) + " level=0"},
		{"an e-mail address with a line break", session.Session{User: "x", Email: "a@b\r\nc"}, "user=x level=0"},
		{"a long e-mail address", session.Session{User: "x", Email: strings.Repeat("e", 321)}, "user=x level=0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := agent.Prepare(&tt.s)
			if tt.want == "" {
				if b != nil {
					t.Errorf("got %s, want nothing", text(t, decode(t, b)))
				}
				return
			}
			if got := text(t, decode(t, b)); got != tt.want {
				t.Errorf("\n got %s\nwant %s", got, tt.want)
			}
		})
	}
}

// FuzzPrepare: the variables of any session hold no control character, and every group
// in the list is one that the session has.
func FuzzPrepare(f *testing.F) {
	f.Add("alice", "Alice", "a@example.com", "staff", "wiki,admins")
	f.Add("a\r\nb", "\x00", "\xff", " x", "")
	f.Fuzz(func(t *testing.T, user, name, email, g1, g2 string) {
		s := session.Session{User: user, Name: name, Email: email, Groups: []string{g1, g2}}
		b := agent.Prepare(&s)
		if b == nil {
			return
		}
		a := decode(t, b)
		for _, x := range a.Actions {
			if strings.ContainsFunc(string(x.Value.Bytes), unicode.IsControl) {
				t.Fatalf("%s is %q", x.Name, x.Value.Bytes)
			}
		}
		if a.Str(agent.VarUser) != user {
			t.Fatalf("user %q is told as %q", user, a.Str(agent.VarUser))
		}
		if list := a.Str(agent.VarGroups); list != "" {
			for g := range strings.SplitSeq(list, ",") {
				if !slices.Contains(s.Groups, g) {
					t.Fatalf("group %q of %q is none of the session's", g, list)
				}
			}
		}
	})
}

// TestUnnameableUser: a session whose user cannot be passed on opens nothing but what is
// open to everybody.
func TestUnnameableUser(t *testing.T) {
	mallory := session.Session{User: "mallory", Groups: many(5000), Level: policy.LevelOne}
	tab := table(&keeper{})
	p := start(t, &agent.Server{Rules: compile(t, house), Sessions: tab})
	token := create(t, tab, mallory)
	if got, want := text(t, ask(t, p, with(token))), rid+"reason=identity status=503 verdict=error"; got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
	open := with(token, spoptest.Str(agent.ArgHost, "public.example.com"))
	if got, want := text(t, ask(t, p, open)), rid+"rule=open reason=bypass status=200 verdict=allow"; got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
}

// TestAnswerAlwaysFits: the largest identity with the largest location fits the frames
// of HAProxy's default.
func TestAnswerAlwaysFits(t *testing.T) {
	big := session.Session{
		User: strings.Repeat("u", 256), Name: strings.Repeat("n", 256), Email: strings.Repeat("e", 320), Groups: many(372),
		Level: policy.LevelOne, Expires: time.Now().Add(time.Hour),
	}
	tab := table(&keeper{})
	p := start(t, &agent.Server{Rules: compile(t, house), Sessions: tab})
	token := create(t, tab, big)
	for _, size := range []int{10, 3000, 9000} {
		a := ask(t, p, with(token, spoptest.Str(agent.ArgHost, "bank.example.com"), spoptest.Str(agent.ArgPath, "/"+strings.Repeat("%41", size/3))))
		if a.Str(agent.VarVerdict) != "step_up" {
			t.Errorf("a path of %d bytes: %s, want step_up", size, a.Str(agent.VarVerdict))
		}
	}
}
