package embedded

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/rules/event"
)

// erasing is the operation of Erase.
type erasing struct {
	tenant  string
	ids     []string
	at      time.Time
	entries map[string][]historyPlace // of the events, as they were found before
	results []state.Erased
}

// historyPlace is the place of an entry of history.
type historyPlace struct {
	table byte
	dest  string
	key   sortKey
}

// Erase removes the content of events.
func (s *store) Erase(ctx context.Context, tenant string, ids []string) ([]state.Erased, error) {
	if len(ids) > state.MaxErase {
		return nil, fmt.Errorf("erase: %w: %d events", state.ErrInvalid, len(ids))
	}
	if len(ids) == 0 {
		return nil, s.check(ctx)
	}
	op := &erasing{tenant: tenant, ids: ids, at: s.clock.look().wall}
	var err error
	if op.entries, err = s.historyOf(ctx, tenant, ids); err != nil {
		return nil, fmt.Errorf("erase: %w", err)
	}
	if err := s.do(ctx, &call{op: op, size: 1024 * len(ids), sync: true, alone: true}); err != nil {
		return nil, fmt.Errorf("erase: %w", err)
	}
	return op.results, nil
}

// historyOf finds the history of events by their ids. It reads that of all destinations: an older entry is not always linked to a
// newer one any more, because retention bounds failures apart from the others, and history stays longer than events.
func (s *store) historyOf(ctx context.Context, tenant string, ids []string) (map[string][]historyPlace, error) {
	if err := s.check(ctx); err != nil {
		return nil, err
	}
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	at := map[uint64]string{}
	found := make(map[string][]historyPlace, len(ids))
	for _, id := range ids {
		found[id] = nil
		pos, err := s.position(s.db, tenant, id)
		switch {
		case err == nil:
			at[pos] = id
		case !errors.Is(err, state.ErrNotFound):
			return nil, err
		}
	}
	lost := len(at) < len(ids) // only the entries themselves lead to some of them
	n := 0
	for _, d := range s.due.destinations(tenant) {
		for _, table := range [...]byte{tabHistory, tabFailures} {
			err := scan(s.db, destPrefix(nil, table, tenant, d.name), func(rest, value []byte) error {
				if n++; n%1024 == 0 {
					if err := ctx.Err(); err != nil {
						return err
					}
				}
				p, ok := cutSortKey(rest)
				if !ok {
					return state.ErrCorrupt
				}
				id, known := at[p.pos]
				if !known && lost {
					e, err := readEntry(tenant, p, value)
					if err != nil {
						return err
					}
					id = e.EventID
					_, known = found[id]
				}
				if known {
					found[id] = append(found[id], historyPlace{table, d.name, p})
				}
				return nil
			})
			if err != nil {
				return nil, err
			}
		}
	}
	return found, nil
}

func (op *erasing) stage(t *tx) error {
	op.results = make([]state.Erased, len(op.ids))
	for i, id := range op.ids {
		if at := slices.Index(op.ids[:i], id); at >= 0 {
			op.results[i] = op.results[at]
			continue
		}
		op.results[i] = op.erase(t, id)
	}
	return nil
}

func (op *erasing) erase(t *tx, id string) (res state.Erased) {
	res.ID = id
	pos, ok := t.position(op.tenant, id)
	var record []byte
	table := tabEvent
	if ok {
		if record = t.get(posKey(t.key, table, pos)); record == nil {
			table = tabKept
			record = t.get(posKey(t.key, table, pos))
		}
	}
	if record == nil {
		res.Attempts = op.eraseHistory(t, id, 0, nil)
		return res
	}
	res.Found = true
	if !t.committed(pos) {
		res.Busy = state.BusyPending
		return res
	}
	before, envelope, _, err := readEvent(record)
	must(err)
	was, err := event.Decode(envelope, nil)
	if err != nil { // it became a dead letter because of that
		was = &event.Event{Header: event.Header{
			ID: id, Tenant: op.tenant, Source: before.source, Type: before.kind, SurveyID: before.survey,
			Time: fromNanos(before.received), Received: fromNanos(before.received),
		}}
	}
	left, err := event.Erase(was, op.at)
	if err != nil {
		res.Busy = "it cannot be read: " + err.Error()
		return res
	}
	all, ok := op.deliveries(t, id, pos)
	if !ok {
		res.Busy = state.BusyLeased
		return res
	}
	res.Before = was.IsErased()
	res.Attempts = op.eraseHistory(t, id, pos, all)
	out := op.eraseOutcome(t, id, pos, &before)
	for _, o := range all {
		if o.State.Open() {
			res.Ended = append(res.Ended, o.Delivery)
			to := o.Delivery
			to.State, to.Reason, to.Ref = state.Dropped, state.ErasedReason, ""
			t.change(o, &to)
			continue
		}
		o.Erase()
		t.val = appendOwed(t.val[:0], o)
		t.put(owedKey(t.key, pos, o.suffix), t.val)
	}
	res.Deliveries = len(all)
	for _, suffix := range out.suffixes {
		if !hasSuffix(all, suffix) {
			res.Deliveries++
		}
	}
	if !res.Before {
		after := termsOf(left)
		after.received = before.received
		t.replace(table, pos, &before, &after, record, appendEvent(nil, &after, left.Envelope(), nil))
	}
	t.noteUnreferenced(pos)
	t.s.w.dirty = true
	return res
}

