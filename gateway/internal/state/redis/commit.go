package redis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// committing is the part of a Commit that goes to one shard.
type committing struct {
	args   []any
	items  int
	bytes  int
	events []int // their place in the Commit
	due    []int
	held   []bool
	fresh  []any
	ended  chan error
}

func (p *committing) weight() (items, bytes int) { return p.items, p.bytes }
func (p *committing) done(err error)             { p.ended <- err }

// Commit applies outcomes of events and of due deliveries: on a Cluster one step for each shard. Where a shard fails,
// the call does; given again, what the others applied is not applied again.
func (s *store) Commit(ctx context.Context, c *state.Commit) (*state.Committed, error) {
	result := &state.Committed{Events: make([]bool, len(c.Events)), Due: make([]bool, len(c.Due))}
	if err := s.check(ctx); err != nil || len(c.Events)+len(c.Due) == 0 {
		return result, err
	}
	known := s.partly.recall(c)
	var parts []*committing
	var missing, unprepared error
	err := untaken(func() error {
		if parts, missing, unprepared = s.prepare(ctx, c, known); unprepared != nil {
			return unprepared
		}
		var fresh []any
		for _, p := range parts {
			if p != nil {
				fresh = append(fresh, p.fresh...)
			}
		}
		return s.keepNames(ctx, fresh)
	})
	if unprepared != nil {
		s.partly.remember(c, known)
		return nil, fmt.Errorf("commit: %w", unprepared)
	}
	if err == nil {
		err = s.apply(ctx, c, parts, known)
	}
	known.into(result)
	if err = errors.Join(err, missing, s.after(ctx, c, known)); err != nil {
		s.partly.remember(c, known)
		return nil, fmt.Errorf("commit: %w", err)
	}
	return result, nil
}

// apply sends each shard its part, and waits for all of them.
func (s *store) apply(ctx context.Context, c *state.Commit, parts []*committing, known *fates) error {
	for n, p := range parts {
		if p != nil {
			s.shards[n].commits.add(p)
		}
	}
	var errs []error
	for n, p := range parts {
		if p == nil {
			continue
		}
		select {
		case err := <-p.ended:
			if err != nil {
				errs = append(errs, err)
				continue
			}
		case <-ctx.Done():
			errs = append(errs, ctx.Err())
			continue
		}
		for i, at := range p.events {
			known.events[at] = fate{known: true, held: p.held[i]}
			if o := &c.Events[at]; p.held[i] || !o.Release {
				_, number := s.at(o.Position)
				s.shards[n].drop(number)
				if o.Release {
					s.shards[n].free()
				}
			}
		}
		for i, at := range p.due {
			known.due[at] = fate{known: true, held: p.held[len(p.events)+i]}
		}
	}
	return errors.Join(errs...)
}

func (sh *shard) drop(n uint64) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	delete(sh.held, n)
	if n == sh.alone {
		sh.alone = 0
	}
}

// prepare writes the scripts' arguments: events first, as one Commit may hand a delivery over and settle it. Missing
// says why deliveries are left out whose shard is not known: one does not answer.
func (s *store) prepare(ctx context.Context, c *state.Commit, known *fates) (parts []*committing, missing, err error) {
	parts = make([]*committing, len(s.shards))
	part := func(sh *shard) *committing {
		if parts[sh.n] == nil {
			parts[sh.n] = &committing{ended: make(chan error, 1)}
		}
		return parts[sh.n]
	}
	now := s.clock.Now()
	for i := range c.Events {
		if known.events[i].known {
			continue
		}
		o := &c.Events[i]
		sh, n := s.at(o.Position)
		p := part(sh)
		p.events = append(p.events, i)
		if err := p.event(s, sh, n, o, now); err != nil {
			return nil, nil, err
		}
	}
	for i := range c.Due {
		if err := c.Due[i].Delivery.Validate(); err != nil {
			return nil, nil, err
		}
	}
	where, sick := s.shardsOf(ctx, c.Due)
	for i := range c.Due {
		if known.due[i].known {
			continue
		}
		if where[i] == nil {
			missing = sick
			continue
		}
		p := part(where[i])
		p.due = append(p.due, i)
		p.settle(s, where[i], &c.Due[i], now)
	}
	return parts, missing, nil
}

