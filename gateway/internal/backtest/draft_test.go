package backtest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/surveygate/surveygate/gateway/internal/settings"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

func doc(name, spec string) settings.Change { return settings.Change{Name: name, Spec: []byte(spec)} }

const fileRules = connections + `
rules:
  - {name: low, when: nps_score <= 6, send: [alarms], timezone: Europe/Istanbul}
  - {name: low-draft, when: nps_score <= 5, send: [alarms]}
`

func fileRig(t *testing.T) *rig {
	t.Helper()
	r := newRig(t, fileRules)
	for score := range 11 {
		r.add(0, `{"type": "response.completed", "id": "s%d", "nps_score": %d}`, score, score)
	}
	for _, ev := range r.added {
		ev.Received = noon.Add(-1)
	}
	return r
}

// A rule of a draft is asked in place of the one that a file has of its name, and what else the draft has is as in the files where they
// have it.
func TestDraft(t *testing.T) {
	t.Parallel()
	r := fileRig(t)
	asked := []settings.Change{
		doc("connection/alarms", `{"slack": {"webhook": "https://hooks.slack.com/services/T/B/other"}}`),
		doc("connection/mine", `{"slack": {"webhook": "${NO_SUCH}"}}`),
		doc("rule/low", `{"when": "nps_score <= 2", "send": ["alarms", {"mine": {"text": "of a draft"}}]}`),
		doc("rule/fresh", `{"when": "nps_score >= 9", "send": ["mine"], "enabled": false}`),
		{Name: "rule/gone", Delete: true},
	}
	got := r.does(Ask{Draft: asked, Variables: true})
	if low, fresh := &got.Rules[0], &got.Rules[1]; low.Rule != "low" || low.Matched != 3 || low.Live || fresh.Rule != "fresh" || fresh.Matched != 2 || fresh.Steps[0].Sent != 2 {
		t.Errorf("%+v", got.Rules)
	} else {
		same(t, "steps", low.Steps, `[{"step":"alarms","destination":"alarms","connector":"slack","sent":3,"skipped":0,"rejected":0,"waiting":0,"clipped":0},`+
			`{"step":"mine","destination":"mine","connector":"slack","sent":3,"skipped":0,"rejected":0,"waiting":0,"clipped":0}]`)
	}
	same(t, "notes", got.Notes, `["as the gateway has them, and not as in the draft: connection alarms"]`)
	if got = r.does(Ask{Draft: asked, Variables: true, Rules: []string{"fresh", "fresh"}}); len(got.Rules) != 1 || got.Rules[0].Rule != "fresh" {
		t.Errorf("one of them: %+v", got.Rules)
	}
	if len(got.Rules[0].Samples) != 2 || !strings.HasPrefix(got.Rules[0].Samples[0].Text, "POST [secret]") {
		t.Errorf("%+v", got.Rules[0].Samples)
	}
	if got = r.does(Ask{Rules: []string{"low"}}); got.Rules[0].Matched != 7 {
		t.Errorf("what runs has changed: %+v", got.Rules[0])
	}
	// What somebody has locked stays too.
	if _, err := r.store.Put(context.Background(), "default", state.KindDocument, "rule/locked",
		[]byte(`{"v": 1, "doc": {"when": "nps_score <= 1", "send": ["alarms"]}, "meta": {"owner": "ci", "lock": true}}`), 0); err != nil {
		t.Fatal(err)
	}
	if got = r.does(Ask{Draft: []settings.Change{doc("rule/locked", `{"when": "nps_score <= 3", "send": ["alarms"]}`)}}); got.Rules[0].Rule != "locked" || got.Rules[0].Matched != 4 || len(got.Notes) > 0 {
		t.Errorf("one that is locked: %+v, %q", got.Rules, got.Notes)
	}
	// A webhook of the draft, which a file has too.
	r = newRig(t, "webhooks: [{name: hook, url: \"https://hook.example.com/in\", secrets: [whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw]}]\n")
	r.add(1, `{"type": "response.updated", "id": "u"}`)
	got = r.does(Ask{Draft: []settings.Change{doc("webhook/hook", `{"url": "https://other.example.com/in", "events": ["response.updated"], "signature": "none"}`)}, Rules: []string{"hook"}})
	if w := &got.Rules[0]; w.Rule != "hook" || w.Kind != "webhook" || w.Matched != 1 || w.Steps[0].Sent != 1 || w.Steps[0].Step != "hook" ||
		w.Steps[0].Destination != "hook" || w.Samples[0].Step != "hook" || !strings.Contains(w.Samples[0].Text, "https://other.example.com/in") {
		t.Errorf("%+v", got.Rules)
	}
}

