package run

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

// A reload that takes a step away says how many deliveries that ends, and one that is refused says each fault in a line.
func TestReloadSaysWhatItEnds(t *testing.T) {
	t.Parallel()
	said := &lines{}
	s := newSite(t)
	s.options.Log = slog.New(slog.NewTextHandler(said, nil))
	const delayed = `
outbound: {allow_addresses: ["127.0.0.0/8"], allow_http: true}
webhooks:
  - {name: hook, url: %q, secrets: ["${HOOK_SECRET}"]}
rules:
  - {name: %s, when: nps_score <= 10, delay: 1h, send: [hook]}
`
	s.writeText(fmt.Sprintf(delayed, s.hook, "low"))
	s.start()
	for i := range 3 {
		s.publish(fmt.Sprint("low-", i), 3)
	}
	s.until("they wait", func() bool {
		page, err := s.client.Deliveries(t.Context(), url.Values{"state": {"waiting"}})
		return err == nil && len(page.Data) == 3
	})
	s.writeText("rules: [{name: x, when: nps_scor <= 3, send: [nobody]}]")
	s.until("each fault has a line", func() bool {
		return strings.Count(said.String(), "the new configuration is refused") >= 2 && strings.Contains(said.String(), "surveygate.yaml:1:25")
	})
	if strings.Contains(said.String(), `\n`) {
		t.Errorf("several lines in one:\n%s", said)
	}
	s.writeText(fmt.Sprintf(delayed, s.hook, "renamed"))
	s.until("it says how many wait", func() bool {
		return strings.Contains(said.String(), "rule=low step=hook destination=hook count=3 more=false")
	})
}

// stuckLists is a store that answers no question for deliveries until it is released.
type stuckLists struct {
	state.Store
	released chan struct{}
}

func (s *stuckLists) Deliveries(ctx context.Context, tenant string, q state.DeliveryQuery) (*state.Page[state.Delivery], error) {
	<-s.released
	return s.Store.Deliveries(ctx, tenant, q)
}

// A change of documents that removes steps is in use, and lets the next tenant change, while the store cannot say what waits for
// the steps.
func TestRemovedStepsDelayNobody(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	g, err := open(t.Context(), s.options)
	if err != nil {
		t.Fatal(err)
	}
	stuck := &stuckLists{Store: g.store, released: make(chan struct{})}
	g.store = stuck
	changed := make(chan error, 1)
	go func() {
		changed <- func() error {
			for i := range 10 {
				tenant := fmt.Sprint("t", i)
				spec := []byte(`{"url": "https://receiver.example.com/", "events": ["response.completed"]}`)
				for _, documents := range [][]config.Document{{{Name: "webhook/hook", Spec: spec, Version: 1, Secrets: hookSecrets}}, nil} {
					if err := g.applyDocuments(context.Background(), tenant, documents); err != nil {
						return err
					}
				}
			}
			return nil
		}()
	}()
	select {
	case err = <-changed:
	case <-time.After(2 * time.Minute):
		t.Error("changes wait for the count of deliveries")
	}
	steps, dropped := g.removed.take()
	if len(steps) != 10 || dropped != 0 {
		t.Errorf("%d removed steps and %d more, instead of 10", len(steps), dropped)
	}
	for step, destination := range steps { // nothing waits for them, which is known without a list
		g.warnOfWaiting(context.Background(), step.tenant, []removedStep{{step, destination}})
	}
	close(stuck.released)
	if err := errors.Join(err, g.life.stop(context.Background())); err != nil {
		t.Error(err)
	}
}
