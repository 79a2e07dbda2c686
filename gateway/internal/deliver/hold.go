package deliver

import (
	"context"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/outbound"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

// judge keeps the lane's health after an answer: it opens and closes the circuit, obeys a throttle, and pauses a
// destination that will take nothing any more.
func (l *lane) judge(v connectors.Verdict, t trial, probe bool, now time.Time) {
	if v.Kind == connectors.Skipping || !t.sent {
		if probe {
			l.unprobe()
		}
		return
	}
	l.mu.Lock()
	var hold *state.Hold
	switch {
	case v.Gone:
		hold = &state.Hold{Kind: state.HoldGone, Reason: v.Reason, Since: now, Fingerprint: l.fingerprint(state.HoldGone)}
	case v.Kind == connectors.Revoked:
		hold = &state.Hold{Kind: state.HoldRevoked, Reason: v.Reason, Since: now, Fingerprint: l.fingerprint(state.HoldRevoked)}
	case v.Kind == connectors.Retry:
		hold = l.failed(v, t.status, probe, now)
	default:
		l.failures, l.opened = 0, 0
		if l.hold.Kind == state.HoldCircuit {
			hold = &state.Hold{}
		}
	}
	if probe {
		l.probing = false
	}
	if hold == nil || !replaces(hold.Kind, l.hold.Kind) {
		l.mu.Unlock()
		return
	}
	l.hold = *hold
	l.heldAt++
	l.mu.Unlock()
	l.loop.hold(l.key, *hold)
}

// failed counts a `retry` and says what it means for the destination. l.mu is held.
func (l *lane) failed(v connectors.Verdict, status int, probe bool, now time.Time) *state.Hold {
	l.failures++
	if status == 429 && v.After > 0 {
		return &state.Hold{Kind: state.HoldRate, Reason: v.Reason, Since: now, Until: now.Add(v.After)}
	}
	open := l.hold.Kind == state.HoldCircuit && l.hold.Until.After(now)
	if open || !(l.failures >= circuitAfter || probe) {
		return nil
	}
	wait := min(circuitFirst<<min(l.opened, 10), circuitMost)
	l.opened++
	return &state.Hold{Kind: state.HoldCircuit, Reason: v.Reason, Since: now, Until: now.Add(wait)}
}

// replaces: what was put on by hand or for good stays, whatever late answers say.
func replaces(by, old state.HoldKind) bool {
	rank := map[state.HoldKind]int{state.HoldRate: 1, state.HoldCircuit: 1, state.HoldRevoked: 2, state.HoldGone: 3, state.HoldPaused: 4}
	if by == "" {
		return rank[old] <= 1
	}
	return rank[by] >= rank[old] && old != state.HoldPaused
}

func (l *lane) unprobe() {
	l.mu.Lock()
	l.probing = false
	l.mu.Unlock()
}

// fingerprint is what the pause is tied to. l.mu is held.
func (l *lane) fingerprint(kind state.HoldKind) string {
	return l.loop.fingerprint(l.destination, kind)
}

func (l *Loop) fingerprint(d *config.Destination, kind state.HoldKind) string {
	if kind == state.HoldGone {
		return outbound.Fingerprint(l.FingerprintKey, []connectors.Secret{connectors.NewSecret(d.Address)})
	}
	return outbound.Fingerprint(l.FingerprintKey, d.Credentials)
}

// hold writes a hold, so that the due-queue keeps what waits and a restart knows. The lane has it already.
func (l *Loop) hold(key laneKey, h state.Hold) {
	if h.Kind == "" {
		l.Log.Info("destination serves again", "tenant", key.tenant, "destination", key.name)
	} else {
		l.Log.Warn("destination held", "tenant", key.tenant, "destination", key.name, "status", h.Kind, "err", h.Reason, "until", h.Until)
	}
	if err := l.Store.Hold(context.Background(), key.tenant, key.name, h); err != nil {
		l.Log.Warn("cannot write a hold", "tenant", key.tenant, "destination", key.name, "err", err)
	}
	if h.Kind == "" {
		l.wakeDue()
	}
}

// learnHolds takes over holds put on or lifted elsewhere, and lifts those whose credentials have changed.
func (l *Loop) learnHolds(ctx context.Context) error {
	before := map[*lane]uint64{}
	for _, lane := range l.lanes.all() {
		lane.mu.Lock()
		before[lane] = lane.heldAt
		lane.mu.Unlock()
	}
	holds, err := l.Store.Holds(ctx, "*")
	if err != nil {
		return err
	}
	plan := l.Plan()
	listed := map[*lane]state.Hold{}
	for _, h := range holds {
		if d := plan.Destination(h.Tenant, h.Destination); d != nil && h.Hold.Fingerprint != "" &&
			h.Hold.Fingerprint != l.fingerprint(d, h.Hold.Kind) {
			l.hold(laneKey{h.Tenant, h.Destination}, state.Hold{})
			continue
		}
		listed[l.lanes.at(laneKey{h.Tenant, h.Destination})] = h.Hold
	}
	lifted := false
	for _, lane := range l.lanes.all() {
		lane.mu.Lock()
		h, held := listed[lane]
		if lane.heldAt == before[lane] {
			switch {
			case held && h.Kind != lane.hold.Kind:
				lane.hold = h
			case !held && lane.hold.Kind != "" && lane.hold.Kind != state.HoldCircuit && lane.hold.Kind != state.HoldRate:
				lane.hold, lifted = state.Hold{}, true
				lane.failures, lane.opened = 0, 0
			}
		}
		lane.mu.Unlock()
	}
	if lifted {
		l.wakeDue()
	}
	return nil
}
