package redis

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/leaktest"
	"github.com/surveygate/surveygate/gateway/internal/redis"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/state/statetest"
)

func TestMain(m *testing.M) {
	// These tests wait for other processes more than they compute: more than one for each core goes on at a time.
	flag.Parse()
	if err := flag.Set("test.parallel", strconv.Itoa(max(8, runtime.GOMAXPROCS(0)))); err != nil {
		panic(err)
	}
	// A pool of go-redis whose node is dead asks for it once a second, and sees only then that it was closed.
	leaktest.Main(m, goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial"))
}

var prefixes atomic.Int64

// shortTrim is sliceBudget where a test asks for short calls of Trim.
const shortTrim = 64

// harness runs the engine in a Redis that several tests share, each with its own prefix.
type harness struct {
	t      *testing.T
	url    string
	prefix string
	shards int
	opts   statetest.Options
	clock  *clock.Manual
	mu     sync.Mutex
	stores []*store
	sent   commandCount
}

// commandCount counts the commands of clients.
type commandCount struct{ atomic.Int64 }

func (c *commandCount) DialHook(next goredis.DialHook) goredis.DialHook { return next }

func (c *commandCount) ProcessHook(next goredis.ProcessHook) goredis.ProcessHook {
	return func(ctx context.Context, cmd goredis.Cmder) error {
		c.Add(1)
		return next(ctx, cmd)
	}
}

func (c *commandCount) ProcessPipelineHook(next goredis.ProcessPipelineHook) goredis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []goredis.Cmder) error {
		c.Add(int64(len(cmds)))
		return next(ctx, cmds)
	}
}

// Work counts the commands of all holders.
func (h *harness) Work() statetest.Work {
	s := h.Store().(*store)
	return statetest.Work{Lists: s.read.lists.Load(), Entries: s.read.entries.Load(), Commands: h.sent.Load()}
}

func (h *harness) open() *store {
	h.t.Helper()
	s, err := open(Options{URL: h.url, Prefix: h.prefix, Shards: h.shards, Clock: h.clock})
	if err != nil {
		h.t.Fatal(err)
	}
	if h.opts.ShortTrims {
		s.trimBudget = shortTrim
	}
	s.client.AddHook(&h.sent)
	return s
}

func (h *harness) Store() state.Store {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.stores[0]
}

func (h *harness) Second() state.Store {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.stores) == 1 {
		h.stores = append(h.stores, h.open())
	}
	return h.stores[1]
}

func (h *harness) Reopen() { h.t.Helper(); h.ReopenStepped(0) }

func (h *harness) ReopenStepped(d time.Duration) {
	h.t.Helper()
	h.look()
	h.mu.Lock()
	defer h.mu.Unlock()
	counted(h.t, h.stores[0])
	for _, s := range h.stores {
		if err := s.Close(); err != nil {
			h.t.Fatal(err)
		}
	}
	h.clock.Step(d)
	h.stores = []*store{h.open()}
}

// look makes every holder give a sign of life, which also checks the clock, as it does every second.
func (h *harness) look() {
	h.t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range h.stores {
		for _, sh := range s.shards {
			if err := s.beat(context.Background(), sh); err != nil {
				h.t.Fatal(err)
			}
		}
		if err := s.tick(context.Background()); err != nil {
			h.t.Fatal(err)
		}
	}
}

func (h *harness) Step(d time.Duration) {
	h.t.Helper()
	h.look()
	h.clock.Step(d)
	h.look()
}

// Crash stops the holders without telling Redis, and sets their last signs of life to long ago.
func (h *harness) Crash() {
	h.t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range h.stores {
		s.abandon()
	}
	c := h.raw()
	defer c.client.Close()
	for _, s := range h.stores {
		for _, sh := range s.shards {
			if err := c.client.Do(context.Background(), "ZADD", sh.base+"holders", 1, s.holder).Err(); err != nil {
				h.t.Fatal(err)
			}
		}
	}
	h.stores = []*store{h.open()}
}

func (h *harness) raw() *store {
	h.t.Helper()
	address, err := redis.Parse(h.url, slog.New(slog.DiscardHandler))
	if err != nil {
		h.t.Fatal(err)
	}
	return &store{client: address.Client()}
}

func (h *harness) Advance(d time.Duration) { h.clock.Advance(d) }
func (h *harness) Now() time.Time          { return h.clock.Now() }

// conform plays the suite against an address, or only the groups that are named.
func conform(t *testing.T, url string, shards int, only ...string) {
	t.Helper()
	statetest.Run(t, func(t *testing.T, opts statetest.Options) statetest.Harness {
		h := &harness{t: t, url: url, shards: shards, opts: opts, prefix: fmt.Sprintf("t%d", prefixes.Add(1)), clock: clock.NewManual(opts.Start)}
		h.stores = []*store{h.open()}
		t.Cleanup(func() {
			counted(t, h.stores[0])
			for _, s := range h.stores {
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			}
		})
		return h
	}, only...)
}

// conformAsUser plays the suite as the user that the README recommends: it has access to the gateway's keys and channels only,
// and of the dangerous commands to INFO. Redis must not refuse any call.
func conformAsUser(t *testing.T, url string, shards int, nodes []*server, only ...string) {
	t.Helper()
	for _, n := range nodes {
		n.do("ACL", "SETUSER", "gate", "on", ">secret", "~t*", "&t*", "+@all", "-@dangerous", "+info")
	}
	t.Run("suite", func(t *testing.T) {
		conform(t, strings.Replace(url, "redis://", "redis://gate:secret@", 1), shards, only...)
	})
	for _, n := range nodes {
		if refused := asList(n.do("ACL", "LOG")); len(refused) > 0 {
			t.Errorf("refused was %v", refused)
		}
	}
}

func TestConformance(t *testing.T) {
	t.Parallel()
	srv := start(t)
	var only []string
	if testing.Short() {
		only = oneShard
	}
	conformAsUser(t, srv.url(), 1, []*server{srv}, only...)
}
