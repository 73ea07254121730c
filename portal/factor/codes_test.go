package factor_test

import (
	"context"
	"regexp"
	"strings"
	"testing"
	"time"

	"postern/portal/factor"
)

func TestRecoveryCodes(t *testing.T) {
	ctx := context.Background()
	k := newKit(t)
	codes, err := k.codes.Generate(ctx, "alice", noon)
	if err != nil {
		t.Fatal(err)
	}
	form := regexp.MustCompile(`^[0-9a-hjkmnp-tv-z]{5}(-[0-9a-hjkmnp-tv-z]{5}){2}$`)
	seen := make(map[string]bool)
	for _, c := range codes {
		if !form.MatchString(c) || seen[c] {
			t.Errorf("code %q", c)
		}
		seen[c] = true
	}
	if n, err := k.codes.Left(ctx, "alice"); len(codes) != 10 || n != 10 || err != nil {
		t.Fatalf("%d codes, %d left, %v", len(codes), n, err)
	}

	looksLike := strings.NewReplacer("0", "O", "1", "l")
	tests := []struct {
		name, user, code string
		left             int
		want             error
	}{
		{"as printed", "alice", codes[0], 9, nil},
		{"the same again", "alice", codes[0], 0, factor.ErrSpent},
		{"in capitals, with spaces", "alice", " " + strings.ToUpper(strings.ReplaceAll(codes[1], "-", " ")), 8, nil},
		{"without dashes", "alice", strings.ReplaceAll(codes[2], "-", ""), 7, nil},
		{"with the letters that the digits look like", "alice", looksLike.Replace(codes[3]), 6, nil},
		{"another user's", "bob", codes[4], 0, factor.ErrWrong},
		{"of nobody", "", codes[4], 0, factor.ErrWrong},
		{"a part", "alice", codes[4][:16], 0, factor.ErrWrong},
		{"more than one", "alice", codes[4] + codes[5], 0, factor.ErrWrong},
		{"nothing", "alice", "", 0, factor.ErrWrong},
		{"a megabyte", "alice", strings.Repeat("a", 1<<20), 0, factor.ErrWrong},
	}
	for _, tt := range tests {
		left, err := k.codes.Use(ctx, tt.user, tt.code, noon)
		if err != tt.want || left != tt.left {
			t.Errorf("%s: %d left, %v; want %d, %v", tt.name, left, err, tt.left, tt.want)
		}
	}

	fresh, err := k.codes.Generate(ctx, "alice", noon)
	if err != nil {
		t.Fatal(err)
	}
	_, err = k.codes.Use(ctx, "alice", codes[5], noon)
	wantErr(t, err, factor.ErrWrong)
	if left, err := k.codes.Use(ctx, "alice", fresh[0], noon); err != nil || left != 9 {
		t.Errorf("after regeneration: %d left, %v", left, err)
	}
	_, err = k.codes.Generate(ctx, "", noon)
	wantErr(t, err, factor.ErrNotFound)
}

func issue(t testing.TB, k *kit, user, session string, p factor.Purpose, now time.Time) string {
	t.Helper()
	code, err := k.mailed.Issue(context.Background(), user, session, p, now)
	if err != nil {
		t.Fatal(err)
	}
	return code
}

func TestMailedCodes(t *testing.T) {
	ctx := context.Background()
	tests := []struct {
		name          string
		user, session string
		purpose       factor.Purpose
		after         time.Duration
		bend          func(string) string
		want          error
	}{
		{name: "as mailed"},
		{name: "without the space", bend: func(c string) string { return strings.ReplaceAll(c, " ", "") }},
		{name: "at the last moment", after: 10*time.Minute - time.Second},
		{name: "too late", after: 10 * time.Minute, want: factor.ErrWrong},
		{name: "another user", user: "bob", want: factor.ErrWrong},
		{name: "another session", session: "s2", want: factor.ErrWrong},
		{name: "another purpose", purpose: factor.PurposeStepUp, want: factor.ErrWrong},
		{name: "one digit wrong", bend: wrong, want: factor.ErrWrong},
		{name: "one digit more", bend: func(c string) string { return c + "1" }, want: factor.ErrWrong},
		{name: "nothing", bend: func(string) string { return "" }, want: factor.ErrWrong},
	}
	for _, tt := range tests {
		k := newKit(t)
		code := issue(t, k, "alice", "s1", factor.PurposeEnrol, noon)
		if !regexp.MustCompile(`^\d{4} \d{4}$`).MatchString(code) {
			t.Errorf("code %q", code)
		}
		if tt.bend != nil {
			code = tt.bend(code)
		}
		or := func(s, other string) string {
			if s == "" {
				return other
			}
			return s
		}
		err := k.mailed.Check(ctx, or(tt.user, "alice"), or(tt.session, "s1"), factor.Purpose(or(string(tt.purpose), "enrol")), code, noon.Add(tt.after))
		if err != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
}

func TestMailedCodeIsReplaced(t *testing.T) {
	ctx := context.Background()
	k := newKit(t)
	first := issue(t, k, "alice", "s1", factor.PurposeStepUp, noon)
	second := issue(t, k, "alice", "s1", factor.PurposeStepUp, noon)
	other := issue(t, k, "alice", "s2", factor.PurposeStepUp, noon)
	if first != second { // one time in a hundred million they are equal
		wantErr(t, k.mailed.Check(ctx, "alice", "s1", factor.PurposeStepUp, first, noon), factor.ErrWrong)
	}
	wantErr(t, k.mailed.Check(ctx, "alice", "s1", factor.PurposeStepUp, second, noon), nil)
	wantErr(t, k.mailed.Check(ctx, "alice", "s1", factor.PurposeStepUp, second, noon), factor.ErrWrong)
	wantErr(t, k.mailed.Check(ctx, "alice", "s2", factor.PurposeStepUp, other, noon), nil)

	for _, bad := range [][3]string{{"", "s", "enrol"}, {"alice", "", "enrol"}, {"alice", "s", ""}} {
		_, err := k.mailed.Issue(ctx, bad[0], bad[1], factor.Purpose(bad[2]), noon)
		wantErr(t, err, factor.ErrInvalid)
		wantErr(t, k.mailed.Check(ctx, bad[0], bad[1], factor.Purpose(bad[2]), "12345678", noon), factor.ErrWrong)
	}
}

func TestMailedCodesAreBoundedForAUser(t *testing.T) {
	k := newKit(t)
	for i := range 5 {
		issue(t, k, "alice", string(rune('a'+i)), factor.PurposeEnrol, noon)
	}
	_, err := k.mailed.Issue(context.Background(), "alice", "z", factor.PurposeStepUp, noon.Add(time.Minute))
	wantErr(t, err, factor.ErrTooMany)
	issue(t, k, "bob", "z", factor.PurposeEnrol, noon)
	issue(t, k, "alice", "z", factor.PurposeEnrol, noon.Add(10*time.Minute))
}
