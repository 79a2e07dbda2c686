package notice

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/audit"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/rules/event"
)

// restart replaces the replicas by new ones, as after kill -9: what they had to tell is lost. alone: one that is the only process.
func (r *rig) restart(alone bool) {
	holder := ""
	if r.all = r.all[:1]; alone {
		holder = "gateway"
	}
	r.all[0] = New(Options{
		Store: r.store, Plan: func() *decide.Plan { return r.plan }, Clock: r.clock, Log: slog.New(slog.DiscardHandler), Holder: holder,
	})
}

// What a process that is killed has not told is told by the next one, once; what it has told is not told again.
func TestKilledBeforeItTold(t *testing.T) {
	onBoth(t, hears, func(r *rig) {
		r.restart(true)
		r.ended("acme", "crm", event.TypeResponseCompleted, "before", state.Dead) // before it was heard of
		r.clock.Advance(time.Second)
		r.round()
		dead := func(key, destination string) *state.Delivery {
			r.clock.Advance(time.Second)
			d := r.ended("acme", destination, event.TypeResponseCompleted, key, state.Dead)
			r.clock.Advance(time.Second)
			return d
		}
		r.all[0].Died(dead("1", "crm"), event.TypeResponseCompleted)
		r.round()
		r.want("acme", "delivery.dead crm 1")
		r.clock.Advance(time.Minute)
		r.restart(true)
		r.round()
		r.restart(true)
		r.round()
		r.want("acme", "delivery.dead crm 1") // nothing is told again

		r.clock.Advance(time.Minute)
		r.all[0].Died(dead("2", "crm"), event.TypeResponseCompleted)
		r.all[0].Died(dead("3", "crm"), event.TypeResponseCompleted)
		r.all[0].Died(dead("4", "alarms"), event.TypeResponseCompleted)
		r.ended("acme", "alarms", event.TypeDeliveryDead, "n", state.Dead) // the notice to a destination that fails
		r.ended("blue", "other", event.TypeResponseCompleted, "5", state.Dead)
		change := audit.Line{By: audit.By{Name: "token:ci"}, Did: "webhook.update", Of: "webhook/w", Before: json.RawMessage(`"secret"`)}
		log := &audit.Log{Store: r.store, Clock: r.clock, Added: r.all[0].Changed}
		if err := log.Add(context.Background(), "acme", change); err != nil {
			t.Fatal(err)
		}
		r.clock.Advance(time.Second)
		r.restart(true) // right at the dead letters
		r.round()
		want := []string{"delivery.dead crm 1", "delivery.dead crm 2", "delivery.dead alarms 1", "settings.changed webhook/w 1", "delivery.dead "}
		r.want("acme", want...) // the last one is the notice of this test
		r.want("blue")
		r.clock.Advance(time.Minute)
		r.round()
		r.restart(true)
		r.round()
		r.want("acme", want...)
	})
}

// A replica that is killed while others live has its dead letters told by the one with the lease, when it is certain that nobody else
// tells them.
func TestOtherReplicaIsKilled(t *testing.T) {
	onBoth(t, hears, func(r *rig) {
		r.round()
		r.clock.Advance(time.Second)
		r.ended("acme", "crm", event.TypeResponseCompleted, "1", state.Dead) // of a replica that dies now
		alive := r.ended("acme", "alarms", event.TypeResponseCompleted, "2", state.Dead)
		r.all[1].Died(alive, event.TypeResponseCompleted)
		for range 60 {
			r.clock.Advance(every)
			r.round()
		}
		r.want("acme", "delivery.dead alarms 1", "delivery.dead crm 1")
		for range 60 {
			r.clock.Advance(every)
			r.round()
		}
		r.want("acme", "delivery.dead alarms 1", "delivery.dead crm 1")
	})
}

// The work of a look is bounded, whatever the number of tenants, and each has its turn.
func TestMissedTakesTurns(t *testing.T) {
	onBoth(t, hears, func(r *rig) {
		tenants := map[string]heard{}
		for i := range 50 {
			tenants[fmt.Sprintf("t%02d", i)] = heard{dead: true}
		}
		n := r.all[0]
		for round := 1; round <= 3; round++ {
			if err := n.lookForMissed(context.Background(), tenants, map[string]*record{}); err != nil {
				t.Fatal(err)
			}
			if got, want := len(n.missed.looked), min(round*missedEach, 50); got != want {
				t.Errorf("%d tenants were looked at after %d rounds, want %d", got, round, want)
			}
		}
	})
}
