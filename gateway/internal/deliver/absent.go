package deliver

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

const (
	// absentFor is how long what waits for a step that left the configuration is kept: a file may have been replaced by
	// mistake, and what comes back in time is delivered as if nothing had been.
	absentFor = time.Hour
	// absentLook is how soon a delivery of such a step is looked at again.
	absentLook = 30 * time.Second
	// absentKept is how long it is remembered that something left.
	absentKept = 30 * 24 * time.Hour
	// pruneEvery is how often what came back is forgotten.
	pruneEvery = time.Minute

	// reasonAbsent is why such a delivery waits, reasonGone why it is dead.
	reasonAbsent = decide.Absent
	reasonGone   = "no longer configured"

	// Where it is kept among the store's settings.
	absentTenant = "*"
	absentKind   = "absent"
)

// absence is a destination, or a step of a rule, that the configuration no longer has.
type absence struct {
	Tenant      string           `json:"tenant"`
	Destination string           `json:"destination,omitempty"`
	Kind        state.OriginKind `json:"kind,omitempty"`
	Rule        string           `json:"rule,omitempty"`
	Step        string           `json:"step,omitempty"`
}

func (a absence) name() string {
	text, _ := json.Marshal(a) // texts only
	return string(text)
}

// here says whether a configuration has it.
func (a absence) here(p *decide.Plan) bool {
	if a.Destination != "" {
		return p.Destination(a.Tenant, a.Destination) != nil
	}
	return p.HasStep(a.Tenant, state.Origin{Kind: a.Kind, Name: a.Rule}, a.Step)
}

// absences are since when things are absent. They are kept in the store: the hour goes on over a restart, and is the same
// for all replicas.
type absences struct {
	store state.Settings

	mu    sync.Mutex
	known map[absence]time.Time
}

// look is since when something is absent, as far as is known without asking the store.
func (a *absences) look(of absence) (time.Time, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	since, ok := a.known[of]
	return since, ok
}

// since is since when something is absent: since now if nobody noticed before.
func (a *absences) since(ctx context.Context, of absence, now time.Time) (time.Time, error) {
	if since, ok := a.look(of); ok {
		return since, nil
	}
	since := now
	value, err := now.MarshalText()
	if err != nil {
		return now, err
	}
	_, err = a.store.Put(ctx, absentTenant, absentKind, of.name(), value, 0)
	if errors.Is(err, state.ErrConflict) {
		var kept state.Setting
		if kept, err = a.store.Get(ctx, absentTenant, absentKind, of.name()); errors.Is(err, state.ErrNotFound) {
			return now, nil // it came back a moment ago
		}
		if err == nil {
			err = since.UnmarshalText(kept.Value)
		}
	}
	if err != nil {
		return now, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.known[of] = since
	return since, nil
}

// prune forgets what came back, and takes over what other replicas noticed.
func (a *absences) prune(ctx context.Context, p *decide.Plan, now time.Time) error {
	all, err := a.store.List(ctx, absentTenant, absentKind)
	if err != nil {
		return err
	}
	known := map[absence]time.Time{}
	for _, s := range all {
		var of absence
		var since time.Time
		fault := errors.Join(json.Unmarshal([]byte(s.Name), &of), since.UnmarshalText(s.Value))
		if fault == nil && !of.here(p) && now.Sub(since) < absentKept {
			known[of] = since
			continue
		}
		if err := a.store.Delete(ctx, absentTenant, absentKind, s.Name, s.Version); err != nil && !errors.Is(err, state.ErrConflict) && !errors.Is(err, state.ErrNotFound) {
			return err
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.known = known
	return nil
}

// pruneAbsent forgets what today's configuration has again.
func (l *Loop) pruneAbsent(ctx context.Context) {
	if err := l.absent.prune(ctx, l.Plan(), l.Clock.Now()); err != nil && ctx.Err() == nil && !errors.Is(err, state.ErrClosed) {
		l.Log.Warn("cannot look at what left the configuration", "err", err)
	}
}

// noticeAbsent keeps since when destinations are absent that were met for the first time.
func (l *Loop) noticeAbsent(ctx context.Context, met []absence, now time.Time) {
	for _, of := range met {
		if _, err := l.absent.since(ctx, of, now); err != nil {
			if ctx.Err() == nil {
				l.Log.Warn("cannot keep since when a destination is not configured", "tenant", of.Tenant, "destination", of.Destination, "err", err)
			}
			return
		}
		l.Log.Warn("deliveries wait for a destination that is not configured now: it has an hour to come back, then they are dead letters",
			"tenant", of.Tenant, "destination", of.Destination)
	}
}

// absentOf is what a delivery's step lacks.
func absentOf(p *decide.Plan, d *state.Delivery) absence {
	if p.Destination(d.Tenant, d.Destination) == nil {
		return absence{Tenant: d.Tenant, Destination: d.Destination}
	}
	return absence{Tenant: d.Tenant, Kind: d.Origin.Kind, Rule: d.Origin.Name, Step: d.Step}
}

// leave has a delivery wait whose step is gone, and makes it a dead letter when that lasted too long.
func (l *Loop) leave(ctx context.Context, plan *decide.Plan, j *job, now time.Time) {
	since, err := l.absent.since(ctx, absentOf(plan, &j.delivery), now)
	if err != nil {
		l.Log.Warn("cannot keep since when a step is not configured", "tenant", j.delivery.Tenant, "rule", j.delivery.Origin.Name, "step", j.delivery.Step, "err", err)
	}
	if end := since.Add(absentFor); now.Before(end) {
		again := now.Add(absentLook)
		if end.Before(again) {
			again = end
		}
		l.postpone(j, reasonAbsent, again)
		return
	}
	d := j.delivery
	d.State, d.Reason, d.Updated = state.Dead, reasonGone, now
	l.settle(j, d, "")
}
