package redis

import (
	"context"
	"errors"
	"fmt"

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
