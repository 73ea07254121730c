package factor

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"
	"github.com/pquerna/otp/totp"

	"postern/agent/policy"
)

// enrolLife is how long a TOTP enrolment waits for its first code.
const enrolLife = 15 * time.Minute

// TOTP enrols authenticator apps and checks their codes (RFC 6238).
type TOTP struct {
	Config TOTPConfig
	Keys   *Keys
	Keeper Keeper
	Spent  SpentKeeper
}

// Enrolment is a device that is not stored yet: what the page shows, and the ticket that
// its form carries until Confirm. The ticket is good for one user, one session and one device.
type Enrolment struct {
	Secret  string // base32, in groups of four for the eye
	URI     string // otpauth://totp/…
	QR      QR     // of URI
	Ticket  string
	Expires time.Time
}

// Confirmation is the form that ends an enrolment.
type Confirmation struct {
	User    string
	Session string // public id of the session that began it
	Ticket  string
	Code    string
	Name    string       // of the device
	Level   policy.Level // what the session has proved, freshly; below two it may enrol the first device only
}

// algorithm is a hash that RFC 6238 allows and the length of its secrets, in bytes.
type algorithm struct {
	hash otp.Algorithm
	size int
}

// algorithmOf finds an algorithm by the name it has in the configuration.
func algorithmOf(name string) (a algorithm, ok bool) {
	switch name {
	case "SHA1":
		return algorithm{otp.AlgorithmSHA1, 20}, true
	case "SHA256":
		return algorithm{otp.AlgorithmSHA256, 32}, true
	case "SHA512":
		return algorithm{otp.AlgorithmSHA512, 64}, true
	}
	return algorithm{}, false
}

// seed is what a device and we share; a record keeps it sealed.
type seed struct {
	Secret    []byte `json:"secret"`
	Algorithm string `json:"algorithm"`
	Digits    int    `json:"digits"`
	Period    int64  `json:"period"` // seconds
}

// Begin makes a new secret; nothing is stored. session is the public id of the session that
// asks, and a session whose id changes begins again. account is how the app names the user, "alice" or "alice@example.com".
func (t *TOTP) Begin(user, session, account string, now time.Time) (Enrolment, error) {
	if t.Config.Disable {
		return Enrolment{}, ErrDisabled
	}
	if user == "" || session == "" {
		return Enrolment{}, ErrInvalid
	}
	name := strings.ToUpper(t.Config.Algorithm)
	algo, ok := algorithmOf(name)
	if !ok {
		return Enrolment{}, fmt.Errorf("totp: no algorithm %q", t.Config.Algorithm)
	}
	s := seed{
		Secret:    make([]byte, algo.size),
		Algorithm: name,
		Digits:    t.Config.Digits,
		Period:    int64(t.Config.Period / time.Second),
	}
	_, _ = rand.Read(s.Secret) // never fails: crypto/rand ends the process instead
	plain, err := json.Marshal(s)
	if err != nil {
		return Enrolment{}, fmt.Errorf("totp: %w", err)
	}
	expires := now.Add(enrolLife)
	text := t.Keys.sign(forTOTP, ticket{
		user: user, bound: session, expires: expires,
		data: t.Keys.Seal(enrolRow(user, session), plain),
	})
	return t.show(s, account, text, expires)
}

// Resume shows an enrolment again, after a wrong code. Errors: ErrInvalid, ErrExpired.
func (t *TOTP) Resume(user, session, account, ticket string, now time.Time) (Enrolment, error) {
	s, signed, err := t.reopen(user, session, ticket, now)
	if err != nil {
		return Enrolment{}, err
	}
	return t.show(s, account, ticket, signed.expires)
}

// Confirm stores the device when the code fits. The code is spent with it. Errors:
// ErrWrong, ErrSpent, ErrInvalid, ErrExpired, ErrName, ErrNeedsProof, ErrTooMany.
func (t *TOTP) Confirm(ctx context.Context, c Confirmation, now time.Time) (Device, error) {
	if t.Config.Disable {
		return Device{}, ErrDisabled
	}
	s, signed, err := t.reopen(c.User, c.Session, c.Ticket, now)
	if err != nil {
		return Device{}, err
	}
	name, err := cleanName(c.Name)
	if err != nil {
		return Device{}, err
	}
	step, ok, err := s.match(c.Code, now, t.Config.Skew, 0)
	if err != nil {
		return Device{}, err
	}
	if !ok {
		return Device{}, ErrWrong
	}
	plain, err := json.Marshal(s)
	if err != nil {
		return Device{}, fmt.Errorf("totp: %w", err)
	}
	r := Record{
		Device: Device{ID: rand.Text(), Kind: KindTOTP, User: c.User, Name: name, Created: now},
		Count:  step,
	}
	r.Sealed = t.Keys.Seal(r.row(), plain)
	if err := signed.spend(ctx, t.Spent, now); err != nil {
		return Device{}, err
	}
	if err := add(ctx, t.Keeper, r, c.Level); err != nil {
		return Device{}, err
	}
	return r.Device, nil
}

