package deliver

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/rules/event"
)

// sizes returns how many events each request contained.
func (c *crowd) sizes() (sizes []int) {
	for _, ids := range c.all() {
		sizes = append(sizes, len(ids))
	}
	return sizes
}

// refusing answers 400 to a request with one of these events, and 200 to every other one.
func refusing(bad ...string) func(ids []string) int {
	return func(ids []string) int {
		for _, id := range bad {
			if slices.Contains(ids, id) {
				return http.StatusBadRequest
			}
		}
		return http.StatusOK
	}
}

// sentTogether has one batch of n deliveries made by a lane on a clock that stands still, and returns them when all have ended.
func sentTogether(t *testing.T, m connectors.Connector, n int, rate config.Rate, answer func(ids []string) int) ([]*job, *crowd, *bench) {
	t.Helper()
	b, c, l, manual := idle(t, m, &config.Destination{Rate: rate, Batch: config.Batch{Max: n, Wait: 100 * time.Millisecond}, Retry: config.Retry{Waits: []time.Duration{time.Hour}}})
	c.answer = answer
	jobs := b.owed(n)
	for _, j := range jobs {
		if reason := l.pushDue(j, manual.Now()); reason != "" {
			t.Fatal(reason)
		}
	}
	b.until("all have ended", func() bool {
		manual.Advance(100 * time.Millisecond)
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.pending == 0 && l.inFlight == 0
	})
	return jobs, c, b
}

// Each attempt of each delivery is told, also those of batches that are halved at once.
func TestEveryAttemptIsTold(t *testing.T) {
	t.Parallel()
	b, c, l, manual := idle(t, &many{}, &config.Destination{Batch: config.Batch{Max: 4, Wait: 100 * time.Millisecond}, Retry: config.Retry{Waits: []time.Duration{time.Hour}}})
	c.answer = refusing("e1")
	var mu sync.Mutex
	told := map[string][]int{} // attempts by event
	b.loop.Attempted = func(d *state.Delivery, ev *event.Event, _ connectors.Kind, status int, _ time.Duration) {
		mu.Lock()
		defer mu.Unlock()
		if ev.ID != d.EventID || status == 0 || d.Updated.IsZero() {
			t.Errorf("%+v of event %s with status %d", d, ev.ID, status)
		}
		told[d.EventID] = append(told[d.EventID], d.Attempts)
	}
	jobs := b.owed(4)
	for _, j := range jobs {
		if reason := l.pushDue(j, manual.Now()); reason != "" {
			t.Fatal(reason)
		}
	}
	b.until("all have ended", func() bool {
		manual.Advance(100 * time.Millisecond)
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.pending == 0 && l.inFlight == 0
	})
	for _, j := range jobs {
		want := make([]int, j.delivery.Attempts)
		for i := range want {
			want[i] = i + 1
		}
		if got := told[j.delivery.EventID]; !slices.Equal(got, want) || len(want) < 2 {
			t.Errorf("of %s the attempts %v were told, want %v", j.delivery.EventID, got, want)
		}
	}
}

