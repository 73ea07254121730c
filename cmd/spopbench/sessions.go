package main

import (
	"bytes"
	"context"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"slices"
	"time"

	"postern/agent/policy"
	"postern/agent/session"
	"postern/store"
)

// tokenLabel is the label under which `postern serve` derives the key of its tokens. If
// it were another one here, no session would be found, and every measurement would fail.
const tokenLabel = "postern session token v1"

// everybody is a directory in which every name exists, as users.yml has it: a session that
// differed would be written again when it is found.
type everybody struct{}

func (everybody) Epoch() uint64 { return 1 }

func (everybody) Recall(user string) (session.Identity, session.Standing) {
	return session.Identity{Name: displayName(user), Email: user + "@example.com", Groups: []string{"staff", "wiki"}}, session.Present
}

func (e everybody) Identify(_ context.Context, user string) (session.Identity, session.Standing, error) {
	id, standing := e.Recall(user)
	return id, standing, nil
}

// collector is a Keeper that only remembers what it is asked to save.
type collector struct{ records []session.Record }

func (c *collector) SaveSession(_ context.Context, r session.Record, _ *[32]byte) error {
	c.records = append(c.records, r)
	return nil
}

func (c *collector) LoadSession(context.Context, [32]byte) (session.Record, error) {
	return session.Record{}, session.ErrNotFound
}

func (c *collector) ListSessions(context.Context, session.Filter) ([]session.Record, error) {
	return nil, nil
}

func (c *collector) DeleteSessions(context.Context, session.Filter) ([]session.Record, error) {
	return nil, nil
}

func (c *collector) TouchSessions(context.Context, []session.Touch) error { return nil }

// addSessions makes n sessions in the store of a site whose Postern is not running, and
// returns their tokens.
func (s site) addSessions(ctx context.Context, n int) ([]string, error) {
	key, err := s.tokenKey()
	if err != nil {
		return nil, err
	}
	db, err := store.Open(ctx, "sqlite:"+s.path("postern.db"))
	if err != nil {
		return nil, err
	}
	defer db.Close()
	cfg := session.DefaultConfig()
	cfg.Lifetime, cfg.Inactivity = 720*time.Hour, 0
	tokens := make([]string, 0, n)
	const batch = 50_000
	for len(tokens) < n {
		kept := &collector{}
		table := &session.Table{Config: cfg, Keeper: kept, Directory: everybody{}, Key: key}
		for range min(batch, n-len(tokens)) {
			user := userName(len(tokens))
			token, _, err := table.Create(ctx, session.Session{
				Domain: "example.com", User: user, Level: policy.LevelOne,
				Proofs: policy.Proofs{policy.Password: time.Now().Unix()}, Addr: "192.0.2.7",
				Browser: "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
			}, "")
			if err != nil {
				return nil, err
			}
			tokens = append(tokens, token)
		}
		if _, err := db.ImportSessions(ctx, slices.Values(kept.records)); err != nil {
			return nil, err
		}
	}
	return tokens, nil
}

// tokenKey derives the key of the tokens from the site's secret, which it makes first
// when there is none, as `postern serve` would.
func (s site) tokenKey() ([]byte, error) {
	secret, err := os.ReadFile(s.path("secret"))
	if os.IsNotExist(err) {
		random := make([]byte, 32)
		rand.Read(random)
		secret = []byte(hex.EncodeToString(random))
		err = os.WriteFile(s.path("secret"), secret, 0o600)
	}
	if err != nil {
		return nil, fmt.Errorf("secret: %w", err)
	}
	return hkdf.Key(sha256.New, bytes.TrimSpace(secret), nil, tokenLabel, 32)
}
