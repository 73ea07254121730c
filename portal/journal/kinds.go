package journal

import "slices"

// The outcomes of events.
const (
	Done    = "done"
	Refused = "refused"
)

// Kinds returns every kind there is, in the order of their declaration.
func Kinds() []Kind {
	return append(Personal(), SignInRefused, TokenUsed, TokenRefused, BasicFailed,
		Banned, Unbanned, Started, Stopped, Reloaded, ReloadRefused, SecretMade, Pruned)
}

// Personal returns the kinds that the person whose account it is may see. The others are
// the operator's: they say how the account is defended, or would drown what matters.
func Personal() []Kind {
	return []Kind{
		SignIn, SignInFailed, StepUp, StepUpFailed, SignOut, Revoked, PasswordChanged, PasswordReset, ResetAsked,
		FactorAdded, FactorRemoved, FactorRenamed, FactorSuspicious, CodesMade, CodeUsed, NotMe,
		TokenCreated, TokenRevoked, Admin,
	}
}

// Valid says whether k is one of Kinds.
func (k Kind) Valid() bool { return slices.Contains(Kinds(), k) }

// Outcome is Refused for what did not come about, else Done.
func (k Kind) Outcome() string {
	switch k {
	case SignInFailed, SignInRefused, StepUpFailed, FactorSuspicious, TokenRefused, BasicFailed, ReloadRefused:
		return Refused
	}
	return Done
}

// flooding are the kinds that whoever is outside can cause as fast as he can send: Stream
// writes the like of one at most once a minute.
func (k Kind) flooding() bool {
	switch k {
	case SignInRefused, TokenRefused, BasicFailed:
		return true
	}
	return false
}
