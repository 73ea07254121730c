package portal

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// A redirect loop: the rules here say that a session opens the target, yet the target's
// host sends the browser straight back, because a cookie does not arrive there or because
// somebody decides otherwise. A short-lived cookie counts such returns.
const (
	maxBounces   = 3
	bounceMemory = 10 * time.Second
)

// bounced counts a redirect of somebody who was signed in already, and says whether it
// was one too many. The count is the browser's own business: whoever forges it stops
// only himself.
func (s *site) bounced(v *visit) bool {
	sum := sha256.Sum256([]byte(v.target.Host + v.target.Path))
	to := hex.EncodeToString(sum[:6])
	n, now := 0, s.now()
	if value, _ := v.cookies.get(cookieBounce); value != "" {
		var at int64
		var last string
		parts := strings.Split(value, ".")
		if len(parts) == 3 {
			n, _ = strconv.Atoi(parts[0])
			at, _ = strconv.ParseInt(parts[1], 10, 64)
			last = parts[2]
		}
		if age := now.Sub(time.Unix(at, 0)); last != to || age < 0 || age > bounceMemory || n < 0 {
			n = 0
		}
	}
	if n >= maxBounces {
		setCookie(v.c, cookieBounce, "", "", "/", -1)
		return true
	}
	setCookie(v.c, cookieBounce, fmt.Sprintf("%d.%d.%s", n+1, now.Unix(), to), "", "/", bounceMemory)
	return false
}

// herePath returns path when it is a page of the portal that can be gone back to.
func herePath(path string) string {
	switch path {
	case "/signout", "/signed-out", "/prove", pageReset, pageDone:
		return path
	}
	if page, slip, ok := strings.Cut(path, "?slip="); ok && (page == pageResetNew || page == pageNotMe) && plainSlip(slip) {
		return path
	}
	if page := parsePage(path); page != "" {
		return page
	}
	return "/"
}
