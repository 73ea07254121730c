package portal

const pageNotMe = "/not-me"

// What an "it wasn't me" link can be about; the word stands in the link.
const (
	notMeSignIn   = "signin"
	notMePassword = "password"
	notMeAdded    = "added"
	notMeRemoved  = "removed"
	notMeCode     = "code"
)
