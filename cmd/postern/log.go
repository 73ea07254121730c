package main

import (
	"io"
	"log/slog"

	"postern/cmd/postern/config"
)

// newLogger writes lines in the form that the configuration names, from a level on that
// can change while it runs.
func newLogger(w io.Writer, c config.Log) (*slog.Logger, *slog.LevelVar) {
	level := new(slog.LevelVar)
	setLevel(level, c.Level)
	o := &slog.HandlerOptions{Level: level}
	if c.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, o)), level
	}
	return slog.New(slog.NewTextHandler(w, o)), level
}

// setLevel sets a level that the configuration has been checked for.
func setLevel(v *slog.LevelVar, level string) {
	if err := v.UnmarshalText([]byte(level)); err != nil {
		v.Set(slog.LevelInfo)
	}
}
