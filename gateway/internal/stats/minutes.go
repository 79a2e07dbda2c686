package stats

import (
	"context"
	"fmt"
	"math/bits"
	"slices"
	"sort"
	"sync"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

// flushEvery is how often minutes are written. A crash loses the statistics of at most this time.
const flushEvery = 10 * time.Second

// maxCells limits the minutes in memory while the store is unavailable; further attempts are counted as lost.
const maxCells = 50_000

// minutes counts attempts per tenant, destination and minute.
type minutes struct {
	mu    sync.Mutex
	cells map[cellKey]*cell
	lost  int64
}

type cellKey struct {
	tenant, destination string
	minute              int64 // Unix seconds
}

// verdicts gives each verdict its index in a cell.
var verdicts = [...]string{
	string(connectors.Delivered), string(connectors.Skipping), string(connectors.Retry),
	string(connectors.Rejected), string(connectors.Revoked), string(connectors.Continue),
}

type cell struct {
	verdicts [len(verdicts)]int64
	latency  [24]int64
}

func (m *minutes) add(tenant, destination, verdict string, took time.Duration, at time.Time) {
	index := -1
	for i := range verdicts {
		if verdicts[i] == verdict {
			index = i
			break
		}
	}
	if index < 0 {
		return
	}
	bucket := min(bits.Len64(uint64(max(took.Milliseconds(), 0))), 23)
	second := at.Unix()
	key := cellKey{tenant, destination, second - second%60}

	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.cells[key]
	if c == nil {
		if len(m.cells) >= maxCells {
			m.lost++
			return
		}
		c = &cell{}
		m.cells[key] = c
	}
	c.verdicts[index]++
	c.latency[bucket]++
}

// take returns the counts and resets them.
func (m *minutes) take() map[cellKey]*cell {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.cells) == 0 {
		return nil
	}
	taken := m.cells
	m.cells = make(map[cellKey]*cell, len(taken))
	return taken
}

// restore adds counts that could not be written, so that they are written with the next ones.
func (m *minutes) restore(taken map[cellKey]*cell) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for key, c := range taken {
		now := m.cells[key]
		if now == nil {
			if len(m.cells) >= maxCells {
				for _, n := range c.verdicts {
					m.lost += n
				}
				continue
			}
			m.cells[key] = c
			continue
		}
		for i := range c.verdicts {
			now.verdicts[i] += c.verdicts[i]
		}
		for i := range c.latency {
			now.latency[i] += c.latency[i]
		}
	}
}

// Run writes the minutes every ten seconds until ctx ends. Close writes the rest.
func (s *Stats) Run(ctx context.Context) {
	for {
		c, stop := s.options.Clock.After(flushEvery)
		select {
		case <-ctx.Done():
			stop()
			return
		case <-c:
		}
		if err := s.flush(ctx); err != nil && ctx.Err() == nil {
			s.options.Log.Warn("cannot write statistics; they are kept in memory", "err", err)
		}
	}
}

// Close writes the counts since the last write.
func (s *Stats) Close(ctx context.Context) error { return s.flush(ctx) }

func (s *Stats) flush(ctx context.Context) error {
	taken := s.minutes.take()
	if len(taken) == 0 {
		return nil
	}
	list := make([]state.Count, 0, len(taken))
	for key, c := range taken {
		one := state.Count{Tenant: key.tenant, Kind: state.DestinationStats, Name: key.destination, At: time.Unix(key.minute, 0).UTC()}
		for counter, verdict := range [...]int{state.AttemptsDelivered: 0, state.AttemptsRetry: 2, state.AttemptsRejected: 3, state.AttemptsRevoked: 4} {
			one.Counts[counter] = c.verdicts[verdict]
		}
		for i, n := range c.latency {
			if n > 0 {
				one.Took = one.Took.Merge(state.Latencies{{Bucket: state.Bucket(time.Duration(1<<i) * time.Millisecond / 2), N: n}})
			}
		}
		list = append(list, one)
	}
	sort.Slice(list, func(i, j int) bool {
		a, b := &list[i], &list[j]
		switch {
		case a.Tenant != b.Tenant:
			return a.Tenant < b.Tenant
		case a.Name != b.Name:
			return a.Name < b.Name
		default:
			return a.At.Before(b.At)
		}
	})
	if left, err := s.options.Store.AddCounts(ctx, list); err != nil {
		for key := range taken { // what was added is not added again
			if !slices.ContainsFunc(left, func(c state.Count) bool {
				return c.Tenant == key.tenant && c.Name == key.destination && c.At.Unix() == key.minute
			}) {
				delete(taken, key)
			}
		}
		s.minutes.restore(taken)
		return fmt.Errorf("write %d minutes of statistics: %w", len(list), err)
	}
	return nil
}
