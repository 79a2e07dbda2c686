package deliver

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/rules/event"
)

// idle is a lane that takes batches, of a loop that does not run, on a clock that stands still.
func idle(t *testing.T, m connectors.Connector, d *config.Destination) (*bench, *crowd, *lane, *clock.Manual) {
	t.Helper()
	d.Name = "crm"
	d.Enabled = true
	conf := destinations(d)
	conf.Rules = []*config.Rule{ruleTo("crm", m)}
	b := prepare(t, conf, nil)
	c := &crowd{}
	manual := clock.NewManual(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	b.sender, b.clock = c, manual
	b.make()
	l := b.loop.lanes.get(laneKey{"default", "crm"})
	l.configure(d)
	return b, c, l, manual
}

// owed are due deliveries, as the due-queue gives them.
func (b *bench) owed(n int) []*job {
	b.t.Helper()
	b.accept(n)
	claimed, err := b.store.Claim(b.t.Context(), n, 0)
	if err != nil || len(claimed) != n {
		b.t.Fatal(len(claimed), err)
	}
	var jobs []*job
	for _, c := range claimed {
		h := b.loop.decide(b.plan.Load(), c, b.clock.Now())
		h.phase = phaseOpen
		b.loop.claims[h] = struct{}{}
		jobs = append(jobs, h.jobs...)
	}
	for _, j := range jobs {
		b.loop.setBatching(j, new(keys))
	}
	return jobs
}

func (l *lane) is(t *testing.T, waits, under, open int) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.pending != waits || l.inFlight != under || len(l.gather.open) != open {
		t.Errorf("%d wait, %d are under way, %d batches open; want %d, %d, %d", l.pending, l.inFlight, len(l.gather.open), waits, under, open)
	}
}

// A batch goes when its time has come or when it is full, and not before.
func TestWhenABatchGoes(t *testing.T) {
	t.Parallel()
	b, c, l, manual := idle(t, &many{limit: connectors.BatchLimit{Events: 3}}, &config.Destination{Batch: config.Batch{Wait: 100 * time.Millisecond}})
	jobs := b.owed(5)
	for _, j := range jobs {
		if reason := l.push(j, manual.Now()); reason != "" {
			t.Fatal(reason)
		}
	}
	b.until("the full one is sent", func() bool { return len(c.all()) == 1 })
	b.until("settled", func() bool { l.mu.Lock(); defer l.mu.Unlock(); return l.inFlight == 0 })
	l.is(t, 2, 0, 1)
	manual.Advance(99 * time.Millisecond)
	if n := len(c.all()); n != 1 {
		t.Errorf("%d requests before the time", n)
	}
	manual.Advance(time.Millisecond)
	b.until("the other is sent", func() bool { return len(c.all()) == 2 })
	b.until("settled", func() bool { l.mu.Lock(); defer l.mu.Unlock(); return l.inFlight == 0 })
	l.is(t, 0, 0, 0)
	if all := c.all(); len(all[0]) != 3 || len(all[1]) != 2 {
		t.Errorf("requests: %v", all)
	}
}

// An event that is handed over while its delivery gathers keeps its place in the batch; the lease covers its attempt.
func TestHandedOverWhileItGathers(t *testing.T) {
	t.Parallel()
	b, c, l, manual := idle(t, &many{}, &config.Destination{Timeout: 15 * time.Second, Batch: config.Batch{Wait: 500 * time.Millisecond}})
	jobs := b.owed(2)
	for _, j := range jobs {
		j.batchReadyAt = manual.Now().Add(batchWait(j.destination))
		if reason := l.push(j, manual.Now()); reason != "" {
			t.Fatal(reason)
		}
	}
	manual.Advance(200 * time.Millisecond)
	b.loop.handOver(manual.Now(), func(*claim) bool { return true })
	for _, j := range jobs {
		d := j.claim.seal().Deliveries[0]
		if !d.Leased || d.Due.Before(manual.Now().Add(15*time.Second)) || d.Attempts != 0 || d.Reason != reasonBatch {
			t.Errorf("handed over: %+v", d)
		}
	}
	manual.Advance(300 * time.Millisecond)
	b.until("both are settled", func() bool {
		b.loop.commits.mu.Lock()
		defer b.loop.commits.mu.Unlock()
		return len(b.loop.commits.settled) == 2
	})
	if all := c.all(); len(all) != 1 || len(all[0]) != 2 {
		t.Errorf("requests: %v", all)
	}
	for i, s := range b.loop.commits.settled {
		if s.Delivery.State != state.Delivered || !s.Lease.Equal(jobs[i].lease) {
			t.Errorf("settled: %s under %s, its lease is %s", s.Delivery.State, s.Lease, jobs[i].lease)
		}
	}
}