// What is wrong with a draft, or with what is asked, is refused with the names that the caller wrote, before any event is read.
func TestRefused(t *testing.T) {
	t.Parallel()
	r := fileRig(t)
	low := doc("rule/low", `{"when": "nps_score <= 2", "send": ["alarms"]}`)
	many := make([]settings.Change, MaxRules+1)
	for i := range many {
		many[i] = doc("rule/m"+string(rune('a'+i)), string(low.Spec))
	}
	var names []string
	for _, c := range many {
		names = append(names, settings.Title(c.Name))
	}
	for _, c := range []struct {
		name string
		ask  Ask
		want string
	}{
		{"nothing", Ask{}, "rules: name one to 10 rules"},
		{"no such rule", Ask{Rules: []string{"lo"}}, "there is no rule `lo`"},
		{"not in the draft", Ask{Draft: []settings.Change{low}, Rules: []string{"low-draft"}}, "there is no rule `low-draft`"},
		{"too many names", Ask{Rules: names}, "rules: at most 10 rules are asked at once, and these are 11"},
		{"too many rules", Ask{Draft: many}, "rules: at most 10 rules are asked at once, and these are 11"},
		{"no rule", Ask{Draft: []settings.Change{doc("connection/mine", `{"slack": {"webhook": "https://hooks.slack.com/services/T/B/o"}}`)}}, "draft: it has no rule"},
		{"deleted", Ask{Draft: []settings.Change{{Name: "rule/low", Delete: true}}}, "draft: it has no rule"},
		{"webhook without events", Ask{Draft: []settings.Change{doc("webhook/mine", `{"url": "https://other.example.com/in", "signature": "none"}`)}, Rules: []string{"mine"}}, "draft.webhooks.mine: it cannot be asked"},
		{"open condition", Ask{Draft: []settings.Change{doc("rule/low", `{"when": "nps_score <= ${MOST}", "send": ["alarms"]}`)}, Variables: true}, "draft.rules.low.when: the condition has a variable"},
		{"limit", Ask{Rules: []string{"low"}, Limit: MaxLimit + 1}, "limit: this is 1 to 1000000"},
		{"no span", Ask{Rules: []string{"low"}, Since: noon}, "since: `since` is not before `until`"},
	} {
		if _, err := r.Prepare(context.Background(), span(c.ask)); err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.name, err, c.want)
		}
	}
	var unknown *NoRuleError
	if _, err := r.Prepare(context.Background(), span(Ask{Rules: []string{"lo"}})); !errors.As(err, &unknown) || !slices.Contains(unknown.Names, "low") || unknown.Draft {
		t.Errorf("%v", err)
	}
	var faults *settings.FaultsError
	_, err := r.Prepare(context.Background(), span(Ask{Draft: []settings.Change{doc("rule/low", `{"when": "nps_scor <= 2", "send": ["alarms"]}`)}}))
	if !errors.As(err, &faults) || faults.Name != "rule/low" || !strings.HasPrefix(err.Error(), "store:rule/low:1:11: `nps_scor` is not a name") {
		t.Errorf("%v", err)
	}
	_, err = r.Prepare(context.Background(), span(Ask{Draft: []settings.Change{
		doc("rule/low", `{"when": "nps_scor <= 2", "send": ["alarms"]}`), doc("rule/low-draft", `{"when": "nps_scor <= 2", "send": ["alarms"]}`),
	}}))
	var all settings.Refusals
	if !errors.As(err, &all) || len(all) != 2 || settings.RefusedName(all[0]) != "rule/low" || settings.RefusedName(all[1]) != "rule/low-draft" {
		t.Errorf("%v", err)
	}
}

// Another tenant's rules, connections and events are none of a tenant's.
func TestTenants(t *testing.T) {
	t.Parallel()
	r := fileRig(t)
	ask := Ask{Tenant: "acme", Rules: []string{"low"}, Since: noon.Add(-DefaultSince), Until: noon}
	var unknown *NoRuleError
	if _, err := r.Prepare(context.Background(), ask); !errors.As(err, &unknown) || len(unknown.Names) > 0 {
		t.Errorf("%v", err)
	}
	ask.Draft = []settings.Change{doc("rule/low", `{"send": ["alarms"]}`)}
	var faults *settings.FaultsError
	if _, err := r.Prepare(context.Background(), ask); !errors.As(err, &faults) {
		t.Errorf("%v", err)
	}
	ask.Draft = append(ask.Draft, doc("connection/alarms", `{"slack": {"webhook": "https://hooks.slack.com/services/T/B/o"}}`))
	r.append(r.added...)
	run, err := r.Prepare(context.Background(), ask)
	if err != nil {
		t.Fatal(err)
	}
	got, err := run.Do(context.Background(), nil)
	if err != nil || got.Asked != 0 || got.Rules[0].Matched != 0 {
		t.Errorf("%+v, %v", got, err)
	}
}
