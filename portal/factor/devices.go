package factor

import (
	"context"
	"errors"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"postern/agent/policy"
)

// maxDevices is how many devices, of all kinds, a user may have. More of them make a
// guessed code likelier to fit.
const maxDevices = 16

// maxName is the longest name of a device, in characters.
const maxName = 64

// Devices is what a user sees and does with what he has enrolled.
type Devices struct {
	Keeper   Keeper
	Recovery CodeKeeper
}

// Summary says what a user can prove besides a password.
type Summary struct {
	TOTP     int
	WebAuthn int            // on all sites together
	Sites    map[string]int // WebAuthn by RP ID
	Recovery int            // recovery codes that are left
}

// Any says whether the user has a second factor anywhere, so that enrolling another
// needs a proof of it. Recovery codes alone are one: they are what is left of it.
func (s Summary) Any() bool { return s.TOTP > 0 || s.WebAuthn > 0 || s.Recovery > 0 }

// Has counts what a user can prove.
func (d *Devices) Has(ctx context.Context, user string) (Summary, error) {
	records, err := d.Keeper.ListFactors(ctx, Filter{User: user})
	if err != nil {
		return Summary{}, err
	}
	s := Summary{Sites: make(map[string]int)}
	for _, r := range records {
		switch r.Kind {
		case KindTOTP:
			s.TOTP++
		case KindWebAuthn:
			s.WebAuthn++
			s.Sites[r.Site]++
		}
	}
	s.Recovery, err = d.Recovery.CountRecovery(ctx, user)
	return s, err
}

// List returns a user's devices, the oldest first; those of all users when user is empty.
func (d *Devices) List(ctx context.Context, user string) ([]Device, error) {
	records, err := d.Keeper.ListFactors(ctx, Filter{User: user})
	return devicesOf(records), err
}

// Rename gives a user's device another name. Errors: ErrName, ErrNotFound.
func (d *Devices) Rename(ctx context.Context, user, id, name string) error {
	name, err := cleanName(name)
	if err != nil {
		return err
	}
	if user == "" || id == "" {
		return ErrNotFound
	}
	return d.Keeper.AmendFactor(ctx, Amend{User: user, ID: id, Name: name})
}

// Delete removes one device of a user. With the last one his recovery codes go too:
// there is nothing left that they would recover. Error: ErrNotFound.
func (d *Devices) Delete(ctx context.Context, user, id string) (Device, error) {
	if user == "" || id == "" {
		return Device{}, ErrNotFound
	}
	gone, err := d.Keeper.DeleteFactors(ctx, user, id)
	if err != nil {
		return Device{}, err
	}
	if len(gone) == 0 {
		return Device{}, ErrNotFound
	}
	left, err := d.Keeper.ListFactors(ctx, Filter{User: user})
	if err == nil && len(left) == 0 {
		err = d.Recovery.ReplaceRecovery(ctx, user, nil, time.Time{})
	}
	return gone[0].Device, err
}

// DeleteAll removes everything a user can prove besides a password, recovery codes too:
// for an administrator, or for a user who is gone.
func (d *Devices) DeleteAll(ctx context.Context, user string) ([]Device, error) {
	if user == "" {
		return nil, ErrNotFound
	}
	gone, err := d.Keeper.DeleteFactors(ctx, user, "")
	if err != nil {
		return nil, err
	}
	return devicesOf(gone), d.Recovery.ReplaceRecovery(ctx, user, nil, time.Time{})
}

func devicesOf(records []Record) []Device {
	out := make([]Device, 0, len(records))
	for _, r := range records {
		out = append(out, r.Device)
	}
	return out
}

// add stores a new device. A session that has proved one factor may add the first one
// only; the Keeper holds that too, in the transaction that inserts, so that no race and
// no old form gets around it.
func add(ctx context.Context, k Keeper, r Record, level policy.Level) error {
	if level < policy.LevelOne {
		return ErrNeedsProof
	}
	others := 0
	if level >= policy.LevelTwo {
		others = maxDevices - 1
	}
	err := k.AddFactor(ctx, r, others)
	if errors.Is(err, ErrTooMany) && level < policy.LevelTwo {
		return ErrNeedsProof
	}
	return err
}

// cleanName returns a name without the spaces around it, or ErrName.
func cleanName(name string) (string, error) {
	name = strings.TrimSpace(name)
	if name == "" || !utf8.ValidString(name) || utf8.RuneCountInString(name) > maxName {
		return "", ErrName
	}
	for _, r := range name {
		if !unicode.IsGraphic(r) {
			return "", ErrName
		}
	}
	return name, nil
}