func (p *committing) event(s *store, sh *shard, n uint64, o *state.Outcome, now time.Time) error {
	slot, field := slotOf(o.EventID), fieldOf(o.Tenant, o.EventID)
	p.items++
	if o.Release {
		p.args = append(p.args, "R", n, slot, field)
		return nil
	}
	own := *o
	if own.At.IsZero() {
		own.At = now
	}
	suffixes, err := o.AppendSuffixes(make([]string, 0, len(o.Deliveries)))
	if err != nil {
		return err
	}
	own.Deliveries = slices.Clone(o.Deliveries)
	shapes := make([]string, len(own.Deliveries))
	for i := range own.Deliveries {
		d := &own.Deliveries[i]
		d.Tenant, d.EventID = o.Tenant, o.EventID
		d.Stamp(now)
		shapes[i] = s.names.of(shape(d), &p.fresh)
	}
	record := s.appendOutcome(nil, &own, suffixes, shapes, &p.fresh)
	op := "E"
	if own.Dead != "" || len(own.Free) > 0 {
		op = "F"
	}
	p.args = append(p.args, op, n, slot, field, record, len(own.Deliveries))
	p.bytes += len(record) + 128
	sh.mu.Lock()
	size, known := sh.held[n]
	sh.mu.Unlock()
	if !known {
		size = -1
	}
	for i := range own.Deliveries {
		p.delivery(&own.Deliveries[i], suffixes[i], shapes[i], size, now, false)
	}
	if op == "F" {
		dead := "0"
		if own.Dead != "" {
			dead = micros(own.At)
		}
		p.args = append(p.args, escape(o.Tenant), dead)
		p.free(s, sh, o.Tenant, o.EventID, o.Free)
	}
	return nil
}

func (p *committing) settle(s *store, sh *shard, given *state.Settled, now time.Time) {
	d := given.Delivery
	eventID, suffix, _ := state.SplitDeliveryID(d.ID)
	d.EventID = eventID
	d.Stamp(now)
	p.items++
	p.args = append(p.args, "D", slotOf(eventID), fieldOf(d.Tenant, eventID), micros(given.Lease))
	p.free(s, sh, d.Tenant, eventID, given.Free)
	p.delivery(&d, suffix, s.names.of(shape(&d), &p.fresh), 0, now, true)
}

// free gives the keys of once back that are in this shard; on one shard that is all of them, in the same step.
func (p *committing) free(s *store, sh *shard, tenant, owner string, keys []string) {
	at := len(p.args)
	p.args = append(p.args, 0)
	n := 0
	for _, k := range keys {
		if s.onceShard(tenant, k) == sh {
			p.args = append(p.args, onceKey(tenant, k), owner)
			n++
		}
	}
	p.args[at] = n
}

// delivery writes the script's arguments for a delivery. Of one that ended with its event only the history is kept;
// whole is for one that has a record of its own.
func (p *committing) delivery(d *state.Delivery, suffix, shape string, size int, now time.Time, whole bool) {
	list, entry := "", []byte(nil)
	if d.EntersHistory() {
		list, entry = listFor(d), appendEntry(nil, d, suffix, shape)
	}
	p.args = append(p.args, letterOf(d.State), token(d.Tenant, d.Destination), list, entry)
	if whole || d.State.Open() {
		v := valuesOf(d, shape, now)
		p.args = append(p.args, suffix, leased(d), size, v.created, v.wait, v.due, v.reason, v.tail)
	}
	p.items++
	p.bytes += len(entry) + 256
}

func leased(d *state.Delivery) int {
	if d.Leased {
		return 1
	}
	return 0
}

func letterOf(s state.DeliveryState) string { return string(s.Letter()) }

// values are what scripts are told of a delivery that has a record.
type values struct {
	created, wait, due, reason string
	tail                       []byte
}

func valuesOf(d *state.Delivery, shape string, now time.Time) values {
	wait := int64(0)
	if d.State == state.Waiting {
		wait = d.Due.Sub(now).Microseconds() // as it elapses: the clock may have stepped since it was computed
	}
	return values{
		created: micros(d.Created), wait: strconv.FormatInt(wait, 10), due: micros(d.Due), reason: plain(d.Reason),
		tail: appendTail(nil, d, shape),
	}
}

// listFor is the letter of the list of history that a commit of a delivery enters.
func listFor(d *state.Delivery) string {
	if d.Failed() {
		return "f"
	}
	return "h"
}

// commitGroup is one call of the script: events of all calls, then due deliveries of all.
func (s *store) commitGroup(sh *shard, calls []*committing) {
	args := []any{s.now(), s.holder}
	n := 0
	for _, c := range calls {
		args = append(args, c.args...)
		n += len(c.events) + len(c.due)
	}
	ctx, cancel := s.detached(s.ctx)
	defer cancel()
	got, err := s.run(ctx, commitScript, sh.base, args...)
	results := asList(got)
	if err == nil && len(results) != n {
		err = fmt.Errorf("%w: the script answered for %d of %d", errCorrupt, len(results), n)
	}
	for _, c := range calls {
		if err == nil {
			for range len(c.events) + len(c.due) {
				c.held = append(c.held, asInt(results[0]) == 1)
				results = results[1:]
			}
		}
		c.done(err)
	}
}
