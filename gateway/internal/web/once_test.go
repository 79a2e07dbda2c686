package web

import (
	"fmt"
	"net/url"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/view"
)

// TestFormsActOnce: a form that is sent twice, as by a double click, acts once; shown again, it acts again.
func TestFormsActOnce(t *testing.T) {
	t.Parallel()
	onEngines(t, func(t *testing.T, r *rig) {
		body := pollqr("r-once", 3)
		id, _ := r.post(t, "/in/pollqr", "", body, signed(body))
		delivery := r.decide(t, state.Delivered).Deliveries[0]
		r.clock.Advance(time.Minute)
		every := r.visitor(t, everyToken)
		replays := func() int {
			t.Helper()
			return len(decoded[view.Page[view.Job]](t, r.does(t, ask{path: "/v1/replays?limit=100", token: everyToken}, 200)).Data)
		}
		query := url.Values{"destination": {delivery.Destination}, "state": {"delivered"}}.Encode()
		for n := 1; n <= 2; n++ {
			once := valueOf(t, r.does(t, ask{path: "/console/t/default/deliveries/replay?" + query, header: every}, 200).body, "once")
			var to []string
			for range 2 {
				sent := r.does(t, ask{method: "POST", path: "/console/t/default/deliveries/replay", header: every, body: form("query", query, "as", "fresh", "once", once)}, 303)
				to = append(to, sent.header.Get("Location"))
			}
			if to[0] != to[1] || replays() != n {
				t.Errorf("showing %d: sent twice, it leads to %q, and there are %d replays", n, to, replays())
			}
		}
		// Another act of the same showing is another one.
		path := fmt.Sprintf("/console/t/default/events/%s/replay", id)
		once := valueOf(t, r.does(t, ask{path: path, header: every}, 200).body, "once")
		if once == "" {
			t.Error("the form of a replay of one event has no key")
		}
	})
}
