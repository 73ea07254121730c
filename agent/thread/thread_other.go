//go:build !linux

package thread

func prompt()                   {}
func patient()                  {}
func pressure() (float64, bool) { return 0, false }