// Verify checks a code against every device of the user and spends its time step, for
// exactly one caller. Spaces in the code do not matter. Errors: ErrWrong; ErrSpent for a
// right code whose step, or a later one, was spent; ErrNotFound when the user has no
// such device; ErrDisabled. What a device that does not open adds to ErrWrong is for the log.
func (t *TOTP) Verify(ctx context.Context, user, code string, now time.Time) (Device, error) {
	if t.Config.Disable {
		return Device{}, ErrDisabled
	}
	if user == "" {
		return Device{}, ErrNotFound
	}
	records, err := t.Keeper.ListFactors(ctx, Filter{User: user, Kind: KindTOTP})
	if err != nil {
		return Device{}, err
	}
	if len(records) == 0 {
		return Device{}, ErrNotFound
	}
	failure := ErrWrong
	for _, r := range records {
		s, err := t.open(r)
		if err != nil {
			failure = fmt.Errorf("%w, and device %s: %w", ErrWrong, r.ID, err)
			continue // the user's other devices still work, and a guess is still a guess
		}
		step, ok, err := s.match(code, now, t.Config.Skew, r.Count)
		if err != nil {
			return Device{}, err
		}
		if !ok {
			continue
		}
		err = t.Keeper.AdvanceFactor(ctx, Advance{User: user, ID: r.ID, Count: step, Used: now})
		if err == nil {
			r.Used = now
			return r.Device, nil
		}
		if !errors.Is(err, ErrSpent) {
			return Device{}, err
		}
		failure = ErrSpent
	}
	return Device{}, failure
}

// match finds the time step that a code belongs to: the first after the spent one, else
// one that is spent already. Every step in reach is computed and compared, whatever fits.
func (s seed) match(code string, now time.Time, skew int, spent int64) (step int64, ok bool, err error) {
	code = cleanCode(code)
	algo, _ := algorithmOf(s.Algorithm)
	secret := base32.StdEncoding.EncodeToString(s.Secret)
	opts := hotp.ValidateOpts{Digits: otp.Digits(s.Digits), Algorithm: algo.hash}
	current := now.Unix() / s.Period
	for i := current - int64(skew); i <= current+int64(skew); i++ {
		want, err := hotp.GenerateCodeCustom(secret, uint64(i), opts)
		if err != nil {
			return 0, false, fmt.Errorf("totp: %w", err)
		}
		if subtle.ConstantTimeCompare([]byte(want), []byte(code)) == 1 && (!ok || step <= spent) {
			step, ok = i, true
		}
	}
	return step, ok, nil
}

func (t *TOTP) open(r Record) (seed, error) {
	plain, err := t.Keys.Open(r.row(), r.Sealed)
	if err != nil {
		return seed{}, err
	}
	return parseSeed(plain)
}

// parseSeed refuses what match could not work with.
func parseSeed(plain []byte) (seed, error) {
	var s seed
	if err := json.Unmarshal(plain, &s); err != nil {
		return seed{}, fmt.Errorf("totp: %w", err)
	}
	if _, ok := algorithmOf(s.Algorithm); !ok || s.Period <= 0 || (s.Digits != 6 && s.Digits != 8) || len(s.Secret) == 0 {
		return seed{}, errors.New("totp: a stored device is not complete")
	}
	return s, nil
}

func (t *TOTP) reopen(user, session, text string, now time.Time) (seed, signed, error) {
	signed, err := t.Keys.read(forTOTP, text, now)
	if err != nil {
		return seed{}, signed, err
	}
	if user == "" || session == "" || signed.user != user || !signed.boundTo(session) {
		return seed{}, signed, ErrInvalid
	}
	plain, err := t.Keys.Open(enrolRow(user, session), signed.data)
	if err != nil {
		return seed{}, signed, ErrInvalid
	}
	s, err := parseSeed(plain)
	return s, signed, err
}

// show is what the page needs of a secret.
func (t *TOTP) show(s seed, account, ticket string, expires time.Time) (Enrolment, error) {
	algo, _ := algorithmOf(s.Algorithm)
	key, err := totp.Generate(totp.GenerateOpts{
		Issuer: t.Config.Issuer, AccountName: account, Secret: s.Secret,
		Period: uint(s.Period), Digits: otp.Digits(s.Digits), Algorithm: algo.hash,
	})
	if err != nil {
		return Enrolment{}, fmt.Errorf("totp: %w", err)
	}
	code, err := encodeQR(key.URL())
	if err != nil {
		return Enrolment{}, err
	}
	return Enrolment{Secret: group(key.Secret(), 4, " "), URI: key.URL(), QR: code, Ticket: ticket, Expires: expires}, nil
}

// row is where the sealed part of a record belongs.
func (r Record) row() Row { return Row{Kind: string(r.Kind), User: r.User, ID: r.ID} }

// enrolRow is where a secret belongs that is on its way through a form.
func enrolRow(user, session string) Row { return Row{Kind: "totp enrolment", User: user, ID: session} }
