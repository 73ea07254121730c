package portal

import (
	"errors"
	"fmt"
)

// Strength is `passwords` of the configuration: how good a new password must be. Those
// that exist are not asked again.
type Strength struct {
	MinLength int `yaml:"min_length"` // characters
	MinScore  int `yaml:"min_score"`  // of zxcvbn: 0 (guessed at once) to 4 (very hard to guess)
}

// DefaultStrength is what an absent `passwords` means.
func DefaultStrength() Strength { return Strength{MinLength: 12, MinScore: 3} }

// Validate returns every fault, each under its key.
func (s Strength) Validate() error {
	var faults []error
	if s.MinLength < 8 || s.MinLength > 64 {
		faults = append(faults, fmt.Errorf("passwords.min_length: %d is not between 8 and 64", s.MinLength))
	}
	if s.MinScore < 0 || s.MinScore > 4 {
		faults = append(faults, fmt.Errorf("passwords.min_score: %d is not between 0 and 4", s.MinScore))
	}
	return errors.Join(faults...)
}