// A batch that is refused as a whole is halved until the event at fault is alone: it costs about 2·log2(100) requests instead of
// 100, and no event an attempt of its schedule.
func TestARefusedBatchIsHalved(t *testing.T) {
	t.Parallel()
	all := make([]string, 100)
	for i := range all {
		all[i] = fmt.Sprintf("e%d", i+1)
	}
	for name, c := range map[string]struct {
		bad      []string
		requests int
		first    []int // sizes of the first requests
	}{
		"the first": {all[:1], 15, []int{100, 50, 25, 13, 7, 4, 2, 1, 1, 2, 3, 6, 12, 25, 50}},
		"the last":  {all[99:], 13, []int{100, 50, 50, 25, 25, 13, 12, 6, 6, 3, 3, 2, 1}},
		"two":       {[]string{"e1", "e100"}, 25, []int{100, 50, 25, 13}},
		"two close": {[]string{"e1", "e2"}, 15, []int{100, 50, 25, 13, 7, 4, 2, 1, 1, 2}},
		"all":       {all, 199, []int{100, 50, 25, 13, 7, 4, 2, 1, 1, 2, 1, 1, 3}},
		"none":      {nil, 1, []int{100}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			jobs, crowd, _ := sentTogether(t, &many{}, 100, config.Rate{}, refusing(c.bad...))
			sizes, sent := crowd.sizes(), crowd.sent()
			if len(sizes) != c.requests || !slices.Equal(sizes[:len(c.first)], c.first) {
				t.Errorf("%d requests of %v events, want %d", len(sizes), sizes, c.requests)
			}
			for i, j := range jobs {
				d, want := j.delivery, state.Delivered
				if slices.Contains(c.bad, all[i]) {
					want = state.Dead
				}
				if d.State != want || d.Attempts != sent[all[i]] || d.Forgiven != d.Attempts-1 || len(d.Log) != d.Attempts {
					t.Errorf("%s: %s after %d attempts in %d requests, %d forgiven, %d kept, want %s", all[i], d.State, d.Attempts, sent[all[i]], d.Forgiven, len(d.Log), want)
				}
				for n, a := range d.Log {
					if last := n == len(d.Log)-1; a.N != n+1 || a.Verdict != "rejected" && !last {
						t.Errorf("%s: attempt %d is kept as %d, %s", all[i], n+1, a.N, a.Verdict)
					}
				}
			}
		})
	}
}

// A request that is too large is halved, and an event that is too large by itself is a dead letter.
func TestTooLargeARequestIsHalved(t *testing.T) {
	t.Parallel()
	jobs, c, _ := sentTogether(t, &many{}, 100, config.Rate{}, func(ids []string) int {
		if len(ids) > 10 || slices.Contains(ids, "e7") {
			return http.StatusRequestEntityTooLarge
		}
		return http.StatusOK
	})
	// 1, 2, 4, 8 and 16 requests down to 7 or 6 events, and 7 → 4 3 → 2 1 for e7, which is the seventh of the first.
	if n := len(c.all()); n != 31+2+2 {
		t.Errorf("%d requests: %v", n, c.sizes())
	}
	for i, j := range jobs {
		want := state.Delivered
		if i == 6 {
			want = state.Dead
		}
		if j.delivery.State != want {
			t.Errorf("%d: %s (%s), want %s", i+1, j.delivery.State, j.delivery.Reason, want)
		}
	}
}

// A part of a refused batch whose own answer concerns all of it is not split further: it waits with what is left.
func TestHalvingStopsForWhatConcernsAll(t *testing.T) {
	t.Parallel()
	for _, status := range []int{0, 503, 401} {
		var n atomic.Int32
		jobs, c, _ := sentTogether(t, &many{}, 8, config.Rate{}, func(ids []string) int {
			if n.Add(1) == 2 {
				return status
			}
			return refusing("e1", "e5")(ids)
		})
		want := []int{8, 4, 4, 2, 1, 1, 2}
		if status == 401 {
			want = want[:2] // the connection is on hold
		}
		if sizes := c.sizes(); !slices.Equal(sizes, want) {
			t.Errorf("%d: requests of %v events, want %v", status, sizes, want)
		}
		for i, j := range jobs {
			d := j.delivery
			if i >= 4 && status != 401 {
				continue
			}
			if d.State != state.Waiting || d.MaxBatch != 4 || len(d.Log) != d.Attempts || d.Log[0].Verdict != "rejected" {
				t.Errorf("%d: e%d: %s, in batches of at most %d, %+v", status, i+1, d.State, d.MaxBatch, d.Log)
			}
			if used := d.Attempts - d.Forgiven; (used == 1) != (status != 401) {
				t.Errorf("%d: e%d has used up %d attempts", status, i+1, used)
			}
		}
	}
}

