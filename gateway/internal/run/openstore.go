package run

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/state/embedded"
	"github.com/surveygate/surveygate/gateway/internal/state/redis"
)

const (
	// redisTimeout is how long a start waits for a Redis that does not answer: containers start in any order.
	redisTimeout = time.Minute
	// redisRetryMax is the longest wait between two tries.
	redisRetryMax = 5 * time.Second
)

// noteName is the file in the data folder that records which store in Redis the gateway used last.
const noteName = "redis-store.json"

// openStore opens the engine that the configuration names.
func (g *gateway) openStore(ctx context.Context, c *config.Config) (state.Store, error) {
	if c.Engine() == config.EngineEmbedded {
		return embedded.Open(embedded.Options{Dir: filepath.Join(g.data, "store"), Clock: g.clock, Logger: g.traffic, Grouped: g.grouped, Files: g.descriptors.store})
	}
	// The embedded store locks the folder; here only the socket lives in it.
	if err := os.MkdirAll(g.data, 0o700); err != nil {
		return nil, fmt.Errorf("folder of the control socket: %w", err)
	}
	host, _ := os.Hostname()
	var store state.Store
	err := g.await(ctx, func() (err error) {
		store, err = redis.Open(redis.Options{
			URL: c.Redis.URL.Expose(), Prefix: c.Redis.Prefix, Holder: host, Clock: g.clock, Logger: g.traffic, Grouped: g.grouped,
			Note: filepath.Join(g.data, noteName),
		})
		return err
	})
	return store, err
}

// folderProblems warns of a data folder that others may write to: they could replace the control socket or the data.
func (g *gateway) folderProblems() []string {
	if !isOpen(g.data) {
		return nil
	}
	return []string{fmt.Sprintf("users other than the gateway's may write to %s, and so change or replace what is kept: run `chmod 700 %s` as the gateway's user", g.data, g.data)}
}

// await does a step of the start. While Redis is unavailable it does the step again, with backoff, for up to redisTimeout. Any
// other error is returned at once.
func (g *gateway) await(ctx context.Context, do func() error) error {
	began := g.clock.Now()
	for wait := time.Second; ; wait = min(2*wait, redisRetryMax) {
		err := do()
		if err == nil || !errors.Is(err, state.ErrUnavailable) {
			return err
		}
		took := g.clock.Now().Sub(began)
		if took >= redisTimeout {
			return fmt.Errorf("redis did not answer for %s: %w", redisTimeout, err)
		}
		g.log.Warn("Redis does not answer yet; trying again", "took", took.Round(time.Second), "err", err)
		again, stop := g.clock.After(wait)
		select {
		case <-again:
			stop()
			continue
		case <-ctx.Done():
		case <-g.options.Leave: // nothing is served yet that a balancer could leave
		}
		stop()
		return fmt.Errorf("stopped while waiting for Redis: %w", err)
	}
}
