package redis

import (
	"context"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// Client makes a client of the address. It does not connect yet. go-redis' own log is discarded: callers report errors.
func (a *Address) Client() goredis.UniversalClient {
	silenceLibrary()
	c := goredis.NewUniversalClient(a.Options)
	if a.Form == Cluster {
		c.AddHook(callLimit(a.Options.ReadTimeout))
	}
	return c
}

var silenceLibrary = sync.OnceFunc(func() { goredis.SetLogger(discard{}) })

type discard struct{}

func (discard) Printf(context.Context, string, ...any) {}

// callLimit bounds the time of a call on a Cluster as a whole. Without it, the client asks a node that does not answer
// again and then other nodes, each time for as long as one call may take.
type callLimit time.Duration

// DialHook changes nothing.
func (callLimit) DialHook(next goredis.DialHook) goredis.DialHook { return next }

// ProcessHook bounds one command.
func (l callLimit) ProcessHook(next goredis.ProcessHook) goredis.ProcessHook {
	return func(ctx context.Context, cmd goredis.Cmder) error {
		ctx, cancel := context.WithTimeout(ctx, time.Duration(l))
		defer cancel()
		return next(ctx, cmd)
	}
}

// ProcessPipelineHook bounds a pipeline of commands.
func (l callLimit) ProcessPipelineHook(next goredis.ProcessPipelineHook) goredis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []goredis.Cmder) error {
		ctx, cancel := context.WithTimeout(ctx, time.Duration(l))
		defer cancel()
		return next(ctx, cmds)
	}
}
