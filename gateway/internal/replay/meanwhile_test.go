package replay

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/job"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/view"
)

// scheduling calls do before each time that a process schedules deliveries, with its number from 1.
func scheduling(do func(n int)) func(int, string) failure {
	n := 0
	return func(_ int, what string) failure {
		if what == "schedule" {
			n++
			do(n)
		}
		return works
	}
}

// Deliveries are due one after another at the rate, and no more than a second of them waits at a time: a live one waits for no more.
func TestRate(t *testing.T) {
	onBoth(t, func(r *rig) {
		events := r.publish("acme", completed, 25, state.Dead)
		most, began := 0, r.clock.Now()
		p := r.run(scheduling(func(int) { most = max(most, len(r.scheduled("acme"))) }))
		j := r.ended(p, r.create(p, r.spec(view.ReplayOf{State: "dead"}, Same, "10/s")).ID)
		p.stop()
		r.clock.Advance(time.Minute)
		r.deliver()
		r.want("all", events...)
		if took := r.clock.Now().Sub(began); j.Done != 25 || took < 2500*time.Millisecond || most > 10 {
			t.Errorf("took %s, with %d at a time: %+v", took, most, j)
		}
	})
}

// While a destination does not attempt what was scheduled last, nothing more is scheduled to it: live deliveries to it wait for one batch.
func TestWaitsForTheDestination(t *testing.T) {
	onBoth(t, func(r *rig) {
		events := r.publish("acme", completed, 30, state.Dead)
		p := r.run(nil)
		p.busy.Store(true)
		waits := make(chan struct{})
		seen := 0
		p.onWait = func() {
			if seen++; seen == 50 { // each is the time of a batch
				if n := len(r.scheduled("acme")); n != 10 {
					t.Errorf("%d are scheduled, want one batch of 10", n)
				}
				p.busy.Store(false)
				close(waits)
			}
		}
		j := r.ended(p, r.create(p, r.spec(view.ReplayOf{State: "dead"}, Same, "10/s")).ID)
		<-waits
		p.stop()
		r.clock.Advance(time.Minute)
		r.deliver()
		r.want("all", events...)
		if j.Done != 30 {
			t.Errorf("%+v", j)
		}
	})
}

// A destination that is paused gets nothing; the others do, and it gets the rest when it is resumed.
func TestPausedMeanwhile(t *testing.T) {
	onBoth(t, func(r *rig) {
		crm, alarms := r.publish("acme", completed, 6, state.Dead), r.publish("acme", updated, 3, state.Dead)
		p := r.run(scheduling(func(n int) {
			if n == 2 {
				r.hold("crm", state.Hold{Kind: state.HoldPaused, Reason: "moving", Since: r.clock.Now()})
			}
		}))
		waits := make(chan struct{})
		p.onWait = func() {
			all, err := p.jobs.List(context.Background(), "acme", Kind)
			if err == nil && len(all) == 1 && strings.Contains(all[0].Waits, "moving") {
				select {
				case <-waits:
				default:
					close(waits)
					for _, id := range alarms {
						if r.sent[id] != 1 {
							t.Errorf("%s to the other destination was sent %d times", id, r.sent[id])
						}
					}
					r.hold("crm", state.Hold{})
				}
			}
		}
		j := r.ended(p, r.create(p, r.spec(view.ReplayOf{State: "dead"}, Same, "2/s")).ID)
		<-waits
		p.stop()
		r.clock.Advance(time.Minute)
		r.deliver()
		r.want("all", slices.Concat(crm, alarms)...)
		if j.State != job.Done || j.Done != 9 || j.LeftAlone+j.NotKept != 0 {
			t.Errorf("%+v", j)
		}
	})
}

func (r *rig) hold(destination string, h state.Hold) {
	r.t.Helper()
	if err := r.store.Hold(context.Background(), "acme", destination, h, nil); err != nil {
		r.t.Error(err)
	}
}

// A destination that is deleted meanwhile gets nothing more; what is left of it is left alone, with the reason, and the others go on. The
// same is true of everything when the tenant is deleted.
func TestDeletedMeanwhile(t *testing.T) {
	for name, c := range map[string]struct {
		rules string
		kept  int // of the updates to the other destination
	}{
		"destination": {strings.Replace(someRules, "  - {name: all, events: [response.completed], send: [crm], tenant: acme}\n", "", 1), 3},
		"tenant":      {connections, 0},
	} {
		t.Run(name, func(t *testing.T) {
			onBoth(t, func(r *rig) {
				r.publish("acme", completed, 6, state.Dead)
				changes := r.publish("acme", updated, 3, state.Dead) // newer: they come last
				foreign := r.publish("blue", completed, 2, state.Dead)
				less := plan(t, c.rules)
				p := r.run(scheduling(func(n int) {
					if n == 2 { // what is being scheduled at this moment is the last
						r.plan.Store(less)
					}
				}))
				j := r.ended(p, r.create(p, r.spec(view.ReplayOf{State: "dead"}, Same, "2/s")).ID)
				p.stop()
				r.clock.Advance(time.Minute)
				r.deliver()
				if left := 9 - 4 - c.kept; j.State != job.Done || j.Done != 4+c.kept || j.Why[whyNoStep] != left || j.LeftAlone != left {
					t.Errorf("%+v", j)
				}
				for _, id := range changes {
					if (r.sent[id] == 1) != (c.kept > 0) {
						t.Errorf("%s to the other destination was sent %d times", id, r.sent[id])
					}
				}
				for _, id := range foreign {
					if r.sent[id] != 0 {
						t.Errorf("%s of another tenant was sent", id)
					}
				}
			})
		})
	}
}

// What retention removes while a replay is on its way is counted as no longer kept; the rest is made, each once.
func TestRetentionMeanwhile(t *testing.T) {
	for _, as := range []As{Same, Fresh, Today} {
		t.Run(string(as), func(t *testing.T) {
			onBoth(t, func(r *rig) {
				old := r.publish("acme", completed, 4, state.Delivered)
				r.clock.Advance(time.Hour)
				recent := r.publish("acme", completed, 4, state.Delivered)
				p := r.run(scheduling(func(n int) {
					if n == 1 { // everything is selected, and nothing is scheduled yet
						r.trim(30 * time.Minute)
					}
				}))
				of := view.ReplayOf{Destination: "crm"}
				if as == Today {
					of = view.ReplayOf{Source: "pollqr"}
				}
				j := r.ended(p, r.create(p, r.spec(of, as, "2/s")).ID)
				p.stop()
				r.clock.Advance(time.Minute)
				r.deliver()
				for _, id := range recent {
					if r.sent[id] != 1 {
						t.Errorf("%s was delivered %d times", id, r.sent[id])
					}
				}
				made := 0
				for _, id := range old {
					if r.sent[id] > 1 {
						t.Errorf("%s, an old one, was delivered %d times", id, r.sent[id])
					}
					made += r.sent[id]
				}
				if j.State != job.Done || j.Total != 8 || j.Done != 4+made || j.NotKept+j.LeftAlone != 4-made || j.NotKept < 2 {
					t.Errorf("%d old ones were made: %+v", made, j)
				}
			})
		})
	}
}

// trim removes what is older than an age.
func (r *rig) trim(age time.Duration) {
	bound := state.Bound{Age: age}
	for {
		done, err := r.store.Trim(context.Background(), state.Retention{Events: bound, Dedupe: bound, Dead: bound})
		if err != nil {
			r.t.Error(err)
			return
		}
		if done.Nothing() {
			return
		}
	}
}
