package factor_test

import (
	"bytes"
	"context"
	"encoding/base32"
	"image"
	_ "image/png"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/totp"

	"postern/agent/policy"
	"postern/portal/factor"
)

func contains(s, part string) bool { return strings.Contains(s, part) }

// app is an authenticator app that has scanned a QR code.
type app struct {
	factor.Device
	uri string
}

// code is what the app shows at a moment.
func (a app) code(t testing.TB, at time.Time) string {
	t.Helper()
	key, err := otp.NewKeyFromURL(a.uri)
	if err != nil {
		t.Fatal(err)
	}
	code, err := totp.GenerateCodeCustom(key.Secret(), at, totp.ValidateOpts{
		Period: uint(key.Period()), Digits: key.Digits(), Algorithm: key.Algorithm(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return code
}

// begin starts an enrolment in the session "s-" and the user's name.
func (k *kit) begin(t testing.TB, user string, now time.Time) (factor.Enrolment, app) {
	t.Helper()
	e, err := k.totp.Begin(user, "s-"+user, user, now)
	if err != nil {
		t.Fatal(err)
	}
	return e, app{uri: e.URI}
}

// enrol does it all, at the moment now.
func (k *kit) enrol(t testing.TB, user, name string, level policy.Level, now time.Time) app {
	t.Helper()
	e, a := k.begin(t, user, now)
	d, err := k.totp.Confirm(context.Background(), factor.Confirmation{
		User: user, Session: "s-" + user, Ticket: e.Ticket, Code: a.code(t, now), Name: name, Level: level,
	}, now)
	if err != nil {
		t.Fatalf("enrol %s of %s: %v", name, user, err)
	}
	a.Device = d
	return a
}

func TestTOTPEnrolment(t *testing.T) {
	k := newKit(t)
	e, a := k.begin(t, "alice", noon)
	u, err := url.Parse(e.URI)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	if u.Scheme != "otpauth" || u.Host != "totp" || u.Path != "/Postern:alice" ||
		q.Get("issuer") != "Postern" || q.Get("algorithm") != "SHA1" || q.Get("digits") != "6" || q.Get("period") != "30" {
		t.Errorf("URI %s", e.URI)
	}
	secret := strings.ReplaceAll(e.Secret, " ", "")
	raw, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(secret)
	if err != nil || len(raw) != 20 || secret != q.Get("secret") {
		t.Errorf("secret %q (%d bytes, %v), in the URI %q", e.Secret, len(raw), err, q.Get("secret"))
	}
	if strings.Contains(e.Ticket, secret) || !e.Expires.Equal(noon.Add(15*time.Minute)) {
		t.Errorf("ticket expires %v", e.Expires)
	}

	later := noon.Add(3 * time.Minute)
	again, err := k.totp.Resume("alice", "s-alice", "alice", e.Ticket, later)
	if err != nil || again.URI != e.URI || again.Secret != e.Secret || again.Ticket != e.Ticket || !again.Expires.Equal(e.Expires) {
		t.Errorf("Resume after a wrong code shows another secret (%v)", err)
	}

	ctx := context.Background()
	c := factor.Confirmation{User: "alice", Session: "s-alice", Ticket: e.Ticket, Code: a.code(t, later), Name: "Phone", Level: policy.LevelOne}
	tests := []struct {
		name string
		set  func(*factor.Confirmation)
		at   time.Time
		want error
	}{
		{"a wrong code", func(c *factor.Confirmation) { c.Code = wrong(c.Code) }, later, factor.ErrWrong},
		{"no code", func(c *factor.Confirmation) { c.Code = "" }, later, factor.ErrWrong},
		{"a name of nothing", func(c *factor.Confirmation) { c.Name = " " }, later, factor.ErrName},
		{"a session that proved nothing", func(c *factor.Confirmation) { c.Level = policy.Anonymous }, later, factor.ErrNeedsProof},
		{"too late", func(c *factor.Confirmation) { c.Code = a.code(t, e.Expires) }, e.Expires, factor.ErrExpired},
	}
	for _, tt := range tests {
		bad := c
		tt.set(&bad)
		if tt.want == factor.ErrNeedsProof { // it spends the ticket: on a fresh one
			e2, a2 := k.begin(t, "alice", later)
			bad.Ticket, bad.Code = e2.Ticket, a2.code(t, later)
		}
		if _, err := k.totp.Confirm(ctx, bad, tt.at); err != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
	d, err := k.totp.Confirm(ctx, c, later)
	if err != nil || d.Name != "Phone" || d.Kind != factor.KindTOTP || !d.Created.Equal(later) || d.Kind.Factor() != policy.TOTP {
		t.Fatalf("Confirm: %+v, %v", d, err)
	}
}

// wrong is a code of the same form that differs in its last digit.
func wrong(code string) string {
	last := code[len(code)-1]
	return code[:len(code)-1] + string('0'+(last-'0'+1)%10)
}

func TestTOTPAlgorithms(t *testing.T) {
	tests := []struct {
		algorithm string
		digits    int
		period    time.Duration
	}{
		{"SHA1", 6, 30 * time.Second},
		{"sha1", 8, 30 * time.Second},
		{"SHA256", 8, time.Minute},
		{"SHA512", 6, 15 * time.Second},
	}
	for _, tt := range tests {
		k := newKit(t)
		k.totp.Config.Algorithm, k.totp.Config.Digits, k.totp.Config.Period = tt.algorithm, tt.digits, tt.period
		a := k.enrol(t, "alice", "Phone", policy.LevelOne, noon)
		k.totp.Config = factor.DefaultConfig().TOTP // a device keeps what it was enrolled with
		next := noon.Add(tt.period)
		code := a.code(t, next)
		if len(code) != tt.digits {
			t.Errorf("%+v: code of %d digits", tt, len(code))
		}
		if d, err := k.totp.Verify(context.Background(), "alice", code, next); err != nil || d.ID != a.ID {
			t.Errorf("%+v: %v", tt, err)
		}
	}
}

func TestTOTPVerify(t *testing.T) {
	ctx := context.Background()
	enrolled := noon.Add(-time.Hour)
	tests := []struct {
		name string
		code func(t testing.TB, a app) string
		want error
	}{
		{"the code of now", func(t testing.TB, a app) string { return a.code(t, noon) }, nil},
		{"one step early", func(t testing.TB, a app) string { return a.code(t, noon.Add(30*time.Second)) }, nil},
		{"one step late", func(t testing.TB, a app) string { return a.code(t, noon.Add(-30*time.Second)) }, nil},
		{"two steps early", func(t testing.TB, a app) string { return a.code(t, noon.Add(60*time.Second)) }, factor.ErrWrong},
		{"two steps late", func(t testing.TB, a app) string { return a.code(t, noon.Add(-60*time.Second)) }, factor.ErrWrong},
		{"with spaces", func(t testing.TB, a app) string { c := a.code(t, noon); return " " + c[:3] + " " + c[3:] + "\u00a0" }, nil},
		{"one digit wrong", func(t testing.TB, a app) string { return wrong(a.code(t, noon)) }, factor.ErrWrong},
		{"one digit more", func(t testing.TB, a app) string { return a.code(t, noon) + "0" }, factor.ErrWrong},
		{"one digit less", func(t testing.TB, a app) string { return a.code(t, noon)[:5] }, factor.ErrWrong},
		{"nothing", func(testing.TB, app) string { return "" }, factor.ErrWrong},
		{"a megabyte", func(testing.TB, app) string { return strings.Repeat("1", 1<<20) }, factor.ErrWrong},
		{"other digits", func(t testing.TB, a app) string {
			return strings.Map(func(r rune) rune { return r - '0' + '٠' }, a.code(t, noon))
		}, factor.ErrWrong},
	}
	for _, tt := range tests {
		k := newKit(t)
		a := k.enrol(t, "alice", "Phone", policy.LevelOne, enrolled)
		d, err := k.totp.Verify(ctx, "alice", tt.code(t, a), noon)
		if err != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
		if err == nil && !d.Used.Equal(noon) {
			t.Errorf("%s: used %v", tt.name, d.Used)
		}
	}

	k := newKit(t)
	_, err := k.totp.Verify(ctx, "alice", "123456", noon)
	wantErr(t, err, factor.ErrNotFound)
	_, err = k.totp.Verify(ctx, "", "123456", noon)
	wantErr(t, err, factor.ErrNotFound)
	k.totp.Config.Disable = true
	_, err = k.totp.Verify(ctx, "alice", "123456", noon)
	wantErr(t, err, factor.ErrDisabled)
	_, err = k.totp.Begin("alice", "s", "alice", noon)
	wantErr(t, err, factor.ErrDisabled)
	_, err = k.totp.Confirm(ctx, factor.Confirmation{}, noon)
	wantErr(t, err, factor.ErrDisabled)
}

// A user's devices are apart: each has its own secret, and one's code spends nothing of another.
func TestTOTPSeveralDevices(t *testing.T) {
	ctx := context.Background()
	k := newKit(t)
	phone := k.enrol(t, "alice", "Phone", policy.LevelOne, noon.Add(-time.Hour))
	tablet := k.enrol(t, "alice", "Tablet", policy.LevelTwo, noon.Add(-time.Hour))
	bobs := k.enrol(t, "bob", "Phone", policy.LevelOne, noon.Add(-time.Hour))
	for _, a := range []app{tablet, phone} {
		if d, err := k.totp.Verify(ctx, "alice", a.code(t, noon), noon); err != nil || d.ID != a.ID {
			t.Errorf("%s: got %s, %v", a.Name, d.Name, err)
		}
	}
	_, err := k.totp.Verify(ctx, "alice", bobs.code(t, noon), noon)
	wantErr(t, err, factor.ErrWrong)
	if _, err := k.devices.Delete(ctx, "alice", phone.ID); err != nil {
		t.Fatal(err)
	}
	next := noon.Add(30 * time.Second)
	_, err = k.totp.Verify(ctx, "alice", phone.code(t, next), next)
	wantErr(t, err, factor.ErrWrong)
	_, err = k.totp.Verify(ctx, "alice", tablet.code(t, next), next)
	wantErr(t, err, nil)
}

// A device that does not open under the secret proves nothing, and does not lock the others out.
func TestTOTPBrokenDevice(t *testing.T) {
	ctx := context.Background()
	k := newKit(t)
	phone := k.enrol(t, "alice", "Phone", policy.LevelOne, noon)
	tablet := k.enrol(t, "alice", "Tablet", policy.LevelTwo, noon.Add(time.Second))
	later := noon.Add(time.Hour)
	broken := []byte("not sealed at all, but long enough to be")
	if err := k.keep.AdvanceFactor(ctx, factor.Advance{User: "alice", ID: phone.ID, Count: later.Unix() / 30, Used: noon, Sealed: broken}); err != nil {
		t.Fatal(err)
	}
	_, err := k.totp.Verify(ctx, "alice", phone.code(t, later), later)
	wantErr(t, err, factor.ErrWrong)
	if !contains(err.Error(), phone.ID) {
		t.Errorf("%v does not name the device", err)
	}
	_, err = k.totp.Verify(ctx, "alice", tablet.code(t, later), later)
	wantErr(t, err, nil)
}

func TestQR(t *testing.T) {
	k := newKit(t)
	e, _ := k.begin(t, "alice", noon)
	svg := e.QR.SVG()
	if !strings.HasPrefix(svg, "<svg xmlns=") || !strings.HasSuffix(svg, "</svg>") || strings.Contains(svg, "alice") {
		t.Errorf("SVG %.80s", svg)
	}
	const scale = 3
	file, err := e.QR.PNG(scale)
	if err != nil {
		t.Fatal(err)
	}
	img, _, err := image.Decode(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	if side := e.QR.Size() * scale; img.Bounds() != image.Rect(0, 0, side, side) {
		t.Errorf("PNG of %v, want %d square", img.Bounds(), side)
	}
	// The corner has the margin of four white modules, then the black finder pattern.
	for i, want := range []bool{false, false, false, false, true, true, true, true, true, true, true, false} {
		r, _, _, _ := img.At(i*scale+1, 4*scale+1).RGBA()
		if dark := r == 0; dark != want {
			t.Errorf("module %d is dark %v, want %v", i, dark, want)
		}
	}
	if (factor.QR{}).Size() != 0 {
		t.Error("a zero QR has a size")
	}
}
