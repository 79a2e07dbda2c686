package web

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

// documentsOf are of every kind, with the names that the files have for the tenant default and others have for theirs. What they
// hold has the word in it.
func documentsOf(word string) []config.Document {
	return []config.Document{
		{Name: "source/pollqr", Spec: fmt.Appendf(nil, `{"profile": "pollqr", "secrets": ["%s-%s"]}`, word, pollqrSecret)},
		{Name: "connection/alarms", Spec: fmt.Appendf(nil, `{"slack": {"webhook": "https://hooks.slack.com/services/T9/B9/%sabcdefghijkl"}}`, word)},
		{Name: "webhook/warehouse", Spec: fmt.Appendf(nil, `{"url": "https://%s.example.com/in", "events": ["response.updated"], "when": "nps_score > 3", "secrets": ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]}`, word)},
		{Name: "rule/detractor", Spec: fmt.Appendf(nil, `{"when": "survey.title == '%s'", "send": [{"alarms": {"text": "%s"}}]}`, word, word)},
	}
}

// documents are documentsOf, compiled for a tenant.
func documents(t testing.TB, base *config.Config, tenant, word string, more ...config.Document) *config.TenantConfig {
	t.Helper()
	all := append(documentsOf(word), more...)
	for i := range all {
		all[i].Version = uint64(i + 1)
	}
	o := config.Overlay(base, tenant, all)
	for _, d := range o.Documents {
		if d.State != config.Active {
			t.Fatalf("%s is %s: %v", d.Name, d.State, d.Faults)
		}
	}
	return o
}

// overlaid is a rig whose tenants acme and globex have documents, with the same names for different things.
func overlaid(t testing.TB) *rig {
	t.Helper()
	r := newRig(t)
	for tenant, word := range map[string]string{"acme": "anvil", "globex": "globe"} {
		r.keep(t, tenant, documentsOf(word)...)
	}
	return r
}

// TestOverlaysNeverMeet: each list and look-up shows the base and the documents of the tenant that asks, and nothing of another,
// though all of them use the same names.
func TestOverlaysNeverMeet(t *testing.T) {
	t.Parallel()
	r := overlaid(t)
	words := map[string]string{"default": `"https://hook.example.com/in"`, "acme": "anvil", "globex": "globe"}
	of := func(tenant string) string { return "?tenant=" + tenant }
	for tenant, word := range words {
		shows := func(path string, must ...string) {
			t.Helper()
			got := r.ask(t, ask{path: path + of(tenant), socket: true})
			if got.status != 200 {
				t.Fatalf("%s of %s: %d %s", path, tenant, got.status, got.body)
			}
			for _, part := range must {
				if !strings.Contains(got.body, part) {
					t.Errorf("%s of %s lacks %s: %s", path, tenant, part, got.body)
				}
			}
			for other, word := range words {
				if other != tenant && (strings.Contains(got.body, word) || strings.Contains(got.body, `"tenant":"`+other+`"`)) {
					t.Errorf("%s of %s shows something of %s: %s", path, tenant, other, got.body)
				}
			}
		}
		shows("/v1/sources", `"name":"pollqr"`)
		shows("/v1/sources/pollqr", `"name":"pollqr"`)
		shows("/v1/connections", `"name":"alarms"`)
		shows("/v1/connections/alarms", `"name":"alarms"`)
		shows("/v1/webhooks", word)
		shows("/v1/webhooks/warehouse", word)
		shows("/v1/destinations", `"name":"alarms"`, `"name":"warehouse"`)
		shows("/v1/destinations/warehouse", `"name":"warehouse"`)
		shows("/v1/rules", `"name":"detractor"`)
		shows("/v1/sources/pollqr/rejected")
		shows("/v1/sources/pollqr/captured")
		if tenant == "default" {
			continue
		}
		shows("/v1/rules/detractor", word, `"step":"alarms"`, `"connector":"slack"`)
		shows("/v1/sources", `"path":"/t/`+tenant+`/in/pollqr"`)
	}
	if got := r.ask(t, ask{path: "/v1/sources/branch" + of("globex"), socket: true}); got.status != 404 {
		t.Errorf("a source of a file of acme is there for globex: %d", got.status)
	}
	if got := r.ask(t, ask{path: "/v1/rules/angry" + of("acme"), socket: true}); got.status != 200 {
		t.Errorf("beside documents, acme has no rule of the files: %d", got.status)
	}
}

