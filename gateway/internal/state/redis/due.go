package redis

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/rules/event"
)

const (
	readyMost = 512 // destinations of one part of a turn
	readyAsks = 8   // readyCursor of one round
	atOnce    = 32  // the most a destination gets in one turn while others are ready too
	dueBytes  = 8 << 20
	dueMost   = 512
)

// fairShare knows who was served last, so that tenants, and within one its destinations, are served in turn.
type fairShare struct {
	mu     sync.Mutex
	count  uint64
	served map[string]uint64 // by tenant, and by token
}

// ready is a destination that can be served now.
type ready struct {
	shard               *shard
	token, tenant, name string
	due                 int
	give                int
}

// ClaimDue leases deliveries whose time has come: one call asks which destinations are ready, one leases from those
// whose turn it is. Nothing ready is one call.
func (s *store) ClaimDue(ctx context.Context, ask state.ClaimDue) ([]state.Due, time.Time, error) {
	if err := s.check(ctx); err != nil {
		return nil, time.Time{}, err
	}
	r := &round{s: s, ask: ask, room: map[string]int{}, next: math.MaxInt64, now: s.clock.Now(), left: min(ask.Max, dueMost), bytes: ask.Bytes}
	if r.bytes <= 0 || r.bytes > dueBytes {
		r.bytes = dueBytes
	}
	if err := r.serve(ctx); err != nil && len(r.due) == 0 {
		return nil, time.Time{}, fmt.Errorf("claim due: %w", err)
	} // what is leased is handed out; the next call says what is wrong
	var next time.Time
	if r.next != math.MaxInt64 {
		next = fromMicro(r.next)
	}
	return r.due, next, nil
}

// serve shares what there is room for among the ready destinations of all shards, so that none starves another.
func (r *round) serve(ctx context.Context) error {
	var all []*ready
	var sick error // of a shard: what is due in the others does not wait for it
	for _, sh := range r.s.shards {
		some, err := r.of(ctx, sh)
		if err != nil {
			sick = err
			continue
		}
		all = append(all, some...)
	}
	if len(all) == 0 {
		return sick
	}
	served := r.s.fair.share(all, r.left, r.room)
	for _, d := range all {
		if d.give < d.due && r.roomOf(d) > 0 {
			r.next = unixMicro(r.now) // there is more than was asked for
		}
	}
	for _, sh := range r.s.shards {
		own := slices.DeleteFunc(slices.Clone(served), func(d *ready) bool { return d.shard != sh })
		if len(own) == 0 {
			continue
		}
		if r.bytes <= 0 {
			r.next = unixMicro(r.now)
			return nil
		}
		if err := r.lease(ctx, sh, own); err != nil {
			sick = err
		}
	}
	return sick
}

// round is one ClaimDue over all shards.
type round struct {
	s     *store
	ask   state.ClaimDue
	now   time.Time
	room  map[string]int
	due   []state.Due
	left  int
	bytes int
	next  int64 // by the caller's clock
}

// at is a time of Redis by the caller's clock.
func (r *round) at(script, reply any) int64 {
	if asText(reply) == "" {
		return math.MaxInt64
	}
	return unixMicro(r.now) + asInt(reply) - asInt(script)
}

// readyCursor is how far a turn over a shard's ready destinations has come: when it began, score and name of the last one that
// was clockCheck at. The zero value begins a turn.
type readyCursor struct{ began, score, name string }