// A configuration that changes while a batch is halved counts for what is left of it, which goes on from the due-queue.
func TestHalvingStopsForANewConfiguration(t *testing.T) {
	t.Parallel()
	m := &many{limit: connectors.BatchLimit{Events: 8}}
	b, c, l, manual := idle(t, m, &config.Destination{Batch: config.Batch{Max: 8, Wait: 100 * time.Millisecond}})
	c.answer = func(ids []string) int {
		if len(ids) == 4 {
			b.plan.Store(decide.New(destinations(destination("crm"))))
		}
		return refusing("e1")(ids)
	}
	jobs := b.owed(8)
	for _, j := range jobs {
		if reason := l.pushDue(j, manual.Now()); reason != "" {
			t.Fatal(reason)
		}
	}
	b.until("all have ended", func() bool { l.mu.Lock(); defer l.mu.Unlock(); return l.pending == 0 && l.inFlight == 0 })
	if sizes := c.sizes(); !slices.Equal(sizes, []int{8, 4}) {
		t.Errorf("requests of %v events", sizes)
	}
	for i, j := range jobs {
		want := state.Delivery{MaxBatch: 2, Attempts: 2, Forgiven: 2}
		if i >= 4 {
			want = state.Delivery{MaxBatch: 4, Attempts: 1, Forgiven: 1}
		}
		if d := j.delivery; d.State != state.Waiting || d.Reason != reasonReloaded || d.MaxBatch != want.MaxBatch ||
			d.Attempts != want.Attempts || d.Forgiven != want.Forgiven || len(d.Log) != want.Attempts {
			t.Errorf("e%d: %+v", i+1, d)
		}
	}
}

// The parts of a refused batch keep to the rate.
func TestHalvingUnderARate(t *testing.T) {
	t.Parallel()
	_, c, b := sentTogether(t, &many{}, 100, config.Rate{Events: 1, Per: time.Second}, refusing("e1"))
	if n := len(c.all()); n != 15 {
		t.Errorf("%d requests: %v", n, c.sizes())
	}
	if took := b.clock.Now().Sub(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)); took < 14*time.Second {
		t.Errorf("15 requests in %s at 1/s", took)
	}
}

