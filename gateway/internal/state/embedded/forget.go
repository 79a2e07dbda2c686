package embedded

import (
	"bytes"
	"context"
	"fmt"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

type forgetting struct {
	tenant, destination string
	over                *state.Hold
	forgotten           bool
}

// Forget removes a destination of which nothing is left but its hold.
func (s *store) Forget(ctx context.Context, tenant, destination string, over *state.Hold) (bool, error) {
	op := &forgetting{tenant: tenant, destination: destination, over: over}
	// Alone, so that the counts include all deliveries that were committed before.
	if err := s.do(ctx, &call{op: op, size: 256, sync: true, alone: true}); err != nil {
		return false, fmt.Errorf("forget %s: %w", destination, err)
	}
	return op.forgotten, nil
}

func (op *forgetting) stage(t *tx) error {
	d := t.s.due.known(op.tenant, op.destination)
	switch {
	case d == nil:
		op.forgotten = true
	case d.counts.waiting > 0:
		return fmt.Errorf("%w: %d deliveries wait for it", state.ErrConflict, d.counts.waiting)
	case op.over != nil && d.inForce(t.now) && !bytes.Equal(appendHold(nil, &d.hold), appendHold(nil, op.over)):
		return fmt.Errorf("%w: another hold is in force", state.ErrConflict)
	case !d.counts.any():
		t.forgetDest(d)
		op.forgotten = true
	}
	return nil
}

// forgetDest removes a destination without entries and its hold. The batch under way must have no entries of it.
func (t *tx) forgetDest(d *dest) {
	t.del(destPrefix(t.key, tabDest, d.tenant, d.name))
	t.del(destPrefix(t.key, tabHold, d.tenant, d.name))
	for rule := range d.rules.names {
		t.del(appendText(destPrefix(t.key, tabRule, d.tenant, d.name), rule))
	}
	q := &t.s.due
	t.after = append(t.after, func() { q.forget(d) })
}

// trimForgotten forgets a destination without entries and without a hold that is in force, and ends a hold that is over.
func trimForgotten(t *tx, s *slice, d *dest) {
	// An entry of this batch is counted when the batch is written: then it is another Trim's turn.
	if d.forgotten || t.deltas[d] != nil {
		return
	}
	over := !d.inForce(s.over)
	switch {
	case over && !d.counts.any():
		t.forgetDest(d)
	case over && d.onHold:
		t.del(destPrefix(t.key, tabHold, d.tenant, d.name))
		q := &t.s.due
		t.after = append(t.after, func() { q.endHold(d) })
	}
}

// known returns the destination of a name, nil if there is none.
func (q *dueQueue) known(tenant, name string) *dest {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.dests[destName{tenant, name}]
}

// forget removes a destination from memory. A reader may still have it: it finds it empty.
func (q *dueQueue) forget(d *dest) {
	q.mu.Lock()
	defer q.mu.Unlock()
	d.forgotten, d.onHold = true, false
	q.remove(d)
	delete(q.dests, destName{d.tenant, d.name})
	if delete(q.of[d.tenant], d.name); len(q.of[d.tenant]) == 0 {
		delete(q.of, d.tenant)
	}
}

// endHold removes a hold that is over from memory.
func (q *dueQueue) endHold(d *dest) {
	q.mu.Lock()
	defer q.mu.Unlock()
	d.onHold, d.hold, d.holdEnd = false, state.Hold{}, 0
}
