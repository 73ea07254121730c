package portal

import (
	"net/http"
	"strings"
	"sync"
	"testing"
)

// TestAFormThatShowsASecretIsDoneOnce: who reloads the page with a new token sends its form
// again. No second token comes of it, and no recovery codes in place of those on paper.
func TestAFormThatShowsASecretIsDoneOnce(t *testing.T) {
	h, clock := openTimedHouse(t)
	b := h.browser()
	b.signIn("", "bob", "builder")
	form := b.get(auth + pageAddToken)
	fields := []string{"name", "Backup", "where", "any", "expires", "90"}
	b.send(form, pageAddToken, fields...).want(t, http.StatusOK, "only this once")
	again := b.send(form, pageAddToken, fields...)
	again.wantRedirect(t, pageTokens)
	b.follow(again).want(t, http.StatusOK, "This was done already. What was shown then is not shown again.", "Backup")
	if list := h.tokensOf("bob"); len(list) != 1 {
		t.Errorf("%d tokens of one form", len(list))
	}
	b.send(form, pageAddToken, append(fields, "once", "")...).want(t, http.StatusBadRequest)
	b.send(form, pageAddToken, append(fields, "once", strings.Repeat("a", 200))...).want(t, http.StatusBadRequest)
	// What was refused can be mended and sent.
	form = b.get(auth + pageAddToken)
	form = b.send(form, pageAddToken, "name", "", "where", "any", "expires", "90")
	form.want(t, http.StatusUnprocessableEntity)
	b.send(form, pageAddToken, fields...).want(t, http.StatusOK, "only this once")

	b.addApp(clock)
	form = b.get(auth + pageRecovery)
	codes := codeText.FindAllStringSubmatch(b.send(form, pageRecovery).Body, -1)
	if len(codes) != 10 {
		t.Fatalf("codes %q", codes)
	}
	again = b.send(form, pageRecovery)
	again.wantRedirect(t, pageFactors)
	b.follow(again).want(t, http.StatusOK, "This was done already.")
	other := h.browser()
	other.signIn("", "bob", "builder")
	other.prove("/prove?next=/settings&way=recovery", codes[0][1]).wantRedirect(t, pageSettings)
}

// TestAFormSentTwiceAtOnce: two clicks make one token.
func TestAFormSentTwiceAtOnce(t *testing.T) {
	h := openHouse(t)
	b := h.browser()
	b.signIn("", "bob", "builder")
	form := b.get(auth + pageAddToken)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() { b.send(form, pageAddToken, "name", "Backup", "where", "any", "expires", "90") })
	}
	all.Wait()
	if list := h.tokensOf("bob"); len(list) != 1 {
		t.Errorf("%d tokens of one form", len(list))
	}
}
