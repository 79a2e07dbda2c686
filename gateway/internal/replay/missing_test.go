package replay

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/job"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/rules/event"
)

// missingOf selects what a rule has not delivered.
func missingOf(rule string) view.ReplayOf {
	return view.ReplayOf{Rule: rule, Missing: true, Source: "pollqr"}
}

// What a rule has not decided yet is made, once: what it delivered, skipped or lost, also where the history of it has left, is not made again.
func TestMissing(t *testing.T) {
	onBoth(t, func(r *rig) {
		before := r.publish("acme", completed, 4, state.Delivered)
		r.publish("blue", completed, 2, state.Delivered)
		r.plan.Store(plan(t, someRules+"  - {name: late, events: [response.completed], send: [alarms], tenant: acme}\n"))
		var after []string
		for _, as := range []state.DeliveryState{state.Delivered, state.Skipped, state.Dead, state.Waiting} {
			after = append(after, r.publish("acme", completed, 2, as)...)
		}
		for _, rule := range []string{"all", "late"} { // the second time nothing is missing
			for again := range 2 {
				r.forget()
				j := r.replay(r.spec(missingOf(rule), Today, ""))
				want := 0
				if rule == "late" && again == 0 {
					want = len(before)
					r.want("late", before...)
				} else {
					r.want("nothing is missing")
				}
				if left := len(before) + len(after) - want; j.State != job.Done || j.Done != want || j.Deliveries != want || j.Why[whyThere] != left {
					t.Errorf("%s, time %d: %+v", rule, again, j)
				}
			}
		}
		// The history of a delivery has left; the outcome of its event says that it was made.
		for {
			done, err := r.store.Trim(t.Context(), state.Retention{History: state.HistoryBound{Age: time.Second}})
			if err != nil {
				t.Fatal(err)
			}
			if done.Nothing() {
				break
			}
		}
		p, err := r.store.Deliveries(t.Context(), "acme", state.DeliveryQuery{State: state.Delivered})
		if err != nil || len(p.Items) > 0 {
			t.Fatalf("%d delivered ones are left, %v", len(p.Items), err)
		}
		r.forget()
		for _, name := range []string{"all", "late"} {
			if j := r.replay(r.spec(missingOf(name), Today, "")); j.Done != 0 || j.Why[whyThere] != len(before)+len(after) {
				t.Errorf("without history, %s: %+v", name, j)
			}
		}
		r.want("without history")
	})
}

// With `once: response`, one event of each response is told: the first.
func TestMissingOnce(t *testing.T) {
	onBoth(t, func(r *rig) {
		var ids []string
		for i := range 6 {
			ids = append(ids, r.publishResponse(fmt.Sprint("r", i%2)))
		}
		r.plan.Store(plan(t, someRules+"  - {name: late, once: response, events: [response.completed], send: [alarms], tenant: acme}\n"))
		if j := r.replay(r.spec(missingOf("late"), Today, "")); j.Done != 2 || j.Why[whyOnce] != 4 {
			t.Errorf("%+v", j)
		}
		r.want("once", ids[:2]...)
	})
}

// A rule and a webhook may have one name: of the two, the rule is meant, as a backtest of that name means it.
func TestMissingOfARuleWithTheNameOfAWebhook(t *testing.T) {
	onBoth(t, func(r *rig) {
		ids := r.publish("acme", completed, 2, state.Delivered)
		const webhook = `
webhooks:
  - {name: late, url: "https://hook.example.com/in", events: [response.completed], tenant: acme, secrets: ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]}
`
		r.plan.Store(plan(t, someRules+"  - {name: late, events: [response.completed], send: [alarms], tenant: acme}\n"+webhook))
		r.forget()
		if j := r.replay(r.spec(missingOf("late"), Today, "")); j.Done != 2 || j.Deliveries != 2 {
			t.Errorf("of the rule: %+v", j)
		}
		r.want("of the rule", ids...)
		r.plan.Store(plan(t, someRules+webhook))
		r.forget()
		if j := r.replay(r.spec(missingOf("late"), Today, "")); j.Done != 2 || j.Deliveries != 2 {
			t.Errorf("of the webhook: %+v", j)
		}
		r.want("of the webhook", ids...)
	})
}

