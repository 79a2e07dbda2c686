package stats

import (
	"context"
	"fmt"
	"time"
)

// flushEvery is how often counts are written. A crash loses the statistics of at most this time.
const flushEvery = 10 * time.Second

// Run writes the counts every ten seconds until ctx ends. Close writes the rest.
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
	s.flushing.Lock()
	defer s.flushing.Unlock()
	counts := s.cells.take()
	if len(counts) == 0 {
		return nil
	}
	left, err := s.options.Store.AddCounts(ctx, counts)
	s.cells.restore(left)
	if err != nil {
		return fmt.Errorf("write %d of %d statistics: %w", len(left), len(counts), err)
	}
	s.countOverPlan(ctx, counts)
	return nil
}
