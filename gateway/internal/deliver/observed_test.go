package deliver

import (
	"context"
	"maps"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/rules"
	"github.com/surveygate/surveygate/rules/event"
)

// observed counts what a loop reports.
type observed struct {
	nothing

	mu     sync.Mutex
	counts map[string]int
}

func (o *observed) add(what string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.counts[what]++
}

func (o *observed) seen() map[string]int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return maps.Clone(o.counts)
}

func (o *observed) Decided(*event.Event, []*rules.Set, []state.RuleOutcome, []string, time.Time) {
	o.add("decided")
}

func (o *observed) Attempt(d *state.Delivery, verdict connectors.Kind, reached state.Reached, _ time.Duration, _ time.Time) {
	o.add(map[state.Reached]string{state.NotSent: "not sent ", state.NoAnswer: "no answer ", state.Answered: ""}[reached] + string(verdict) + " by " + d.Destination)
}

func (o *observed) Ended(d *state.Delivery, received time.Time) {
	if received.IsZero() || d.Updated.IsZero() {
		o.add("ended without its times")
	}
	o.add("ended " + string(d.State) + " at " + d.Destination)
}

// hesitant refuses each commit once.
type hesitant struct {
	state.Store

	asked atomic.Int64
}

func (s *hesitant) Commit(ctx context.Context, c *state.Commit) (*state.Committed, error) {
	if s.asked.Add(1)%2 == 1 {
		return nil, state.ErrUnavailable
	}
	return s.Store.Commit(ctx, c)
}

// Each decision, each attempt and each end of a delivery is counted once: also where its first attempt was handed over, where a commit
// is repeated, and where it ends from the due-queue.
func TestObserved(t *testing.T) {
	t.Parallel()
	late := make(chan struct{})
	var retried atomic.Bool
	b := prepare(t, destinations(destination("good"), destination("again", time.Millisecond), destination("bad"), destination("silent"), destination("slow")),
		func(s seen) (int, http.Header) {
			switch s.destination {
			case "default/again":
				if !retried.Swap(true) {
					return 500, nil
				}
			case "default/bad":
				return 400, nil
			case "default/silent":
				return 0, nil
			case "default/slow":
				<-late
			}
			return 200, nil
		})
	b.wrap = func(s state.Store) state.Store { return &hesitant{Store: s} }
	b.make()
	o := &observed{counts: map[string]int{}}
	b.loop.Observer = o
	id := b.accept(1)[0]
	b.run()
	b.until("the slow one is handed over", func() bool {
		d := b.delivery(id, "slow")
		return d != nil && d.Leased
	})
	close(late)
	for _, name := range []string{"good", "again", "slow"} {
		b.untilState(id, name, state.Delivered)
	}
	for _, name := range []string{"bad", "silent"} {
		b.untilState(id, name, state.Dead)
	}
	b.stop() // everything is committed
	b.stop = func() {}
	want := map[string]int{
		"decided": 1, "delivered by good": 1, "retry by again": 1, "delivered by again": 1, "rejected by bad": 1, "no answer retry by silent": 1, "delivered by slow": 1,
		"ended delivered at good": 1, "ended delivered at again": 1, "ended dead at bad": 1, "ended dead at silent": 1, "ended delivered at slow": 1,
	}
	if diff := cmp.Diff(want, o.seen()); diff != "" {
		t.Error(diff)
	}
}
