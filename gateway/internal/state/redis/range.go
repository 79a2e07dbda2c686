package redis

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// Range calls each for a tenant's events in order, as they were when it was called.
func (s *store) Range(ctx context.Context, tenant string, from uint64, each func(*state.Record) error) error {
	rising, err := s.ascents(ctx, from)
	if err != nil {
		return fmt.Errorf("range: %w", err)
	}
	for {
		var lowest *ascent
		for _, r := range rising {
			if err := s.readAscent(ctx, r, tenant); err != nil {
				return fmt.Errorf("range: %w", err)
			}
			if len(r.found) > 0 && (lowest == nil || r.found[0].Position < lowest.found[0].Position) {
				lowest = r
			}
		}
		if lowest == nil {
			return nil
		}
		if err := s.check(ctx); err != nil {
			return err
		}
		record := lowest.found[0]
		lowest.found = lowest.found[1:]
		if err := each(record); err != nil {
			return err
		}
	}
}

// ascents begins a Range in every shard.
func (s *store) ascents(ctx context.Context, from uint64) ([]*ascent, error) {
	if err := s.check(ctx); err != nil {
		return nil, err
	}
	rising := make([]*ascent, len(s.shards))
	shards := uint64(len(s.shards))
	for i, sh := range s.shards {
		m, err := s.marks(ctx, sh)
		if err != nil {
			return nil, err
		}
		r := &ascent{sh: sh, first: m.first, next: m.next}
		if from > uint64(i) {
			r.from = (from - uint64(i) + shards - 1) / shards
		}
		kept, err := s.client.ZRangeByScore(ctx, sh.base+"kept", &goredis.ZRangeBy{
			Min: text(r.from), Max: "(" + text(m.first),
		}).Result()
		if err != nil {
			return nil, s.fault(err)
		}
		for _, m := range kept {
			r.kept = append(r.kept, number(m))
		}
		for _, slice := range m.slices {
			if slice >= r.from/sliced {
				r.slices = append(r.slices, slice)
			}
		}
		rising[i] = r
	}
	return rising, nil
}

// ascent is a shard's part of a Range.
type ascent struct {
	sh                *shard
	from, first, next uint64
	slices            []uint64
	kept              []uint64 // numbers below first that are kept by themselves, of all tenants
	ns                []uint64
	found             []*state.Record
}

// readAscent reads a shard's next events.
func (s *store) readAscent(ctx context.Context, r *ascent, tenant string) error {
	for len(r.found) == 0 {
		if len(r.ns) == 0 {
			if len(r.slices) == 0 {
				r.ns, r.kept = r.kept, nil
				if len(r.ns) == 0 {
					return nil
				}
				continue
			}
			slice := r.slices[0]
			all, err := s.slice(ctx, r.sh, tenant, slice, r.first)
			if err != nil {
				return err
			}
			r.slices = r.slices[1:]
			for _, n := range all {
				if n >= r.from && n < r.next {
					r.ns = append(r.ns, n)
				}
			}
			for len(r.kept) > 0 && r.kept[0] < (slice+1)*sliced {
				r.ns, r.kept = append(r.ns, r.kept[0]), r.kept[1:]
			}
			slices.Sort(r.ns)
			r.ns = slices.Compact(r.ns)
			continue
		}
		some := r.ns[:min(len(r.ns), 64)]
		r.ns = r.ns[len(some):]
		var err error
		if r.found, err = s.records(ctx, r.sh, tenant, some); err != nil {
			return err
		}
	}
	return nil
}

// Oldest returns when the first event of a tenant in each shard was received, whichever is earlier; "*" means all tenants.
func (s *store) Oldest(ctx context.Context, tenant string) (oldest time.Time, err error) {
	all := []string{tenant}
	if tenant == "*" {
		if all, err = s.eventTenants(ctx); err != nil {
			return oldest, fmt.Errorf("oldest event: %w", err)
		}
	}
	for _, tenant := range all {
		rising, err := s.ascents(ctx, 0)
		if err != nil {
			return oldest, fmt.Errorf("oldest event: %w", err)
		}
		for _, r := range rising {
			if err := s.readAscent(ctx, r, tenant); err != nil {
				return oldest, fmt.Errorf("oldest event: %w", err)
			}
			if len(r.found) == 0 {
				continue
			}
			if received := r.found[0].Event.Received; oldest.IsZero() || received.Before(oldest) {
				oldest = received
			}
		}
	}
	return oldest, nil
}

// eventTenants returns the tenants that have or had events.
func (s *store) eventTenants(ctx context.Context) ([]string, error) {
	if err := s.check(ctx); err != nil {
		return nil, err
	}
	found := map[string]bool{}
	for _, sh := range s.shards {
		names, err := s.client.SMembers(ctx, sh.base+"tenants").Result()
		if err != nil {
			return nil, s.fault(err)
		}
		for _, name := range names {
			found[unescape(name)] = true
		}
	}
	return slices.Collect(maps.Keys(found)), nil
}
