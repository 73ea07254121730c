package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"postern/agent/session"
)

// maxControl bounds one question on the control socket, in bytes.
const maxControl = 64 << 10

// control answers the other commands of this program while the daemon runs: JSON over
// HTTP on a unix socket that only the daemon's own user can open.
type control struct {
	main *Main
	log  *slog.Logger
}

// serve answers on ln until ctx ends.
func (c *control) serve(ctx context.Context, ln net.Listener) error {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /sessions/list", func(w http.ResponseWriter, r *http.Request) {
		filter, err := ask[session.Filter](r)
		if err != nil {
			reply(w, nil, err)
			return
		}
		list, err := c.main.table.List(r.Context(), filter)
		reply(w, list, err)
	})
	mux.HandleFunc("POST /sessions/revoke", func(w http.ResponseWriter, r *http.Request) {
		filter, err := ask[session.Filter](r)
		if err != nil {
			reply(w, nil, err)
			return
		}
		ended, err := c.main.table.Revoke(r.Context(), filter)
		c.log.Info("sessions revoked", "count", len(ended), "id", filter.ID, "user", filter.User, "domain", filter.Domain)
		c.main.journal.revoked(r.Context(), c.log, ended)
		reply(w, ended, err)
	})
	mux.HandleFunc("POST /users/reload", func(w http.ResponseWriter, r *http.Request) { reply(w, nil, c.main.users.Reload()) })
	mux.HandleFunc("POST /reload", func(w http.ResponseWriter, r *http.Request) {
		done, err := c.main.Reload(r.Context())
		reply(w, done, err)
	})
	c.main.desk().paths().handle(mux)
	c.main.journal.handle(ctx, mux)
	mux.HandleFunc("POST /status", func(w http.ResponseWriter, r *http.Request) {
		now, err := c.main.status(r.Context())
		reply(w, now, err)
	})
	c.main.tokenDesk().paths().handle(mux)
	c.main.warden().handle(mux)

	srv := &http.Server{
		Handler:     http.MaxBytesHandler(mux, maxControl),
		ConnContext: withOperator, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, IdleTimeout: 10 * time.Second,
		ErrorLog: slog.NewLogLogger(c.log.Handler(), slog.LevelWarn),
	}
	stopped := make(chan error, 1)
	go func() {
		<-ctx.Done()
		within, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		stopped <- srv.Shutdown(within)
	}()
	if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-stopped
}

// failure is the body of an answer that is none.
type failure struct {
	Error string `json:"error"`
}

func reply(w http.ResponseWriter, v any, err error) {
	w.Header().Set("Content-Type", "application/json")
	if err != nil {
		w.WriteHeader(http.StatusUnprocessableEntity)
		v = failure{err.Error()}
	}
	_ = json.NewEncoder(w).Encode(v) // who asked has gone away
}

// ask reads the JSON of a question, strictly: a filter that was lost would mean "all".
func ask[T any](r *http.Request) (T, error) {
	var v T
	dec := json.NewDecoder(r.Body)
	dec.DisallowUnknownFields()
	err := dec.Decode(&v)
	return v, err
}

// answer makes a handler of what takes a question.
func answer[Q, A any](do func(context.Context, Q) (A, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		q, err := ask[Q](r)
		if err != nil {
			reply(w, nil, err)
			return
		}
		a, err := do(r.Context(), q)
		reply(w, a, err)
	}
}
