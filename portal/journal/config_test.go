package journal

import (
	"testing"
	"time"
)

func TestConfig(t *testing.T) {
	for _, tt := range []struct {
		name string
		keep time.Duration
		want string
	}{
		{"the default", DefaultConfig().Keep, ""},
		{"for ever", 0, ""},
		{"an hour", time.Hour, ""},
		{"less than an hour", 59 * time.Minute, "journal.keep: 59m0s is less than an hour"},
		{"less than nothing", -time.Hour, "journal.keep: -1h0m0s is less than an hour"},
	} {
		got := ""
		if err := (Config{Keep: tt.keep}).Validate(); err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}