// of are destinations of a shard that can be served now and that the caller has room for. It goes on where the last round
// ended, until they take all that is asked for or all that are ready were clockCheck at. Of very many ready destinations a
// round looks at some, and the next one goes on: so those without room hold up no other, and a round stays cheap.
func (r *round) of(ctx context.Context, sh *shard) ([]*ready, error) {
	if err := r.s.releaseLost(ctx, sh); err != nil {
		return nil, err
	}
	sh.mu.Lock()
	at := sh.ready
	sh.mu.Unlock()
	var all []*ready
	seen := map[string]bool{}
	takes, fresh, over := 0, at == readyCursor{}, false // over: the turn that an earlier round began has ended
	for range readyAsks {
		some, next, err := r.part(ctx, sh, at)
		if err != nil {
			return nil, err
		}
		at = next
		for _, d := range some {
			if room := r.roomOf(d); room > 0 && !seen[d.token] {
				seen[d.token] = true
				all, takes = append(all, d), takes+min(room, d.due)
			}
		}
		ended := at == readyCursor{}
		if takes >= r.left || ended && (fresh || over) {
			break
		}
		over = over || ended // what stood before the place where this round went on comes now
	}
	sh.mu.Lock()
	sh.ready = at
	sh.mu.Unlock()
	if at != (readyCursor{}) && !over {
		r.next = unixMicro(r.now) // there is more in this turn
	}
	return all, nil
}

// readyArgs are the arguments of ready.lua.
type readyArgs struct {
	Most               int // destinations
	Began, Score, Last string
}

// leaseArgs are the arguments of lease.lua.
type leaseArgs struct {
	Caller               string
	Length, Lease, Bound int64 // microseconds, microseconds, bytes (0: any)
	Destinations         []leaseFrom
}

// leaseFrom is how many deliveries of a destination are to be leased at most.
type leaseFrom struct {
	Dest string
	Most int
}

// releaseLostArgs are the arguments of unheard.lua.
type releaseLostArgs struct {
	Caller string
	Words  []int64
}

// part asks for a part of a turn, and says where the next one begins.
func (r *round) part(ctx context.Context, sh *shard, at readyCursor) ([]*ready, readyCursor, error) {
	got, err := readyScript.run(ctx, r.s, sh.base, readyArgs{readyMost, at.began, at.score, at.name})
	if err != nil {
		return nil, at, err
	}
	reply := asList(got)
	if len(reply) < 5 {
		return nil, at, errCorrupt
	}
	r.next = min(r.next, r.at(reply[0], reply[1]))
	next := readyCursor{asText(reply[2]), asText(reply[3]), asText(reply[4])}
	if next.name == "" {
		next = readyCursor{}
	}
	var all []*ready
	for i := 5; i+1 < len(reply); i += 2 {
		d := &ready{shard: sh, token: asText(reply[i]), due: int(asInt(reply[i+1]))}
		d.tenant, d.name = untoken(d.token)
		all = append(all, d)
	}
	return all, next, nil
}

func (r *round) roomOf(d *ready) int {
	n, asked := r.room[d.token]
	if !asked {
		n = math.MaxInt
		if r.ask.Room != nil {
			n = r.ask.Room(d.tenant, d.name)
		}
		r.room[d.token] = n
	}
	return n
}

// share gives each destination its part: tenants in turn, in each its destinations, those first that waited longest.
func (t *fairShare) share(all []*ready, left int, room map[string]int) []*ready {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.served == nil || len(t.served) > 100_000 {
		t.served = map[string]uint64{}
	}
	chunk := min(atOnce, max(1, left/len(all)))
	if len(all) == 1 {
		chunk = max(left, 1)
	}
	slices.SortStableFunc(all, func(a, b *ready) int { return cmp.Compare(t.served[a.token], t.served[b.token]) })
	queues := map[string][]*ready{}
	var tenants []string
	for _, d := range all {
		if queues[d.tenant] == nil {
			tenants = append(tenants, d.tenant)
		}
		queues[d.tenant] = append(queues[d.tenant], d)
	}
	slices.SortStableFunc(tenants, func(a, b string) int { return cmp.Compare(t.served[a+"/"], t.served[b+"/"]) })
	var served []*ready
	for left > 0 && len(tenants) > 0 {
		tenant := tenants[0]
		tenants = tenants[1:]
		q := queues[tenant]
		d := q[0]
		q = q[1:]
		n := min(chunk, left, d.due-d.give, room[d.token])
		if n > 0 {
			if d.give == 0 {
				served = append(served, d)
			}
			d.give, left = d.give+n, left-n
			room[d.token] -= n
			t.count++
			t.served[d.token], t.served[tenant+"/"] = t.count, t.count
			if d.give < d.due && room[d.token] > 0 {
				q = append(q, d)
			}
		}
		if queues[tenant] = q; len(q) > 0 {
			tenants = append(tenants, tenant)
		}
	}
	return served
}

