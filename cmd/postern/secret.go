package main

import (
	"bytes"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"postern/cmd/postern/config"
	"postern/portal/owner"
)

// minSecret is the shortest secret that is taken, in bytes; maxSecret bounds the file.
const (
	minSecret = 32
	maxSecret = 4096
)

// keys are derived from the one secret, each for one purpose. Who has one of them cannot
// find another.
type keys struct {
	token   []byte // MAC of session tokens
	csrf    []byte // tokens of forms
	seal    []byte // what the store keeps unreadable
	journal []byte // the chain of events
	guess   []byte // hashes whom failures are counted against
}

// deriveKeys makes the keys. The labels are part of what is stored: they never change.
func deriveKeys(secret []byte) (keys, error) {
	var k keys
	for _, d := range []struct {
		key   *[]byte
		label string
	}{
		{&k.token, "postern session token v1"},
		{&k.csrf, "postern form token v1"},
		{&k.seal, "postern sealing v1"},
		{&k.journal, "postern journal v1"},
		{&k.guess, "postern regulation v1"},
	} {
		key, err := hkdf.Key(sha256.New, secret, nil, d.label, 32)
		if err != nil {
			return keys{}, err
		}
		*d.key = key
	}
	return k, nil
}

// openSecret returns the secret, and makes its file when there is none. Of processes that
// make it at the same time one wins, and all return what that one wrote.
func openSecret(s config.Secret) ([]byte, error) {
	if s.File == "" {
		return []byte(s.Value), nil
	}
	secret, err := readSecret(s.File)
	if !errors.Is(err, fs.ErrNotExist) {
		return secret, err
	}
	if err := makeFolder(s.File, 0o700); err != nil {
		return nil, err
	}
	if err := createSecret(s.File); err != nil {
		return nil, fmt.Errorf("secret file: %w", err)
	}
	return readSecret(s.File)
}

// createSecret writes a new secret beside path and links it into place, so that nobody
// ever sees half of it and nobody's secret is replaced. One that a command of root makes
// belongs to whom the folder belongs.
func createSecret(path string) error {
	random := make([]byte, 32)
	rand.Read(random) // never fails
	f, err := os.CreateTemp(filepath.Dir(path), ".secret.*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = fmt.Fprintf(f, "%s\n", hex.EncodeToString(random))
	if err := errors.Join(err, owner.OfFolder(f), f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// readSecret refuses a file that others may read, and one too short to be a secret.
func readSecret(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("secret file: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("secret file: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("secret file %s: is not a file", path)
	}
	if wide := info.Mode().Perm() & 0o077; wide != 0 {
		return nil, fmt.Errorf("secret file %s: its mode is %#o, so others may use it; run: chmod 600 %s", path, info.Mode().Perm(), path)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	if err != nil {
		return nil, fmt.Errorf("secret file: %w", err)
	}
	secret := bytes.TrimSpace(data)
	switch {
	case len(data) > maxSecret:
		return nil, fmt.Errorf("secret file %s: is longer than %d bytes", path, maxSecret)
	case len(secret) < minSecret:
		return nil, fmt.Errorf("secret file %s: holds %d bytes, at least %d are needed; remove it, and a new one is made (everybody has to sign in again)", path, len(secret), minSecret)
	}
	return secret, nil
}

// makeFolder makes the folder of a file, when only that one is missing.
func makeFolder(path string, mode fs.FileMode) error {
	if err := os.Mkdir(filepath.Dir(path), mode); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}
