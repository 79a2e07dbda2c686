package web

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

// A tenant sees what happens in it, by the filters of the request, and nothing of others; the stream ends with its token.
func TestTail(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	reader := r.makeToken(t, operatorToken, "acme", `{"name":"reader","scopes":["read"]}`)
	all := r.stream(t, "/v1/tail", acmeToken, "")
	failed := r.stream(t, "/v1/tail?failed=true&destination=crm&rule=angry&source=", reader, "")
	mine := r.stream(t, "/v1/tail", everyToken, "")
	happen := func(tenant, rule, to string, verdict connectors.Kind, status int) {
		r.app.options.Tail.Attempted(&state.Delivery{
			ID: "dl_" + rule, Tenant: tenant, EventID: "e1", Origin: state.Origin{Kind: state.Rule, Name: rule}, Step: to, Destination: to,
			State: state.Waiting, Reason: "answered", Attempts: 1, Updated: noon, Due: noon.Add(time.Minute), Log: make([]state.Attempt, 1),
		}, nil, verdict, status, 12*time.Millisecond)
	}
	r.until(t, "all streams are watched", func() bool { return r.app.streams.Open() == 3 })
	happen("acme", "angry", "chat", connectors.Retry, 503)
	happen("acme", "angry", "crm", connectors.Delivered, 200)
	happen("default", "r1", "crm", connectors.Retry, 500)
	happen("acme", "angry", "crm", connectors.Retry, 502)
	for _, want := range []string{`"status":503`, `"status":200`, `"status":502`} {
		if got := next(t, all, ""); !strings.Contains(got, want) {
			t.Errorf("%s, want %s", got, want)
		}
	}
	if got := next(t, failed, ""); !strings.Contains(got, `"status":502,"took_ms":12,"due":"2026-`) || !strings.Contains(got, `"delivery":"dl_angry","rule_kind":"rule","rule":"angry"`) {
		t.Errorf("the failed one is %s", got)
	}
	if got := next(t, mine, ""); !strings.Contains(got, `"status":500`) {
		t.Errorf("the other tenant has %s", got)
	}
	r.does(t, ask{method: http.MethodDelete, path: "/v1/tokens/reader?tenant=acme", token: operatorToken}, http.StatusNoContent)
	for range failed { // it ends
	}
	r.does(t, ask{path: "/v1/tail?failed=perhaps", token: acmeToken}, http.StatusUnprocessableEntity)
	r.does(t, ask{path: "/v1/tail?rules=r1", token: acmeToken}, http.StatusUnprocessableEntity)
	for filter, want := range map[string]string{
		"rule=angri": "no such rule `angri`; did you mean `angry`?", "destination=crn": "no such destination `crn`; did you mean `crm`?", "rule=detractor": "no such rule",
	} {
		if got := r.does(t, ask{path: "/v1/tail?" + filter, token: acmeToken}, http.StatusNotFound); !strings.Contains(got.body, want) {
			t.Errorf("%s: %s, want %s", filter, got.body, want)
		}
	}
}
