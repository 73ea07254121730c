package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"syscall"
	"time"

	"postern/cmd/postern/config"
	"postern/store"
)

// errNoDaemon says that no daemon answers on the control socket.
var errNoDaemon = errors.New("postern is not running")

// maxAnswer bounds what the daemon may answer, in bytes: a million sessions.
const maxAnswer = 1 << 30

// daemon is the running postern, seen from another command.
type daemon struct{ socket string }

// call asks the daemon. The error is errNoDaemon when none runs.
func (d daemon) call(ctx context.Context, path string, question, answer any) error {
	body, err := json.Marshal(question)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://postern"+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	client := http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", d.socket)
		},
	}}
	res, err := client.Do(req)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return errNoDaemon
	}
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("the control socket %s is for the user that runs postern, and for root; give this command as one of them", d.socket)
	}
	if err != nil {
		return fmt.Errorf("control socket %s: %w", d.socket, errors.Unwrap(err))
	}
	defer res.Body.Close()
	data, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("control socket %s: %w", d.socket, err)
	}
	if res.StatusCode != http.StatusOK {
		var f failure
		if json.Unmarshal(data, &f) != nil || f.Error == "" {
			f.Error = res.Status
		}
		return fmt.Errorf("the running postern says: %s", f.Error)
	}
	if answer == nil {
		return nil
	}
	return json.Unmarshal(data, answer)
}

// errNoStore says that nothing has ever been kept.
var errNoStore = errors.New("there is no store yet; start postern once")

// withStore calls work with the store, and the keys, of a postern that does not run; find
// is keysOf or makeKeys.
func withStore(ctx context.Context, cfg *config.Config, find func(*config.Config) (keys, error), work func(*store.Store, keys) error) (err error) {
	if path, ok := cfg.StorePath(); ok && !exists(path) {
		return errNoStore
	}
	k, err := find(cfg)
	if err != nil {
		return err
	}
	s, err := openStore(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	return work(s, k)
}

// paths are what the control socket asks of somebody, by their names.
type paths[Q, A any] map[string]func(context.Context, Q) (A, error)

// handle answers for somebody on the daemon's control socket.
func (p paths[Q, A]) handle(mux *http.ServeMux) {
	for path, do := range p {
		mux.HandleFunc("POST "+path, answer(do))
	}
}

// askAnybody asks the daemon or, when none runs, whom stand makes to do its work on the store.
func askAnybody[Q, A any](ctx context.Context, cfg *config.Config, path string, q Q, stand func(*store.Store, keys) (paths[Q, A], error)) (a A, err error) {
	err = daemon{cfg.Control}.call(ctx, path, q, &a)
	if !errors.Is(err, errNoDaemon) {
		return a, err
	}
	err = withStore(ctx, cfg, makeKeys, func(s *store.Store, k keys) error {
		p, err := stand(s, k)
		if err != nil {
			return err
		}
		do := p[path]
		if do == nil {
			return fmt.Errorf("nobody answers %s", path)
		}
		a, err = do(ctx, q)
		return err
	})
	return a, err
}
