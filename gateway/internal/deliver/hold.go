package deliver

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/outbound"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

// judge updates the lane after an answer: it opens and closes the circuit, obeys Retry-After, and puts a destination on hold that
// refuses everything. epoch is the circuit's when the attempt began: an attempt from before the circuit opened does not count.
func (l *lane) judge(v connectors.Verdict, t *attemptOutcome, d *config.Destination, epoch uint64, now time.Time) {
	if !t.sent && v.Kind != connectors.Revoked { // the destination was not asked
		return
	}
	l.mu.Lock()
	changed := false
	switch {
	case v.Gone:
		changed = l.holdRefused(state.HoldGone, v, d, now)
	case v.Kind == connectors.Revoked:
		changed = l.holdRefused(state.HoldRevoked, v, d, now)
	case v.Kind == connectors.Retry && t.status == http.StatusTooManyRequests && v.After > 0:
		changed = l.applyHold(state.Hold{Kind: state.HoldRate, Reason: v.Reason, Since: now, Until: now.Add(v.After)})
	case epoch != l.circuit.epoch:
	case v.Kind == connectors.Retry:
		changed = l.countFailure(v, now)
	default:
		limit := l.circuit.limit
		if l.circuit.count(false, l.concurrency(), now); l.circuit.limit != limit {
			l.addWorkers(l.queued()) // more may run than before
		}
		if changed = l.hold.Kind == state.HoldCircuit; changed {
			l.setHold(state.Hold{})
		}
	}
	l.mu.Unlock()
	if changed {
		l.writeHold()
	}
}

// holdRefused puts the destination on hold for the credentials or the URL of the attempt, which a reload may have changed since. l.mu is
// held.
func (l *lane) holdRefused(kind state.HoldKind, v connectors.Verdict, d *config.Destination, now time.Time) bool {
	h := state.Hold{Kind: kind, Reason: v.Reason, Since: now, Fingerprint: l.loop.fingerprint(d, kind)}
	if !replaces(kind, l.hold.Kind) || l.hold.Kind == kind && l.hold.Fingerprint == h.Fingerprint {
		return false
	}
	l.setHold(h)
	return true
}

// countFailure counts a `retry` and reports whether it opened the circuit. l.mu is held.
func (l *lane) countFailure(v connectors.Verdict, now time.Time) bool {
	if !l.circuit.count(true, l.concurrency(), now) {
		return false
	}
	before := l.circuit
	h := state.Hold{Kind: state.HoldCircuit, Reason: v.Reason, Since: now, Until: now.Add(l.circuit.open())}
	if !l.applyHold(h) {
		l.circuit = before
		return false
	}
	return true
}

// applyHold puts on a hold that ends by itself, unless there is a stronger or longer one. It reports whether it did. l.mu is held.
func (l *lane) applyHold(h state.Hold) bool {
	if !replaces(h.Kind, l.hold.Kind) || l.hold.Until.After(h.Until) {
		return false
	}
	l.setHold(h)
	return true
}

// openings returns how often a circuit has opened in a row, computed from how long it is open now.
func openings(h state.Hold) int {
	n := 1
	for wait := circuitFirst; wait < h.Until.Sub(h.Since) && wait < circuitMost; wait *= 2 {
		n++
	}
	return n
}

// replaces reports whether a hold may replace another: one put on by hand or for good stays, whatever late answers say.
func replaces(by, old state.HoldKind) bool {
	rank := map[state.HoldKind]int{state.HoldRate: 1, state.HoldCircuit: 1, state.HoldRevoked: 2, state.HoldGone: 3, state.HoldPaused: 4}
	if by == "" {
		return rank[old] <= 1
	}
	return rank[by] >= rank[old] && old != state.HoldPaused
}

// setHold sets or lifts a hold by the decision of the lane itself; the caller then calls writeHold. l.mu is held.
func (l *lane) setHold(h state.Hold) {
	l.hold, l.unwritten = h, true
	l.changes++
}

// writeHold stores the lane's own hold, so that the due-queue keeps its deliveries and a restart knows the hold. A stronger one that
// was stored elsewhere meanwhile stays.
func (l *lane) writeHold() {
	l.writing.Lock() // otherwise two changes could be stored in the wrong order
	defer l.writing.Unlock()
	l.mu.Lock()
	h, change, unwritten := l.hold, l.changes, l.unwritten
	l.mu.Unlock()
	if !unwritten {
		return
	}
	ctx, log := context.Background(), l.loop.Log.With("tenant", l.key.tenant, "destination", l.key.name)
	h, err := l.loop.putHold(ctx, l.key, h)
	if err != nil {
		log.Warn("cannot write a hold", "err", err) // the next look at the holds tries again
		return
	}
	l.mu.Lock()
	if l.changes == change {
		l.hold, l.unwritten = h, false
	}
	l.mu.Unlock()
	if h.Kind == "" {
		log.Info("destination serves again")
		l.loop.wakeDue()
		return
	}
	if !h.Until.IsZero() {
		log = log.With("until", h.Until)
	}
	log.Warn("destination is on hold", "status", h.Kind, "err", h.Reason)
}

