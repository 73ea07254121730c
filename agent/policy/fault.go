package policy

// Fault is one thing wrong with the configuration or, from Warnings, one thing risky.
type Fault struct {
	Path    string // "access_control.rules[3].domain[0]"
	Message string
	Hint    string // what to do; may be empty
}

// Error starts with the path.
func (f *Fault) Error() string {
	s := f.Path + ": " + f.Message
	if f.Hint != "" {
		s += " (" + f.Hint + ")"
	}
	return s
}