func hasSuffix(all []*owed, suffix string) bool {
	for _, o := range all {
		if o.suffix == suffix {
			return true
		}
	}
	return false
}

// deliveries returns the deliveries of an event that have a record of their own, and keeps those that wait from being leased
// until this batch is written; false: one of them is leased.
func (op *erasing) deliveries(t *tx, id string, pos uint64) (all []*owed, ok bool) {
	must(scan(t.s.db, posKey(nil, tabOwed, pos), func(rest, value []byte) error {
		o, err := readOwed(op.tenant, pos, string(rest), value)
		all = append(all, o)
		return err
	}))
	for i, o := range all {
		if o.State != state.Waiting || !t.s.due.busy(o) && t.seize(o) {
			continue
		}
		for _, seized := range all[:i] {
			if seized.State == state.Waiting {
				t.s.due.release(seized, t.now)
			}
		}
		return nil, false
	}
	return all, true
}

// eraseOutcome erases the decision of an event, and takes the event out of the dead letters.
func (op *erasing) eraseOutcome(t *tx, id string, pos uint64, before *terms) *outcome {
	out, err := readOutcome(op.tenant, id, pos, t.get(posKey(t.key, tabOutcome, pos)))
	must(err)
	dead, at := out.Dead, nanos(out.At)
	if len(before.revisions) > 0 {
		all, err := readRevisions(before.revisions)
		must(err)
		n := &all.newest
		dead, at = n.dead, n.at
		out.generation, out.At, out.Dead, out.Rules = n.generation, fromNanos(n.at), n.dead, n.rules
	}
	if dead != "" {
		t.drop(deadEventKey(nil, op.tenant, at, pos))
	}
	out.Erase()
	t.put(posKey(t.key, tabOutcome, pos), appendOutcome(nil, &out.Outcome, out.generation, out.suffixes, out.links))
	for i := range out.suffixes {
		op.eraseLinked(t, pos, out.suffixes[i], out.links[i], (*state.Delivery).Erase)
	}
	return out
}

// eraseHistory erases the entries of history that were found before, and those that came since. It returns how many attempts they have.
func (op *erasing) eraseHistory(t *tx, id string, pos uint64, all []*owed) (attempts int) {
	for _, p := range op.entries[id] {
		_, n := op.eraseEntry(t, p, (*state.Delivery).Erase)
		attempts += n
	}
	for _, o := range all {
		op.eraseLinked(t, pos, o.suffix, o.newest, (*state.Delivery).Erase)
	}
	return attempts
}

func (op *erasing) eraseLinked(t *tx, pos uint64, suffix string, l link, erase func(*state.Delivery)) {
	for l.table != 0 {
		e, _ := op.eraseEntry(t, historyPlace{l.table, l.dest, sortKey{l.at, pos, suffix}}, erase)
		if e == nil {
			return
		}
		l = e.before
	}
}

// eraseEntry returns the entry, and how many attempts it has; nil: retention removed it.
func (op *erasing) eraseEntry(t *tx, p historyPlace, erase func(*state.Delivery)) (*entry, int) {
	key := listKey(nil, p.table, op.tenant, p.dest, p.key)
	was := t.get(key)
	if was == nil {
		return nil, 0
	}
	e, err := readEntry(op.tenant, p.key, was)
	must(err)
	erase(&e.Delivery)
	if is := appendEntry(nil, &e.Delivery, e.before, p.key.at, false); !bytes.Equal(was, is) {
		t.put(key, is)
	}
	return e, len(e.Log)
}

// erased reports whether the content of the event at a position was erased.
func (t *tx) erased(pos uint64) bool {
	record := t.get(posKey(t.key, tabEvent, pos))
	if record == nil {
		if record = t.get(posKey(t.key, tabKept, pos)); record == nil {
			return false
		}
	}
	_, envelope, _, err := readEvent(record)
	return err == nil && state.IsErasedEnvelope(envelope)
}
