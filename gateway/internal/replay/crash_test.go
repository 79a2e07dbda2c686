package replay

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/job"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/view"
)

// A replay whose process dies before or after any of its writes goes on where it was: each delivery is made exactly once, whether what was
// scheduled is sent before the next process begins or only later.
func TestResumedAfterEachWrite(t *testing.T) {
	onBoth(t, func(r *rig) {
		const n = 5
		events := r.publish("acme", completed, n, state.Delivered)
		for _, as := range []As{Same, Fresh, Today} {
			of, until := view.ReplayOf{Destination: "crm"}, r.clock.Now()
			switch as {
			case Same:
				of.Events = events // their deliveries change with each replay, and then are no longer before `until`
			case Today:
				of = view.ReplayOf{Source: "pollqr"}
			case Fresh:
			}
			points := 0
			for at := 1; ; at++ {
				died := false
				for _, fails := range []failure{diesBefore, diesAfter} {
					died = r.dieAt(at, fails, r.spec(of, as, "2/s"), until, events) || died
				}
				if !died {
					break
				}
				points++
			}
			if points < 10 { // three batches, each with an intent
				t.Errorf("as %s, only %d writes", as, points)
			}
		}
	})
}

// dieAt runs a replay in a process that dies at a write of it, and then in another one. It returns whether the first one died.
func (r *rig) dieAt(at int, fails failure, spec *Spec, until time.Time, events []string) bool {
	r.t.Helper()
	if spec.As != Same {
		spec.Until = until
	}
	name := fmt.Sprintf("as %s, write %d, failure %d", spec.As, at, fails)
	r.forget()
	written := ""
	setup := r.run(nil) // it makes the job, and is stopped before it can begin it
	setup.stop()
	made := r.create(setup, spec)
	sendsBetween := at%2 == 0
	dying := make(chan struct{})
	p := r.run(func(n int, what string) failure {
		if n == at {
			written = what
			close(dying)
			return fails
		}
		return works
	})
	died := false
	select {
	case <-dying:
		died = true
	case <-p.left:
	}
	p.stop()
	if died && sendsBetween {
		r.clock.Advance(time.Minute)
		r.deliver()
	}
	if died {
		active, err := r.store.List(r.t.Context(), "*", "job-active")
		if err != nil {
			r.t.Fatal(err)
		}
		var j *job.Job
		if p = r.run(nil); len(active) > 0 {
			j = r.ended(p, made.ID)
		} else { // it died right after its last write
			j = r.last(p, made.ID)
		}
		p.stop()
		if left := j.LeftAlone + j.NotKept; j.State != job.Done || j.Total != len(events) || j.Done+left != j.Total || left > 0 {
			r.t.Errorf("%s (%s): %+v", name, written, j)
		}
	}
	r.clock.Advance(time.Minute)
	r.deliver()
	r.want(name+" ("+written+")", events...)
	if len(r.ids) != len(events) {
		r.t.Errorf("%s (%s): %d deliveries, want %d", name, written, len(r.ids), len(events))
	}
	r.clock.Advance(time.Minute)
	return died
}

// A replay is cancelled at any of its writes: nothing more is scheduled, nothing of it is left but the job, whose number is what it did,
// and the next replay makes each delivery once.
func TestCancelledAtEachWrite(t *testing.T) {
	onBoth(t, func(r *rig) {
		const n = 5
		events := r.publish("acme", completed, n, state.Delivered)
		for at := 1; ; at++ {
			r.forget()
			p, cancelled := r.cancelAt(at, Kind)
			made := r.create(p, r.spec(view.ReplayOf{Events: events, Destination: "crm"}, Same, "2/s"))
			j := r.ended(p, made.ID)
			p.stop()
			r.clock.Advance(time.Minute)
			r.deliver()
			select {
			case what := <-cancelled:
				if j.State == job.Done && j.Done == n { // it came too late
					continue
				}
				if j.State != job.Cancelled || j.Done != len(r.sent) {
					t.Errorf("cancelled at write %d (%s): %d deliveries were made, and the job is %+v", at, what, len(r.sent), j)
				}
			default:
				if j.State == job.Done {
					return
				}
				continue // the job did not exist yet
			}
			r.forget()
			r.clock.Advance(time.Minute)
			if j := r.replay(r.spec(view.ReplayOf{Events: events, Destination: "crm"}, Same, "")); j.Done != n {
				t.Errorf("the next one: %+v", j)
			}
			r.want("the next one", slices.Clone(events)...)
			r.clock.Advance(time.Minute)
		}
	})
}

// cancelAt starts a process at whose write of a number a person cancels its jobs by another process; the channel has what was written.
func (r *rig) cancelAt(at int, kind string) (p *process, cancelled chan string) {
	cancelled = make(chan string, 1)
	p = r.run(func(n int, what string) failure {
		if n == at {
			other := job.New(job.Options{Store: r.store, Clock: r.clock, Kinds: map[string]job.Kind{Kind: p.replays.Work, DropKind: p.replays.Work}})
			for _, j := range r.active(other, kind) {
				c, err := other.Cancel(r.t.Context(), "acme", j.ID)
				if err == nil {
					cancelled <- what
				}
				if err == nil && c.State.Ended() { // it had not begun
					p.left <- struct{}{}
				}
			}
		}
		return works
	})
	return p, cancelled
}

// active returns the jobs of a kind of the tenant that have not ended.
func (r *rig) active(jobs *job.Jobs, kind string) (active []*job.Job) {
	all, _ := jobs.List(r.t.Context(), "acme", kind)
	return slices.DeleteFunc(all, func(j *job.Job) bool { return j.State.Ended() })
}
