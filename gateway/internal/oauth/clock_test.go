package oauth_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/oauth"
)

// TestClockSteps: a clock that is set costs a request or a fetch, and no token.
func TestClockSteps(t *testing.T) {
	t.Parallel()
	i, c := newIssuer(t, "first"), clock.NewManual(noon)
	r := newReplica(t, oauth.Options{Store: openStore(t, c), Clock: c})
	r.delivers(t, i.refreshing())
	c.Step(365 * 24 * time.Hour) // as if it had ended
	r.delivers(t, i.refreshing())
	if n := i.fetches(); n != 2 {
		t.Errorf("%d fetches after a step forward", n)
	}
	c.Step(-2 * 365 * 24 * time.Hour) // it seems to last for years, and the product says when it has ended
	res := r.delivers(t, i.refreshing())
	i.revoke()
	if res = r.send(t.Context(), i.refreshing(), res.Token); res.Err != nil || res.Response.Status != http.StatusOK {
		t.Fatalf("%s %v: %+v", res.Kind, res.Err, res.Response)
	}
	c.Advance(time.Hour) // the new one ends by the clock as it is now
	if res = r.send(t.Context(), i.refreshing(), connectors.Secret{}); res.Err != nil || i.fetches() != 4 {
		t.Errorf("%s %v after %d fetches", res.Kind, res.Err, i.fetches())
	}
}
