package deliver

import (
	"testing"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/config"
)

// A member that is no longer this holder's when its batch begins leaves its record free for the next delivery.
func TestAMemberThatWasLostHoldsUpNothing(t *testing.T) {
	t.Parallel()
	b, c, l, manual := idle(t, &many{limit: connectors.BatchLimit{Events: 2}}, &config.Destination{Timeout: time.Second, Batch: config.Batch{Wait: 100 * time.Millisecond}})
	jobs := b.owed(3)
	for i, key := range []string{"a", "b", "a"} {
		jobs[i].key = key
	}
	jobs[0].claim.mu.Lock()
	jobs[0].move(toRelease) // any replica may have it now
	jobs[0].claim.mu.Unlock()
	for _, j := range jobs[:2] {
		if reason := l.push(j, manual.Now()); reason != "" {
			t.Fatal(reason)
		}
	}
	b.until("the batch ended", func() bool { l.mu.Lock(); defer l.mu.Unlock(); return l.pending == 0 && l.inFlight == 0 })
	if all := c.all(); len(all) != 1 || len(all[0]) != 1 {
		t.Fatalf("requests: %v", all)
	}
	if reason := l.push(jobs[2], manual.Now()); reason != "" {
		t.Fatal(reason)
	}
	manual.Advance(100 * time.Millisecond)
	b.until("the next one with its key is sent", func() bool { return len(c.all()) == 2 })
}
