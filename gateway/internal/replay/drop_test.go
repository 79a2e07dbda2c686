package replay

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/surveygate/surveygate/gateway/internal/audit"
	"github.com/surveygate/surveygate/gateway/internal/job"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/view"
)

// dropOf is a drop of what is selected.
func (r *rig) dropOf(of view.ReplayOf) *Spec {
	r.t.Helper()
	s, err := NewDrop(of, time.Time{}, time.Time{}, "no longer wanted")
	if err != nil {
		r.t.Fatal(err)
	}
	return s
}

func (r *rig) createDrop(p *process, s *Spec) *job.Job {
	r.t.Helper()
	made, err := p.jobs.Create(r.t.Context(), "acme", DropKind, s, audit.By{Name: "token:test"})
	if err != nil {
		r.t.Fatal(err)
	}
	return made
}

// drop runs a drop to its end.
func (r *rig) drop(of view.ReplayOf) *job.Job {
	r.t.Helper()
	p := r.run(nil)
	defer p.stop()
	return r.ended(p, r.createDrop(p, r.dropOf(of)).ID)
}

// states counts the deliveries of a tenant to a destination by their state.
func (r *rig) states(tenant, destination string) map[state.DeliveryState]int {
	r.t.Helper()
	counts := map[state.DeliveryState]int{}
	for cursor := ""; ; {
		p, err := r.store.Deliveries(r.t.Context(), tenant, state.DeliveryQuery{Destination: destination, Limit: 200, Cursor: cursor})
		if err != nil {
			r.t.Fatal(err)
		}
		for i := range p.Items {
			counts[p.Items[i].State]++
		}
		if cursor = p.Next; cursor == "" {
			return counts
		}
	}
}

// same compares the states of deliveries.
func (r *rig) same(what, tenant, destination string, want map[state.DeliveryState]int) {
	r.t.Helper()
	if diff := cmp.Diff(want, r.states(tenant, destination)); diff != "" {
		r.t.Errorf("%s: deliveries to %s (-want +got):\n%s", what, destination, diff)
	}
}

// A drop ends what its filter selects, of its tenant alone, whatever holds the destination, and its count says before how many they are.
func TestDrop(t *testing.T) {
	onBoth(t, func(r *rig) {
		const n = 250 // more than one page of the store, and several steps
		r.publish("acme", completed, n, state.Dead)
		r.publish("acme", completed, 3, state.Waiting)
		r.publish("acme", completed, 2, state.Delivered)
		r.publish("acme", "response.updated", 4, state.Dead)
		r.publish("blue", completed, 5, state.Dead)
		if err := r.store.Hold(t.Context(), "acme", "crm", state.Hold{Kind: state.HoldPaused, Reason: "by hand", Since: r.clock.Now()}, nil); err != nil {
			t.Fatal(err)
		}
		of := view.ReplayOf{Destination: "crm", State: "dead"}
		p := r.run(nil)
		count, err := p.replays.Count(t.Context(), "acme", r.dropOf(of))
		p.stop()
		if err != nil || count.Deliveries != n || count.Events != n || count.AlreadyWaiting != 0 {
			t.Errorf("counted %+v, %v", count, err)
		}
		if j := r.drop(of); j.State != job.Done || j.Total != n || j.Done != n || j.LeftAlone+j.NotKept != 0 {
			t.Errorf("dead letters: %+v", j)
		}
		r.same("dead letters", "acme", "crm", map[state.DeliveryState]int{state.Dropped: n, state.Waiting: 3, state.Delivered: 2})
		r.same("dead letters", "acme", "alarms", map[state.DeliveryState]int{state.Dead: 4})
		r.same("dead letters", "blue", "other", map[state.DeliveryState]int{state.Dead: 5})
		if j := r.drop(view.ReplayOf{State: "waiting"}); j.Total != 3 || j.Done != 3 {
			t.Errorf("what waits: %+v", j)
		}
		r.same("what waits", "acme", "crm", map[state.DeliveryState]int{state.Dropped: n + 3, state.Delivered: 2})
		standing, err := r.store.Standing(t.Context(), "acme", []string{"crm"})
		if err != nil || standing[0].Waiting != 0 || standing[0].Dead != 0 || standing[0].Hold.Kind != state.HoldPaused {
			t.Errorf("standing %+v, %v", standing, err)
		}
		for _, is := range []string{"", "delivered", "skipped", "dropped", "other"} {
			if _, err := NewDrop(view.ReplayOf{Destination: "crm", State: is}, time.Time{}, time.Time{}, ""); !isInvalid(err) {
				t.Errorf("state %q: %v", is, err)
			}
		}
	})
}

