package journal

import (
	"fmt"
	"time"
)

// Config is `journal` of the configuration.
type Config struct {
	Keep time.Duration `yaml:"keep"` // how long events are kept; 0: for ever
}

// DefaultConfig is what an absent `journal` means: ninety days.
func DefaultConfig() Config { return Config{Keep: 90 * 24 * time.Hour} }

// Validate returns the fault of c, under its key.
func (c Config) Validate() error {
	if c.Keep != 0 && c.Keep < time.Hour {
		return fmt.Errorf("journal.keep: %v is less than an hour", c.Keep)
	}
	return nil
}
