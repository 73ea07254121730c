package agent

// Contract is the version of the contract with HAProxy: argument v of message check.
// It changes when an argument or a variable changes its meaning.
const Contract = 1

// Names of the SPOE configuration (SPOE.txt 2): engine, agent, message, group, prefix.
const (
	Engine  = "postern"
	Message = "check"
	Group   = "check"
	Prefix  = "postern"
	Backend = "postern_agent"
)

// Arguments of message check. Each datum travels once, so that the frame always fits.
const (
	ArgVersion       = "v"
	ArgRequestID     = "rid"
	ArgMethod        = "method"
	ArgTLS           = "ssl"
	ArgHost          = "host"
	ArgPath          = "path"
	ArgQuery         = "query"
	ArgSource        = "src"
	ArgToken         = "token"
	ArgTokens        = "tokens" // how often the cookie came
	ArgAuthorization = "authorization"
	ArgAccept        = "accept"
	ArgRequestedWith = "xrw"
	ArgOrigin        = "origin"
	ArgPreflight     = "acrm"
	ArgFetchMode     = "mode"
	ArgFetchDest     = "dest"
	ArgUpgrade       = "upgrade"

	// The client's certificate, where the configuration says so.
	ArgCertificateUsed   = "crt_used"   // the connection has one
	ArgCertificateVerify = "crt_verify" // what HAProxy made of it; 0: it is good
	ArgCertificate       = "crt"        // DER
)

// Variables the agent sets, in scope txn under Prefix.
const (
	VarRequestID  = "rid"
	VarStatus     = "status"
	VarLocation   = "location"
	VarChallenge  = "challenge"
	VarUser       = "user"
	VarName       = "name"
	VarEmail      = "email"
	VarGroups     = "groups"
	VarLevel      = "level"
	VarPath       = "path"
	VarAssertion  = "assertion"
	VarRule       = "rule"
	VarSession    = "session"
	VarReason     = "reason"
	VarCredential = "credential" // Authorization was Postern's and goes no further: basic or token
	VarVerdict    = "verdict"    // always last: HAProxy drops what follows a bad action
)

// Variables HAProxy itself sets under Prefix (option set-on-error, set-process-time).
const (
	VarError = "err"
	VarTime  = "ms"
)
