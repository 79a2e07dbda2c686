package redis

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/rules/event"
)

// With several shards, an event is in the shard of its response, and so is its ID. If the same ID came with another response,
// another shard would accept it a second time. A route prevents that. The shard that belongs to the ID itself keeps the shard
// to which the ID went first, and every event of that dedupe key goes there, however it is proved.
//
// A route is made before its event is appended. A crash between the two leaves a route without an event, and the platform's
// repeat takes that route: nothing is lost or accepted twice. A single shard needs no routes.

const (
	// routeIdle is how long a route is kept after it was last used: longer than any append that used it can take.
	routeIdle = 10 * time.Minute
	// routeBackoff is how long a shard is not asked for routes after it did not answer.
	routeBackoff = 5 * time.Second
	// routeBatch is how many routes one step of Trim checks.
	routeBatch = 256
)

// routing is a call that asks one shard for routes.
type routing struct {
	ids    []routeOf
	shards []any
	ended  chan error
}

// routeArgs are the arguments of route.lua.
type routeArgs struct{ IDs []routeOf }

type routeOf struct {
	idRef
	Length int // of the ID within IDField
	Shard  int // to route it to
}

// trimRoutesArgs are the arguments of trimroutes.lua.
type trimRoutesArgs struct {
	Idle   int64 // seconds
	Routes []unrouteOf
}

type unrouteOf struct {
	Entry, Slot string
	Known       int // 1: an event of the route is known
}

func (r *routing) weight() (items, bytes int) { return len(r.ids), 64 * len(r.ids) }
func (r *routing) done(err error)             { r.ended <- err }

