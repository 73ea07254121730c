package portal

const (
	pageReset    = "/reset"
	pageResetNew = "/reset/new"
)
