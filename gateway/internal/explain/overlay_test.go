package explain

import (
	"strings"
	"testing"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

// TestOverlay: an event is explained by its tenant's documents beside the files, by the generation of both, and says what a
// document with a fault would have done.
func TestOverlay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	over := func(documents ...config.Document) *config.TenantConfig {
		return config.Overlay(w.plan.Config, "default", documents)
	}
	well := config.Document{Name: "rule/own", Version: 1, Spec: []byte(`{"when": "nps_score == 3", "send": ["alarms"]}`)}
	w.plan = w.plan.With(over(well))
	generation := w.plan.Generation("default")
	w.plans[generation] = w.plan
	if base, own, both := strings.Cut(generation, "+"); !both || base != w.plan.Config.Generation || own == "" {
		t.Fatalf("generation %s", generation)
	}
	w.commit(t, nil)
	x, err := w.asker.Event(t.Context(), "default", w.ev.ID)
	if err != nil {
		t.Fatal(err)
	}
	if r := x.rule(state.Origin{Kind: state.Rule, Name: "own"}); x.Generation != generation || r == nil || !r.Matched || len(r.Steps) != 1 || r.Steps[0].Delivery == nil {
		t.Errorf("by %s: %+v", x.Generation, r)
	}
	var text strings.Builder
	if err := x.Text(&text); err != nil {
		t.Fatal(err)
	}
	if short := shortGeneration(generation); !strings.Contains(text.String(), short) || !strings.Contains(short, "+") {
		t.Errorf("the text does not name %s:\n%s", short, text.String())
	}
	if len(x.Changed) > 0 || x.Unknown {
		t.Errorf("nothing changed since: %+v", x.Changed)
	}

	// The document gets a fault: the decision is still explained, and what would be different today.
	faulty := config.Document{Name: "rule/own", Version: 2, Spec: []byte(`{"when": "nps_scor == 3 and and", "send": ["alarms"]}`)}
	broken := config.Document{Name: "webhook/hook", Version: 3, Spec: []byte(`{"url": "no address", "events": ["response.completed"]}`)}
	w.plan = w.plan.With(over(faulty, broken))
	if x, err = w.asker.Event(t.Context(), "default", w.ev.ID); err != nil {
		t.Fatal(err)
	}
	var changed []string
	for _, c := range x.Changed {
		changed = append(changed, c.Name+": "+c.Why)
	}
	if all := strings.Join(changed, "\n"); !strings.Contains(all, "own: it would not match today: its rule has a fault in its settings: ") {
		t.Errorf("changed: %s", all)
	}
	dried := dry(t, w.plan, w.ev)
	if r := dried.rule(state.Origin{Kind: state.Rule, Name: "own"}); r == nil || r.Matched || !strings.HasPrefix(r.Why, "its rule has a fault in its settings: ") {
		t.Errorf("%+v", r)
	}
	if r := dried.rule(state.Origin{Kind: state.Webhook, Name: "hook"}); r == nil || !r.Matched || len(r.Steps) != 1 || r.Steps[0].Note != "would wait: the settings of hook have a fault" {
		t.Errorf("%+v", r)
	}
	if dried.Generation != w.plan.Generation("default") {
		t.Errorf("by %s", dried.Generation)
	}

	// Another tenant's documents have nothing to do with it.
	other := config.Overlay(w.plan.Config, "acme", []config.Document{well, {Name: "connection/alarms", Version: 2, Spec: []byte(`{"slack": {"webhook": "https://hooks.slack.com/services/T9/B9/abcdefghijkl"}}`)}})
	w.plan = load(t, before).With(other)
	if x, err = w.asker.Event(t.Context(), "default", w.ev.ID); err != nil {
		t.Fatal(err)
	}
	if r := x.rule(state.Origin{Kind: state.Rule, Name: "own"}); r == nil || !r.Matched || len(x.Changed) != 1 || !strings.Contains(x.Changed[0].Why, "gone") {
		t.Errorf("%+v, changed: %+v", r, x.Changed)
	}
}