func (r *round) lease(ctx context.Context, sh *shard, served []*ready) (err error) {
	lease := r.s.leaseTime(r.now.Add(r.ask.Lease))
	told := r.now.Add(time.Duration(lease-unixMicro(r.now)) * time.Microsecond) // it knows how much time elapses until then
	args := leaseArgs{Caller: r.s.holder, Length: r.ask.Lease.Microseconds(), Lease: lease, Bound: int64(r.bytes)}
	for _, d := range served {
		args.Destinations = append(args.Destinations, leaseFrom{d.token, d.give})
	}
	call, cancel := r.s.detached(ctx)
	defer cancel()
	before := len(r.due)
	defer func() {
		if err != nil { // what was leased is not handed out, and is to be found again
			r.due = r.due[:before]
			sh.mu.Lock()
			sh.lostLeases = append(sh.lostLeases, lease)
			sh.mu.Unlock()
		}
	}()
	got, err := leaseScript.run(call, r.s, sh.base, args)
	if err != nil {
		return err
	}
	reply := asList(got)
	if len(reply) < 3 {
		return errCorrupt
	}
	r.next = min(r.next, r.at(reply[0], reply[1]))
	given := 0
	for i := 3; i+3 < len(reply); i += 4 {
		f := fieldsOf(reply[i+3])
		o, err := r.s.readOwed(call, f["tenant"], sh, uint64(asInt(reply[i])), asText(reply[i+1]), asText(reply[i+2]))
		if errors.Is(err, state.ErrUnavailable) {
			return err
		}
		var ev *event.Event
		if err == nil {
			ev, err = event.Decode([]byte(f["event"]), []byte(f["raw"]))
		}
		if err != nil { // it stays leased, and holds up no other
			r.s.log.Error("a due delivery cannot be read", "event", f["id"], "tenant", f["tenant"], "err", err)
			continue
		}
		o.Leased = true
		r.due = append(r.due, state.Due{Delivery: o.Delivery, Event: ev, Lease: told})
		r.left--
		r.bytes -= ev.Size()
		given++
	}
	want := 0
	for _, d := range served {
		want += d.give
	}
	if given < want && asInt(reply[2]) > 0 {
		r.next = unixMicro(r.now) // bytes ended it
	}
	return nil
}

// word is the due time that is written for a lease, later than that of every lease before: it names the call.
func (s *store) leaseTime(at time.Time) int64 {
	for {
		last := s.lastLease.Load()
		word := max(unixMicro(at), last+1)
		if s.lastLease.CompareAndSwap(last, word) {
			return word
		}
	}
}

// giveBack makes due again what Redis leased to this process in calls whose answers were lost.
func (s *store) releaseLost(ctx context.Context, sh *shard) error {
	sh.mu.Lock()
	lost := slices.Clone(sh.lostLeases)
	sh.mu.Unlock()
	if len(lost) == 0 {
		return nil
	}
	n, err := releaseLostScript.run(ctx, s, sh.base, releaseLostArgs{s.holder, lost})
	if err != nil {
		return err
	}
	sh.mu.Lock()
	sh.lostLeases = slices.DeleteFunc(sh.lostLeases, func(word int64) bool { return slices.Contains(lost, word) })
	sh.mu.Unlock()
	if asInt(n) > 0 {
		s.log.Info("found deliveries whose lease was never heard of", "count", asInt(n))
	}
	return nil
}
