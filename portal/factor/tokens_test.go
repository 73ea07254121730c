package factor_test

import (
	"context"
	"net/url"
	"strings"
	"testing"
	"time"

	"postern/portal/factor"
)

// hashes finds the stored password hash of a user, as ReadReset asks for it.
type hashes map[string]string

func (h hashes) find(user string) (string, bool) { v, ok := h[user]; return v, ok }

func TestResetToken(t *testing.T) {
	ctx := context.Background()
	k := newKit(t)
	users := hashes{"alice": "$argon2id$old", "bob": "$argon2id$old"}
	token := k.tokens.Reset("alice", users["alice"], noon)
	if token != url.QueryEscape(token) || strings.Contains(token, "argon2id") || len(token) > 300 {
		t.Errorf("token %q", token)
	}
	if user, err := k.tokens.ReadReset(token, users.find, noon.Add(14*time.Minute)); err != nil || user != "alice" {
		t.Fatalf("ReadReset: %q, %v", user, err)
	}
	event, err := k.tokens.NotMe(factor.Event{User: "alice", What: "password"}, noon)
	if err != nil {
		t.Fatal(err)
	}
	others := &factor.Tokens{Keys: newKeys(t, 2), Spent: k.keep}
	tests := []struct {
		name  string
		token string
		users hashes
		after time.Duration
		want  error
	}{
		{"too late", token, users, 15 * time.Minute, factor.ErrExpired},
		{"the password has changed", token, hashes{"alice": "$argon2id$new"}, 0, factor.ErrInvalid},
		{"the user is gone", token, hashes{"bob": "$argon2id$old"}, 0, factor.ErrInvalid},
		{"the user has no password any more", token, hashes{"alice": ""}, 0, factor.ErrInvalid},
		{"cut short", token[:len(token)-1], users, 0, factor.ErrInvalid},
		{"longer", token + "A", users, 0, factor.ErrInvalid},
		{"with a line end", token + "\n", users, 0, factor.ErrInvalid},
		{"without its MAC", token[:strings.IndexByte(token, '.')+1], users, 0, factor.ErrInvalid},
		{"its last bit changed", flip(token), users, 0, factor.ErrInvalid},
		{"a token for something else", event, users, 0, factor.ErrInvalid},
		{"another installation's", others.Reset("alice", users["alice"], noon), users, 0, factor.ErrInvalid},
		{"nothing", "", users, 0, factor.ErrInvalid},
		{"a megabyte", strings.Repeat("A", 1<<20), users, 0, factor.ErrInvalid},
	}
	for _, tt := range tests {
		if user, err := k.tokens.SpendReset(ctx, tt.token, tt.users.find, noon.Add(tt.after)); err != tt.want || user != "" {
			t.Errorf("%s: %q, %v; want %v", tt.name, user, err, tt.want)
		}
	}
	if user, err := k.tokens.SpendReset(ctx, token, users.find, noon); err != nil || user != "alice" {
		t.Fatalf("after all that: %q, %v", user, err)
	}
	_, err = k.tokens.SpendReset(ctx, token, users.find, noon)
	wantErr(t, err, factor.ErrSpent)
}

// A token that was spent for nothing is given back, and is good for one caller then. What
// is no token gives nothing back.
func TestTokensGivenBack(t *testing.T) {
	ctx := context.Background()
	k := newKit(t)
	users := hashes{"alice": "h"}
	reset := k.tokens.Reset("alice", "h", noon)
	event, err := k.tokens.NotMe(factor.Event{User: "alice", What: "signin"}, noon)
	wantErr(t, err, nil)
	spendReset := func() error { _, err := k.tokens.SpendReset(ctx, reset, users.find, noon); return err }
	spendNotMe := func() error { _, err := k.tokens.SpendNotMe(ctx, event, noon); return err }
	for _, spend := range []func() error{spendReset, spendNotMe} {
		wantErr(t, spend(), nil)
		wantErr(t, k.tokens.ReturnReset(ctx, event, noon), factor.ErrInvalid)
		wantErr(t, k.tokens.ReturnNotMe(ctx, reset, noon), factor.ErrInvalid)
		wantErr(t, k.tokens.ReturnReset(ctx, reset, noon.Add(factor.ResetLife)), factor.ErrExpired)
		wantErr(t, spend(), factor.ErrSpent)
	}
	wantErr(t, k.tokens.ReturnReset(ctx, reset, noon), nil)
	wantErr(t, spendNotMe(), factor.ErrSpent)
	wantErr(t, k.tokens.ReturnNotMe(ctx, event, noon), nil)
	for _, spend := range []func() error{spendReset, spendNotMe} {
		wantErr(t, spend(), nil)
		wantErr(t, spend(), factor.ErrSpent)
	}
}

// flip changes the last character that holds six whole bits of the MAC.
func flip(token string) string {
	b := []byte(token)
	i := len(b) - 2
	if b[i] == 'A' {
		b[i] = 'B'
	} else {
		b[i] = 'A'
	}
	return string(b)
}

// A token names its user to us alone after its MAC was right: junk costs no look-up.
func TestResetTokenAsksForGenuineOnesOnly(t *testing.T) {
	k := newKit(t)
	asked := func(string) (string, bool) { t.Error("a look-up for junk"); return "", false }
	_, err := k.tokens.ReadReset(flip(k.tokens.Reset("alice", "h", noon)), asked, noon)
	wantErr(t, err, factor.ErrInvalid)
}

func TestNotMeToken(t *testing.T) {
	ctx := context.Background()
	k := newKit(t)
	want := factor.Event{User: "alice", What: "signin", Session: "S1", Browser: "Mozilla/5.0 é", At: noon}
	token, err := k.tokens.NotMe(want, noon)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := k.tokens.ReadNotMe(token, noon.Add(7*24*time.Hour-time.Second)); err != nil || got != want {
		t.Fatalf("ReadNotMe: %+v, %v", got, err)
	}
	_, err = k.tokens.ReadNotMe(token, noon.Add(7*24*time.Hour))
	wantErr(t, err, factor.ErrExpired)
	_, err = k.tokens.ReadNotMe(flip(token), noon)
	wantErr(t, err, factor.ErrInvalid)
	_, err = k.tokens.ReadNotMe(k.tokens.Reset("alice", "h", noon), noon)
	wantErr(t, err, factor.ErrInvalid)
	_, err = k.tokens.SpendNotMe(ctx, flip(token), noon)
	wantErr(t, err, factor.ErrInvalid)
	if got, err := k.tokens.SpendNotMe(ctx, token, noon); err != nil || got != want {
		t.Fatalf("SpendNotMe: %+v, %v", got, err)
	}
	_, err = k.tokens.SpendNotMe(ctx, token, noon)
	wantErr(t, err, factor.ErrSpent)

	long, err := k.tokens.NotMe(factor.Event{User: "alice", Browser: strings.Repeat("é", 4000)}, noon)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := k.tokens.ReadNotMe(long, noon); err != nil || got.Browser != strings.Repeat("é", 128) {
		t.Errorf("a long browser: %d bytes, %v", len(got.Browser), err)
	}
}
