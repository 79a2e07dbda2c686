// Package redis keeps the gateway's state in Redis (7 or newer, or Valkey). It is the engine for several replicas.
//
// Events are a stream that any program may read. The stream's consumer group records which replica has claimed which event.
// A change of several keys is one Lua script, and calls that wait are sent together in one script, without timers.
//
// Scripts use the time of Redis and callers pass durations, so a clock that steps on one machine changes nothing. If the
// clock of Redis steps, or another server with a slower clock takes over, due times, leases, holds and signs of life
// continue by elapsed time (lib.lua, pace.lua).
//
// The leases of a holder are listed in leased:HOLDER. Their deliveries become due again when the holder dies, leaves, or
// did not receive the answer that granted them; claimed events are released at the same time.
//
// A Cluster has shards. Each is a complete store under one hash tag, and no script uses two of them. What is atomic on a
// single Redis is atomic for each shard on a Cluster.
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

// Options configure a store. URL is required.
type Options struct {
	// URL is the address of one Redis, of sentinels or of a Cluster; see redis.Parse. It holds a password and is in no error.
	URL string
	// Prefix begins every key; the default is `surveygate`.
	Prefix string
	// Shards is the number of shards of a new store; the default is 1, or 4 on a Cluster. A store that was made with another
	// number is refused.
	Shards int
	// Holder begins the name of this process among the stream's consumers; the rest is random.
	Holder string
	// Note is a file that identifies the store between two runs, so that one that was emptied meanwhile is not taken for a
	// new one. If it is empty, nothing is remembered.
	Note string
	// Clock is the callers' clock. Any other than the system's also replaces the clock of Redis, for tests.
	Clock  clock.Clock
	Logger *slog.Logger
	// Grouped is called with the number of calls that shared a write. It may be nil and must be quick.
	Grouped func(calls int)
}

const (
	// deadAfter is how long after its last sign of life a holder counts as dead and its events are released.
	deadAfter = 10 * time.Second
	beatEvery = time.Second
	// lostAfter bounds a call that continues after its caller has left.
	lostAfter = 5 * time.Second
	// maxRecent is how many changes of settings are kept. A watcher that missed more is told of every setting.
	maxRecent = 65536
)

// store implements state.Store.
type store struct {
	opts    Options
	client  goredis.UniversalClient
	form    redis.Form
	clock   clock.Clock
	manual  bool // scripts get the time from clock
	log     *slog.Logger
	holder  string     // the name of this process
	layouts sync.Mutex // guards key and emptiedAt
	key     []byte     // of the respondents' hashes, as this process read it; nil before
	// emptiedAt is when the store was found empty although it had been in use: microseconds, as in the layout; "" is never.
	emptiedAt  string
	emptied    chan struct{} // see Emptied
	people     atomic.Pointer[state.People]
	meta       string // prefix of the keys that belong to no shard
	shards     []*shard
	names      names
	partial    partialCommits
	fair       fairShare
	watchers   state.Watchers
	ticked     clockCheck
	lastLease  atomic.Int64 // newest due time that was written for a lease
	seen       uint64       // newest version of a setting that watchers were told of
	recent     int          // how many changes of settings are kept: maxRecent, less in tests
	pass       pass         // the calls of Trim
	trimBudget int          // slices of one Trim: sliceBudget, less in tests
	full       atomic.Bool  // Redis has almost no memory left
	calls      atomic.Int64 // of scripts, for the benchmarks
	read       reads        // of lists, for tests

	unreadCounts atomic.Int64 // cells of statistics that could not be read

	wake       chan struct{}
	firstShard atomic.Uint32 // the shard that is asked first
	claims     sync.Mutex    // one claim at a time: events that an earlier one could not hand out come first
	ctx        context.Context
	cancel     context.CancelFunc
	ending     sync.WaitGroup
	once       sync.Once
	closing    atomic.Bool
	closed     error
}

var _ state.Store = (*store)(nil)

// reads are how often pages of deliveries read a list, and how many entries they read.
type reads struct{ lists, entries atomic.Int64 }

// shard is one part of the store, under one hash tag.
type shard struct {
	n       int
	base    string // prefix of its keys
	routes  *batcher[*routing]
	appends *batcher[*appending]
	commits *batcher[*committing]

	mu            sync.Mutex
	claimed       map[uint64]int  // bytes of the events that this process has claimed, by number
	queued        []state.Claimed // claimed, and not yet handed out
	suspectNumber uint64          // number of the suspect that this process has claimed; 0: none
	suspect       *state.Claimed  // that suspect until it is handed out
	lostClaim     bool            // the answer to a claim was lost: its events must be looked up in Redis
	freed         bool            // events were released or their holder died: they come before new ones
	largest       int             // bytes of the largest event in the last claim
	lostLeases    []int64         // due times of leases whose answers were lost, so their deliveries are unknown here
	beaten        clockCheck
	counts        countWriter
	ready         readyCursor // how far ClaimDue has come among the ready destinations

	routesSkipUntil atomic.Pointer[time.Time] // it did not answer for routes and is not asked until then

	skipUntil time.Time // it failed and is not asked for events until then; guarded by the store's claims
}

// Open opens the store, and creates it at the first start.
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
		wake: make(chan struct{}, 1), emptied: make(chan struct{}, 1), recent: maxRecent, trimBudget: sliceBudget,
	}
	s.client = address.Client()
	s.ctx, s.cancel = context.WithCancel(context.Background())
	ctx, cancel := context.WithTimeout(s.ctx, 15*time.Second)
	defer cancel()
	if err := s.begin(ctx); err != nil {
		s.cancel()
		return nil, errors.Join(fmt.Errorf("open store: %w", explainDenied(err)), s.client.Close())
	}
	s.ending.Go(s.beats)
	s.ending.Go(s.listen)
	return s, nil
}

// begin checks that this Redis can keep events safely, and reads or writes the layout.
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

// layout reads what was written at the first start, or writes it.
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
	pipe := s.client.TxPipeline() // another process reads the layout and `emptied` together
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
	if len(kept.Val()) == 0 { // a Cluster whose slots are moving answered from two nodes
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
		return fmt.Errorf("the store in Redis was made with %d shards, not %d: its contents would not be found", n, shards)
	}
	s.key = []byte(kept.Val()["respondents"])
	s.people.Store(state.NewPeople(s.key))
	if at := kept.Val()["emptied"]; at != s.emptiedAt && s.shards != nil {
		// Records written since then, and later ones, refer to names that were lost.
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
		sh := &shard{n: i, base: fmt.Sprintf("%s:{%d}:", escape(s.opts.Prefix), i), claimed: map[uint64]int{}, largest: 64 << 10, freed: true}
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

// now is the time that scripts get: empty, so that they use that of Redis, except in tests.
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

// detached returns a context for a call whose effect must be known: it does not end with its caller.
func (s *store) detached(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), lostAfter)
}

// Close releases the claimed events without counting those claims.
func (s *store) Close() error {
	s.once.Do(func() {
		s.closing.Store(true)
		for _, sh := range s.shards {
			sh.routes.close()
			sh.appends.close()
			sh.commits.close()
		}
		s.claims.Lock() // a claim in progress ends first, so that its events are released too
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

// abandon stops the store without telling Redis, as a kill does. Tests use it.
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