// Parts that a rate of one request in two seconds puts off go on from the due-queue: only with others of refused batches, and in halves.
func TestHalvingGoesOnFromTheDueQueue(t *testing.T) {
	t.Parallel()
	d := destination("crm", time.Hour)
	d.Batch, d.Rate = config.Batch{Max: 8, Wait: 100 * time.Millisecond}, config.Rate{Events: 1, Per: 2 * time.Second}
	conf := destinations(d)
	conf.Rules = []*config.Rule{ruleTo("crm", &many{limit: connectors.BatchLimit{Events: 8}})}
	b := prepare(t, conf, nil)
	manual := clock.NewManual(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	c := &crowd{answer: refusing("e1")}
	b.sender, b.clock = c, manual
	b.open()
	ids := b.accept(8)
	b.until("all have ended", func() bool {
		manual.Advance(200 * time.Millisecond)
		return !slices.ContainsFunc(ids, func(id string) bool {
			d := b.delivery(id, "crm")
			return d == nil || d.State == state.Waiting
		})
	})
	if n := len(c.all()); n < 7 || n > 10 { // 7, and a few more if a part comes from the due-queue in two
		t.Errorf("%d requests: %v", n, c.all())
	}
	for i, id := range ids {
		want := state.Delivered
		if i == 0 {
			want = state.Dead
		}
		d := b.untilState(id, "crm", want)
		if sent := c.sent()[fmt.Sprintf("e%d", i+1)]; d.Attempts != sent || d.Forgiven != sent-1 || len(d.Log) != sent {
			t.Errorf("e%d: %d attempts in %d requests, %d forgiven, %d kept", i+1, d.Attempts, sent, d.Forgiven, len(d.Log))
		}
	}
}

// stopped is a product that writes nothing of a batch with a bad event, and says so of each of the others.
func stopped(bad ...string) *many {
	return &many{each: func(ev *event.Event) connectors.Verdict {
		if slices.Contains(bad, ev.OrigID) {
			return connectors.Reject("invalid")
		}
		return connectors.Resend("stopped")
	}}
}

// Events that only others kept from being written are sent again at once without those, and use up no attempt.
func TestTheInnocentAreSentAgainAtOnce(t *testing.T) {
	t.Parallel()
	jobs, c, _ := sentTogether(t, stopped("e2", "e5"), 5, config.Rate{}, firstFails(http.StatusMultiStatus))
	if all, want := fmt.Sprint(c.all()), "[[e1 e2 e3 e4 e5] [e1 e3 e4]]"; all != want {
		t.Errorf("requests %s, want %s", all, want)
	}
	for i, j := range jobs {
		d, want, attempts := j.delivery, state.Delivered, 2
		if i == 1 || i == 4 {
			want, attempts = state.Dead, 1
		}
		if d.State != want || d.Attempts != attempts || d.Forgiven != attempts-1 || d.MaxBatch != 0 {
			t.Errorf("e%d: %s after %d attempts, %d forgiven, in batches of at most %d", i+1, d.State, d.Attempts, d.Forgiven, d.MaxBatch)
		}
	}
}

// A product that blames others for every event of a batch is not asked for ever: the batch is halved, and a single event waits for
// its schedule.
func TestNobodyIsToBlame(t *testing.T) {
	t.Parallel()
	jobs, c, _ := sentTogether(t, stopped(), 4, config.Rate{}, func([]string) int { return http.StatusMultiStatus })
	if sizes := c.sizes(); !slices.Equal(sizes, []int{4, 2, 1, 1, 2, 1, 1}) {
		t.Errorf("requests of %v events", sizes)
	}
	for i, j := range jobs {
		if d := j.delivery; d.State != state.Waiting || d.Reason != "stopped" || d.Attempts-d.Forgiven != 1 || d.MaxBatch != 1 {
			t.Errorf("e%d: %+v", i+1, d)
		}
	}
}

// An answer that names no event of a batch, as one that only counts them, halves the batch until the event that it lacks is alone.
func TestAnAnswerThatNamesNobodyHalves(t *testing.T) {
	t.Parallel()
	m := &naming{names: func(_ *many, _ *event.Event, res *connectors.Response) (connectors.Verdict, bool) {
		return connectors.Deliver(), !slices.ContainsFunc(res.Events, func(ev *event.Event) bool { return ev.OrigID == "e1" })
	}}
	m.limit = connectors.BatchLimit{Events: 100}
	jobs, c, _ := sentTogether(t, m, 100, config.Rate{}, nil)
	if sizes := c.sizes(); len(sizes) != 15 {
		t.Errorf("requests of %v events", sizes)
	}
	for i, j := range jobs {
		want, reason := state.Delivered, ""
		if i == 0 {
			want, reason = state.Dead, "200 OK"+connectors.UnconfirmedReason
		}
		if d := j.delivery; d.State != want || d.Reason != reason || d.Attempts-d.Forgiven != 1 {
			t.Errorf("e%d: %s: %s, %d attempts, %d forgiven", i+1, d.State, d.Reason, d.Attempts, d.Forgiven)
		}
	}
}

// Deliveries of a refused batch join no delivery that was in none, nor those of a larger one.
func TestSuspectsAreGatheredWithSuspects(t *testing.T) {
	t.Parallel()
	b, c, l, manual := idle(t, &many{}, &config.Destination{Batch: config.Batch{Max: 100, Wait: 100 * time.Millisecond}})
	for i, j := range b.owed(12) {
		j.delivery.MaxBatch = []int{0, 3, 2, 0}[i%4]
		b.loop.setBatching(j, new(keys))
		if reason := l.pushDue(j, manual.Now()); reason != "" {
			t.Fatal(reason)
		}
	}
	manual.Advance(100 * time.Millisecond)
	b.until("all are sent", func() bool { return len(c.sent()) == 12 })
	all := c.all()
	slices.SortFunc(all, slices.Compare)
	if want := "[[e1 e4 e5 e8 e9 e12] [e11] [e2 e6 e10] [e3 e7]]"; fmt.Sprint(all) != want {
		t.Errorf("requests %v, want %s", all, want)
	}
}
