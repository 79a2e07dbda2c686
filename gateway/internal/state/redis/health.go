package redis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/surveygate/surveygate/gateway/internal/redis"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

// fullAt is the share of maxmemory at which no event is accepted, so that accepted ones can be completed.
const fullAt = 0.95

// freeAt is the share of maxmemory below which events are accepted again. It is lower than fullAt, so that the answer does
// not change every second.
const freeAt = 0.93

// foreignFor is how long warnings say that another program wrote into the stream of events.
const foreignFor = 24 * time.Hour

// steppedFor is how long warnings say that the clock stepped.
const steppedFor = 24 * time.Hour

// node is the INFO of a Redis.
type node map[string]string

func (n node) number(name string) int64 {
	v, _ := strconv.ParseInt(n[name], 10, 64)
	return v
}

// about reads the INFO of one Redis.
func about(ctx context.Context, c *goredis.Client, sections ...string) (node, error) {
	text, err := c.Info(ctx, sections...).Result()
	if err != nil {
		return nil, err
	}
	n := node{}
	for l := range strings.SplitSeq(text, "\n") {
		if name, value, ok := strings.Cut(strings.TrimSpace(l), ":"); ok {
			n[name] = value
		}
	}
	return n, nil
}

// nodes reads the INFO of the Redis, or of every master of the Cluster.
func (s *store) nodes(ctx context.Context) ([]node, error) {
	var mu sync.Mutex
	var all []node
	ask := func(ctx context.Context, c *goredis.Client) error {
		n, err := about(ctx, c)
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		all = append(all, n)
		return nil
	}
	var err error
	switch c := s.client.(type) {
	case *goredis.ClusterClient:
		err = c.ForEachMaster(ctx, ask)
	case *goredis.Client:
		err = ask(ctx, c)
	}
	if err != nil {
		return nil, s.fault(err)
	}
	return all, nil
}

// admit refuses a Redis that would lose accepted events because of its settings or its version.
func (s *store) admit(ctx context.Context) error {
	all, err := s.nodes(ctx)
	if err != nil {
		return err
	}
	for _, n := range all {
		major, _, _ := strings.Cut(n["redis_version"], ".")
		if v, err := strconv.Atoi(major); err != nil || v < 7 {
			return fmt.Errorf("this Redis is version %s, want 7 or newer (or Valkey)", n["redis_version"])
		}
		if s.form != redis.Cluster && n["cluster_enabled"] == "1" { // redis_mode is server_mode in Valkey
			return errors.New("this Redis is a node of a Cluster: add ?cluster=true to its address")
		}
		if p := n["maxmemory_policy"]; p != "noeviction" && p != "" {
			return fmt.Errorf("this Redis has maxmemory-policy %s, which throws events away when memory is full: set `maxmemory-policy noeviction`", p)
		}
	}
	for _, w := range warnings(all) {
		s.log.Warn("Redis may lose data", "err", w)
	}
	return nil
}

// warnings returns what in the settings of Redis may lose accepted events.
func warnings(all []node) []string {
	var words []string
	add := func(format string, args ...any) {
		text := fmt.Sprintf(format, args...)
		if slices.Contains(words, text) {
			return
		}
		words = append(words, text)
	}
	for _, n := range all {
		if n["aof_enabled"] != "1" {
			add("appendonly is no: what was accepted since the last snapshot is lost when Redis stops; set `appendonly yes`")
		}
		if n["aof_enabled"] == "1" && n["aof_last_write_status"] != "ok" {
			add("Redis cannot write its append-only file: look at its log and its disk")
		}
		if n.number("maxmemory") == 0 {
			add("maxmemory is not set: Redis may be killed when the machine has no memory left; set `maxmemory`")
		}
		if max := n.number("maxmemory"); max > 0 && float64(n.number("used_memory")) > 0.85*float64(max) {
			add("Redis uses more than 85 %% of maxmemory")
		}
		if n["role"] == "master" && n.number("connected_slaves") > 0 {
			add("Redis replicates asynchronously: a failover may lose what was accepted last")
		}
	}
	return words
}

