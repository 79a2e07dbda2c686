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
	readyMost = 512 // destinations in one page
	readyAsks = 8   // pages in one ClaimDue
	atOnce    = 32  // the most that a destination gets at a time while others are ready too
	dueBytes  = 8 << 20
	dueMost   = 512
)

// fairShare remembers who was served last, so that tenants, and the destinations of each, are served in turn.
type fairShare struct {
	mu     sync.Mutex
	count  uint64
	served map[string]uint64 // by tenant, and by token
}

// readyDest is a destination that can be served now.
type readyDest struct {
	shard               *shard
	token, tenant, name string
	due                 int // deliveries
	granted             int // of those, to be leased
}

// ClaimDue leases due deliveries. One call asks which destinations are ready, a second one leases from those that are
// chosen. If nothing is ready, it is one call.
func (s *store) ClaimDue(ctx context.Context, ask state.ClaimDue) ([]state.Due, time.Time, error) {
	if err := s.check(ctx); err != nil {
		return nil, time.Time{}, err
	}
	r := &claimRound{s: s, ask: ask, capacity: map[string]int{}, next: math.MaxInt64, now: s.clock.Now(), left: min(ask.Max, dueMost), bytes: ask.Bytes}
	if r.bytes <= 0 || r.bytes > dueBytes {
		r.bytes = dueBytes
	}
	if err := r.serve(ctx); err != nil && len(r.due) == 0 {
		return nil, time.Time{}, fmt.Errorf("claim due: %w", err)
	} // what was leased is handed out; the next call returns the error
	var next time.Time
	if r.next != math.MaxInt64 {
		next = fromMicro(r.next)
	}
	return r.due, next, nil
}