// TestSourcesOfOverlays: requests are proved by the secret of their own tenant's source, and their events belong to it.
func TestSourcesOfOverlays(t *testing.T) {
	t.Parallel()
	r := overlaid(t)
	secrets := map[string]string{"default": pollqrSecret, "acme": "anvil-" + pollqrSecret, "globex": "globe-" + pollqrSecret}
	paths := map[string]string{"default": "/in/pollqr", "acme": "/t/acme/in/pollqr", "globex": "/t/globex/in/pollqr"}
	body := strings.Replace(pollqr("r1", 3), "Onboarding", "anvil", 1)
	ids := map[string]string{}
	for tenant, path := range paths {
		for of, secret := range secrets {
			header := map[string]string{"Content-Type": "application/json", "X-PollQR-Signature": sign(secret, body)}
			got := r.ask(t, ask{method: "POST", path: path, header: header, body: body})
			if want := map[bool]int{true: 200, false: 401}[of == tenant]; got.status != want {
				t.Errorf("%s with the secret of %s: %d, want %d", path, of, got.status, want)
			}
			if of == tenant {
				ids[tenant] = got.body
			}
		}
		// The token of the socket replaces the signature, and may publish as every source.
		got := r.ask(t, ask{method: "POST", path: "/v1/events?source=pollqr&tenant=" + tenant, body: body, socket: true, header: map[string]string{"Content-Type": "application/json"}})
		if got.status != 200 {
			t.Errorf("%s publishes as pollqr: %d %s", tenant, got.status, got.body)
		}
	}
	if got := r.ask(t, ask{method: "POST", path: "/t/nobody/in/pollqr", body: body}); got.status != 404 {
		t.Errorf("a tenant without sources: %d", got.status)
	}
	// Their refused requests are listed for themselves alone, and readiness counts them without a name.
	for range 30 {
		r.ask(t, ask{method: "POST", path: "/t/globex/in/pollqr", body: body})
	}
	ready := r.ask(t, ask{path: "/readyz"})
	if strings.Contains(ready.body, "globex") || !strings.Contains(ready.body, "sources that refused all of their last requests") {
		t.Errorf("readiness: %s", ready.body)
	}
	for {
		claimed, err := r.store.Claim(context.Background(), 10, 1<<20)
		if err != nil || len(claimed) == 0 {
			t.Fatal(err)
		}
		var outcomes []state.Outcome
		for _, c := range claimed {
			d := r.plan.Load().Decide(c.Event, noon)
			var to []string
			for _, o := range d.Owed {
				if o.Delivery.Tenant != c.Event.Tenant || o.Destination.Tenant != c.Event.Tenant {
					t.Errorf("an event of %s goes to %s of %s", c.Event.Tenant, o.Destination.Name, o.Destination.Tenant)
				}
				to = append(to, o.Delivery.Origin.Name+"/"+o.Destination.Name)
			}
			want := map[string][]string{"default": {"detractor/alarms"}, "acme": {"angry/crm", "detractor/alarms"}, "globex": nil}[c.Event.Tenant]
			if !slices.Equal(to, want) {
				t.Errorf("an event of %s goes to %q, want %q", c.Event.Tenant, to, want)
			}
			outcomes = append(outcomes, state.Outcome{
				Position: c.Position, Tenant: c.Event.Tenant, EventID: c.Event.ID, At: noon,
				Generation: r.plan.Load().Generation(c.Event.Tenant), Rules: d.Rules,
			})
		}
		if _, err := r.store.Commit(context.Background(), &state.Commit{Events: outcomes}); err != nil {
			t.Fatal(err)
		}
		if len(outcomes) < 10 {
			break
		}
	}
	for tenant, answered := range ids {
		var accepted struct{ ID string }
		if err := json.Unmarshal([]byte(answered), &accepted); err != nil {
			t.Fatal(err)
		}
		got := r.ask(t, ask{path: "/v1/events/" + accepted.ID + "/explain?tenant=" + tenant, socket: true})
		if got.status != 200 || strings.Contains(got.body, "generation_unknown") || strings.Contains(got.body, "globe") != (tenant == "globex") {
			t.Errorf("%s is explained by another's documents: %d %s", tenant, got.status, got.body)
		}
	}
}