// look checks the memory of Redis, once a second.
func (s *store) look(ctx context.Context) error {
	all, err := s.nodes(ctx)
	if err != nil {
		return err
	}
	full := false
	var runs []string
	for _, n := range all {
		full = full || s.fills(n)
		runs = append(runs, n["run_id"])
	}
	if s.full.Swap(full) != full {
		if full {
			s.log.Error("Redis has almost no memory left: nothing new is accepted")
		} else {
			s.log.Info("Redis has memory again")
		}
	}
	slices.Sort(runs)
	return s.rewriteNames(ctx, strings.Join(runs, " "))
}

// fills reports whether a server has too little memory left for new events.
func (s *store) fills(n node) bool {
	bound := fullAt
	if s.full.Load() {
		bound = freeAt
	}
	most := n.number("maxmemory")
	return most > 0 && float64(n.number("used_memory")) > bound*float64(most)
}

// stepWarning returns a warning that the clock of Redis was set back, ago microseconds ago.
func stepWarning(step, ago int64) string {
	if step >= 0 || ago > steppedFor.Microseconds() {
		return ""
	}
	return state.ClockSetBack("the clock of Redis", -time.Duration(step)*time.Microsecond)
}

// Health reports the state of the store.
func (s *store) Health(ctx context.Context) state.Health {
	var h state.Health
	if h.Err = s.check(ctx); h.Err != nil {
		return h
	}
	all, err := s.nodes(ctx)
	if err != nil {
		h.Err = fmt.Errorf("health: %w", err)
		return h
	}
	h.Warnings = warnings(all)
	if w := s.emptiedWarning(); w != "" {
		h.Warnings = append(h.Warnings, w)
	}
	for _, n := range all {
		switch {
		case n["role"] == "slave":
			h.Err = fmt.Errorf("%w: Redis is a replica, which is read-only", state.ErrUnavailable)
		case s.fills(n):
			h.Err = fmt.Errorf("%w: Redis has almost no memory left", state.ErrUnavailable)
		case n["aof_enabled"] == "1" && n["aof_last_write_status"] != "ok" && n["aof_last_write_status"] != "":
			h.Err = fmt.Errorf("%w: Redis cannot write its append-only file", state.ErrUnavailable)
		}
		if p := n["maxmemory_policy"]; p != "noeviction" && p != "" {
			h.Err = errors.Join(h.Err, fmt.Errorf("%w: maxmemory-policy is %s now: set `maxmemory-policy noeviction`", state.ErrUnavailable, p))
		}
	}
	now := s.clock.Now()
	for _, sh := range s.shards {
		got, err := healthScript.run(ctx, s, sh.base, noArgs{})
		if err != nil {
			return state.Health{Err: errors.Join(h.Err, fmt.Errorf("health: %w", err)), Warnings: h.Warnings}
		}
		v := asList(got)
		if n := asInt(v[9]); n > 0 && asInt(v[0])-asInt(v[10]) < foreignFor.Microseconds() {
			h.Warnings = append(h.Warnings, fmt.Sprintf("another program writes into the stream %sevents (%d times so far): its entries are not processed; "+
				"publish through the API, or into a stream of its own that is a source", sh.base, n))
		}
		if w := stepWarning(asInt(v[11]), asInt(v[0])-asInt(v[12])); w != "" && !slices.Contains(h.Warnings, w) {
			h.Warnings = append(h.Warnings, w)
		}
		h.Pending += asInt(v[1])
		h.Waiting += asInt(v[2])
		h.Dead += asInt(v[3])
		h.Events += asInt(v[4])
		h.Bytes += asInt(v[5])
		h.Oldest = earlier(h.Oldest, asInt(v[6]))
		h.OldestWaiting = earlier(h.OldestWaiting, asInt(v[8]))
		if at := asInt(v[7]); at > 0 {
			h.DedupeWindow = max(h.DedupeWindow, now.Sub(fromMicro(at)), time.Duration(0))
		}
	}
	uses, err := s.statUses(ctx)
	if err != nil {
		return state.Health{Err: errors.Join(h.Err, fmt.Errorf("health: %w", err)), Warnings: h.Warnings}
	}
	for _, shard := range uses {
		h.Bytes += sumOf(shard)
	}
	if w := state.UnreadCounts(s.unreadCounts.Load()); w != "" {
		h.Warnings = append(h.Warnings, w)
	}
	h.Counted = true
	return h
}

func earlier(t time.Time, us int64) time.Time {
	if at := fromMicro(us); us > 0 && (t.IsZero() || at.Before(t)) {
		return at
	}
	return t
}
