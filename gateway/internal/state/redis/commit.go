package redis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// committing is the part of a Commit that goes to one shard.
type committing struct {
	ops     []commitOp
	items   int
	bytes   int
	events  []int // indexes in the Commit
	due     []int
	applied []bool
	fresh   []newName
	ended   chan error
}

// commitArgs are the arguments of commit.lua.
type commitArgs struct {
	Caller string
	Ops    []commitOp
}

// commitOp is one operation: Op tells which of the others is set.
type commitOp struct {
	Op      string
	Release *releaseArgs
	Burial  *burialArgs
	Event   *eventArgs
	Due     *dueArgs
}

type releaseArgs struct {
	N uint64
	idRef
}

type burialArgs struct {
	N       uint64
	Share   string // the tenant, escaped
	Outcome []byte
}

type eventArgs struct {
	N uint64
	idRef
	Outcome    []byte
	Deliveries []deliveryArgs
	More       *eventEndArgs // of operation F
}

type eventEndArgs struct {
	Share  string // the tenant, escaped
	DeadAt int64  // microseconds
	Free   freeKeysArgs
}

type dueArgs struct {
	idRef
	Lease    int64 // microseconds
	Free     freeKeysArgs
	Delivery deliveryArgs
}

type deliveryArgs struct {
	State, Dest, List string
	Entry             []byte
	Record            *recordArgs // unless the delivery ended with its event
}

type recordArgs struct {
	Suffix, Reason     string
	Tail               []byte
	Leased, Size       int
	Created, Wait, Due int64 // microseconds
}

func (p *committing) weight() (items, bytes int) { return p.items, p.bytes }
func (p *committing) done(err error)             { p.ended <- err }

// Commit applies outcomes of events and of due deliveries, atomically in each shard. If a shard fails, the call fails; when
// the caller repeats it, what other shards applied is not applied again.
func (s *store) Commit(ctx context.Context, c *state.Commit) (*state.Committed, error) {
	result := &state.Committed{Events: make([]bool, len(c.Events)), Due: make([]bool, len(c.Due))}
	if err := s.check(ctx); err != nil || len(c.Events)+len(c.Due) == 0 {
		return result, err
	}
	known := s.partial.recall(c)
	var parts []*committing
	var missing, unprepared error
	err := retryTaken(func() error {
		if parts, missing, unprepared = s.prepare(ctx, c, known); unprepared != nil {
			return unprepared
		}
		var fresh []newName
		for _, p := range parts {
			if p != nil {
				fresh = append(fresh, p.fresh...)
			}
		}
		return s.keepNames(ctx, fresh)
	})
	if unprepared != nil {
		s.partial.remember(c, known)
		return nil, fmt.Errorf("commit: %w", unprepared)
	}
	if err == nil {
		err = s.apply(ctx, c, parts, known)
	}
	known.copyTo(result)
	if err = errors.Join(err, missing, s.finish(ctx, c, known)); err != nil {
		s.partial.remember(c, known)
		return nil, fmt.Errorf("commit: %w", err)
	}
	return result, nil
}

// apply sends each shard its part and waits for all answers.
func (s *store) apply(ctx context.Context, c *state.Commit, parts []*committing, known *commitResults) error {
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
			known.events[at] = commitResult{known: true, applied: p.applied[i]}
			if o := &c.Events[at]; p.applied[i] || !o.Release {
				_, number := s.at(o.Position)
				s.shards[n].drop(number)
				if o.Release {
					s.shards[n].markFreed()
				}
			}
		}
		for i, at := range p.due {
			known.due[at] = commitResult{known: true, applied: p.applied[len(p.events)+i]}
		}
	}
	return errors.Join(errs...)
}

func (sh *shard) drop(n uint64) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	delete(sh.claimed, n)
	if n == sh.suspectNumber {
		sh.suspectNumber = 0
	}
}

