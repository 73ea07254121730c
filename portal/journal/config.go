package journal

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Stdout as Config.File writes to the program's standard output.
const Stdout = "stdout"

// minMax is the smallest Config.Max that is not 0: fewer events than one bad hour has
// would be no record.
const minMax = 1000

// Config is `journal` of the configuration.
type Config struct {
	Keep time.Duration `yaml:"keep"` // how long events are kept in the store; 0: for ever
	Max  int           `yaml:"max"`  // how many are kept at most; a tenth more may be there for an hour; 0: no bound
	File string        `yaml:"file"` // JSON lines are appended to this file too, or to "stdout"; "" writes none
}

// DefaultConfig is what an absent `journal` means: ninety days, in the store alone.
func DefaultConfig() Config { return Config{Keep: 90 * 24 * time.Hour} }

// Validate returns every fault of c, each under its key.
func (c Config) Validate() error {
	var faults []error
	if c.Keep != 0 && c.Keep < time.Hour {
		faults = append(faults, fmt.Errorf("journal.keep: %v is less than an hour", c.Keep))
	}
	if c.Max != 0 && c.Max < minMax {
		faults = append(faults, fmt.Errorf("journal.max: %d is less than %d", c.Max, minMax))
	}
	if strings.ContainsFunc(c.File, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		faults = append(faults, fmt.Errorf("journal.file: %q holds a control character", c.File))
	}
	return errors.Join(faults...)
}
