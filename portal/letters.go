package portal

import (
	"errors"

	"postern/portal/factor"
)

// letterCode mails a one-time code to the visitor.
func (s *site) letterCode(v *visit, code string) error { return errors.New("not yet") }

// letterFactorAdded tells the visitor that a device was added to his account.
func (s *site) letterFactorAdded(v *visit, d factor.Device) {}

// letterFactorRemoved tells the visitor that a device was removed from his account.
func (s *site) letterFactorRemoved(v *visit, d factor.Device) {}

// letterCodeUsed tells the visitor that one of his recovery codes was used.
func (s *site) letterCodeUsed(v *visit, left int) {}