// putHold stores a hold and returns the one that is stored afterwards: this one, or a stronger one that was put on elsewhere.
func (l *Loop) putHold(ctx context.Context, key laneKey, h state.Hold) (state.Hold, error) {
	const tries = 3
	for try := 1; ; try++ {
		stored, err := l.storedHold(ctx, key)
		if err != nil || !replaces(h.Kind, stored.Kind) {
			return stored, err
		}
		if err = l.Store.Hold(ctx, key.tenant, key.name, h, &stored); !errors.Is(err, state.ErrConflict) || try == tries {
			return h, err
		}
	}
}

func (l *Loop) storedHold(ctx context.Context, key laneKey) (state.Hold, error) {
	holds, err := l.Store.Holds(ctx, key.tenant)
	for _, h := range holds {
		if h.Destination == key.name {
			return h.Hold, err
		}
	}
	return state.Hold{}, err
}

func (l *Loop) fingerprint(d *config.Destination, kind state.HoldKind) string {
	if kind == state.HoldGone {
		return outbound.Fingerprint(l.FingerprintKey, []connectors.Secret{d.Address})
	}
	return outbound.Fingerprint(l.FingerprintKey, d.Credentials)
}

// learnHolds takes over holds put on or lifted elsewhere, and lifts those whose credentials have changed: of some tenants, or
// without any of all.
func (l *Loop) learnHolds(ctx context.Context, tenants ...string) error {
	l.learning.Lock() // else an older list could be applied after a newer one
	defer l.learning.Unlock()
	const unwritten = ^uint64(0)
	before := map[*lane]uint64{}
	for _, lane := range l.lanes.of(tenants...) {
		lane.writeHold() // what the store did not take yet
		lane.mu.Lock()
		if before[lane] = lane.changes; lane.unwritten {
			before[lane] = unwritten
		}
		lane.mu.Unlock()
	}
	holds, err := l.holdsOf(ctx, tenants)
	if err != nil {
		return err
	}
	plan, now := l.Plan(), l.Clock.Now()
	listed := map[*lane]state.Hold{}
	for _, h := range holds {
		if !l.lift(ctx, plan, h) {
			listed[l.lanes.get(laneKey{h.Tenant, h.Destination})] = h.Hold
		}
	}
	lifted := false
	for _, lane := range l.lanes.of(tenants...) {
		lane.mu.Lock()
		if h := listed[lane]; lane.changes == before[lane] { // otherwise the lane has a newer one
			lifted = lane.adoptHold(h, now) || lifted
		}
		lane.mu.Unlock()
	}
	l.lanes.removeUnused(plan, l.lanes.of(tenants...), now)
	if lifted {
		l.wakeDue()
	}
	return nil
}

// holdsOf returns the holds of some tenants, or without any of all.
func (l *Loop) holdsOf(ctx context.Context, tenants []string) (holds []state.DestinationOnHold, err error) {
	if len(tenants) == 0 {
		tenants = []string{"*"}
	}
	for _, tenant := range tenants {
		some, err := l.Store.Holds(ctx, tenant)
		if err != nil {
			return nil, err
		}
		holds = append(holds, some...)
	}
	return holds, nil
}

// lift removes a hold whose credentials or URL have changed since.
func (l *Loop) lift(ctx context.Context, plan *decide.Plan, h state.DestinationOnHold) bool {
	d := plan.Destination(h.Tenant, h.Destination)
	if d == nil || d.Broken || h.Hold.Fingerprint == "" || h.Hold.Fingerprint == l.fingerprint(d, h.Hold.Kind) {
		return false
	}
	err := l.Store.Hold(ctx, h.Tenant, h.Destination, state.Hold{}, &h.Hold)
	if errors.Is(err, state.ErrConflict) {
		return false // another was put on meanwhile: the next look sees it
	}
	if err != nil {
		l.Log.Warn("cannot lift a hold", "tenant", h.Tenant, "destination", h.Destination, "err", err)
		return false
	}
	l.Log.Info("destination serves again: its configuration changed", "tenant", h.Tenant, "destination", h.Destination)
	return true
}

// adoptHold takes over the stored hold and reports whether one was lifted. l.mu is held.
func (l *lane) adoptHold(h state.Hold, now time.Time) (lifted bool) {
	if h.Kind == l.hold.Kind && h.Until.Equal(l.hold.Until) {
		return false
	}
	if h.Kind == "" {
		if over := !l.hold.Until.IsZero() && !l.hold.Until.After(now); over {
			return false // the store lists none that is over
		}
		l.circuit.opened = 0 // it serves again: the circuit begins anew
	}
	if h.Kind == state.HoldCircuit {
		l.circuit.setOpened(openings(h))
	}
	l.hold = h
	return h.Kind == ""
}
