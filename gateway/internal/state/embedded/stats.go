package embedded

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// statsAtOnce bounds one operation, so that merging thousands of minutes does not delay events.
const statsAtOnce = 256

type counting struct{ stats []state.Stat }

// AddStats adds counts to the minutes of destinations.
func (s *store) AddStats(ctx context.Context, stats []state.Stat) error {
	for len(stats) > 0 {
		n := min(len(stats), statsAtOnce)
		if err := s.do(ctx, &call{op: &counting{stats[:n]}, size: 128 * n}); err != nil {
			return fmt.Errorf("add statistics: %w", err)
		}
		stats = stats[n:]
	}
	return s.check(ctx)
}

func (op *counting) stage(t *tx) error {
	for i := range op.stats {
		given := &op.stats[i]
		key := statKey(given.Tenant, minute(given.Minute), given.Destination)
		sum := state.Stat{Verdicts: map[string]int64{}}
		if v := t.get(key); v != nil {
			r := readerOf(v)
			sum = r.stat()
			must(r.Err())
		}
		for verdict, n := range given.Verdicts {
			sum.Verdicts[verdict] += n
		}
		for b, n := range given.Latency {
			sum.Latency[b] += n
		}
		t.put(key, appendStat(nil, &sum))
	}
	return nil
}

func minute(t time.Time) int64 { return nanos(t.Truncate(time.Minute)) }

func statKey(tenant string, minute int64, dest string) []byte {
	return appendText(appendTime(textKey(tabStats, tenant), minute), dest)
}

// Stats returns the minutes of a tenant in a span of time, oldest first.
func (s *store) Stats(ctx context.Context, tenant, destination string, since, until time.Time) ([]state.Stat, error) {
	if err := s.check(ctx); err != nil {
		return nil, err
	}
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	from, to := int64(math.MinInt64), int64(math.MaxInt64)
	if !since.IsZero() {
		from = nanos(since)
	}
	if !until.IsZero() {
		to = nanos(until)
	}
	prefix := textKey(tabStats, tenant)
	var all []state.Stat
	err := between(s.db, appendTime(append([]byte(nil), prefix...), from), appendTime(append([]byte(nil), prefix...), to),
		func(key, value []byte) error {
			rest := key[len(prefix):]
			name, _, ok := cutText(rest[8:])
			if !ok {
				return state.ErrCorrupt
			}
			if destination != "" && name != destination {
				return nil
			}
			r := readerOf(value)
			st := r.stat()
			st.Tenant, st.Destination, st.Minute = tenant, name, fromNanos(keyTime(rest))
			all = append(all, st)
			return r.Err()
		})
	if err != nil {
		return nil, fmt.Errorf("statistics: %w", err)
	}
	return all, nil
}
