// Package redis keeps the gateway's state in Redis (7 or newer, or Valkey): the engine of several replicas.
//
// Events are a stream that anybody may read; who holds what is its consumer group. Every change of several keys is one
// script, and whatever waits for one goes into one call together, without timers. Scripts use Redis' own time; callers
// pass durations, so that a clock that steps on one machine moves nothing. Where Redis' own clock steps, or another server
// takes over whose clock is behind, due times, leases, holds and signs of life go on by elapsed time (lib.lua, pace.lua).
//
// What a holder has leased is listed (leased:HOLDER): it is due again when the holder dies or leaves, as its events are, and
// when the answer that gave it was lost.
//
// A Cluster has shards: each is a whole store under one hash tag, and no script touches two. What is one step on a
// single Redis is one step for each shard there.
package redis

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/redis"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

// Options say where and how to keep the state. URL is required.
type Options struct {
	// URL leads to one Redis, to sentinels or to a Cluster; redis.Parse documents its forms. It holds a password: it is in no error.
	URL string
	// Prefix begins every key: `surveygate` where nothing is said.
	Prefix string
	// Shards is how many shards a new store has: 1, or 4 on a Cluster, where nothing is said. A store that was made with
	// another number is refused.
	Shards int
	// Holder begins the name of this process among the stream's consumers; the rest is random.
	Holder string
	// Note is a file that holds between two runs which store this is, so that one that was emptied meanwhile is not taken
	// for a new one; empty: nothing is remembered.
	Note string
	// Clock is the callers' clock. Another than the system's also replaces Redis' own, which is what tests want.
	Clock  clock.Clock
	Logger *slog.Logger
	// Grouped hears how many calls shared each write; nil: nobody. It must be quick.
	Grouped func(calls int)
}

const (
	deadAfter = 10 * time.Second // without a sign of life a holder's events are free
	beatEvery = time.Second
	lostAfter = 5 * time.Second // of a call that nobody waits for any more
	// recentMost is how many settings are remembered to have changed. Who missed more is told of all there are.
	recentMost = 65536
)

// store implements state.Store.
type store struct {
	opts    Options
	client  goredis.UniversalClient
	form    redis.Form
	clock   clock.Clock
	manual  bool // scripts are told the time
	log     *slog.Logger
	holder  string
	layouts sync.Mutex // guards key and emptiedAt
	key     []byte     // of people, as this process read it; nil before
	// emptiedAt is when the store was found empty though it had been in use, in microseconds as the layout has it; "" is never.
	emptiedAt string
	emptied   chan struct{} // see Emptied
	people    atomic.Pointer[state.People]
	meta      string // prefix of the keys of the gateway as a whole
	shards    []*shard
	names     names
	partly    partly
	turns     turns
	watchers  state.Watchers
	ticked    looked
	words     atomic.Int64 // newest due time that was written for a lease
	seen      uint64       // newest version of a setting that watchers were told of
	recent    int          // changes of settings that are remembered for who missed them
	full      atomic.Bool
	calls     atomic.Int64 // of scripts, for the benchmarks

	wake    chan struct{}
	turn    atomic.Uint32 // the shard that is asked first
	claims  sync.Mutex    // one claim at a time: what it held and could not hand out comes first
	ctx     context.Context
	cancel  context.CancelFunc
	ending  sync.WaitGroup
	once    sync.Once
	closing atomic.Bool
	closed  error
}

var _ state.Store = (*store)(nil)

// shard is one part of the store, under one hash tag.
type shard struct {
	n       int
	base    string
	routes  *batcher[*routing] // of ids that lead here
	appends *batcher[*appending]
	commits *batcher[*committing]

	mu      sync.Mutex
	held    map[uint64]int // bytes of the events that this process holds
	left    []state.Claimed
	alone   uint64         // the suspect that this process holds of this shard; 0: none
	suspect *state.Claimed // it, while it is still to be handed out
	lost    bool           // a claim's answer was lost: what it held is still to be found
	freed   bool           // some were released, or their holder died: those come before new ones
	largest int            // entry of the last claim
	unheard []int64        // due times of leases whose answers were lost: what was leased with them is not known here
	beaten  looked
	parts   parts // how far the turn over ready destinations has come

	routesRest atomic.Pointer[time.Time] // it failed to answer for routes, and is not asked until then

	rests time.Time // it failed, and is not asked for events until then; under the store's claims
}

// Open opens the store, and makes it at the first start.
func Open(opts Options) (state.Store, error) { return open(opts) }

