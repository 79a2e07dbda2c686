package replay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/job"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/view"
)

// Options are the dependencies of a Replayer; all are required.
type Options struct {
	Store state.Store
	// Plan returns the running configuration.
	Plan  func() *decide.Plan
	Clock clock.Clock
	// Due tells the delivery loop of this process that deliveries have become due.
	Due func()
	// Ended counts a delivery that waited and was dropped.
	Ended func(d *state.Delivery)
}

// Replayer counts and runs replays and drops. It is safe for concurrent use.
type Replayer struct{ Options }

// View makes the view of a job of these kinds; one of another kind has no Of, As and Rate.
func View(j *job.Job) view.Job {
	var spec Spec
	if j.Kind != Kind && j.Kind != DropKind || json.Unmarshal(j.Spec, &spec) != nil {
		return view.NewJob(j, 0)
	}
	var v view.Job
	if j.Kind == Kind {
		v = view.NewJob(j, spec.Rate)
		v.As, v.Rate = string(spec.As), spec.RateText
	} else {
		v = view.NewJob(j, 0)
	}
	if v.Of, v.Reason = &spec.Of, spec.Reason; !j.State.Ended() {
		v.Cancel = "/v1/" + j.Kind + "s/" + j.ID + "/cancel"
	}
	return v
}

// The bounds of a count.
const (
	countMost = 20_000
	countFor  = 2 * time.Second
)

// Count counts what a replay or a drop would select, within a budget.
func (r *Replayer) Count(ctx context.Context, tenant string, spec *Spec) (view.ReplayCount, error) {
	c := counting{Replayer: r, tenant: tenant, spec: spec, began: r.Clock.Elapsed(), events: map[string]bool{}}
	err := c.run(ctx)
	c.Events = len(c.events)
	return c.ReplayCount, err
}

// counting is a count on its way.
type counting struct {
	*Replayer
	tenant string
	spec   *Spec
	began  time.Duration
	seen   int
	events map[string]bool // the ids of the events so far
	view.ReplayCount
}

func (c *counting) run(ctx context.Context) error {
	s := selection{replayer: c.Replayer, tenant: c.tenant, spec: c.spec, before: c.Clock.Now()}
	for {
		found, err := s.next(ctx)
		if err != nil {
			return err
		}
		for i := range found {
			if err := c.add(ctx, &found[i]); err != nil {
				return err
			}
		}
		if s.done {
			break
		}
		if c.exhausted() {
			c.SearchedBackTo = view.Time{Time: s.reached}
			return nil
		}
	}
	if state.DeliveryState(c.spec.Of.State) != state.Dead || c.spec.ofEvents() || c.spec.As == dropped {
		return nil
	}
	// Those that wait are tried anyway: the caller sees how many they are.
	waiting := *c.spec
	waiting.Of.State, waiting.Of.Status, waiting.Of.Verdict = string(state.Waiting), "", ""
	s = selection{replayer: c.Replayer, tenant: c.tenant, spec: &waiting, before: c.Clock.Now()}
	for !s.done && !c.exhausted() {
		found, err := s.next(ctx)
		if err != nil {
			return err
		}
		c.AlreadyWaiting += len(found)
		c.seen += len(found)
	}
	return nil
}

func (c *counting) exhausted() bool {
	return c.seen >= countMost || c.Clock.Elapsed()-c.began >= countFor
}

func (c *counting) add(ctx context.Context, u *unit) error {
	c.seen++
	if !u.waiting && (c.Oldest.IsZero() || u.changed.Before(c.Oldest.Time)) {
		c.Oldest = view.Time{Time: u.changed}
	}
	if c.spec.ofEvents() {
		c.events[u.event] = true
		return nil
	}
	if u.waiting && c.spec.Of.State == "" {
		c.AlreadyWaiting++
		return nil
	}
	switch _, err := c.Store.Delivery(ctx, c.tenant, u.id); {
	case errors.Is(err, state.ErrNotFound):
		c.NoLongerKept++
		return nil
	case err != nil:
		return fmt.Errorf("count a replay: %w", err)
	}
	c.events[u.event] = true
	c.Deliveries++
	return nil
}

// unit is a delivery or an event that a replay selects.
type unit struct {
	id, event string
	changed   time.Time
	waiting   bool
}

// selection walks over what a replay selects, newest first.
type selection struct {
	replayer *Replayer
	tenant   string
	spec     *Spec
	before   time.Time // only what changed before then
	cursor   string
	event    int       // index of the next of the named events
	reached  time.Time // how far back it is complete
	done     bool
}

// next returns the next units; it reads a bounded part of the store. There may be none, and more after them.
func (s *selection) next(ctx context.Context) ([]unit, error) {
	switch {
	case len(s.spec.Of.Events) > 0:
		return s.named(ctx)
	case s.spec.ofEvents():
		p, err := s.replayer.Store.Events(ctx, s.tenant, s.withEventCursor())
		if err != nil {
			return nil, fmt.Errorf("select events: %w", err)
		}
		units := make([]unit, len(p.Items))
		for i, record := range p.Items {
			units[i] = unit{id: record.Event.ID, event: record.Event.ID, changed: record.Event.Received}
			s.reached = record.Event.Received
		}
		s.turn(p.Next, p.SearchedBackTo)
		return units, nil
	}
	q := s.spec.query(s.before)
	q.Cursor = s.cursor
	p, err := s.replayer.Store.Deliveries(ctx, s.tenant, q)
	if err != nil {
		return nil, fmt.Errorf("select deliveries: %w", err)
	}
	units := make([]unit, len(p.Items))
	for i := range p.Items {
		units[i] = unitOf(&p.Items[i])
		s.reached = units[i].changed
	}
	s.turn(p.Next, p.SearchedBackTo)
	return units, nil
}

func (s *selection) withEventCursor() state.EventQuery {
	q := s.spec.eventQuery(s.before)
	q.Cursor = s.cursor
	return q
}

func (s *selection) turn(next string, searchedBackTo time.Time) {
	if s.cursor, s.done = next, next == ""; !searchedBackTo.IsZero() {
		s.reached = searchedBackTo
	}
}

func unitOf(d *state.Delivery) unit {
	return unit{id: d.ID, event: d.EventID, changed: d.Updated, waiting: d.State == state.Waiting}
}

// namedAtOnce is how many of the named events one step looks at.
const namedAtOnce = 50

// named returns the units of the next named events.
func (s *selection) named(ctx context.Context) (units []unit, err error) {
	ids := s.spec.Of.Events
	for n := 0; n < namedAtOnce && s.event < len(ids); n++ {
		id := ids[s.event]
		if s.spec.ofEvents() {
			units = append(units, unit{id: id, event: id})
			s.event++
			continue
		}
		q := s.spec.query(s.before)
		q.EventID, q.Cursor = id, s.cursor
		p, err := s.replayer.Store.Deliveries(ctx, s.tenant, q)
		if err != nil {
			return nil, fmt.Errorf("select the deliveries of an event: %w", err)
		}
		for i := range p.Items {
			units = append(units, unitOf(&p.Items[i]))
		}
		if s.cursor = p.Next; s.cursor == "" {
			s.event++
		}
	}
	s.done = s.event == len(ids)
	return units, nil
}
