package web

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// A source that refuses everything is a warning of readiness, and no reason to send elsewhere: until it accepts something,
// or nobody asked it for a day.
func TestReadyWarnsOfRefusals(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	const warning = "the source pollqr refused all of its last 5 requests, since 2026-01-02T12:00:00Z (the last one: signature); `surveygate source rejected pollqr` shows them"
	body := pollqr("r1", 3)
	refuse := func(path string, n int) {
		t.Helper()
		for range n {
			if got := r.ask(t, ask{method: "POST", path: path, body: body}); got.status != http.StatusUnauthorized {
				t.Fatalf("%d %s", got.status, got.body)
			}
		}
	}
	asks := ask{path: "/readyz"}
	warns := func(text string, want bool) {
		t.Helper()
		if got := r.ask(t, asks); got.status != http.StatusOK || strings.Contains(got.body, text) != want {
			t.Errorf("%d %s, want %q there: %v", got.status, got.body, text, want)
		}
	}
	refuse("/in/pollqr", 4)
	warns("refused all", false)
	refuse("/in/pollqr", 1)
	warns(warning, true)
	r.reload(t, someSettings[:strings.Index(someSettings, "tokens:")])
	warns(warning, true)
	r.accept(t, body)
	warns("refused all", false)
	refuse("/in/pollqr", 4)
	warns("refused all", false)

	refuse("/t/acme/in/branch", 5)
	warns("sources that refused all of their last requests: 1", true)
	warns("acme", false)
	asks.socket = true
	warns("the source acme/branch refused all of its last 5 requests", true)
	warns("`surveygate source rejected branch --tenant acme` shows them", true)
	r.clock.Advance(25 * time.Hour)
	warns("refused all", false)
}
