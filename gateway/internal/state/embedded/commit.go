package embedded

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// committing is the operation of Commit. The caller encodes everything that does not depend on a fence.
type committing struct {
	c        *state.Commit
	result   *state.Committed
	now      int64
	outcomes []prepared
	buf      []byte

	// Of all outcomes, one after the other; deliveries is that of the outcome being prepared.
	deliveries []state.Delivery
	suffixes   []string
	links      []link
	entries    [][2]int
}

// prepared is an encoded outcome with its deliveries, to be written if the event is still pending. Pairs are ranges of buf.
type prepared struct {
	record   [2]int // of the outcome
	suffixes []string
	links    []link
	entries  [][2]int // history of each delivery; empty: none
}

var committings = sync.Pool{New: func() any { return new(committing) }}

// Commit applies outcomes of events and of due deliveries.
func (s *store) Commit(ctx context.Context, c *state.Commit) (*state.Committed, error) {
	if len(c.Events)+len(c.Due) == 0 {
		return &state.Committed{}, s.check(ctx)
	}
	op := committings.Get().(*committing)
	if err := op.prepare(s, c); err != nil {
		committings.Put(op)
		return nil, fmt.Errorf("commit: %w", err)
	}
	err := s.do(ctx, &call{op: op, size: len(op.buf), sync: durable(c)})
	if err != nil {
		return nil, fmt.Errorf("commit: %w", err)
	}
	result := op.result
	op.c, op.result = nil, nil
	clear(op.outcomes)
	clear(op.deliveries)
	clear(op.suffixes)
	if cap(op.buf) <= 1<<20 {
		committings.Put(op)
	}
	return result, nil
}

// durable reports whether a commit has to be synced. Deliveries that have ended need no sync: after a power cut they are made
// again, as at-least-once allows. Waiting deliveries and dead letters must not be lost.
func durable(c *state.Commit) bool {
	for i := range c.Events {
		if c.Events[i].Dead != "" {
			return true
		}
		for k := range c.Events[i].Deliveries {
			if c.Events[i].Deliveries[k].State.Open() {
				return true
			}
		}
	}
	for i := range c.Due {
		if c.Due[i].Delivery.State.Open() {
			return true
		}
	}
	return false
}

func (op *committing) prepare(s *store, c *state.Commit) error {
	op.c, op.now = c, nanos(s.clock.clock.Now())
	op.result = &state.Committed{Events: make([]bool, len(c.Events)), Due: make([]bool, len(c.Due))}
	op.buf, op.outcomes = op.buf[:0], op.outcomes[:0]
	op.suffixes, op.links, op.entries = op.suffixes[:0], op.links[:0], op.entries[:0]
	for i := range c.Events {
		p, err := op.outcome(s, &c.Events[i])
		if err != nil {
			return err
		}
		op.outcomes = append(op.outcomes, p)
	}
	for i := range c.Due {
		if err := c.Due[i].Delivery.Validate(); err != nil {
			return err
		}
	}
	return nil
}

func (op *committing) outcome(s *store, o *state.Outcome) (p prepared, err error) {
	if o.Release {
		return p, nil
	}
	n := len(op.suffixes)
	if op.suffixes, err = o.AppendSuffixes(op.suffixes); err != nil {
		return p, err
	}
	op.deliveries = append(op.deliveries[:0], o.Deliveries...)
	for i := range op.deliveries {
		d := &op.deliveries[i]
		stamp(d, o, op.now)
		var l link
		var at [2]int
		if d.EntersHistory() {
			l = link{tableFor(d), op.now, d.Destination}
			from := len(op.buf)
			op.buf = appendEntry(op.buf, d, link{}, op.now, false)
			at = [2]int{from, len(op.buf)}
		}
		op.links, op.entries = append(op.links, l), append(op.entries, at)
	}
	p.suffixes, p.links, p.entries = op.suffixes[n:], op.links[n:], op.entries[n:]
	own := *o
	own.Deliveries = op.deliveries
	own.At = decidedAt(o, op.now)
	from := len(op.buf)
	op.buf = appendOutcome(op.buf, &own, s.generations.numberOf(o.Generation), p.suffixes, p.links)
	p.record = [2]int{from, len(op.buf)}
	return p, nil
}

func decidedAt(o *state.Outcome, now int64) time.Time {
	if o.At.IsZero() {
		return fromNanos(now)
	}
	return o.At
}

// stamp completes a delivery at the commit of its event.
func stamp(d *state.Delivery, o *state.Outcome, now int64) {
	d.Tenant, d.EventID = o.Tenant, o.EventID
	d.Stamp(fromNanos(now))
}

// tableFor is the table of history that a commit of a delivery enters.
func tableFor(d *state.Delivery) byte {
	if d.Failed() {
		return tabFailures
	}
	return tabHistory
}

func (op *committing) stage(t *tx) error {
	for i := range op.c.Events {
		o := &op.c.Events[i]
		switch {
		case o.Release:
			op.result.Events[i] = op.release(t, o)
		default:
			op.result.Events[i] = op.decide(t, o, &op.outcomes[i])
		}
	}
	for i := range op.c.Due {
		op.result.Due[i] = op.settle(t, &op.c.Due[i])
	}
	return nil
}

func (op *committing) release(t *tx, o *state.Outcome) bool {
	c, ok := t.s.window.releaseEvent(o.Position, o.Tenant, o.EventID)
	if !ok {
		return false
	}
	t.set(posKey(t.key, tabClaims, o.Position), c.append(nil))
	t.freed = true
	t.free(o.Tenant, o.EventID, o.Free)
	return true
}

func (op *committing) decide(t *tx, o *state.Outcome, p *prepared) bool {
	size, ok := t.s.window.settle(o.Position, o.Tenant, o.EventID)
	if !ok {
		for i := range o.Deliveries {
			t.repeat(o.Tenant, o.EventID, p.suffixes[i], &o.Deliveries[i])
		}
		return false
	}
	record := op.buf[p.record[0]:p.record[1]]
	must(t.part(partOutcomes).Set(posKey(t.key, tabOutcome, o.Position), record, nil))
	t.outcomes[o.Position] = record
	for i := range o.Deliveries {
		d := &o.Deliveries[i]
		dest := t.s.due.find(o.Tenant, d.Destination)
		if at := p.entries[i]; at[1] > 0 {
			t.enter(dest, sortKey{p.links[i].at, o.Position, p.suffixes[i]}, p.links[i].table, d.Origin.Name, op.buf[at[0]:at[1]])
		}
		if !d.State.Open() {
			continue
		}
		w := owed{Delivery: *d, pos: o.Position, suffix: p.suffixes[i], size: size, newest: p.links[i], failedAt: noTime}
		stamp(&w.Delivery, o, op.now)
		if p.links[i].table == tabFailures {
			w.failedAt = p.links[i].at
		}
		t.addOwed(dest, &w)
	}
	if o.Dead != "" {
		t.set(deadEventKey(t.key, o.Tenant, nanos(decidedAt(o, op.now)), o.Position), nil)
	}
	t.free(o.Tenant, o.EventID, o.Free)
	t.s.w.counters.pending--
	t.s.w.dirty = true
	return true
}

// enter adds an entry of a rule or webhook to the history of a destination.
func (t *tx) enter(d *dest, p sortKey, table byte, rule string, entry []byte) {
	t.noteRule(d, rule)
	t.s.due.widen(d, table, p)
	must(t.part(partHistory).Set(listKey(t.key, table, d.tenant, d.name, p), entry, nil))
	if table == tabFailures {
		t.counts(d).failures++
	} else {
		t.counts(d).history++
	}
}
