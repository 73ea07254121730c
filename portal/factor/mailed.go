package factor

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"
	"time"
)

const (
	// MailLife is how long a mailed code can be used.
	MailLife = 10 * time.Minute

	mailTries  = 5 // wrong ones close the code
	mailIssued = 5 // codes a user can be sent within MailLife, for all sessions and purposes
	mailDigits = 8
)

// Purpose says what a mailed code opens. A code opens nothing else.
type Purpose string

// The purposes of mailed codes.
const (
	PurposeEnrol  Purpose = "enrol"   // that the mailbox is the user's, before the first second factor
	PurposeStepUp Purpose = "step-up" // a fresh proof, for a user without a second factor
)

// Mailed makes and checks one-time codes that reach a user by mail. It does not send them.
type Mailed struct {
	Keys   *Keys
	Keeper MailKeeper
}

// Issue returns a new code of eight digits, such as "4821 0937", good for one user, one
// session and one purpose, for MailLife. It closes the one before it. ErrTooMany when the
// user was sent five within MailLife.
func (m *Mailed) Issue(ctx context.Context, user, session string, p Purpose, now time.Time) (string, error) {
	if user == "" || session == "" || p == "" {
		return "", ErrInvalid
	}
	n, err := rand.Int(rand.Reader, big.NewInt(1e8))
	if err != nil {
		return "", fmt.Errorf("mailed code: %w", err)
	}
	code := fmt.Sprintf("%0*d", mailDigits, n)
	row := Mail{ID: rand.Text(), User: user, Slot: m.slot(user, session, p), Expires: now.Add(MailLife)}
	row.MAC = m.mac(row.ID, code)
	if err := m.Keeper.SaveMail(ctx, row, mailIssued, now); err != nil {
		return "", err
	}
	return group(code, 4, " "), nil
}

// Check spends a code, for exactly one caller. A try is counted before the code is
// compared, so that guesses at the same time count each; the fifth wrong one closes the
// code. Errors: ErrWrong, also when there is no open code; ErrSpent.
func (m *Mailed) Check(ctx context.Context, user, session string, p Purpose, code string, now time.Time) error {
	code = cleanCode(code)
	if user == "" || session == "" || p == "" || len(code) != mailDigits {
		return ErrWrong
	}
	row, err := m.Keeper.TryMail(ctx, m.slot(user, session, p), mailTries, now)
	if errors.Is(err, ErrNotFound) {
		return ErrWrong
	}
	if err != nil {
		return err
	}
	want := m.mac(row.ID, code)
	if row.User != user || !hmac.Equal(row.MAC[:], want[:]) {
		return ErrWrong
	}
	return m.Keeper.CloseMail(ctx, row.ID)
}

func (m *Mailed) slot(user, session string, p Purpose) [32]byte {
	return m.Keys.mac("mail slot", user, session, string(p))
}

func (m *Mailed) mac(id, code string) [32]byte { return m.Keys.mac("mail code", id, code) }
