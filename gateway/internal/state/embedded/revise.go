package embedded

import (
	"context"
	"fmt"

	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/rules/event"
)

// revising is the operation of Revise.
type revising struct {
	tenant     string
	r          *state.Revision
	terms      terms
	generation uint64
}

// Revise makes the next revision of a committed event the one that counts.
func (s *store) Revise(ctx context.Context, tenant string, r *state.Revision) error {
	op := &revising{tenant: tenant, r: r, terms: termsOf(r.Event), generation: s.generations.numberOf(r.Generation)}
	op.terms.persons = s.people.Hashes(r.Event)
	if err := op.check(); err != nil {
		return fmt.Errorf("revise: %w", err)
	}
	size := r.Event.Size() + 512*(len(r.Deliveries)+len(r.Ended))
	if err := s.do(ctx, &call{op: op, size: size, sync: true, grows: true}); err != nil {
		return fmt.Errorf("revise event %s: %w", r.Event.ID, err)
	}
	return nil
}

func (op *revising) check() error {
	if err := op.r.Validate(); err != nil {
		return err
	}
	if op.r.Event.Tenant != op.tenant {
		return fmt.Errorf("event of tenant %q: %w", op.r.Event.Tenant, state.ErrNotFound)
	}
	return nil
}

func (op *revising) stage(t *tx) error {
	ev := op.r.Event
	pos, ok := t.position(op.tenant, ev.ID)
	if !ok {
		return state.ErrNotFound
	}
	if !t.committed(pos) {
		return state.ErrConflict
	}
	table := tabEvent
	record := t.get(posKey(t.key, table, pos))
	if record == nil {
		table = tabKept
		if record = t.get(posKey(t.key, table, pos)); record == nil {
			return state.ErrNotFound
		}
	}
	before, envelope, raw, err := readEvent(record)
	if err != nil {
		return err
	}
	was, err := event.Decode(envelope, nil)
	if err != nil {
		return err
	}
	if was.IsErased() {
		return state.ErrNotFound
	}
	if was.Revision != ev.Revision-1 {
		return state.ErrConflict
	}
	all, err := op.history(t, pos, before.revisions)
	if err != nil {
		return err
	}
	for i := range op.r.Deliveries {
		_, suffix, _ := state.SplitDeliveryID(op.r.Deliveries[i].ID)
		if t.current(op.tenant, ev.ID, pos, suffix) != nil {
			return state.ErrConflict
		}
	}
	ended, err := op.seize(t, pos)
	if err != nil {
		return err
	}

	if dead := all.newest.dead; dead != "" {
		t.drop(deadEventKey(nil, op.tenant, all.newest.at, pos))
	}
	all.follow(envelope, decision{op.generation, nanos(op.r.At), "", op.r.Rules})
	op.terms.received, op.terms.revisions = before.received, all.append(nil)
	t.replace(table, pos, &before, &op.terms, record, appendEvent(nil, &op.terms, ev.Envelope(), raw))
	for _, o := range ended {
		to := o.Delivery
		to.State, to.Reason = state.Dropped, state.Superseded(ev.Revision)
		t.change(o, &to)
	}
	op.owe(t, pos, len(ev.Envelope())+len(raw))
	if table == tabKept && all.former[len(all.former)-1].dead != "" {
		t.noteUnreferenced(pos)
	}
	t.s.w.dirty = true
	return nil
}

// history returns the revisions of the event so far; before the first revision that is the decision of its commit.
func (op *revising) history(t *tx, pos uint64, kept []byte) (all revisions, err error) {
	if len(kept) > 0 {
		return readRevisions(kept)
	}
	v := t.outcomes[pos]
	if v == nil {
		v = t.get(posKey(t.key, tabOutcome, pos))
	}
	out, err := readOutcome(op.tenant, op.r.Event.ID, pos, v)
	if err != nil {
		return all, err
	}
	all.newest = out.decision()
	return all, nil
}

// seize keeps the deliveries that end from being leased until this batch is written: all of them or none.
func (op *revising) seize(t *tx, pos uint64) (ended []*owed, err error) {
	var seized []*owed
	for _, id := range op.r.Ended {
		_, suffix, _ := state.SplitDeliveryID(id)
		o := t.owed(op.tenant, pos, suffix)
		if o == nil || !o.State.Open() || o.State == state.Waiting && (t.s.due.busy(o) || !t.seize(o)) {
			for _, o := range seized {
				t.s.due.release(o, t.now)
			}
			return nil, state.ErrConflict
		}
		if o.State == state.Waiting {
			seized = append(seized, o)
		}
		ended = append(ended, o)
	}
	return ended, nil
}

// replace rewrites the record of an event in its table, and its index entries.
func (t *tx) replace(table byte, pos uint64, before, after *terms, was, is []byte) {
	tenant := after.tenant
	t.put(posKey(t.key, table, pos), is)
	t.unindex(before, pos)
	if r := after.response; r != "" {
		t.set(appendU64(responsePrefix(t.key, tenant, r), pos), nil)
	}
	for _, p := range after.persons {
		t.set(appendU64(personPrefix(t.key, tenant, p), pos), nil)
	}
	t.val = appendTimeline(t.val[:0], after, len(is))
	t.set(timelineKey(t.key, tenant, pos), t.val)

	c, grown := &t.s.w.counters, int64(len(is)-len(was))
	if table == tabEvent {
		c.bytes += grown
		t.use(tenant).bytes += grown
		return
	}
	c.keptBytes += grown
	key := tenantKey(nil, tabShare, tenant, pos)
	v := t.get(key)
	if v == nil {
		return
	}
	sh, err := readShare(v)
	must(err)
	sh.size += grown
	t.put(key, appendShare(nil, sh))
	u := t.use(tenant)
	c.shareBytes += grown
	u.bytes += grown
	u.shareBytes += grown
}

// owe puts the deliveries of the revision into the due-queue.
func (op *revising) owe(t *tx, pos uint64, size int) {
	for i := range op.r.Deliveries {
		o := &owed{Delivery: op.r.Deliveries[i], pos: pos, size: size, failedAt: noTime}
		_, o.suffix, _ = state.SplitDeliveryID(o.ID)
		o.Tenant, o.EventID, o.Revision, o.State = op.tenant, op.r.Event.ID, op.r.Event.Revision, state.Waiting
		o.Updated, o.Leased, o.Log = fromNanos(t.now), false, nil
		if o.Created.IsZero() {
			o.Created = o.Updated
		}
		if o.Due.IsZero() {
			o.Due = o.Updated
		}
		t.addOwed(t.s.due.find(op.tenant, o.Destination), o)
	}
}