// One whose lease ran out before its turn is not sent: somebody else may have it.
func TestGatheredForTooLong(t *testing.T) {
	t.Parallel()
	b, c, l, manual := idle(t, &many{}, &config.Destination{Timeout: time.Second, Batch: config.Batch{Wait: 500 * time.Millisecond}})
	j := b.owed(1)[0]
	j.batchReadyAt = manual.Now().Add(batchWait(j.destination))
	if reason := l.push(j, manual.Now()); reason != "" {
		t.Fatal(reason)
	}
	b.loop.handOver(manual.Now(), func(*claim) bool { return true })
	j.claim.seal()
	manual.Advance(time.Minute)
	b.until("given back", func() bool {
		b.loop.commits.mu.Lock()
		defer b.loop.commits.mu.Unlock()
		return len(b.loop.commits.settled) == 1
	})
	if s := b.loop.commits.settled[0]; s.Delivery.State != state.Waiting || s.Delivery.Attempts != 0 || !s.Delivery.Due.Equal(manual.Now()) {
		t.Errorf("given back: %+v", s.Delivery)
	}
	if n := len(c.all()); n != 0 {
		t.Errorf("%d requests", n)
	}
}

// The one attempt that decides whether a circuit closes is one delivery, not a hundred.
func TestTheProbeOfABatcherIsOne(t *testing.T) {
	t.Parallel()
	b, c, l, manual := idle(t, &many{}, &config.Destination{Batch: config.Batch{Max: 100, Wait: 100 * time.Millisecond}})
	l.mu.Lock()
	l.circuit.open()
	l.setHold(state.Hold{Kind: state.HoldCircuit, Until: manual.Now().Add(-time.Second)})
	l.mu.Unlock()
	if n, _ := l.dueCapacity(manual.Now()); n != 1 {
		t.Errorf("room for %d", n)
	}
	jobs := b.owed(3)
	if reason := l.pushDue(jobs[0], manual.Now()); reason != "" {
		t.Fatal(reason)
	}
	b.until("the circuit is closed", func() bool { l.mu.Lock(); defer l.mu.Unlock(); return l.hold.Kind == "" })
	if all := c.all(); len(all) != 1 || len(all[0]) != 1 {
		t.Errorf("requests: %v", all)
	}
}

// A circuit that opens while a batch gathers sends it back; nobody was tried.
func TestTheCircuitOpensWhileABatchGathers(t *testing.T) {
	t.Parallel()
	b, c, l, manual := idle(t, &many{}, &config.Destination{Batch: config.Batch{Wait: 100 * time.Millisecond}})
	jobs := b.owed(3)
	for _, j := range jobs {
		if reason := l.push(j, manual.Now()); reason != "" {
			t.Fatal(reason)
		}
	}
	l.mu.Lock()
	l.setHold(state.Hold{Kind: state.HoldCircuit, Until: manual.Now().Add(time.Hour)})
	l.mu.Unlock()
	manual.Advance(100 * time.Millisecond)
	b.until("handed back", func() bool { l.mu.Lock(); defer l.mu.Unlock(); return l.pending == 0 && l.inFlight == 0 })
	for _, j := range jobs {
		if d := j.delivery; d.Reason != reasonCircuit || d.Attempts != 0 {
			t.Errorf("waits for %q after %d attempts", d.Reason, d.Attempts)
		}
	}
	if n := len(c.all()); n != 0 {
		t.Errorf("%d requests", n)
	}
}

// What is due behind a rate is asked for as it goes together: a hundred a turn, or one where nothing does.
func TestRoomFollowsWhatGoesTogether(t *testing.T) {
	t.Parallel()
	for _, together := range []bool{true, false} {
		m := &many{limit: connectors.BatchLimit{Events: 100}}
		if !together {
			m.key = func(*event.Event) string { return "one" }
		}
		b, _, l, manual := idle(t, m, &config.Destination{
			Rate: config.Rate{Events: 1, Per: time.Second}, Batch: config.Batch{Max: 100, Wait: 100 * time.Millisecond},
		})
		var rooms []int
		for round := range 3 {
			n, _ := l.dueCapacity(manual.Now())
			rooms = append(rooms, n)
			refused := 0
			for _, j := range b.owed(n) {
				if l.pushDue(j, manual.Now()) != "" {
					refused++
				}
			}
			if (refused > 0) != (!together && round == 0) { // afterwards one has its turn and one books the next
				t.Errorf("together %t, round %d: %d of %d refused", together, round, refused, n)
			}
			b.until("sent", func() bool {
				manual.Advance(10 * time.Second) // each of them may wait for the one before
				l.mu.Lock()
				defer l.mu.Unlock()
				return l.pending == 0 && l.inFlight == 0
			})
		}
		want := []int{100, 100, 100}
		if !together {
			want = []int{100, 2, 2}
		}
		if !slices.Equal(rooms, want) {
			t.Errorf("together %t: room for %v, want %v", together, rooms, want)
		}
	}
}

