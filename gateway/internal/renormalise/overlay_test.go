package renormalise

import (
	"fmt"
	"strings"
	"testing"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/view"
)

// TestOverlay: an event of a document's source is read again as that source is today, and decided by files and documents together. It
// is left alone while a destination that it goes to has a fault.
func TestOverlay(t *testing.T) {
	t.Parallel()
	w := newWorld(t, destinations)
	sourceOf := func(roles string) config.Document {
		return config.Document{Name: "source/js", Version: 1, Spec: fmt.Appendf(nil, `{"profile": "surveyjs", "unverified": true%s}`, roles)}
	}
	hook := func(url string) config.Document {
		return config.Document{Name: "webhook/own", Version: 2, Spec: fmt.Appendf(nil, `{"url": %q, "events": ["response.completed"], "body": "event", "signature": "none"}`, url)}
	}
	change := func(documents ...config.Document) {
		w.plan = w.plan.With(config.Overlay(w.plan.Config, "default", documents))
	}
	change(sourceOf(""), hook("https://example.com/own"))
	id := w.take("js", fmt.Sprintf(body, "r1"), nil)[0]

	mendedRoles := `, "roles": {"why": "feedback", "mail": "email"}`
	change(sourceOf(mendedRoles), hook("no address"))
	if got := w.read(id, How{}); got.Status != view.Left || !strings.Contains(got.Reason, "the settings of own") {
		t.Errorf("%s: %s", got.Status, got.Reason)
	}
	change(hook("https://example.com/own"))
	if got := w.read(id, How{}); got.Status != view.Left || !strings.Contains(got.Reason, "no longer has the source `js`") {
		t.Errorf("%s: %s", got.Status, got.Reason)
	}
	change(sourceOf(mendedRoles), hook("https://example.com/own"))
	got := w.read(id, How{})
	if got.Status != view.Revised || !strings.Contains(strings.Join(steps(got.Deliveries), " "), "own") {
		t.Errorf("%s: %s, %q", got.Status, got.Reason, steps(got.Deliveries))
	}
	o := w.record(id).Outcome
	if o.Generation != w.plan.Generation("default") || !strings.Contains(o.Generation, "+") {
		t.Errorf("decided by %s", o.Generation)
	}
	for i := range o.Deliveries {
		if d := &o.Deliveries[i]; d.Revision == 1 && d.Origin == (state.Origin{Kind: state.Webhook, Name: "own"}) {
			return
		}
	}
	t.Error("the document's webhook is not told of the correction")
}