// serve distributes the caller's capacity over the ready destinations of all shards, so that none starves another.
func (r *claimRound) serve(ctx context.Context) error {
	var all []*readyDest
	var sick error // of a shard that fails; the others go on
	for _, sh := range r.s.shards {
		some, err := r.readyIn(ctx, sh)
		if err != nil {
			sick = err
			continue
		}
		all = append(all, some...)
	}
	if len(all) == 0 {
		return sick
	}
	served := r.s.fair.grant(all, r.left, r.capacity)
	for _, d := range all {
		if d.granted < d.due && r.capacityOf(d) > 0 {
			r.next = unixMicro(r.now) // more is due than was asked for
		}
	}
	for _, sh := range r.s.shards {
		own := slices.DeleteFunc(slices.Clone(served), func(d *readyDest) bool { return d.shard != sh })
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

// claimRound is one ClaimDue over all shards.
type claimRound struct {
	s        *store
	ask      state.ClaimDue
	now      time.Time
	capacity map[string]int
	due      []state.Due
	left     int
	bytes    int
	next     int64 // by the caller's clock
}

// at converts a time of a script to the caller's clock.
func (r *claimRound) at(script, reply any) int64 {
	if asText(reply) == "" {
		return math.MaxInt64
	}
	return unixMicro(r.now) + asInt(reply) - asInt(script)
}

// readyCursor is how far a pass over a shard's ready destinations has come: when the pass began, and the score and name of
// the last destination that was read. The zero value begins a pass.
type readyCursor struct{ began, score, name string }

// readyIn returns destinations of a shard that can be served now and for which the caller has capacity. It continues where
// the last round ended and stops when they take all that is asked for, or when all ready ones were read. A round reads
// readyAsks pages at most and the next one continues, so a round stays cheap, and destinations without capacity do not block
// others.
func (r *claimRound) readyIn(ctx context.Context, sh *shard) ([]*readyDest, error) {
	if err := r.s.releaseLost(ctx, sh); err != nil {
		return nil, err
	}
	sh.mu.Lock()
	at := sh.ready
	sh.mu.Unlock()
	var all []*readyDest
	seen := map[string]bool{}
	takes, fresh, over := 0, at == readyCursor{}, false // over: the pass that an earlier round began has ended
	for range readyAsks {
		some, next, err := r.readyPage(ctx, sh, at)
		if err != nil {
			return nil, err
		}
		at = next
		for _, d := range some {
			if n := r.capacityOf(d); n > 0 && !seen[d.token] {
				seen[d.token] = true
				all, takes = append(all, d), takes+min(n, d.due)
			}
		}
		ended := at == readyCursor{}
		if takes >= r.left || ended && (fresh || over) {
			break
		}
		over = over || ended // a new pass begins with what comes before the place where this round continued
	}
	sh.mu.Lock()
	sh.ready = at
	sh.mu.Unlock()
	if at != (readyCursor{}) && !over {
		r.next = unixMicro(r.now) // this pass goes on
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

// releaseLostArgs are the arguments of releaselost.lua.
type releaseLostArgs struct {
	Caller string
	Leases []int64 // due times
}

// readyPage reads a page of ready destinations and returns the cursor of the next page.
func (r *claimRound) readyPage(ctx context.Context, sh *shard, at readyCursor) ([]*readyDest, readyCursor, error) {
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
	var all []*readyDest
	for i := 5; i+1 < len(reply); i += 2 {
		d := &readyDest{shard: sh, token: asText(reply[i]), due: int(asInt(reply[i+1]))}
		d.tenant, d.name = untoken(d.token)
		all = append(all, d)
	}
	return all, next, nil
}

// capacityOf returns how many deliveries of a destination the caller can take.
func (r *claimRound) capacityOf(d *readyDest) int {
	n, asked := r.capacity[d.token]
	if !asked {
		n = math.MaxInt
		if r.ask.Capacity != nil {
			n = r.ask.Capacity(d.tenant, d.name)
		}
		r.capacity[d.token] = n
	}
	return n
}

// grant gives each destination its part: tenants in turn, and their destinations in turn, longest waiting first.
func (t *fairShare) grant(all []*readyDest, left int, capacity map[string]int) []*readyDest {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.served == nil || len(t.served) > 100_000 {
		t.served = map[string]uint64{}
	}
	chunk := min(atOnce, max(1, left/len(all)))
	if len(all) == 1 {
		chunk = max(left, 1)
	}
	slices.SortStableFunc(all, func(a, b *readyDest) int { return cmp.Compare(t.served[a.token], t.served[b.token]) })
	queues := map[string][]*readyDest{}
	var tenants []string
	for _, d := range all {
		if queues[d.tenant] == nil {
			tenants = append(tenants, d.tenant)
		}
		queues[d.tenant] = append(queues[d.tenant], d)
	}
	slices.SortStableFunc(tenants, func(a, b string) int { return cmp.Compare(t.served[a+"/"], t.served[b+"/"]) })
	var served []*readyDest
	for left > 0 && len(tenants) > 0 {
		tenant := tenants[0]
		tenants = tenants[1:]
		q := queues[tenant]
		d := q[0]
		q = q[1:]
		n := min(chunk, left, d.due-d.granted, capacity[d.token])
		if n > 0 {
			if d.granted == 0 {
				served = append(served, d)
			}
			d.granted, left = d.granted+n, left-n
			capacity[d.token] -= n
			t.count++
			t.served[d.token], t.served[tenant+"/"] = t.count, t.count
			if d.granted < d.due && capacity[d.token] > 0 {
				q = append(q, d)
			}
		}
		if queues[tenant] = q; len(q) > 0 {
			tenants = append(tenants, tenant)
		}
	}
	return served
}

// lease leases from destinations of a shard.
func (r *claimRound) lease(ctx context.Context, sh *shard, served []*readyDest) (err error) {
	lease := r.s.leaseTime(r.now.Add(r.ask.Lease))
	until := r.now.Add(time.Duration(lease-unixMicro(r.now)) * time.Microsecond) // keeps the monotonic clock
	args := leaseArgs{Caller: r.s.holder, Length: r.ask.Lease.Microseconds(), Lease: lease, Bound: int64(r.bytes)}
	for _, d := range served {
		args.Destinations = append(args.Destinations, leaseFrom{d.token, d.granted})
	}
	call, cancel := r.s.detached(ctx)
	defer cancel()
	before := len(r.due)
	defer func() {
		if err != nil { // what was leased is not handed out; releaseLost makes it due again
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
		if err != nil { // it stays leased and blocks no other
			r.s.log.Error("a due delivery cannot be read", "event", f["id"], "tenant", f["tenant"], "err", err)
			continue
		}
		o.Leased = true
		r.due = append(r.due, state.Due{Delivery: o.Delivery, Event: ev, Lease: until})
		r.left--
		r.bytes -= ev.Size()
		given++
	}
	want := 0
	for _, d := range served {
		want += d.granted
	}
	if given < want && asInt(reply[2]) > 0 {
		r.next = unixMicro(r.now) // the bound of bytes ended it
	}
	return nil
}

// leaseTime returns the due time to write for the leases of a call. It rises from call to call, so it identifies the call.
func (s *store) leaseTime(at time.Time) int64 {
	for {
		last := s.lastLease.Load()
		word := max(unixMicro(at), last+1)
		if s.lastLease.CompareAndSwap(last, word) {
			return word
		}
	}
}

// releaseLost makes due again what Redis leased to this process in calls whose answers were lost.
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
	sh.lostLeases = slices.DeleteFunc(sh.lostLeases, func(lease int64) bool { return slices.Contains(lost, lease) })
	sh.mu.Unlock()
	if asInt(n) > 0 {
		s.log.Info("deliveries are due again whose lease was lost with its answer", "count", asInt(n))
	}
	return nil
}