func isInvalid(err error) bool {
	_, is := errors.AsType[*InvalidError](err)
	return is
}

// A delivery that is being attempted is dropped when its attempt has ended, unless that delivered it; what was tried again since the drop
// was asked for stays.
func TestDropOfWhatChanges(t *testing.T) {
	onBoth(t, func(r *rig) {
		events := r.publish("acme", completed, 3, state.Waiting)
		dead := r.publish("acme", "response.updated", 2, state.Dead)
		r.clock.Advance(time.Hour)
		due, _, err := r.store.ClaimDue(t.Context(), state.ClaimDue{Max: 2, Bytes: 1 << 20, Lease: time.Hour})
		if err != nil || len(due) != 2 {
			t.Fatal(len(due), err)
		}
		p := r.run(nil)
		p.busy.Store(true)
		settled := false
		p.onWait = func() {
			if settled {
				return
			}
			settled = true
			var c state.Commit
			for i, one := range due {
				d := one.Delivery
				d.State, d.Attempts, d.Due = state.Delivered, d.Attempts+1, time.Time{}
				d.Log = []state.Attempt{attempt(r.clock.Now(), true)}
				if i == 1 {
					d.State, d.Due, d.Log = state.Waiting, r.clock.Now().Add(time.Hour), []state.Attempt{attempt(r.clock.Now(), false)}
				}
				c.Due = append(c.Due, state.Settled{Delivery: d, Lease: one.Lease})
			}
			if _, err := r.store.Commit(t.Context(), &c); err != nil {
				t.Error(err)
			}
		}
		j := r.ended(p, r.createDrop(p, r.dropOf(view.ReplayOf{Events: events, State: "waiting"})).ID)
		p.stop()
		if j.State != job.Done || j.Done != 2 || j.LeftAlone != 1 || j.Why["it is no longer waiting"] != 1 || p.counted.Load() != 2 {
			t.Errorf("what waits: %+v, %d counted", j, p.counted.Load())
		}
		r.same("what waits", "acme", "crm", map[state.DeliveryState]int{state.Dropped: 2, state.Delivered: 1})

		setup := r.run(nil)
		setup.stop()
		made := r.createDrop(setup, r.dropOf(view.ReplayOf{Events: dead, State: "dead"}))
		r.clock.Advance(time.Second)
		page, err := r.store.Deliveries(t.Context(), "acme", state.DeliveryQuery{EventID: dead[0], Limit: 1})
		if err != nil || len(page.Items) != 1 {
			t.Fatal(err)
		}
		if _, err := r.store.Schedule(t.Context(), "acme", []state.Delivery{{ID: page.Items[0].ID, EventID: dead[0], Reason: "retry", Due: r.clock.Now().Add(time.Hour)}}); err != nil {
			t.Fatal(err)
		}
		p = r.run(nil)
		p.busy.Store(true)
		j = r.ended(p, made.ID)
		p.stop()
		if j.State != job.Done || j.Done != 1 || p.counted.Load() != 0 { // a dead letter was counted when it became one
			t.Errorf("dead letters: %+v, %d counted", j, p.counted.Load())
		}
		r.same("dead letters", "acme", "alarms", map[state.DeliveryState]int{state.Dropped: 1, state.Waiting: 1})
	})
}

