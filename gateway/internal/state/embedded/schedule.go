package embedded

import (
	"bytes"
	"context"
	"fmt"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

type scheduling struct {
	tenant     string
	deliveries []state.Delivery
	result     []bool
}

// Schedule puts deliveries into the due-queue.
func (s *store) Schedule(ctx context.Context, tenant string, deliveries []state.Delivery) ([]bool, error) {
	op := &scheduling{tenant: tenant, deliveries: deliveries, result: make([]bool, len(deliveries))}
	if err := state.CheckScheduled(tenant, deliveries); err != nil {
		return nil, fmt.Errorf("schedule: %w", err)
	}
	if len(deliveries) == 0 {
		return nil, s.check(ctx)
	}
	if err := s.do(ctx, &call{op: op, size: 512 * len(deliveries), sync: true}); err != nil {
		return nil, fmt.Errorf("schedule: %w", err)
	}
	return op.result, nil
}

func (op *scheduling) stage(t *tx) error {
	for i := range op.deliveries {
		op.result[i] = op.schedule(t, &op.deliveries[i])
	}
	return nil
}

func (op *scheduling) schedule(t *tx, given *state.Delivery) bool {
	eventID, suffix, _ := state.SplitDeliveryID(given.ID)
	pos, ok := t.position(op.tenant, eventID)
	if !ok {
		return false
	}
	o := t.current(op.tenant, eventID, pos, suffix)
	if o == nil && !t.committed(pos) {
		return false // its own commit will decide what it owes
	}
	if t.erased(pos) {
		return false
	}
	var kept *state.Delivery
	if o != nil {
		kept = &o.Delivery
	}
	to, ok := state.Reschedule(kept, given, fromNanos(nanos(t.wall)))
	switch {
	case !ok:
		return false
	case o == nil:
		o = &owed{pos: pos, suffix: suffix, failedAt: noTime}
	case o.State.Open():
		if o.State == state.Waiting && !t.seize(o) {
			return false
		}
		t.change(o, &to)
		return true
	}
	o.Delivery = to
	o.ID, o.Tenant, o.EventID = state.JoinDeliveryID(eventID, suffix), op.tenant, eventID
	o.size = t.eventSize(pos)
	t.addOwed(t.s.due.find(op.tenant, o.Destination), o)
	return true
}

func (t *tx) committed(pos uint64) bool {
	return t.outcomes[pos] != nil || t.get(posKey(t.key, tabOutcome, pos)) != nil
}

// eventSize is the size of an event in bytes, as Claim counts it.
func (t *tx) eventSize(pos uint64) int {
	record, err := t.s.eventRecord(t.s.db, pos)
	must(err)
	_, envelope, raw, err := readEvent(record)
	must(err)
	return len(envelope) + len(raw)
}

// seize keeps a waiting delivery from being leased until this batch is written; false: it is leased.
func (t *tx) seize(o *owed) bool {
	if o.Leased && o.at > t.now {
		return false
	}
	return t.s.due.seize(t.s.due.find(o.Tenant, o.Destination), o.dueSortKey(), t.now)
}

type dropping struct{ tenant, id string }

// Drop ends a waiting or dead delivery, or removes an event from the dead letters.
func (s *store) Drop(ctx context.Context, tenant, id string) error {
	if _, _, ok := state.SplitDeliveryID(id); !ok {
		if err := s.do(ctx, &call{op: &droppingDeadEvent{tenant, id}, size: 64, sync: true, alone: true}); err != nil {
			return fmt.Errorf("drop event %s: %w", id, err)
		}
		return nil
	}
	if err := s.do(ctx, &call{op: &dropping{tenant, id}, size: 512, sync: true}); err != nil {
		return fmt.Errorf("drop delivery %s: %w", id, err)
	}
	return nil
}

func (op *dropping) stage(t *tx) error {
	eventID, suffix, _ := state.SplitDeliveryID(op.id)
	pos, ok := t.position(op.tenant, eventID)
	if !ok {
		return state.ErrNotFound
	}
	o := t.owed(op.tenant, pos, suffix)
	if o == nil || !o.State.Open() {
		return state.ErrNotFound
	}
	if o.State == state.Waiting && !t.seize(o) {
		return state.ErrConflict
	}
	to := o.Delivery
	to.State, to.Reason = state.Dropped, ""
	t.change(o, &to)
	return nil
}

// droppingDeadEvent removes an event from the dead letters. It scans those of the tenant, because they are few.
type droppingDeadEvent struct{ tenant, event string }

func (op *droppingDeadEvent) stage(t *tx) error {
	pos, ok := t.position(op.tenant, op.event)
	if !ok {
		return state.ErrNotFound
	}
	var found []byte
	prefix := appendText([]byte{tabDeadEvent}, op.tenant)
	must(scan(t.s.db, prefix, func(rest, _ []byte) error {
		if len(rest) == 16 && keyPos(rest[7:]) == pos {
			found = append(append([]byte{}, prefix...), rest...)
		}
		return nil
	}))
	if found == nil {
		return state.ErrNotFound
	}
	t.drop(found)
	if pos < t.s.w.counters.first {
		t.s.w.unreferenced = append(t.s.w.unreferenced, pos)
	}
	return nil
}

type holding struct {
	tenant, destination string
	hold                state.Hold
	over                *state.Hold
}

// Hold puts a destination on hold.
func (s *store) Hold(ctx context.Context, tenant, destination string, h state.Hold, over *state.Hold) error {
	// A pause by hand or because of credentials must survive a power cut. Circuits and rates are measured again.
	keep := h.Kind != state.HoldCircuit && h.Kind != state.HoldRate
	if err := s.do(ctx, &call{op: &holding{tenant, destination, h, over}, size: 256, sync: keep}); err != nil {
		return fmt.Errorf("hold %s: %w", destination, err)
	}
	return nil
}

func (op *holding) stage(t *tx) error {
	key := destPrefix(t.key, tabHold, op.tenant, op.destination)
	if op.over != nil {
		if was := t.get(key); was != nil {
			stands, till, err := readHold(was)
			if err != nil {
				return err
			}
			if till > t.now && !bytes.Equal(appendHold(nil, &stands), appendHold(nil, op.over)) {
				return state.ErrConflict
			}
		}
	}
	lifted := op.hold == state.Hold{}
	till := int64(never)
	if !op.hold.Until.IsZero() {
		till = t.moment.due(op.hold.Until)
	}
	if lifted {
		t.del(key)
	} else {
		if t.val = appendHold(t.val[:0], &op.hold); till != never && till != nanos(op.hold.Until) {
			t.val = appendInt(t.val, till) // the clock had stepped; former versions read only up to here
		}
		t.set(key, t.val)
	}
	q, now := &t.s.due, t.now
	d := q.known(op.tenant, op.destination)
	switch {
	case d == nil && lifted:
		return nil
	case d == nil:
		d = q.find(op.tenant, op.destination)
	}
	t.after = append(t.after, func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		d.onHold, d.hold, d.holdEnd = !lifted, op.hold, till
		q.put(d, now)
	})
	return nil
}

// Holds returns the destinations on hold, without those whose hold has ended.
func (s *store) Holds(ctx context.Context, tenant string) ([]state.DestinationOnHold, error) {
	if err := s.check(ctx); err != nil {
		return nil, err
	}
	now := s.clock.look().now
	q := &s.due
	q.mu.Lock()
	defer q.mu.Unlock()
	var held []state.DestinationOnHold
	for n, d := range q.dests {
		if !d.inForce(now) || tenant != "*" && n.tenant != tenant {
			continue
		}
		held = append(held, state.DestinationOnHold{Tenant: n.tenant, Destination: n.name, Hold: d.hold, Waiting: int(d.counts.waiting)})
	}
	state.SortOnHold(held)
	return held, nil
}
