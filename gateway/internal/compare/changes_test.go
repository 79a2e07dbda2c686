package compare

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/view"
)

// TestMapping: a mistyped path in the profile of a source is found by what its events lead to.
func TestMapping(t *testing.T) {
	t.Parallel()
	r := newRig(t, running, 22, true)
	got := r.ask(t, running, edited(t, formsProfile, "response.score.nps: score", "response.score.nps: scores"))
	if got.Deliveries != (view.PlanCounts{Removed: 18}) || len(got.Sources) != 1 {
		t.Fatalf("%+v", got)
	}
	if want := []view.PlanItem{{Kind: "source", Tenant: "default", Name: "forms", Change: "changed", Settings: []string{profileFile}}}; !cmp.Equal(got.Configuration, want) {
		t.Error(cmp.Diff(want, got.Configuration))
	}
	if s := got.Sources[0]; s.Name != "forms" || s.Reread != 22 || s.Lost != 0 || !slices.Contains(s.Fields, view.ReasonCount{Reason: "response.score.nps", Count: 22}) {
		t.Errorf("%+v", s)
	}
	i := slices.IndexFunc(got.Rules, func(r view.PlanRule) bool { return r.Name == "low" })
	if i < 0 || got.Rules[i].Removed != 14 || !strings.Contains(got.Rules[i].Samples[0].Why, "nps_score") {
		t.Errorf("%+v", got.Rules)
	}
	got = r.ask(t, running, edited(t, formsProfile, "respondent.email: mail", "respondent.email: mails"))
	if got.Deliveries != (view.PlanCounts{Changed: 14}) || len(got.Rules) != 1 || got.Rules[0].Fields[0].Path != "body.text" {
		t.Fatalf("%+v", got)
	}
	if f := got.Rules[0].Samples[0].Fields[0]; *f.Old != "NPS 6 of jo17@example.com" || *f.New != "NPS 6 of" {
		t.Errorf("%s → %s", *f.Old, *f.New)
	}
}

// TestSources: without its source nothing of it is sent, and what a profile cannot read is told.
func TestSources(t *testing.T) {
	t.Parallel()
	r := newRig(t, running, 22, true)
	got := r.ask(t, edited(t, running, `  forms: {profile: ./forms.yaml, secrets: ["hidden-forms-0123456789-0123456789"]}`, "  # none"), "")
	if got.Deliveries != (view.PlanCounts{Removed: 14 + 4 + 22}) || len(got.Sources) != 1 || got.Sources[0].Lost != 22 {
		t.Fatalf("%+v", got)
	}
	if s := got.Rules[0].Samples[0]; s.Why != "its source is removed or disabled" {
		t.Errorf("%+v", s)
	}
	got = r.ask(t, running, edited(t, formsProfile, "decode: json", "decode: form"))
	if got.Sources[0].Unreadable[0].Count != 22 || got.Deliveries.Removed != 40 {
		t.Errorf("%+v", got)
	}
}

// TestRemoved: a webhook that is deleted, a rule that is disabled, and what becomes of the deliveries that wait.
func TestRemoved(t *testing.T) {
	t.Parallel()
	r := newRig(t, running, 11, false)
	decideAll(t, r)
	hook := "\n  - " + strings.Split(strings.Split(running, "webhooks:\n  - ")[1], "\n")[0]
	got := r.ask(t, edited(t, running, "webhooks:"+hook, "webhooks: []", "name: high,", "name: high, enabled: false,"), formsProfile)
	if got.Deliveries != (view.PlanCounts{Removed: 11 + 2}) {
		t.Fatalf("%+v", got)
	}
	whys := map[string]string{}
	for _, rule := range got.Rules {
		whys[rule.Name] = rule.Samples[0].Why
	}
	if whys["crm"] != "the webhook is removed" || whys["high"] != "the rule is disabled" {
		t.Errorf("%v", whys)
	}
	want := []view.PlanWaiting{{Tenant: "default", Destination: "crm", Kind: "webhook", Rule: "crm", Step: "crm", Becomes: "no longer configured", Count: 11}}
	if d := cmp.Diff(want, got.Waiting); d != "" || got.WaitingMore {
		t.Error(d)
	}
	got = r.ask(t, edited(t, running, "name: crm,", "name: crm, enabled: false,"), formsProfile)
	if len(got.Waiting) != 1 || got.Waiting[0].Count != 11 || !strings.HasPrefix(got.Waiting[0].Becomes, "waits: ") {
		t.Errorf("%+v", got.Waiting)
	}
}

// decideAll commits what all events owe, so that it waits.
func decideAll(t *testing.T, r *rig) {
	t.Helper()
	claimed, err := r.store.Claim(t.Context(), 1000, 1<<24)
	if err != nil {
		t.Fatal(err)
	}
	var c state.Commit
	for _, each := range claimed {
		o := state.Outcome{EventID: each.Event.ID, Tenant: each.Event.Tenant, Position: each.Position, At: now}
		for _, owed := range r.plan.Decide(each.Event, now).Owed {
			o.Deliveries = append(o.Deliveries, owed.Delivery)
		}
		c.Events = append(c.Events, o)
	}
	if _, err := r.store.Commit(t.Context(), &c); err != nil {
		t.Fatal(err)
	}
}

