package redis

import (
	"context"
	"errors"
	"sync"
	"time"
)

// beats gives a sign of life every second, and releases what dead holders have claimed and leased.
func (s *store) beats() {
	tick := time.NewTicker(beatEvery)
	defer tick.Stop()
	failing := false
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-tick.C:
		}
		ctx, cancel := context.WithTimeout(s.ctx, lostAfter)
		err := errors.Join(s.look(ctx), s.lookForLayout(ctx))
		for _, sh := range s.shards {
			err = errors.Join(err, s.beat(ctx, sh), s.resumeCounts(ctx, sh))
		}
		err = errors.Join(err, s.tick(ctx))
		cancel()
		if s.ctx.Err() != nil {
			return
		}
		if err != nil && !failing {
			s.log.Warn("Redis cannot be reached", "err", err)
		}
		failing = err != nil
	}
}

// beatArgs are the arguments of beat.lua.
type beatArgs struct {
	Consumer  string
	DeadAfter int64  // microseconds
	Elapsed   string // microseconds; empty at the first beat
}

// tickArgs are the arguments of tick.lua.
type tickArgs struct {
	Elapsed string // microseconds; empty at the first tick
}

func (s *store) beat(ctx context.Context, sh *shard) error {
	began := s.clock.Elapsed()
	got, err := beatScript.run(ctx, s, sh.base, beatArgs{s.holder, deadAfter.Microseconds(), sh.beaten.since(began)})
	if err != nil {
		return err
	}
	sh.beaten.at(began)
	freed := asList(got)
	if len(freed) < 3 {
		return errCorrupt
	}
	events, due := asInt(freed[0]), asInt(freed[1])
	if events+due > 0 {
		s.log.Info("took over from a dead holder", "events", events, "deliveries", due)
	}
	if events > 0 {
		sh.markFreed()
	}
	if step := time.Duration(asInt(freed[2])) * time.Microsecond; step != 0 {
		s.log.Warn("the clock of Redis was set: retries, delays, holds and leases continue by elapsed time", "took", step, "key", sh.base)
	}
	return nil
}

// tick records the time for the keys that belong to no shard, as beats do for shards.
func (s *store) tick(ctx context.Context) error {
	began := s.clock.Elapsed()
	if _, err := tickScript.run(ctx, s, s.meta, tickArgs{s.ticked.since(began)}); err != nil {
		return err
	}
	s.ticked.at(began)
	return nil
}

// clockCheck is when this process last had a script check the clock, in elapsed time. The zero value is never.
type clockCheck struct {
	mu   sync.Mutex
	last time.Duration
	ever bool
}

// since returns the longest time that may have passed since then, in microseconds; empty if it never was.
func (l *clockCheck) since(now time.Duration) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.ever {
		return ""
	}
	return span(now - l.last)
}

func (l *clockCheck) at(now time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last, l.ever = now, true
}
