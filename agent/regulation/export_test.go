package regulation

import "time"

// Bounds, for tests.
const (
	Often    = pruneEvery
	MaxRates = maxRates
	MaxBans  = maxBans
)

// Len says how many counts and bans m keeps.
func (m *Memory) Len() (counts, bans int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.counts), len(m.bans)
}

// Keep has l keep no more than so many subjects.
func (l *Limiter) Keep(few int) { l.few = few }

// Rates says of how many addresses l keeps the rate.
func (l *Limiter) Rates() int { return len(l.rates.free) }

// Sweep is what Run does to rates.
func (l *Limiter) Sweep(now time.Time) { l.rates.sweep(now) }

// Under says how many subjects attempts are under way at.
func (l *Limiter) Under() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.under)
}
