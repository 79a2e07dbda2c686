package replay

import (
	"slices"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/job"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/rules/event"
)

const (
	completed = event.TypeResponseCompleted
	updated   = event.TypeResponseUpdated
)

// A replay selects by each filter and by time, counts what it would select, and leaves other tenants alone.
func TestSelection(t *testing.T) {
	onBoth(t, func(r *rig) {
		began := r.clock.Now()
		dead := r.publish("acme", completed, 3, state.Dead)
		between := r.clock.Now()
		sent := r.publish("acme", completed, 2, state.Delivered)
		changes := r.publish("acme", updated, 2, state.Dead)
		waits := r.publish("acme", completed, 1, state.Waiting)
		foreign := append(r.publish("blue", completed, 2, state.Dead), r.publish("blue", updated, 1, state.Delivered)...)
		ended := slices.Concat(dead, sent, changes)
		for _, c := range []struct {
			name         string
			of           view.ReplayOf
			since, until time.Time
			want         []string
			waiting      int
		}{
			{name: "state", of: view.ReplayOf{State: "dead"}, want: slices.Concat(dead, changes), waiting: 1},
			{name: "state and destination", of: view.ReplayOf{State: "dead", Destination: "crm"}, want: dead, waiting: 1},
			{name: "destination", of: view.ReplayOf{Destination: "crm"}, want: slices.Concat(dead, sent), waiting: 1},
			{name: "rule", of: view.ReplayOf{Rule: "updates"}, want: changes},
			{name: "status", of: view.ReplayOf{Status: "5xx"}, want: slices.Concat(dead, changes), waiting: 1},
			{name: "verdict", of: view.ReplayOf{Verdict: "delivered"}, want: sent},
			{name: "failed", of: view.ReplayOf{Failed: true, Destination: "alarms"}, want: changes},
			{name: "type", of: view.ReplayOf{Type: updated}, want: changes},
			{name: "source", of: view.ReplayOf{Source: "pollqr"}, want: ended, waiting: 1},
			{name: "since", since: between, want: slices.Concat(sent, changes), waiting: 1},
			{name: "until", until: between, want: dead},
			{name: "since and until", of: view.ReplayOf{Type: completed}, since: began, until: between, want: dead},
			{name: "events", of: view.ReplayOf{Events: []string{dead[1], sent[0], foreign[0]}}, want: []string{dead[1], sent[0]}},
			{name: "a waiting one, named", of: view.ReplayOf{State: "waiting"}, want: waits},
			{name: "of another tenant", of: view.ReplayOf{Events: foreign}},
			{name: "a destination of another tenant", of: view.ReplayOf{Destination: "other"}},
		} {
			spec, err := New(c.of, c.since, c.until, "", "", "")
			if err != nil {
				t.Fatal(err)
			}
			replays := &Replayer{Options: Options{Store: r.store, Plan: r.plan.Load, Clock: r.clock, Due: func() {}}}
			count, err := replays.Count(t.Context(), "acme", spec)
			if err != nil {
				t.Fatal(err)
			}
			if count.Deliveries != len(c.want) || count.Events != len(c.want) || count.AlreadyWaiting != c.waiting {
				t.Errorf("%s: counted %+v, want %d deliveries and %d that wait", c.name, count, len(c.want), c.waiting)
			}
			var got []string
			for s := (selection{replayer: replays, tenant: "acme", spec: spec, before: r.clock.Now()}); !s.done; {
				units, err := s.next(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				for _, u := range units {
					if !u.waiting || c.of.State == "waiting" {
						got = append(got, u.event)
					}
				}
			}
			slices.Sort(got)
			want := slices.Clone(c.want)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Errorf("%s: selected %v, want %v", c.name, got, want)
			}
		}
		// It does what it selects, oldest first, and nothing to other tenants.
		j := r.replay(r.spec(view.ReplayOf{State: "dead"}, Same, ""))
		if j.State != job.Done || j.Total != 5 || j.Done != 5 || j.LeftAlone+j.NotKept != 0 {
			t.Errorf("%+v", j)
		}
		r.want("all dead letters", slices.Concat(dead, changes)...)
		if got := r.scheduled("blue"); len(got) > 0 {
			t.Errorf("of the other tenant: %v", got)
		}
	})
}

// scheduled returns the events of a tenant's deliveries that wait because of a replay.
func (r *rig) scheduled(tenant string) (events []string) {
	r.t.Helper()
	q := state.DeliveryQuery{State: state.Waiting, Limit: 200}
	for {
		p, err := r.store.Deliveries(r.t.Context(), tenant, q)
		if err != nil {
			r.t.Fatal(err)
		}
		for i := range p.Items {
			if p.Items[i].Reason == reason {
				events = append(events, p.Items[i].EventID)
			}
		}
		if q.Cursor = p.Next; q.Cursor == "" {
			return events
		}
	}
}
