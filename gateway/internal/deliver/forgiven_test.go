package deliver

import (
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/rules/event"
)

// What is retried by hand has its whole schedule before it again.
func TestRetriedByHandBeginsAgain(t *testing.T) {
	t.Parallel()
	var answers atomic.Int32
	b := begin(t, destinations(destination("crm", 5*time.Millisecond, 5*time.Millisecond)), func(seen) (int, http.Header) {
		if answers.Add(1) <= 5 { // three until it is dead, and two more
			return 503, nil
		}
		return 200, nil
	})
	id := b.accept(1)[0]
	dead := b.untilState(id, "crm", state.Dead)
	if moved, err := b.store.Schedule(t.Context(), "default", []state.Delivery{{ID: dead.ID, EventID: id}}); err != nil || !moved[0] {
		t.Fatalf("retry by hand: %v, %v", moved, err)
	}
	b.loop.Wake()
	b.until("retried to its end", func() bool {
		d := b.delivery(id, "crm")
		return d != nil && d.Attempts > 3 && d.State != state.Waiting
	})
	if d := b.delivery(id, "crm"); d.State != state.Delivered || d.Attempts != 6 {
		t.Errorf("%s after %d attempts (%s), want delivered after 6", d.State, d.Attempts, d.Reason)
	}
}

// Refused credentials use nothing up of the schedule: a delivery that was refused often is still patient afterwards.
func TestRefusedCredentialsCostNothing(t *testing.T) {
	t.Parallel()
	d := destination("crm", 5*time.Millisecond)
	b := begin(t, destinations(d), func(s seen) (int, http.Header) {
		switch {
		case s.n <= 3:
			return 401, nil
		case s.n == 4:
			return 503, nil
		}
		return 200, nil
	})
	id := b.accept(1)[0]
	for n := 1; n <= 3; n++ {
		b.until("refused", func() bool {
			holds, err := b.store.Holds(t.Context(), "default")
			d := b.delivery(id, "crm")
			return err == nil && len(holds) == 1 && d != nil && d.Attempts == n && d.State == state.Waiting
		})
		if err := b.store.Hold(t.Context(), "default", "crm", state.Hold{}, nil); err != nil {
			t.Fatal(err)
		}
		if err := b.loop.Reloaded(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if d := b.untilState(id, "crm", state.Delivered); d.Attempts != 5 || d.Forgiven != 3 {
		t.Errorf("%d attempts, %d forgiven; want 5 and 3", d.Attempts, d.Forgiven)
	}
}

// cautious is a product where a repeat may count twice.
type cautious struct{ product }

func (*cautious) MaxRetries() int { return 1 }

func TestARepeatThatMayCountTwiceIsNotMadeOften(t *testing.T) {
	t.Parallel()
	conf := destinations(destination("crm", time.Millisecond, time.Millisecond, time.Millisecond))
	conf.Rules = []*config.Rule{ruleTo("crm", &cautious{})}
	b := begin(t, conf, func(seen) (int, http.Header) { return 0, nil })
	if d := b.untilState(b.accept(1)[0], "crm", state.Dead); d.Attempts != 2 {
		t.Errorf("%d attempts, want 2: one and one retry", d.Attempts)
	}
}

// misled is a product that refuses a setting.
type misled struct{}

func (*misled) Build(ev *event.Event) (*connectors.Request, error) {
	return connectors.Post("https://product.example/"+ev.OrigID, struct{}{}), nil
}

func (*misled) Judge(res *connectors.Response) connectors.Verdict {
	if res.Status != 200 {
		return connectors.Revoke("channel_not_found").ForSetting("channel")
	}
	return connectors.Deliver()
}

// A step's own wrong channel is the step's fault: the connection goes on, and a corrected rule lets it through.
func TestTheStepsOwnFaultPausesNothing(t *testing.T) {
	t.Parallel()
	for _, own := range []bool{true, false} {
		conf := destinations(destination("crm", time.Millisecond, time.Hour))
		conf.Rules = []*config.Rule{ruleTo("crm", &misled{})}
		if own {
			conf.Rules[0].Steps[0].Sets = []string{"text", "channel"}
		}
		b := begin(t, conf, func(seen) (int, http.Header) { return 404, nil })
		ids := b.accept(12)
		b.until("refused", func() bool {
			d := b.delivery(ids[11], "crm")
			return d != nil && (own && d.Attempts == 2 || !own && d.State == state.Waiting)
		})
		for _, id := range ids {
			b.until("waiting", func() bool {
				d := b.delivery(id, "crm")
				return d != nil && d.State == state.Waiting && (!own || d.Attempts == 2)
			})
		}
		holds, err := b.store.Holds(t.Context(), "default")
		if err != nil {
			t.Fatal(err)
		}
		if own && len(holds) != 0 {
			t.Errorf("the step's own channel holds the connection: %v", holds[0].Hold)
		}
		if !own && (len(holds) != 1 || holds[0].Hold.Kind != state.HoldRevoked) {
			t.Errorf("the connection's channel holds %v", holds)
		}
		b.close()
	}
}
