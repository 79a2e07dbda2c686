package tail

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/rules/event"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func delivery(tenant, rule, destination string, is state.DeliveryState, attempts int) *state.Delivery {
	d := &state.Delivery{
		ID: "dl_" + rule, Tenant: tenant, EventID: "e1", Origin: state.Origin{Kind: state.Rule, Name: rule}, Step: destination, Destination: destination,
		State: is, Attempts: attempts, Updated: noon,
	}
	if attempts > 0 {
		d.Log = make([]state.Attempt, 1)
	}
	return d
}

// lines are the lines that wait, in brief.
func lines(w *Watcher) (all []string) {
	for {
		select {
		case l := <-w.Lines:
			all = append(all, strings.TrimSpace(fmt.Sprint(l.Kind, " ", l.Event, " ", l.Rule, " ", l.State, " ", l.Missed)))
		default:
			return all
		}
	}
}

func TestFilters(t *testing.T) {
	t.Parallel()
	h := New(clock.NewManual(noon))
	ev := &event.Event{Header: event.Header{ID: "e1", Tenant: "acme", Source: "pollqr", Type: event.TypeResponseCompleted}}
	happen := func() {
		h.Decided(ev, []state.RuleOutcome{{Origin: state.Origin{Kind: state.Rule, Name: "r1"}}, {Origin: state.Origin{Kind: state.Rule, Name: "r3"}, Err: "too much work"}}, []string{"r2"}, noon)
		h.Attempted(delivery("acme", "r1", "crm", state.Waiting, 1), ev, connectors.Retry, 503, time.Second)
		h.Attempted(delivery("acme", "r1", "crm", state.Delivered, 2), ev, connectors.Delivered, 200, time.Second)
		h.Ended(delivery("acme", "r1", "crm", state.Delivered, 2))
		h.Attempted(delivery("acme", "r4", "chat", state.Dead, 0), ev, connectors.Rejected, 0, 0)
		h.Ended(delivery("acme", "r4", "chat", state.Dead, 0))
		h.Ended(delivery("acme", "r5", "chat", state.Skipped, 0))
		h.Attempted(delivery("other", "r1", "crm", state.Delivered, 1), ev, connectors.Delivered, 200, time.Second)
	}
	happen()
	if h.watched.Load() != 0 {
		t.Error("something is kept although nobody watches")
	}
	all := []string{"event e1", "attempt e1 r1 waiting", "attempt e1 r1 delivered", "ended e1 r4 dead", "ended e1 r5 skipped"}
	for _, c := range []struct {
		f    Filter
		want []string
	}{
		{Filter{}, all},
		{Filter{Rule: "r1"}, all[:3]},
		{Filter{Rule: "r2"}, all[:1]},
		{Filter{Rule: "r9"}, nil},
		{Filter{Destination: "chat"}, all[3:]},
		{Filter{Source: "pollqr"}, all[:3]}, // what ended without an attempt does not say its source
		{Filter{Failed: true}, []string{all[0], all[1], all[3]}},
		{Filter{Failed: true, Rule: "r1"}, all[1:2]},
		{Filter{Failed: true, Destination: "crm"}, all[1:2]},
	} {
		w := h.Watch("acme", c.f, 0)
		other := h.Watch("nobody", c.f, 0)
		happen()
		got := lines(w)
		for i := range got {
			got[i] = strings.TrimSpace(strings.TrimSuffix(got[i], " 0"))
			got[i] = strings.Join(strings.Fields(got[i]), " ")
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%+v selects %q, want %q", c.f, got, c.want)
		}
		if got := lines(other); len(got) > 0 {
			t.Errorf("another tenant sees %q", got)
		}
		w.Close()
		other.Close()
	}
}

