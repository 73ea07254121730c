package policy

import "time"

// factors is a set of Factor, a bit each.
type factors uint8

func (s factors) has(f Factor) bool { return s&(1<<f) != 0 }

const (
	anyFactor     factors = 1<<factorCount - 1
	secondFactors factors = 1<<TOTP | 1<<WebAuthn | 1<<Recovery | 1<<Certificate
)

// skew is how far ahead another node's clock may be.
const skew = time.Minute

// newest returns when the last of the given factors was proved, in Unix seconds; zero
// means never.
func (p *Proofs) newest(which factors) int64 {
	var last int64
	for f := Password; f < factorCount; f++ {
		if which.has(f) {
			last = max(last, p[f])
		}
	}
	return last
}

// proved says whether sub has proved what the rule asks, and if not, what the portal
// must ask for.
func (r *rule) proved(sub *Subject, now time.Time) (Verdict, Reason) {
	if sub.anonymous() {
		return VerdictLogin, ReasonSignIn
	}
	count := anyFactor
	if r.policy == TwoFactor {
		if sub.Level < LevelTwo {
			return VerdictStepUp, ReasonSecondFactor
		}
		count = secondFactors
	}
	if r.factors != 0 {
		count = r.factors
		if sub.Proofs.newest(count) == 0 {
			return VerdictStepUp, ReasonOtherFactor
		}
	}
	if r.maxAge != 0 && !fresh(sub.Proofs.newest(count), now, r.maxAge) {
		return VerdictStepUp, ReasonStale
	}
	return VerdictAllow, ReasonProved
}

// fresh says whether a proof, in Unix seconds, is not older than age.
func fresh(proof int64, now time.Time, age time.Duration) bool {
	past := now.Unix() - proof
	return proof != 0 && past <= int64(age/time.Second) && past >= -int64(skew/time.Second)
}
