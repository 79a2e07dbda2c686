package deliver

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

// Of a hundred destinations every third hangs, every third has a backlog behind a rate: the others hear at once, and
// every event's commit is a second away at most.
func TestManyDestinations(t *testing.T) {
	t.Parallel()
	var all []*config.Destination
	for i := range 99 {
		d := destination(fmt.Sprintf("%s%d", []string{"well", "hangs", "slow"}[i%3], i), time.Hour)
		if i%3 == 2 {
			d.Rate = config.Rate{Events: 1, Per: time.Minute}
		}
		all = append(all, d)
	}
	release := make(chan struct{})
	b := begin(t, destinations(all...), func(s seen) (int, http.Header) {
		if s.destination[:len("default/hang")] == "default/hang" {
			<-release
		}
		return 200, nil
	})
	var once sync.Once
	t.Cleanup(func() { once.Do(func() { close(release) }) })
	const events = 60
	ids := b.accept(events)
	wells := func() int {
		return b.world.count(func(s seen) bool { return s.destination[:len("default/well")] == "default/well" })
	}
	b.until("the well ones have all", func() bool { return wells() == 33*events })
	b.until("nothing is held", func() bool { return b.loop.Claimed() == 0 })
	for _, id := range ids {
		b.untilState(id, "well0", state.Delivered)
		b.untilState(id, "hangs1", state.Waiting)
	}
	once.Do(func() { close(release) })
	for _, id := range ids {
		b.untilState(id, "hangs1", state.Delivered)
	}
	if n := b.world.count(func(s seen) bool { return s.n > 1 }); n > 0 {
		t.Errorf("%d were sent twice", n)
	}
}