// A watcher that reads nothing delays nobody, and learns how many lines it missed.
func TestSlowWatcher(t *testing.T) {
	t.Parallel()
	h := New(clock.NewManual(noon))
	slow, quick := h.Watch("acme", Filter{}, 0), h.Watch("acme", Filter{}, 0)
	seen := 0
	for range queue + 100 {
		h.Attempted(delivery("acme", "r1", "crm", state.Delivered, 1), nil, connectors.Delivered, 200, 0)
		seen += len(lines(quick))
	}
	if seen != queue+100 {
		t.Errorf("the quick one saw %d", seen)
	}
	if got := len(lines(slow)); got != queue {
		t.Errorf("the slow one has %d lines", got)
	}
	h.Attempted(delivery("acme", "r1", "crm", state.Delivered, 1), nil, connectors.Delivered, 200, 0)
	if got := lines(slow); len(got) != 2 || !strings.HasPrefix(got[0], "missed") || !strings.HasSuffix(got[0], " 100") {
		t.Errorf("then it has %q", got)
	}
}

// One that comes back continues behind its last line; what is no longer kept is counted.
func TestComesBack(t *testing.T) {
	t.Parallel()
	manual := clock.NewManual(noon)
	h := New(manual)
	attempt := func(n int) {
		for range n {
			h.Attempted(delivery("acme", "r1", "crm", state.Delivered, 1), nil, connectors.Delivered, 200, 0)
		}
	}
	first := h.Watch("acme", Filter{}, 0)
	attempt(3)
	var last uint64
	for range 2 {
		last = (<-first.Lines).N
	}
	first.Close()
	attempt(4)
	second := h.Watch("acme", Filter{}, last)
	if got := lines(second); len(got) != 5 {
		t.Errorf("it continues with %q", got)
	}
	second.Close()
	attempt(kept + 10)
	third := h.Watch("acme", Filter{}, last)
	if got := lines(third); len(got) != kept+1 || !strings.HasPrefix(got[0], "missed") || !strings.HasSuffix(got[0], fmt.Sprint(" ", 1+4+kept+10-kept)) {
		t.Errorf("it continues with %d: %q", len(got), got[0])
	}
	third.Close()
	manual.Advance(keptFor + time.Second)
	attempt(1)
	if h.watched.Load() != 0 || len(h.feeds) != 0 {
		t.Error("the feed is kept")
	}
	fourth := h.Watch("acme", Filter{}, last)
	if got := lines(fourth); len(got) != 1 || got[0] != "missed    0" {
		t.Errorf("after a long time it has %q", got)
	}
	attempt(1)
	if line := <-fourth.Lines; line.Kind != view.TailAttempt || line.N <= last {
		t.Errorf("%+v", line)
	}
}

// A restart begins another feed. Whoever had lines of the earlier one is told that some are missing, and not how many, also when another
// watcher was there first.
func TestComesBackAfterARestart(t *testing.T) {
	t.Parallel()
	manual := clock.NewManual(noon)
	before := New(manual).Watch("acme", Filter{}, 0)
	manual.Advance(time.Minute)
	h := New(manual)
	early := h.Watch("acme", Filter{}, before.From)
	h.Attempted(delivery("acme", "r1", "crm", state.Delivered, 1), nil, connectors.Delivered, 200, 0)
	late := h.Watch("acme", Filter{}, before.From)
	for name, w := range map[string]*Watcher{"early": early, "late": late} {
		if got := lines(w); len(got) != 2 || got[0] != "missed    0" || got[1] != "attempt e1 r1 delivered 0" {
			t.Errorf("the %s one has %q", name, got)
		}
	}
}

// One that comes back before it had a line continues where it began.
func TestComesBackWithoutALine(t *testing.T) {
	t.Parallel()
	h := New(clock.NewManual(noon))
	quiet := h.Watch("acme", Filter{}, 0)
	quiet.Close()
	h.Attempted(delivery("acme", "r1", "crm", state.Delivered, 1), nil, connectors.Delivered, 200, 0)
	if got := lines(h.Watch("acme", Filter{}, quiet.From)); len(got) != 1 {
		t.Errorf("it continues with %q", got)
	}
}