// publishResponse is publish of one event of a response.
func (r *rig) publishResponse(id string) string {
	r.t.Helper()
	ev, err := event.New(event.Header{
		Tenant: "acme", Source: "pollqr", Type: completed, Received: r.clock.Now(), Verified: "token", SurveyID: "s", ResponseID: id,
		DedupeKey: fmt.Sprint(id, r.clock.Now().UnixNano()),
	}, nil, event.Raw{})
	if err == nil {
		_, err = r.store.Append(r.t.Context(), []*event.Event{ev})
	}
	if err != nil {
		r.t.Fatal(err)
	}
	claimed, err := r.store.Claim(r.t.Context(), 100, 1<<20)
	if err != nil || len(claimed) != 1 {
		r.t.Fatal(len(claimed), err)
	}
	if _, err := r.store.Commit(r.t.Context(), &state.Commit{Events: []state.Outcome{r.decide(claimed[0], state.Delivered)}}); err != nil {
		r.t.Fatal(err)
	}
	r.clock.Advance(time.Second)
	return ev.ID
}

// A replay of what is missing that dies at any of its writes goes on where it was, and makes each delivery once.
func TestMissingResumedAfterEachWrite(t *testing.T) {
	onBoth(t, func(r *rig) {
		events := r.publish("acme", completed, 5, state.Delivered)
		text := someRules
		const most = 100
		for n := range most {
			text += fmt.Sprintf("  - {name: m%d, events: [response.completed], send: [alarms], tenant: acme}\n", n)
		}
		r.plan.Store(plan(t, text))
		rule, until, points := 0, r.clock.Now(), 0
		for at, died := 1, true; died && rule+2 <= most; at++ {
			died = false
			for _, fails := range []failure{diesBefore, diesAfter} {
				died = r.dieAt(at, fails, r.spec(missingOf(fmt.Sprint("m", rule)), Today, "2/s"), until, events) || died
				rule++
			}
			points++
		}
		if points < 10 || rule >= most {
			t.Errorf("%d writes, %d rules", points, rule)
		}
	})
}

// TestMissingIsChecked: what is missing can be said of one rule, decided by today's configuration.
func TestMissingIsChecked(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		of   view.ReplayOf
		as   As
		want string
	}{
		{missingOf("late"), Same, "as: "},
		{view.ReplayOf{Missing: true, Source: "pollqr"}, Today, "of.rule: "},
		{view.ReplayOf{Missing: true, Rule: "late"}, Today, "of: say what is replayed"},
		{view.ReplayOf{Missing: true, Rule: "late", Source: "pollqr", State: "dead"}, Today, "of.missing: "},
		{view.ReplayOf{Missing: true, Rule: "late", Source: "pollqr", Failed: true}, Today, "of.missing: "},
	} {
		var invalid *InvalidError
		if _, err := New(c.of, time.Time{}, time.Time{}, string(c.as), "", ""); !errors.As(err, &invalid) || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %s", c.of, err, c.want)
		}
	}
	of := missingOf("late")
	of.State = "dead"
	if _, err := NewDrop(of, time.Time{}, time.Time{}, ""); err == nil || !strings.HasPrefix(err.Error(), "of.missing: ") {
		t.Errorf("a drop of what is missing: %v", err)
	}
}

// A delivery of an earlier revision of the event is one too.
func TestMissingOfARevision(t *testing.T) {
	t.Parallel()
	of := state.Origin{Kind: state.Rule, Name: "late"}
	record := &state.Record{Outcome: &state.Outcome{Deliveries: []state.Delivery{{ID: "dl_e_1", Origin: of, Step: "alarms", State: state.Delivered}}}}
	b, o := newBatch(&work{}, nil), &owed{}
	if has, err := b.has(t.Context(), o, record, &state.Delivery{ID: "dl_e_2", Revision: 1, Origin: of, Step: "alarms"}); !has || err != nil || o.why != whyThere {
		t.Errorf("%v, %v, %q", has, err, o.why)
	}
}
