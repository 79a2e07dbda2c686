package deliver

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/expression"
)

// verbose builds texts of an event until its budget ends them, and sends what it built.
type verbose struct {
	many
	text expression.Text
	n    int
}

func (w *verbose) BuildBatch(events []*event.Event) (*connectors.Request, error) {
	body := struct {
		told
		Texts []string `json:"texts"`
	}{}
	for _, ev := range events {
		for range w.n {
			text, err := w.text.Render(ev)
			if err != nil {
				return nil, err
			}
			body.Texts = append(body.Texts, text)
		}
		body.IDs = append(body.IDs, ev.OrigID)
	}
	return connectors.Post("https://product.example/batch", body), nil
}

func (w *verbose) Build(ev *event.Event) (*connectors.Request, error) {
	return w.BuildBatch([]*event.Event{ev})
}

// text is one of so many bytes.
func text(bytes int) expression.Text {
	return expression.MustText(`{{ feedback ?? "" }}` + strings.Repeat("a", bytes))
}

// What is too much for one request is a dead letter at once, with the reason and without an attempt.
func TestTooLargeIsRejected(t *testing.T) {
	t.Parallel()
	conf := destinations(destination("crm", time.Minute))
	conf.Rules = []*config.Rule{ruleTo("crm", &verbose{text: text(60_000), n: 100})}
	b := begin(t, conf, nil)
	d := b.untilState(b.accept(1)[0], "crm", state.Dead)
	if want := "cannot be built: " + event.ErrSize.Error(); d.Reason != want || d.Attempts != 0 {
		t.Errorf("reason %q after %d attempts, want %q", d.Reason, d.Attempts, want)
	}
}

// A batch that would be too large together goes in parts, whatever the product's own bound is.
func TestALargeBatchGoesInParts(t *testing.T) {
	t.Parallel()
	w := &verbose{text: text(60_000), n: 20} // 1.2 MB each, of which three fit
	b, c, _, _ := idle(t, &w.many, &config.Destination{})
	jobs := b.owed(10)
	for _, j := range jobs {
		j.build = w
	}
	attemptOutcome := &attemptOutcome{jobs: jobs}
	var sizes []int
	for len(attemptOutcome.jobs) > 0 {
		rest := b.loop.try(attemptOutcome, b.clock.Now().Add(time.Minute))
		if attemptOutcome.verdict.Kind != connectors.Delivered || len(attemptOutcome.unsent) > 0 {
			t.Fatalf("%s, %d unsent", attemptOutcome.verdict, len(attemptOutcome.unsent))
		}
		sizes = append(sizes, len(attemptOutcome.jobs))
		attemptOutcome.jobs = rest
	}
	if diff := cmp.Diff([]int{2, 2, 3, 3}, sizes); diff != "" || len(c.all()) != 4 {
		t.Errorf("%d requests (-want +got):\n%s", len(c.all()), diff)
	}
}