// follow replaces the shards of the events' responses by those that their IDs are routed to.
//
// IDs whose routes are in a shard that does not answer go to the shards of their responses, so that the other shards still
// accept events. Until it answers, an ID that comes with another response may be accepted a second time.
func (s *store) follow(ctx context.Context, events []*event.Event, where []int) error {
	if len(s.shards) == 1 {
		return nil
	}
	asked := make([]*routing, len(s.shards))
	now := s.clock.Now()
	of := make([]int, len(events)) // the shard that has the route of each ID; -1: not asked
	for i, ev := range events {
		id := ev.StrongestID()
		n := shardOf(ev.Tenant, id, len(s.shards))
		if until := s.shards[n].routesSkipUntil.Load(); until != nil && now.Before(*until) {
			of[i] = -1
			continue
		}
		of[i] = n
		r := asked[n]
		if r == nil {
			r = &routing{ended: make(chan error, 1)}
			asked[n] = r
		}
		field := fieldOf(ev.Tenant, id)
		r.ids = append(r.ids, routeOf{idRef{slotOf(id), field}, idLength(field, ev.Tenant), where[i]})
	}
	for n, r := range asked {
		if r != nil {
			s.shards[n].routes.add(r)
		}
	}
	for n, r := range asked {
		if r == nil {
			continue
		}
		select {
		case err := <-r.ended:
			if errors.Is(err, state.ErrUnavailable) {
				asked[n] = nil
			} else if err != nil {
				return fmt.Errorf("route: %w", err)
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	for i, n := range of {
		if n < 0 || asked[n] == nil {
			continue
		}
		r := asked[n]
		to := asInt(r.shards[0])
		if r.shards = r.shards[1:]; to < 0 || int(to) >= len(s.shards) {
			return fmt.Errorf("%w: a route leads to shard %d of %d", errCorrupt, to, len(s.shards))
		}
		where[i] = int(to)
	}
	return nil
}

// idLength returns the length of the ID in a field. An ID that is not packed ends with NUL.
func idLength(field, tenant string) int {
	if n := len(field) - len(tenant); n == 16 {
		return n
	}
	return len(field) - len(tenant) - 1
}

// routeGroup routes the IDs of several calls with one script.
func (s *store) routeGroup(sh *shard, calls []*routing) {
	var args routeArgs
	for _, r := range calls {
		args.IDs = append(args.IDs, r.ids...)
	}
	ctx, cancel := s.detached(s.ctx)
	defer cancel()
	got, err := routeScript.run(ctx, s, sh.base, args)
	if errors.Is(err, state.ErrUnavailable) {
		until := s.clock.Now().Add(routeBackoff)
		sh.routesSkipUntil.Store(&until)
	}
	shards := asList(got)
	for _, r := range calls {
		if err == nil && len(shards) < len(r.ids) {
			err = fmt.Errorf("%w: the script's answer lacks %d routes", errCorrupt, len(r.ids)-len(shards))
		}
		if err == nil {
			r.shards, shards = shards[:len(r.ids)], shards[len(r.ids):]
		}
		r.done(err)
	}
}

// oldRoute is an entry of a shard's list of routes.
type oldRoute struct {
	entry, slot, tenant string
	made                time.Time
	ids                 []string // that the route is for
	place               *goredis.StringCmd
	known               []*goredis.StringCmd
}

func readRoute(entry string) (r oldRoute, ok bool) {
	if len(entry) < 6 {
		return r, false
	}
	head := []byte(entry[:6])
	r.entry, r.made = entry, time.Unix(int64(binary.BigEndian.Uint32(head)), 0)
	field, n := entry[6:], int(binary.BigEndian.Uint16(head[4:]))
	if len(field) < n {
		return r, false
	}
	id := field[:n]
	if n == 16 {
		id = hex.EncodeToString([]byte(id))
		r.tenant = field[n:]
	} else if r.tenant = field[n:]; r.tenant != "" {
		r.tenant = r.tenant[1:]
	}
	r.slot, r.ids = slotOf(id), event.IDsByProof(id)
	return r, true
}

// routes removes routes whose IDs are no longer recognised, oldest first: those older than the dedupe window, and as many as
// there are more routes than recognised IDs. So routes have the same bounds as IDs.
func (t *trimming) routes() error {
	s := t.s
	if len(s.shards) == 1 {
		return nil
	}
	pipe := s.client.Pipeline()
	counts := make([]*goredis.SliceCmd, len(s.shards))
	for i, sh := range s.shards {
		counts[i] = pipe.HMGet(t.ctx, sh.base+"meta", "routes", "events", "share", "kept", "recalled", "ids")
	}
	if err := s.exec(t.ctx, pipe); err != nil {
		return err
	}
	var known, routed int64
	for _, c := range counts {
		routed += asInt(c.Val()[0])
		for _, n := range c.Val()[1:] {
			known += asInt(n)
		}
	}
	// A crash leaves few routes without an event: up to an eighth of all routes may wait for their age.
	over := routed - known - known/8 - routeBatch
	return t.inEach(func(_ int, sh *shard) error {
		var seen int64
		return t.slices(func() (bool, error) {
			checked, gone, err := t.oldRoutes(sh, over > 0)
			over -= int64(gone)
			seen += int64(checked)
			return checked == routeBatch && seen <= routed, err
		})
	})
}

// oldRoutes checks a shard's oldest routes: of every age, or only those older than the dedupe window.
func (t *trimming) oldRoutes(sh *shard, every bool) (checked, gone int, err error) {
	s := t.s
	entries, err := s.client.LRange(t.ctx, sh.base+"routes", 0, routeBatch-1).Result()
	if err != nil {
		return 0, 0, s.fault(err)
	}
	var old []oldRoute
	now := s.clock.Now()
	for _, entry := range entries {
		r, ok := readRoute(entry)
		age := now.Sub(r.made)
		if ok && (age < routeIdle || !every && (t.r.Dedupe.Age <= 0 || age < t.r.Dedupe.Age)) {
			break
		}
		r.entry = entry // one that cannot be decoded is removed
		old = append(old, r)
	}
	if len(old) == 0 {
		return 0, 0, nil
	}
	pipe := s.client.Pipeline()
	for i := range old {
		if r := &old[i]; r.ids != nil {
			r.place = pipe.HGet(t.ctx, sh.base+"route:"+r.slot, fieldOf(r.tenant, r.ids[0]))
		}
	}
	if err := s.exec(t.ctx, pipe); err != nil {
		return 0, 0, err
	}
	pipe = s.client.Pipeline()
	for i := range old {
		r := &old[i]
		if r.place == nil || len(r.place.Val()) != 6 {
			continue
		}
		to := s.shards[int(binary.BigEndian.Uint16([]byte(r.place.Val())))%len(s.shards)]
		for _, id := range r.ids {
			r.known = append(r.known, pipe.HGet(t.ctx, to.base+"id:"+slotOf(id), fieldOf(r.tenant, id)))
		}
	}
	if pipe.Len() > 0 {
		if err := s.exec(t.ctx, pipe); err != nil { // a shard that does not answer may have them
			return 0, 0, err
		}
	}
	args := trimRoutesArgs{Idle: int64(routeIdle / time.Second)}
	for _, r := range old {
		known := 0
		for _, k := range r.known {
			if k.Err() == nil {
				known = 1
			}
		}
		args.Routes = append(args.Routes, unrouteOf{r.entry, r.slot, known})
	}
	got, err := trimRoutesScript.run(t.ctx, s, sh.base, args)
	return len(old), int(asInt(got)), err
}
