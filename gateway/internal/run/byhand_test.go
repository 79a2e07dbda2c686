package run

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/client"
	"github.com/surveygate/surveygate/gateway/internal/clock"
)

// What a person does by hand reaches the delivery loop at once: the clock of this gateway stands still, so that nothing is
// found by looking again later.
func TestActsReachTheLoopAtOnce(t *testing.T) {
	t.Parallel()
	var requests atomic.Int64
	refuses := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		requests.Add(1)
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	t.Cleanup(refuses.Close)
	s := newSite(t)
	s.options.clock = clock.NewManual(time.Now())
	s.writeText(fmt.Sprintf(`
outbound: {allow_addresses: ["127.0.0.0/8"], allow_http: true}
webhooks:
  - {name: hook, url: %q, events: [response.completed], secrets: [%q], retry: [1h, 1h, 1h, 1h]}
`, refuses.URL, hookSecret))
	s.start()
	s.publish("one", 3)
	first := func() (d client.Delivery) {
		page, err := s.client.Deliveries(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(page.Data) > 0 {
			d = page.Data[0]
		}
		return d
	}
	act := func(path string) {
		t.Helper()
		if err := s.client.Do(t.Context(), client.Call{Method: http.MethodPost, Path: path}); err != nil {
			t.Fatal(err)
		}
	}
	s.until("the first attempt is recorded", func() bool { return first().Attempts == 1 })
	id := first().ID
	act("/v1/deliveries/" + id + "/retry")
	s.until("it is retried", func() bool { return requests.Load() == 2 && first().Attempts == 2 })
	act("/v1/deliveries/" + id + "/replay")
	s.until("it is replayed", func() bool { return requests.Load() == 3 && first().Attempts == 3 })
	act("/v1/events/" + first().Event + "/replay")
	s.until("its event is replayed", func() bool { return requests.Load() == 4 && first().Attempts == 4 })
	act("/v1/destinations/hook/pause")
	act("/v1/deliveries/" + id + "/retry")
	act("/v1/destinations/hook/resume")
	s.until("it goes on when its destination is resumed", func() bool { return requests.Load() == 5 && first().Attempts == 5 })
}