func open(opts Options) (*store, error) {
	if opts.Prefix == "" {
		opts.Prefix = "surveygate"
	}
	if opts.Clock == nil {
		opts.Clock = clock.System()
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	address, err := redis.Parse(opts.URL, opts.Logger)
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	var suffix [6]byte
	if _, err := rand.Read(suffix[:]); err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	if opts.Holder == "" {
		opts.Holder = "gateway"
	}
	s := &store{
		opts: opts, form: address.Form, clock: opts.Clock, manual: opts.Clock != clock.System(), log: opts.Logger,
		holder: opts.Holder + "-" + hex.EncodeToString(suffix[:]), meta: escape(opts.Prefix) + ":{meta}:",
		wake: make(chan struct{}, 1), emptied: make(chan struct{}, 1), recent: recentMost,
	}
	s.client = address.Client()
	s.ctx, s.cancel = context.WithCancel(context.Background())
	ctx, cancel := context.WithTimeout(s.ctx, 15*time.Second)
	defer cancel()
	if err := s.begin(ctx); err != nil {
		s.cancel()
		return nil, errors.Join(fmt.Errorf("open store: %w", lockedOut(err)), s.client.Close())
	}
	s.ending.Go(s.beats)
	s.ending.Go(s.listen)
	return s, nil
}

// begin looks whether this Redis can keep anything, and finds or makes the layout.
func (s *store) begin(ctx context.Context) error {
	if err := s.admit(ctx); err != nil {
		return err
	}
	if err := s.layout(ctx); err != nil {
		return err
	}
	if err := s.tick(ctx); err != nil {
		return err
	}
	for _, sh := range s.shards {
		if _, err := groupScript.run(ctx, s, sh.base, noArgs{}); err != nil {
			return err
		}
		if err := s.beat(ctx, sh); err != nil {
			return err
		}
	}
	return s.watchFrom(ctx)
}

// layout reads what was written down at the first start, or writes it.
func (s *store) layout(ctx context.Context) error {
	s.layouts.Lock()
	defer s.layouts.Unlock()
	shards := s.opts.Shards
	if shards == 0 {
		shards = 1
		if s.form == redis.Cluster {
			shards = 4
		}
	}
	key := s.key
	if key == nil {
		key = make([]byte, 32)
		if _, err := rand.Read(key); err != nil {
			return err
		}
	}
	at := s.meta + "layout"
	before, err := s.client.HGetAll(ctx, at).Result()
	if err != nil {
		return s.fault(err)
	}
	pipe := s.client.TxPipeline() // whoever finds the layout finds that it was emptied, too
	if s.wasEmptied(before) {
		pipe.HSet(ctx, at, "emptied", micros(s.clock.Now()))
	}
	pipe.HSetNX(ctx, at, "version", layoutVersion)
	pipe.HSetNX(ctx, at, "shards", shards)
	pipe.HSetNX(ctx, at, "respondents", key)
	kept := pipe.HGetAll(ctx, at)
	if _, err := pipe.Exec(ctx); err != nil {
		return s.fault(err)
	}
	if len(kept.Val()) == 0 { // written a moment ago: a Cluster whose slots are moving answered from two nodes
		return fmt.Errorf("%w: Redis does not return what it was given", state.ErrUnavailable)
	}
	if v := kept.Val()["version"]; v != layoutVersion && v != sharedLayout {
		return fmt.Errorf("the store in Redis has layout %s, this version reads %s and %s", v, layoutVersion, sharedLayout)
	}
	n, err := strconv.Atoi(kept.Val()["shards"])
	if err != nil || n < 1 {
		return fmt.Errorf("the store in Redis has %q shards", kept.Val()["shards"])
	}
	if s.opts.Shards != 0 && n != s.opts.Shards || s.shards != nil && n != len(s.shards) {
		return fmt.Errorf("the store in Redis was made with %d shards, not %d: what it keeps would not be found again", n, shards)
	}
	s.key = []byte(kept.Val()["respondents"])
	s.people.Store(state.NewPeople(s.key))
	if at := kept.Val()["emptied"]; at != s.emptiedAt && s.shards != nil {
		// Records that were written since then, and those to come, refer to names that it lost.
		s.names.forget()
		if err := s.names.keepAll(ctx, s); err != nil {
			return err
		}
	}
	s.notice(kept.Val()["emptied"])
	s.remember()
	if s.shards != nil {
		return nil
	}
	for i := range n {
		sh := &shard{n: i, base: fmt.Sprintf("%s:{%d}:", escape(s.opts.Prefix), i), held: map[uint64]int{}, largest: 64 << 10, freed: true}
		sh.routes = newBatcher(func(group []*routing) { s.routeGroup(sh, group) })
		sh.appends = newBatcher(func(group []*appending) { s.grouped(len(group)); s.appendGroup(sh, group) })
		sh.commits = newBatcher(func(group []*committing) { s.grouped(len(group)); s.commitGroup(sh, group) })
		s.shards = append(s.shards, sh)
	}
	return nil
}

func (s *store) grouped(calls int) {
	if s.opts.Grouped != nil {
		s.opts.Grouped(calls)
	}
}

// now is what scripts are told of the time: nothing, but in tests.
func (s *store) now() string {
	if s.manual {
		return micros(s.clock.Now())
	}
	return ""
}

func (s *store) ended() bool { return s.closing.Load() }

func (s *store) check(ctx context.Context) error {
	if s.ended() {
		return state.ErrClosed
	}
	return ctx.Err()
}

// detached is for a call whose effect must be known: it does not end with its caller.
func (s *store) detached(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), lostAfter)
}

// Close releases what is held without counting those claims.
func (s *store) Close() error {
	s.once.Do(func() {
		s.closing.Store(true)
		for _, sh := range s.shards {
			sh.routes.close()
			sh.appends.close()
			sh.commits.close()
		}
		s.claims.Lock() // a claim under way ends first, so that what it took is released too
		defer s.claims.Unlock()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(s.ctx), lostAfter)
		defer cancel()
		s.cancel()
		s.ending.Wait()
		s.watchers.Close()
		var errs []error
		for _, sh := range s.shards {
			if err := leaveScript.call(ctx, s, sh.base, holderArgs{s.holder}).Err(); err != nil {
				errs = append(errs, fmt.Errorf("close store: %w: %w", state.ErrUnavailable, err))
			}
		}
		s.closed = errors.Join(append(errs, s.client.Close())...)
	})
	return s.closed
}

// abandon ends the process's part without a word to Redis, as a kill does. Tests use it.
func (s *store) abandon() {
	s.once.Do(func() {
		s.closing.Store(true)
		s.cancel()
		for _, sh := range s.shards {
			sh.routes.close()
			sh.appends.close()
			sh.commits.close()
		}
		s.ending.Wait()
		s.watchers.Close()
		s.closed = s.client.Close()
	})
}
