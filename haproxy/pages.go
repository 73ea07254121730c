package haproxy

import (
	"crypto/sha256"
	"encoding/base64"
)

// style is the one style sheet of the pages. No %, quote, backslash or line break may be
// in it or in a page: they stand in single quotes on one line of a configuration.
const style = `:root{color-scheme:light dark;--back:#f6f7f9;--card:#fff;--text:#1c2430;--soft:#5a6473;--line:#e1e5eb;--link:#1f5fd0}` +
	`@media(prefers-color-scheme:dark){:root{--back:#12161c;--card:#1a2029;--text:#e8ecf2;--soft:#9aa5b4;--line:#2a323e;--link:#8ab4ff}}` +
	`body{margin:0;min-height:100vh;display:grid;place-items:center;background:var(--back);color:var(--text);font:1rem/1.55 system-ui,sans-serif}` +
	`main{box-sizing:border-box;max-width:27rem;margin:1rem;padding:2rem;background:var(--card);border:1px solid var(--line);border-radius:.75rem;overflow-wrap:anywhere}` +
	`h1{margin:0 0 .5rem;font-size:1.35rem;line-height:1.3}p{margin:0 0 1rem;color:var(--soft)}p:last-child{margin:0}b{color:var(--text)}a{color:var(--link)}`

// page is the tail of a rule that answers with a small page of its own. The kind is
// string, or lf-string for a page with variables.
func page(kind, title, body, more string) string {
	sum := sha256.Sum256([]byte(style))
	html := `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1"><title>` + title +
		`</title><style>` + style + `</style></head><body><main><h1>` + title + `</h1>` + body + `</main></body></html>`
	csp := `default-src 'none'; style-src 'sha256-` + base64.StdEncoding.EncodeToString(sum[:]) + `'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`
	return `content-type "text/html; charset=utf-8" ` + kind + ` '` + html + `' hdr Cache-Control no-store hdr Content-Security-Policy "` + csp +
		`" hdr X-Content-Type-Options nosniff hdr Referrer-Policy no-referrer` + more
}

// pages are the answers that HAProxy gives by itself, by their names in the templates.
func pages() map[string]string {
	return map[string]string{
		"Page403": page("string", "You cannot open this page", `<p>This address is closed to you. If you think that it should not be, ask whoever runs the site.</p>`, ""),
		"Page403User": page("lf-string", "You cannot open this page",
			`<p>You are signed in as <b>%[var(txn.postern_who)]</b>, who may not open it. If you think that it should be open to you, ask whoever runs the site.</p>`+
				`<p><a href="%[var(txn.postern_link)]">Sign in as someone else</a></p>`, ""),
		"Page429": page("string", "Too many tries", `<p>Wait a minute, then try again.</p>`, ` hdr Retry-After 60`),
		"Page503": page("string", "Nobody can be let in right now",
			`<p>The service that checks who may open this page does not answer. Nothing of yours is lost: try again in a moment.</p>`, ` hdr Retry-After 5`),
		"PageGone": page("string", "Signing in is not possible right now",
			`<p>The sign-in service does not answer. Try again in a moment.</p>`, ""),
		"JSON401": `content-type application/json string '{"error":"sign_in_required"}' hdr Cache-Control no-store`,
	}
}
