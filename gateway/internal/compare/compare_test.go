package compare

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	_ "github.com/surveygate/surveygate/connectors/slack"
	_ "github.com/surveygate/surveygate/connectors/webhook"
	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/leaktest"
	"github.com/surveygate/surveygate/gateway/internal/settings"
	"github.com/surveygate/surveygate/gateway/internal/source"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/state/embedded"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/rules/event"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// running is the configuration that runs in most tests. Its variables are set, and its secrets must be in no answer.
const running = `
connections:
  alarms: {slack: {token: "${SLACK}", channel: "#nps"}}
  mirror: {slack: {webhook: "https://hooks.slack.com/services/T/B/hidden-mirror"}}
webhooks:
  - {name: crm, url: "https://example.com/crm", events: [response.completed], secrets: ["aGlkZGVuLWNybS0wMTIzNDU2Nzg5LTAxMjM0NTY3ODk="], headers: {X-Key: hidden-header}}
sources:
  forms: {profile: ./forms.yaml, secrets: ["hidden-forms-0123456789-0123456789"]}
rules:
  - {name: low, when: nps_score <= 6, send: [{alarms: {text: "NPS {{ nps_score }} of {{ email }}"}}]}
  - {name: high, when: nps_score >= 9, send: [{mirror: {text: "Thanks"}}]}
tokens:
  - {name: ci, secret: hidden-token-0123456789-0123456789-0123456789, scopes: [read]}
`

// formsProfile reads bodies such as {"id": 1, "score": 3, "mail": "jo@example.com"}.
const formsProfile = `
source: forms
title: Forms
docs: ["https://example.com/forms"]
decode: json
verify: [{kind: hmac, hash: sha256, encoding: hex, header: X-Signature}]
type: {path: kind, map: {done: response.completed}, default: response.completed}
id: [id]
dedupe: "{id}"
no_time: the test needs none
map:
  response.id: id
  response.score.nps: score
  respondent.email: mail
`

// rig is a store with a configuration that runs over it.
type rig struct {
	*Planner
	store state.Store
	plan  *decide.Plan
	// reported, if it is set, is called with each progress.
	reported func()
}

// load writes a configuration and its profile to a folder and loads it, with values for all variables.
func load(tb testing.TB, text, profile string) *config.Config {
	tb.Helper()
	dir := tb.TempDir()
	for name, content := range map[string]string{"surveygate.yaml": text, "forms.yaml": profile} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			tb.Fatal(err)
		}
	}
	c, err := config.Load(config.Options{Path: filepath.Join(dir, "surveygate.yaml"), Env: func(name string) (string, bool) {
		if name == "ON" {
			return "true", true
		}
		return "hidden-of-" + name, !strings.HasPrefix(name, "SURVEYGATE_")
	}})
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

// newRig returns a rig with so many events: from the API, or from the source forms.
func newRig(tb testing.TB, text string, events int, fromForms bool) *rig {
	tb.Helper()
	c := load(tb, text, formsProfile)
	store, err := embedded.Open(embedded.Options{Dir: tb.TempDir(), Clock: clock.NewManual(now)})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = store.Close() })
	r := &rig{store: store, plan: decide.New(c)}
	r.Planner = &Planner{
		Store: store, Plan: func() *decide.Plan { return r.plan }, Now: func() time.Time { return now }, Clock: clock.System(),
		Quiet: func() bool { return true },
		Book:  &settings.Book{BookOptions: settings.BookOptions{Writer: settings.Writer{Store: store, Clock: clock.System()}}},
	}
	var all []*event.Event
	put := func() {
		if _, err := store.Append(context.Background(), all); err != nil {
			tb.Fatal(err)
		}
		all = all[:0]
	}
	for i := range events {
		received := now.Add(time.Duration(i-events) * time.Second)
		if fromForms {
			s := r.plan.Source("default", "forms")
			got, err := s.Receiver.Normalise(&source.Request{
				Method: "POST", ContentType: "application/json", Received: received, Verified: source.Verified{Kind: "hmac"},
				Body: fmt.Appendf(nil, `{"id": %d, "score": %d, "mail": "jo%d@example.com"}`, i, i%11, i),
			}, received)
			if err != nil {
				tb.Fatal(err)
			}
			all = append(all, got...)
		} else {
			ev, err := event.ParseOne(fmt.Appendf(nil, `{"type": "response.completed", "id": "e%d", "nps_score": %d, "email": "jo%d@example.com", "response": {"answers": [{"question_id": "q1", "value": "slow"}]}}`, i, i%11, i),
				event.Defaults{Tenant: "default", Source: "api", Received: received, Verified: event.VerifiedAPI})
			if err != nil {
				tb.Fatal(err)
			}
			all = append(all, ev)
		}
		if len(all) >= 500 {
			put()
		}
	}
	put()
	return r
}

// ask compares with another configuration, and finds no secret in the answer.
func (r *rig) ask(tb testing.TB, text, profile string) *view.Plan {
	tb.Helper()
	bundle := &config.Bundle{Files: []config.BundleFile{{Name: "surveygate.yaml", Text: []byte(text)}}}
	if profile != "" {
		bundle.Profiles = []config.BundleFile{{Name: "forms.yaml", Text: []byte(profile)}}
	}
	c, err := config.LoadBundle(bundle)
	if err != nil {
		tb.Fatal(err)
	}
	got, err := r.Compare(context.Background(), Ask{New: c, Since: now.Add(-DefaultSince), Limit: DefaultEvents}, func(any) error {
		if r.reported != nil {
			r.reported()
		}
		return nil
	})
	if err != nil {
		tb.Fatal(err)
	}
	encoded, err := json.Marshal(got)
	if err != nil {
		tb.Fatal(err)
	}
	if strings.Contains(string(encoded), "hidden") || strings.Contains(string(encoded), "aGlkZGVu") {
		tb.Errorf("a secret is in the answer: %s", encoded)
	}
	return got
}

