package policy

import "strconv"

// Fault is one thing wrong with the configuration or, from Warnings, one thing risky.
type Fault struct {
	Path    string // "access_control.rules[3].domain[0]"; empty from an UnmarshalYAML
	Message string
	Hint    string // what to do; may be empty

	Line, Column int // in the YAML; only from an UnmarshalYAML, zero otherwise
}

// Error starts with the path, or with the line and column where there is no path.
func (f *Fault) Error() string {
	s := f.Message
	switch {
	case f.Path != "":
		s = f.Path + ": " + s
	case f.Line != 0:
		s = "line " + strconv.Itoa(f.Line) + ", column " + strconv.Itoa(f.Column) + ": " + s
	}
	if f.Hint != "" {
		s += " (" + f.Hint + ")"
	}
	return s
}
