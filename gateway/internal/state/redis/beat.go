package redis

import (
	"context"
	"errors"
	"time"
)

// beats says every second that this process lives, and frees what dead ones hold.
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
			err = errors.Join(err, s.beat(ctx, sh))
		}
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

func (s *store) beat(ctx context.Context, sh *shard) error {
	freed, err := s.run(ctx, beatScript, sh.base, "", s.holder, deadAfter.Microseconds())
	if n := asInt(freed); err == nil && n > 0 {
		s.log.Info("took over from a dead holder", "events", n)
		sh.free()
	}
	return err
}