func edited(tb testing.TB, text string, pairs ...string) string {
	tb.Helper()
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(text, pairs[i]) {
			tb.Fatalf("there is no %q", pairs[i])
		}
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

// TestNothing: the configuration that runs changes nothing, written in another way as well.
func TestNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t, running, 22, false)
	for name, text := range map[string]string{
		"the same":       running,
		"with a comment": "# Hello.\n" + running,
		"order and form": edited(t, running, `{name: low, when: nps_score <= 6, send: [{alarms: {text: "NPS {{ nps_score }} of {{ email }}"}}]}`,
			"{send: [{alarms: {text: 'NPS {{ nps_score }} of {{ email }}'}}], when: \"nps_score <= 6\", name: low}"),
	} {
		if got := r.ask(t, text, formsProfile); got.Changes || got.Events != 0 {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestThreshold(t *testing.T) {
	t.Parallel()
	r := newRig(t, running, 22, false) // two of each score from 0 to 10
	got := r.ask(t, edited(t, running, "nps_score <= 6", "nps_score <= 7"), formsProfile)
	if !got.Changes || got.Events != 22 || got.Deliveries != (view.PlanCounts{Added: 2}) || len(got.Rules) != 1 {
		t.Fatalf("%+v", got)
	}
	rule := got.Rules[0]
	if rule.Name != "low" || rule.Tenant != "default" || len(rule.Samples) != 2 || rule.Samples[0].Why != "its condition is true" || len(rule.Samples[0].Parts) == 0 {
		t.Errorf("%+v", rule)
	}
	if want := []view.PlanItem{{Kind: "rule", Tenant: "default", Name: "low", Change: "changed", Settings: []string{"when"}}}; !cmp.Equal(got.Configuration, want) {
		t.Error(cmp.Diff(want, got.Configuration))
	}
	if want := []view.PlanDestination{{Tenant: "default", Name: "alarms", PlanCounts: view.PlanCounts{Added: 2}}}; !cmp.Equal(got.Destinations, want) {
		t.Error(cmp.Diff(want, got.Destinations))
	}
	got = r.ask(t, edited(t, running, "nps_score <= 6", "nps_score <= 5"), formsProfile)
	if got.Deliveries != (view.PlanCounts{Removed: 2}) || got.Rules[0].Samples[0].Why != "its condition is false" {
		t.Errorf("%+v", got)
	}
}

// TestRequests: requests that differ are compared field by field, without their secrets.
func TestRequests(t *testing.T) {
	t.Parallel()
	r := newRig(t, running, 11, false)
	got := r.ask(t, edited(t, running, "NPS {{ nps_score }} of", "Score {{ nps_score }} of", `channel: "#nps"`, `channel: "#surveys"`), formsProfile)
	if got.Deliveries != (view.PlanCounts{Changed: 7}) || len(got.Rules) != 1 {
		t.Fatalf("%+v", got)
	}
	paths := map[string]string{}
	for _, f := range got.Rules[0].Fields {
		if f.Count != 7 || f.Step != "alarms" {
			t.Errorf("%+v", f)
		}
		paths[f.Path] = *f.Old + " → " + *f.New
	}
	if paths["body.channel"] != "#nps → #surveys" || !strings.HasPrefix(paths["body.text"], "NPS ") {
		t.Errorf("%v", paths)
	}
	if s := got.Rules[0].Samples; len(s) != 3 || s[0].Change != "changed" || len(s[0].Fields) == 0 {
		t.Errorf("%+v", s)
	}
}

// TestCredentials: another secret is told as such, wherever it is, and no delivery differs.
func TestCredentials(t *testing.T) {
	t.Parallel()
	r := newRig(t, running, 11, false)
	got := r.ask(t, edited(t, running, "${SLACK}", "${OTHER}", "aGlkZGVuLWNybS0wMTIzNDU2Nzg5LTAxMjM0NTY3ODk=", "aGlkZGVuLW5ldy0wMTIzNDU2Nzg5LTAxMjM0NTY3ODk=", "hidden-forms-", "hidden-other-", "hidden-token-", "hidden-again-",
		"X-Key: hidden-header", "X-Key: hidden-another", `"https://example.com/crm"`, `"${CRM_URL}"`), formsProfile)
	want := []view.PlanItem{
		{Kind: "source", Tenant: "default", Name: "forms", Change: "recredentialed", Secrets: []string{"secrets.0"}},
		{Kind: "connection", Tenant: "default", Name: "alarms", Change: "recredentialed", Secrets: []string{"slack.token"}},
		{Kind: "webhook", Tenant: "default", Name: "crm", Change: "recredentialed", Secrets: []string{"headers.X-Key", "secrets.0", "url"}},
		{Kind: "token", Tenant: "default", Name: "ci", Change: "recredentialed", Secrets: []string{"secret"}},
	}
	if d := cmp.Diff(want, got.Configuration); d != "" || !got.Changes || len(got.Rules) != 0 || got.Events != 0 {
		t.Errorf("%s\n%+v", d, got)
	}
}
