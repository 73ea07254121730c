package agent

import (
	"strings"

	"postern/agent/session"
)

// tokenMark is how the argument with a token begins in a frame: its name, the type string,
// the length of every token.
const tokenMark = "\x05" + ArgToken + "\x08\x40"

// Ahead has the sessions of requests that came together fetched together: with many
// sessions each of them is several trips to main memory away. Where the mark is found
// elsewhere, as in a path, it leads nowhere.
func (h *handler) Ahead(frames [][]byte) {
	if !h.Sessions.Far() {
		return
	}
	n := 0
	for _, f := range frames {
		i := strings.Index(view(f), tokenMark)
		if i < 0 {
			continue
		}
		if token := f[i+len(tokenMark):]; len(token) >= session.TokenLength {
			frames[n] = token[:session.TokenLength]
			n++
		}
	}
	h.Sessions.Near(frames[:n])
}