// prepare makes the scripts' arguments. Events come first, as one Commit may create a delivery and settle it. The error
// missing says why deliveries are left out whose shard is not known, as a shard does not answer.
func (s *store) prepare(ctx context.Context, c *state.Commit, known *commitResults) (parts []*committing, missing, err error) {
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
		d := &c.Due[i].Delivery
		if _, _, err := suffixOf(d); err != nil {
			return nil, nil, err
		}
		if err := valid(d); err != nil {
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

// suffixOf splits a delivery's ID into its event's ID and a suffix.
func suffixOf(d *state.Delivery) (eventID, suffix string, err error) {
	eventID, suffix, ok := splitID(d.ID)
	if !ok || d.EventID != "" && d.EventID != eventID {
		return "", "", fmt.Errorf("%w: delivery id %q does not lead to event %q", state.ErrInvalid, d.ID, d.EventID)
	}
	return eventID, suffix, nil
}

func valid(d *state.Delivery) error {
	if letters[d.State] == 0 {
		return fmt.Errorf("%w: delivery %s has no state: %q", state.ErrInvalid, d.ID, d.State)
	}
	if d.Destination == "" {
		return fmt.Errorf("%w: delivery %s has no destination", state.ErrInvalid, d.ID)
	}
	return nil
}

func (p *committing) event(s *store, sh *shard, n uint64, o *state.Outcome, now time.Time) error {
	id := idRefOf(o.Tenant, o.EventID)
	p.items++
	if o.Release {
		p.ops = append(p.ops, commitOp{Op: "R", Release: &releaseArgs{n, id}})
		return nil
	}
	own := *o
	if own.At.IsZero() {
		own.At = now
	}
	own.Deliveries = slices.Clone(o.Deliveries)
	suffixes, shapes := make([]string, len(own.Deliveries)), make([]string, len(own.Deliveries))
	for i := range own.Deliveries {
		d := &own.Deliveries[i]
		if d.EventID == "" {
			d.EventID = o.EventID
		}
		eventID, suffix, err := suffixOf(d)
		if err != nil {
			return err
		}
		if eventID != o.EventID {
			return fmt.Errorf("%w: delivery id %q does not lead to event %q", state.ErrInvalid, d.ID, o.EventID)
		}
		if err := valid(d); err != nil {
			return err
		}
		if slices.Contains(suffixes[:i], suffix) {
			return fmt.Errorf("%w: delivery %s is owed twice by event %s", state.ErrInvalid, d.ID, o.EventID)
		}
		d.Tenant, d.EventID = o.Tenant, o.EventID
		stamp(d, now)
		suffixes[i], shapes[i] = suffix, s.names.reference(shape(d), &p.fresh)
	}
	record := s.appendOutcome(nil, &own, suffixes, shapes, &p.fresh)
	args := &eventArgs{N: n, idRef: id, Outcome: record, Deliveries: make([]deliveryArgs, len(own.Deliveries))}
	p.bytes += len(record) + 128
	sh.mu.Lock()
	size, known := sh.claimed[n]
	sh.mu.Unlock()
	if !known {
		size = -1
	}
	for i := range own.Deliveries {
		args.Deliveries[i] = p.delivery(&own.Deliveries[i], suffixes[i], shapes[i], size, now, false)
	}
	op := "E"
	if own.Dead != "" || len(own.Free) > 0 {
		op, args.More = "F", &eventEndArgs{Share: escape(o.Tenant), Free: s.freeIn(sh, o.Tenant, o.EventID, o.Free)}
		if own.Dead != "" {
			args.More.DeadAt = unixMicro(own.At)
		}
	}
	p.ops = append(p.ops, commitOp{Op: op, Event: args})
	return nil
}

// stamp sets a delivery's times at a commit.
func stamp(d *state.Delivery, now time.Time) {
	d.Updated = now
	if d.Created.IsZero() {
		d.Created = now
	}
	if d.State == state.Waiting {
		if d.Due.IsZero() {
			d.Due = now
		}
	} else {
		d.Due, d.Leased = time.Time{}, false
	}
}

func (p *committing) settle(s *store, sh *shard, given *state.Settled, now time.Time) {
	d := given.Delivery
	eventID, suffix, _ := splitID(d.ID)
	d.EventID = eventID
	stamp(&d, now)
	p.items++
	p.ops = append(p.ops, commitOp{Op: "D", Due: &dueArgs{
		idRef: idRefOf(d.Tenant, eventID), Lease: unixMicro(given.Lease), Free: s.freeIn(sh, d.Tenant, eventID, given.Free),
		Delivery: p.delivery(&d, suffix, s.names.reference(shape(&d), &p.fresh), 0, now, true),
	}})
}

// freeIn returns the keys of `once` to give back that are in this shard. With one shard that is all of them.
func (s *store) freeIn(sh *shard, tenant, owner string, keys []string) (free freeKeysArgs) {
	for _, k := range keys {
		if s.onceShard(tenant, k) == sh {
			free.Keys = append(free.Keys, onceKeyArgs{onceKey(tenant, k), owner})
		}
	}
	return free
}

// delivery makes the script's arguments for a delivery. One that ended with its event leaves history only; recorded says
// that it has a record of its own.
func (p *committing) delivery(d *state.Delivery, suffix, shape string, size int, now time.Time, recorded bool) deliveryArgs {
	args := deliveryArgs{State: letterOf(d.State), Dest: token(d.Tenant, d.Destination)}
	if len(d.Log) > 0 || d.State != state.Waiting { // it was attempted or has ended
		args.List, args.Entry = listFor(d), appendEntry(nil, d, suffix, shape)
	}
	if recorded || d.State == state.Waiting || d.State == state.Dead {
		v := valuesOf(d, shape, now)
		args.Record = &recordArgs{
			Suffix: suffix, Reason: v.reason, Tail: v.tail,
			Leased: leased(d), Size: size, Created: v.created, Wait: v.wait, Due: v.due,
		}
	}
	p.items++
	p.bytes += len(args.Entry) + 256
	return args
}

func leased(d *state.Delivery) int {
	if d.Leased {
		return 1
	}
	return 0
}

func letterOf(s state.DeliveryState) string { return string(letters[s]) }

// values are the parts of a delivery's record that scripts read.
type values struct {
	created, wait, due int64 // microseconds
	reason             string
	tail               []byte
}

func valuesOf(d *state.Delivery, shape string, now time.Time) values {
	wait := int64(0)
	if d.State == state.Waiting {
		wait = d.Due.Sub(now).Microseconds() // a duration, as the clock may have stepped since Due was computed
	}
	return values{
		created: unixMicro(d.Created), wait: wait, due: unixMicro(d.Due), reason: plain(d.Reason),
		tail: appendTail(nil, d, shape),
	}
}

// listFor returns the history list of a delivery. Failures have a list of their own, so that many successes do not displace
// them.
func listFor(d *state.Delivery) string {
	for i := range d.Log {
		if v := d.Log[i].Verdict; v != string(state.Delivered) && v != string(state.Skipped) {
			return "f"
		}
	}
	return "h"
}

// commitGroup commits the parts of several calls with one script.
func (s *store) commitGroup(sh *shard, calls []*committing) {
	args, n := commitArgs{Caller: s.holder}, 0
	for _, c := range calls {
		args.Ops = append(args.Ops, c.ops...)
		n += len(c.events) + len(c.due)
	}
	ctx, cancel := s.detached(s.ctx)
	defer cancel()
	got, err := commitScript.run(ctx, s, sh.base, args)
	results := asList(got)
	if err == nil && len(results) != n {
		err = fmt.Errorf("%w: the script answered for %d of %d", errCorrupt, len(results), n)
	}
	for _, c := range calls {
		if err == nil {
			for range len(c.events) + len(c.due) {
				c.applied = append(c.applied, asInt(results[0]) == 1)
				results = results[1:]
			}
		}
		c.done(err)
	}
}