// TestFaultyDocumentIsShown: a destination whose document has a fault is listed with why nothing is sent to it.
func TestFaultyDocumentIsShown(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.keep(t, "acme", []config.Document{
		{Name: "webhook/hook", Spec: []byte(`{"url": "no address", "events": ["response.updated"]}`)},
		{Name: "webhook/off", Spec: []byte(`{"url": "https://example.com/", "enabled": false, "secrets": ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]}`)},
	}...)
	for path, parts := range map[string][]string{
		"/v1/destinations/hook": {`"state":"broken"`, `"kind":"broken"`, "its destination has a fault in its settings", "webhook/hook"},
		"/v1/destinations/off":  {`"state":"disabled"`},
		"/v1/webhooks/hook":     {`"name":"hook"`},
	} {
		got := r.ask(t, ask{path: path, token: acmeToken})
		for _, part := range parts {
			if got.status != 200 || !strings.Contains(got.body, part) {
				t.Errorf("%s lacks %s: %d %s", path, part, got.status, got.body)
			}
		}
		if strings.Contains(got.body, "and reload") {
			t.Errorf("%s asks for a reload, which reads no documents: %s", path, got.body)
		}
	}
	if got := r.ask(t, ask{method: "POST", path: "/v1/connections/hook/check?tenant=acme", socket: true}); !strings.Contains(got.body, "have a fault") {
		t.Errorf("checked: %d %s", got.status, got.body)
	}
}

// TestRemovedSourceOfOverlay: a platform whose source is no document any more is asked to come back; what its requests were
// limited by outlasts a change.
func TestRemovedSourceOfOverlay(t *testing.T) {
	t.Parallel()
	r := overlaid(t)
	post := func() int { return r.ask(t, ask{method: "POST", path: "/t/acme/in/pollqr", body: "{}"}).status }
	if got := post(); got != 401 {
		t.Fatal(got)
	}
	for i, o := range []*config.TenantConfig{
		{Tenant: "acme"},
		documents(t, r.plan.Load().Config, "acme", "anvil"),
		documents(t, r.plan.Load().Config, "acme", "other", config.Document{Name: "source/forms", Spec: []byte(`{"profile": "popsee", "unverified": true, "capture": "1h"}`)}),
	} {
		r.plan.Store(r.plan.Load().With(o))
		if err := r.app.Remember(context.Background(), "acme"); err != nil {
			t.Fatal(err)
		}
		if got, want := post(), []int{503, 401, 401}[i]; got != want {
			t.Errorf("step %d: %d, want %d", i, got, want)
		}
	}
	captured := func() string { return r.ask(t, ask{path: "/v1/sources/forms/captured", token: acmeToken}).body }
	first := captured()
	if !strings.Contains(first, `"capture_until":"2026-01-02T13:00:00`) {
		t.Error(first)
	}
	r.clock.Advance(time.Minute)
	r.plan.Store(r.plan.Load().With(
		documents(t, r.plan.Load().Config, "acme", "again", config.Document{Name: "source/forms", Spec: []byte(`{"profile": "popsee", "unverified": true, "capture": "1h"}`)})))
	if again := captured(); again != first {
		t.Errorf("a change of another document began the capture anew: %s", again)
	}
}
