package web

import (
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/clock"
)

// A stream ends with the token or the session that opened it, whichever replica ended it, and with a configuration that gives the token
// less. Streams of others go on.
func TestLiveEndsWithItsToken(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ended := func(what string, lines <-chan string) {
		t.Helper()
		late := time.After(20 * time.Second)
		for {
			select {
			case _, ok := <-lines:
				if !ok {
					return
				}
			case <-late:
				t.Fatalf("%s: the stream goes on", what)
			}
		}
	}
	others := r.signalsOf(t, "", acmeToken)

	here := r.makeToken(t, operatorToken, "acme", `{"name":"here","scopes":["read"]}`)
	lines := r.signalsOf(t, "", here)
	r.does(t, ask{method: http.MethodDelete, path: "/v1/tokens/here?tenant=acme", token: operatorToken}, http.StatusNoContent)
	ended("deleted here", lines)

	there := r.makeToken(t, operatorToken, "acme", `{"name":"there","scopes":["read"]}`)
	lines = r.signalsOf(t, "", there)
	replica := access.NewTokens(r.store, clock.System(), slog.New(slog.DiscardHandler))
	if err := replica.Delete(t.Context(), "acme", "there"); err != nil {
		t.Fatal(err)
	}
	ended("deleted by another replica", lines)

	// The signals go on for the other.
	r.keep(t, "acme", config.Document{Name: "webhook/hook", Spec: []byte(plainHook)})
	next(t, others, "settings")

	// A reload takes tokens of files away.
	lines = r.signalsOf(t, "", readToken)
	if err := r.app.options.Access.Load(r.plan.Load().Config.Tokens[:2], nil); err != nil {
		t.Fatal(err)
	}
	ended("no longer in the files", lines)
}
