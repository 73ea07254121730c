package main

import (
	"postern/agent/session"
	"postern/portal/users"
)

// directory tells the sessions who a user is now.
type directory struct{ *users.File }

// Identify returns ok false when the user is gone or disabled.
func (d directory) Identify(name string) (session.Identity, bool) {
	u, ok := d.Known(name)
	if !ok || u.Disabled {
		return session.Identity{}, false
	}
	id := session.Identity{Name: u.DisplayName, Groups: u.Groups}
	if len(u.Emails) > 0 {
		id.Email = u.Emails[0]
	}
	return id, true
}