// Steps do not share a batch, and neither do what was configured before and after a reload.
func TestOnlyOneStepInABatch(t *testing.T) {
	t.Parallel()
	b, c, l, manual := idle(t, &many{}, &config.Destination{Batch: config.Batch{Wait: 100 * time.Millisecond}})
	jobs := b.owed(6)
	for i, j := range jobs {
		j.delivery.Step = fmt.Sprint(i % 2)
		if i >= 4 {
			j.build = &many{}
		}
		if reason := l.push(j, manual.Now()); reason != "" {
			t.Fatal(reason)
		}
	}
	manual.Advance(100 * time.Millisecond)
	b.until("all are sent", func() bool { return len(c.sent()) == 6 })
	all := c.all()
	slices.SortFunc(all, slices.Compare)
	want := [][]string{{"e1", "e3"}, {"e2", "e4"}, {"e5"}, {"e6"}}
	if fmt.Sprint(all) != fmt.Sprint(want) {
		t.Errorf("requests %v, want %v", all, want)
	}
}

// chained is a product that takes three requests for an event.
type chained struct{ many }

func (*chained) MaxRequests() int { return 3 }

// A rate counts the requests of a chain, and a rate too low for a whole chain at once still lets one go.
func TestARateCountsChains(t *testing.T) {
	t.Parallel()
	for most, want := range map[int]int{10: 3, 1: 1} {
		d := &config.Destination{Rate: config.Rate{Events: most, Per: time.Second}, Batch: config.Batch{Max: 100, Wait: 100 * time.Millisecond}}
		b, _, l, manual := idle(t, &many{limit: connectors.BatchLimit{Events: 1}}, d)
		conf := b.plan.Load().Config
		conf.Rules[0].Steps[0].Build["default"] = &chained{many{limit: connectors.BatchLimit{Events: 1}}}
		passed := 0
		for _, j := range b.owed(5) {
			switch reason := l.push(j, manual.Now()); reason {
			case "":
				passed++
			case reasonRate, reasonBacklog:
			default:
				t.Error(reason)
			}
		}
		if passed != want {
			t.Errorf("rate %d/s: %d chains of three at once, want %d", most, passed, want)
		}
		b.until("sent", func() bool { l.mu.Lock(); defer l.mu.Unlock(); return l.pending == 0 && l.inFlight == 0 })
	}
}

// What has neither batches nor keys stands beside those that do, under the same rate: the due-queue gives for all.
func TestSinglesBesideBatches(t *testing.T) {
	t.Parallel()
	d := &config.Destination{Rate: config.Rate{Events: 2, Per: time.Second}, Batch: config.Batch{Max: 100, Wait: 100 * time.Millisecond}}
	b, _, l, manual := idle(t, &many{}, d)
	b.plan.Load().Config.Rules[0].Steps[0].Build["default"] = &product{}
	n, _ := l.dueCapacity(manual.Now())
	refused := 0
	jobs := b.owed(n)
	for _, j := range jobs {
		if l.pushDue(j, manual.Now()) != "" {
			refused++
		}
	}
	if taken := len(jobs) - refused; taken < 2 || taken > 4 { // two now, and what may book the second ahead
		t.Errorf("%d of %d taken at 2/s", taken, len(jobs))
	}
	if again, _ := l.dueCapacity(manual.Now().Add(2 * time.Second)); again > 8 {
		t.Errorf("room for %d the next time, though nothing goes together", again)
	}
	l.loop.lanes.stop()
	b.until("handed back", func() bool { l.mu.Lock(); defer l.mu.Unlock(); return l.pending == 0 && l.inFlight == 0 })
}

// A chain longer than what a rate allows at once is a debt that the next ones wait for: the rate holds in the long run.
func TestAChainLongerThanTheRateIsPaidFor(t *testing.T) {
	t.Parallel()
	for name, push := range map[string]func(*lane, *job, time.Time) string{"first": (*lane).push, "due": (*lane).pushDue} {
		d := &config.Destination{Rate: config.Rate{Events: 1, Per: time.Second}, Batch: config.Batch{Max: 100, Wait: 100 * time.Millisecond}}
		b, c, l, manual := idle(t, &many{}, d)
		b.plan.Load().Config.Rules[0].Steps[0].Build["default"] = &chained{many{limit: connectors.BatchLimit{Events: 1}}}
		begun := manual.Now()
		var came []time.Duration
		jobs := b.owed(3)
		for len(came) < 3 && manual.Now().Sub(begun) < time.Minute {
			if push(l, jobs[len(came)], manual.Now()) == "" {
				came = append(came, manual.Now().Sub(begun))
			}
			l.caughtUp(manual.Now()) // the due-queue is empty
			manual.Advance(500 * time.Millisecond)
		}
		for i, at := range came {
			if want := time.Duration(i) * 3 * time.Second; at < want-rateAhead || at > want+500*time.Millisecond {
				t.Errorf("%s: chain %d of three requests began after %s at 1/s, want %s", name, i+1, at, want)
			}
		}
		b.until("sent", func() bool {
			manual.Advance(rateAhead)
			l.mu.Lock()
			defer l.mu.Unlock()
			return l.pending == 0 && l.inFlight == 0
		})
		if len(c.all()) != 3 {
			t.Errorf("%s: requests %v", name, c.all())
		}
	}
}
