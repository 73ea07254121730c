package policy

// Warnings lists what is risky in the configuration, or stricter than in Authelia.
func (r *Rules) Warnings() []*Fault { return nil }
