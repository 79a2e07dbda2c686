package embedded

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// Standing returns the standing of destinations. Counts and holds are in memory; the oldest delivery of each destination is
// looked up with one iterator. It does not create destinations for unknown names.
func (s *store) Standing(ctx context.Context, tenant string, destinations []string) ([]state.Standing, error) {
	if err := s.check(ctx); err != nil {
		return nil, err
	}
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	now, q := s.clock.look().now, &s.due
	q.mu.Lock()
	if destinations == nil {
		for name, d := range q.of[tenant] {
			if d.known(now) {
				destinations = append(destinations, name)
			}
		}
		slices.Sort(destinations)
	}
	all, found := make([]state.Standing, len(destinations)), make([]*dest, len(destinations))
	for i, name := range destinations {
		all[i].Destination = name
		d := q.dests[destName{tenant, name}]
		if d == nil {
			continue
		}
		all[i].Waiting, all[i].Dead = int(d.counts.waiting), int(d.counts.dead)
		if d.inForce(now) {
			all[i].Hold = d.hold
		}
		found[i] = d
	}
	q.mu.Unlock()
	err := s.eachOldestWaiting(found, func(i int, created time.Time) { all[i].OldestWaiting = created })
	if err != nil {
		return nil, fmt.Errorf("standing: %w", err)
	}
	return all, nil
}

// known reports whether the store has anything of the destination. The caller holds the queue's mu.
func (d *dest) known(now int64) bool { return d.counts.any() || d.inForce(now) }

// inForce reports whether the destination is on hold. The caller holds the queue's mu.
func (d *dest) inForce(now int64) bool { return d.onHold && d.holdEnd > now }

// any reports whether one of the lists has an entry.
func (c *destCounts) any() bool {
	return c.waiting > 0 || c.dead > 0 || c.history > 0 || c.failures > 0
}

// eachOldestWaiting calls each with the creation of the oldest waiting delivery of each destination that has one. Entries of
// dests may be nil.
func (s *store) eachOldestWaiting(dests []*dest, each func(i int, created time.Time)) (err error) {
	type from struct {
		i      int
		prefix []byte
		low    sortKey
	}
	var waiting []from
	s.due.mu.Lock()
	for i, d := range dests {
		if d != nil && d.counts.waiting > 0 {
			waiting = append(waiting, from{i: i, prefix: destPrefix(nil, tabWaiting, d.tenant, d.name), low: d.low[0]})
		}
	}
	s.due.mu.Unlock()
	if len(waiting) == 0 {
		return nil
	}
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{tabWaiting}, UpperBound: []byte{tabWaiting + 1}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	slices.SortFunc(waiting, func(a, b from) int { return cmp.Or(bytes.Compare(a.prefix, b.prefix), cmp.Compare(a.i, b.i)) })
	for _, w := range waiting {
		if it.SeekGE(w.low.append(slices.Clip(w.prefix))) && bytes.HasPrefix(it.Key(), w.prefix) {
			p, ok := cutSortKey(it.Key()[len(w.prefix):])
			if !ok {
				return state.ErrCorrupt
			}
			each(w.i, fromNanos(p.at))
		}
	}
	return it.Error()
}
