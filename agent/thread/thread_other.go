//go:build !linux

package thread

func prompt()  {}
func patient() {}
