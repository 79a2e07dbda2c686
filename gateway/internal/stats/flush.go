package stats

import (
	"context"
	"fmt"
	"time"
)

const (
	// flushEvery is how often counts are written. A crash loses the statistics of at most this time.
	flushEvery = 10 * time.Second
	// flushLook is how soon counts are written that follow a quiet time, so that pages show the first event and not only the tenth second.
	flushLook = time.Second
)

// Run writes the counts every ten seconds, and the first after a quiet time within one, until ctx ends. Close writes the rest.
func (s *Stats) Run(ctx context.Context) {
	var written time.Duration // when something was, by the clock's elapsed time
	for began := true; ; {
		c, stop := s.options.Clock.After(flushLook)
		select {
		case <-ctx.Done():
			stop()
			return
		case <-c:
		}
		now := s.options.Clock.Elapsed()
		if s.cells.n.Load() == 0 || !began && now-written < flushEvery {
			continue
		}
		began, written = false, now
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
