package thread

import (
	"testing"
	"time"
)

// TestPressureIsAskedAgain: once a second, and also when the clock was set back.
func TestPressureIsAskedAgain(t *testing.T) {
	for _, tt := range []struct {
		name  string
		asked time.Duration // from now
		want  bool
	}{
		{"a minute ago", -time.Minute, true},
		{"just now", 0, false},
		{"in an hour: the clock was set back", time.Hour, true},
	} {
		again := false
		c := Crew{Pressure: func() (float64, bool) { again = true; return 100, true }}
		c.asked.Store(time.Now().Add(tt.asked).UnixNano())
		if short := c.short(); again != tt.want || short != tt.want {
			t.Errorf("asked %s: asked again %v, short %v, want %v", tt.name, again, short, tt.want)
		}
	}
}
