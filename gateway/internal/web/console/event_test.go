package console

import (
	"strings"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/view"
)

// TestPieces: no byte of a text is lost, and only names of fields stand apart.
func TestPieces(t *testing.T) {
	t.Parallel()
	for text, names := range map[string]string{
		`{"a": "b: c", "d\"e": {"f": ["g", 1.0000000000000001]}}`: `"a" "d\"e" "f"`,
		`{"a":1}`: `"a"`, `"a"`: ``, ``: ``, `{"cut`: ``, `{"cut\`: ``, `{"a": "\\", "b": 2}`: `"a" "b"`, `not JSON "x": y`: `"x"`,
	} {
		var whole strings.Builder
		var found []string
		for _, p := range pieces(text) {
			whole.WriteString(p.Text)
			if p.Name {
				found = append(found, p.Text)
			}
		}
		if whole.String() != text || strings.Join(found, " ") != names {
			t.Errorf("%s: %q with the names %s", text, whole.String(), found)
		}
	}
}

// TestWay: failures between the first and the last attempt are one stage, stages stand in the order of time, what is to come stands last,
// and a long time line ends with how much more there is.
func TestWay(t *testing.T) {
	t.Parallel()
	received := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	tries := func(n int, from time.Duration) (log []view.ExplainedAttempt) {
		for i := range n {
			log = append(log, view.ExplainedAttempt{N: i + 1, At: received.Add(from + time.Duration(i)*time.Minute), Verdict: "retry", Status: 503})
		}
		return log
	}
	x := &view.Explanation{State: "decided", DecidedAt: received.Add(3 * time.Millisecond), Event: view.ExplainedEvent{Received: received, Verified: "hmac", Source: "s"}}
	add := func(name string, log []view.ExplainedAttempt, due time.Duration) {
		x.Rules = append(x.Rules, view.ExplainedRule{Kind: "rule", Name: name, Matched: true, Steps: []view.ExplainedStep{{
			Destination: name, Delivery: &view.ExplainedDelivery{ID: "dl_" + name, State: "waiting", Log: log, Due: received.Add(due)},
		}}})
	}
	titles := func() string {
		way, _ := wayOf(x, &view.Event{})
		var all []string
		for _, s := range way {
			all = append(all, s.Title)
		}
		return strings.Join(all, ", ")
	}
	if _, took := wayOf(x, &view.Event{}); took != "3 ms from receipt to the decision" {
		t.Errorf("of an event that owes nothing: %s", took)
	}
	add("crm", tries(10, time.Second), time.Hour)
	add("bi", tries(1, 30*time.Second), 2*time.Minute)
	if got, want := titles(), "Received, Verified, Normalised, Decided, crm retry, bi retry, 8 more tries, crm retry, bi waits, crm waits"; got != want {
		t.Errorf("%s, not %s", got, want)
	}
	way, took := wayOf(x, &view.Event{})
	if way[3].After != "+3 ms" || way[5].After != "+29 s" || took != "9 min 1 s from receipt to the last attempt" {
		t.Errorf("%+v, %s", way, took)
	}
	for range 20 {
		add("more", tries(1, time.Hour), 2*time.Hour)
	}
	way, _ = wayOf(x, &view.Event{})
	if last := way[len(way)-1].Title; len(way) != maxWay || last != "35 more" {
		t.Errorf("%d stages, the last is %s", len(way), last)
	}
}