// TestDocuments: stored documents are compiled over both configurations, so that what new files shadow or break is told.
func TestDocuments(t *testing.T) {
	t.Parallel()
	r := newRig(t, running, 11, false)
	for name, spec := range map[string]string{
		"connection/own": `{"slack": {"token": "hidden-own", "channel": "#own"}}`,
		"rule/stored":    `{"when": "nps_score == 10", "send": ["own", "alarms"]}`,
		"rule/other":     `{"when": "nps_score == 10", "send": ["mirror"]}`,
	} {
		value := fmt.Sprintf(`{"v": 1, "doc": %s, "meta": {}}`, spec)
		if _, err := r.store.Put(context.Background(), "default", state.KindDocument, name, []byte(value), 0); err != nil {
			t.Fatal(err)
		}
	}
	documents, err := r.Book.Documents(t.Context(), "default")
	if err != nil {
		t.Fatal(err)
	}
	r.plan = decide.New(r.plan.Config, config.Overlay(r.plan.Config, "default", documents))
	if got := r.ask(t, running, formsProfile); got.Changes {
		t.Fatalf("the same files: %+v", got)
	}
	got := r.ask(t, edited(t, running, "name: low,", "name: stored,", "  mirror: {slack", "  mirrors: {slack", "[{mirror: {text: \"Thanks\"}}]", "[{mirrors: {text: \"Thanks\"}}]"), formsProfile)
	states := map[string]string{}
	for _, item := range got.Configuration {
		if item.Stored {
			states[item.Name] = item.Change
		}
	}
	if want := map[string]string{"stored": "shadowed", "other": "broken"}; !cmp.Equal(states, want) {
		t.Errorf("%v\n%+v", states, got.Configuration)
	}
	counts := map[string]view.PlanCounts{}
	for _, rule := range got.Rules {
		counts[rule.Name] = rule.PlanCounts
	}
	for _, rule := range got.Rules {
		if rule.Name == "other" && rule.Samples[0].Why != decide.BrokenRule {
			t.Errorf("%+v", rule.Samples)
		}
	}
	want := map[string]view.PlanCounts{
		"low": {Removed: 7}, "stored": {Added: 7, Removed: 2}, "high": {Added: 2, Removed: 2}, "other": {Removed: 1},
	}
	if !cmp.Equal(counts, want) {
		t.Error(cmp.Diff(want, counts))
	}
}

// TestEverywhere: a rule of every tenant is asked in all tenants, which share the events fairly.
func TestEverywhere(t *testing.T) {
	t.Parallel()
	text := edited(t, running, "rules:", "rules:\n  - {name: all, tenant: \"*\", when: nps_score > 5, send: [alarms]}")
	r := newRig(t, text, 22, false)
	got := r.ask(t, edited(t, text, "nps_score > 5", "nps_score > 4"), formsProfile)
	if got.Deliveries != (view.PlanCounts{Added: 2}) || len(got.Rules) != 1 || got.Rules[0].Tenant != "*" || got.Events != 22 {
		t.Errorf("%+v", got)
	}
}

// TestWhole: a rule that is asked of the response as a whole is asked of each event, and a condition with a variable is not asked.
func TestWhole(t *testing.T) {
	t.Parallel()
	text := edited(t, running, "name: low, when: nps_score <= 6,", "name: low, settle: 2m, when: nps_score <= 6,", "when: nps_score >= 9", `when: "nps_score >= 9 and email != '${EMAIL}'"`)
	r := newRig(t, text, 22, false)
	got := r.ask(t, edited(t, text, "nps_score <= 6", "nps_score <= 5", "nps_score >= 9", "nps_score >= 8"), formsProfile)
	if got.Deliveries != (view.PlanCounts{Removed: 2}) || len(got.Notes) != 2 {
		t.Fatalf("%+v", got)
	}
	if s := got.Rules[0].Samples[0]; !strings.Contains(s.Why, "its condition is false") || len(s.Parts) == 0 {
		t.Errorf("%+v", s)
	}
}

// TestWholeOfSources: a condition with a variable is not asked of events that a source would read differently either.
func TestWholeOfSources(t *testing.T) {
	t.Parallel()
	text := edited(t, running, "when: nps_score >= 9", `when: "nps_score >= 9 and email != '${EMAIL}'"`)
	r := newRig(t, text, 22, true)
	got := r.ask(t, edited(t, text, `  forms: {profile: ./forms.yaml, secrets: ["hidden-forms-0123456789-0123456789"]}`, "  # none"), "")
	if got.Deliveries != (view.PlanCounts{Removed: 14 + 22}) || len(got.Notes) != 1 {
		t.Errorf("%+v", got)
	}
}