// A drop whose process dies before or after any of its writes goes on where it was, and its numbers are those of one that did not die.
func TestDropResumedAfterEachWrite(t *testing.T) {
	onBoth(t, func(r *rig) {
		const n = 4
		points := 0
		for at := 1; ; at++ {
			died := false
			for _, fails := range []failure{diesBefore, diesAfter} {
				events := r.publish("acme", completed, n, state.Dead)
				died = r.dropDiesAt(at, fails, events) || died
			}
			if !died {
				break
			}
			points++
		}
		if points < n+3 { // each drop, and the job with its page
			t.Errorf("only %d writes", points)
		}
	})
}

// A drop that is cancelled at any of its writes ends after the step in which that is, its number is what it dropped, and the next drop
// takes the rest.
func TestDropCancelledAtEachWrite(t *testing.T) {
	onBoth(t, func(r *rig) {
		const n = dropAtOnce + 10 // two steps
		for _, at := range []int{1, 3, 4, 5, 30, dropAtOnce + 2, dropAtOnce + 3, dropAtOnce + 4, dropAtOnce + 5, dropAtOnce + 10} {
			events := r.publish("acme", completed, n, state.Dead)
			before := r.states("acme", "crm")[state.Dropped]
			p, cancelled := r.cancelAt(at, DropKind)
			j := r.ended(p, r.createDrop(p, r.dropOf(view.ReplayOf{Events: events, State: "dead"})).ID)
			p.stop()
			select {
			case what := <-cancelled:
				if j.State != job.Cancelled && (j.State != job.Done || j.Done != n) { // it may come too late
					t.Errorf("cancelled at write %d (%s): %+v", at, what, j)
				}
			default:
				if at > 2 { // the first two make the job
					t.Errorf("write %d: no job was cancelled, and %+v", at, j)
				}
			}
			if dropped := r.states("acme", "crm")[state.Dropped] - before; j.Done != dropped {
				t.Errorf("cancelled at write %d: %d were dropped, and the job is %+v", at, dropped, j)
			}
			r.clock.Advance(time.Minute)
			if next := r.drop(view.ReplayOf{Events: events, State: "dead"}); next.State != job.Done || next.Done != n-j.Done {
				t.Errorf("cancelled at write %d, the next one: %+v", at, next)
			}
		}
	})
}

// dropDiesAt drops the dead letters of events in a process that dies at a write, and then in another one.
func (r *rig) dropDiesAt(at int, fails failure, events []string) (died bool) {
	r.t.Helper()
	setup := r.run(nil)
	setup.stop()
	made := r.createDrop(setup, r.dropOf(view.ReplayOf{Events: events, State: "dead"}))
	written, dying := "", make(chan struct{})
	p := r.run(func(n int, what string) failure {
		if n != at {
			return works
		}
		written = what
		close(dying)
		return fails
	})
	select {
	case <-dying:
		died = true
	case <-p.left:
	}
	p.stop()
	name := fmt.Sprintf("write %d, failure %d (%s)", at, fails, written)
	if died {
		active, err := r.store.List(r.t.Context(), "*", "job-active")
		if err != nil {
			r.t.Fatal(err)
		}
		p = r.run(nil)
		var j *job.Job
		if len(active) > 0 {
			j = r.ended(p, made.ID)
		} else {
			j = r.last(p, made.ID)
		}
		p.stop()
		if j.State != job.Done || j.Total != len(events) || j.Done != len(events) || j.LeftAlone+j.NotKept != 0 {
			r.t.Errorf("%s: %+v", name, j)
		}
	}
	for _, id := range events {
		p, err := r.store.Deliveries(r.t.Context(), "acme", state.DeliveryQuery{EventID: id, Limit: 10})
		if err != nil || len(p.Items) != 1 || slices.ContainsFunc(p.Items, func(d state.Delivery) bool { return d.State != state.Dropped }) {
			r.t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
	return died
}