// TestOpenConditionOfAnotherSource: of a source that is read differently, a rule whose condition has a variable is not counted as one that
// matches everything.
func TestOpenConditionOfAnotherSource(t *testing.T) {
	t.Parallel()
	text := edited(t, running, "when: nps_score <= 6", `when: "nps_score <= 6 and email != '${EMAIL}'"`)
	r := newRig(t, text, 22, true)
	got := r.ask(t, text, edited(t, formsProfile, "respondent.email: mail", "respondent.email: email"))
	for _, rule := range got.Rules {
		if rule.Name == "low" {
			t.Errorf("%+v", rule)
		}
	}
	want := []string{"the condition of rule low has a variable, whose value is not read: what it matches is not compared"}
	if diff := cmp.Diff(want, got.Notes); diff != "" || len(got.Sources) != 1 || got.Sources[0].Reread != 22 {
		t.Errorf("%+v\n%s", got, diff)
	}
}

// TestEnabledByVariable: what a variable switches is taken to be on, and that is said.
func TestEnabledByVariable(t *testing.T) {
	t.Parallel()
	text := edited(t, running, "name: low,", `name: low, enabled: "${ON}",`, "alarms: {slack:", `alarms: {enabled: "${ON}", slack:`)
	r := newRig(t, text, 22, false)
	got := r.ask(t, edited(t, text, "nps_score <= 6", "nps_score <= 5"), formsProfile)
	if got.Deliveries != (view.PlanCounts{Removed: 2}) {
		t.Errorf("%+v", got)
	}
	if diff := cmp.Diff([]string{
		"`enabled` of connection alarms is a variable, whose value is not read: it is taken to be enabled",
		"`enabled` of rule low is a variable, whose value is not read: it is taken to be enabled",
	}, got.Notes); diff != "" {
		t.Error(diff)
	}
}

// TestDestinationByVariable: where a rule sends is not known from a variable, so that its deliveries are not compared, and that is said.
func TestDestinationByVariable(t *testing.T) {
	t.Parallel()
	r := newRig(t, running, 22, false)
	after := edited(t, running, "send: [{mirror: {text: \"Thanks\"}}]", `send: ["${TO}"]`)
	got := r.ask(t, after, formsProfile)
	want := []string{"a destination of rule high is a variable, whose value is not read: its deliveries are not compared"}
	if diff := cmp.Diff(want, got.Notes); diff != "" || got.Deliveries != (view.PlanCounts{}) || !got.Changes {
		t.Errorf("%+v\n%s", got, diff)
	}
}

// TestLimit: the newest events are compared, and it is said that there are more.
func TestLimit(t *testing.T) {
	t.Parallel()
	r := newRig(t, running, 30, false)
	after, err := config.LoadBundle(&config.Bundle{
		Files:    []config.BundleFile{{Name: "surveygate.yaml", Text: []byte(edited(t, running, "<= 6", "<= 7"))}},
		Profiles: []config.BundleFile{{Name: "forms.yaml", Text: []byte(formsProfile)}},
	})
	if err != nil {
		t.Fatal(err)
	}
	got, err := r.Compare(t.Context(), Ask{New: after, Since: now.Add(-time.Hour), Limit: 10}, func(any) error { return nil })
	if err != nil || got.Events != 10 || got.Stopped != "events" || !got.SearchedBackTo.Equal(now.Add(-10*time.Second)) {
		t.Errorf("%+v, %v", got, err)
	}
	got, err = r.Compare(t.Context(), Ask{New: after, Since: now.Add(-5 * time.Second), Limit: 100}, func(any) error { return nil })
	if err != nil || got.Events != 5 || got.Stopped != "" {
		t.Errorf("%+v, %v", got, err)
	}
}

// BenchmarkPlan compares 100000 events: of the API with another threshold of one rule, and of a source with another profile.
func BenchmarkPlan(b *testing.B) {
	events := 100_000
	if testing.Short() {
		events = 2000
	}
	for _, of := range []struct {
		name          string
		fromForms     bool
		text, profile string
	}{
		{"threshold", false, edited(b, running, "nps_score <= 6", "nps_score <= 7"), formsProfile},
		{"profile", true, running, edited(b, formsProfile, "response.score.nps: score", "response.score.nps: scores")},
	} {
		b.Run(of.name, func(b *testing.B) {
			r := newRig(b, running, events, of.fromForms)
			b.ReportAllocs()
			var peak uint64
			r.reported = func() {
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				peak = max(peak, m.HeapAlloc)
			}
			for b.Loop() {
				if got := r.ask(b, of.text, of.profile); got.Events != events || !got.Changes {
					b.Fatalf("%+v", got)
				}
			}
			b.ReportMetric(float64(peak>>20), "MiB")
		})
	}
}
