package redis

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/rules/event"
)

const (
	claimMost  = 256
	claimBytes = 8 << 20
	// pollEvery is the fallback poll when a pub/sub wake-up is lost.
	pollEvery = 500 * time.Millisecond
)

// Claim waits until there are events that are not claimed.
func (s *store) Claim(ctx context.Context, most, bytes int) ([]state.Claimed, error) {
	for {
		if err := s.check(ctx); err != nil {
			return nil, err
		}
		some, err := s.claim(ctx, most, bytes)
		if err != nil {
			return nil, fmt.Errorf("claim: %w", err)
		}
		if len(some) > 0 || most <= 0 {
			return some, nil
		}
		timer := time.NewTimer(pollEvery)
		select {
		case <-s.wake:
		case <-timer.C:
		case <-ctx.Done():
		case <-s.ctx.Done():
		}
		timer.Stop()
	}
}

// claim asks the shards in turn and returns the events of the first that has some. A shard that fails is skipped, and is
// not asked for four times as long as it took to fail, so that events of the others do not wait for it. Its error is
// returned only if no shard answers. The call does not end with ctx: this process must know what Redis gave it.
func (s *store) claim(ctx context.Context, most, bytes int) ([]state.Claimed, error) {
	s.claims.Lock()
	defer s.claims.Unlock()
	if err := s.check(ctx); err != nil {
		return nil, err
	}
	first := int(s.firstShard.Add(1))
	var sick error
	answered := false
	for i := range s.shards {
		sh := s.shards[(first+i)%len(s.shards)]
		began := s.clock.Now()
		if began.Before(sh.skipUntil) {
			continue
		}
		some, err := s.claimFrom(ctx, sh, most, bytes)
		if err != nil {
			if !errors.Is(err, state.ErrUnavailable) {
				return nil, err
			}
			sick = err
			s.skip(sh, began)
			continue
		}
		answered = true
		if len(some) == 0 {
			continue
		}
		if len(s.shards) > 1 || len(some) == most {
			s.nudge() // another caller may find more
		}
		return some, nil
	}
	if answered {
		return nil, nil
	}
	return nil, sick
}

// skip leaves out a shard that failed, if there are others. The caller holds s.claims.
func (s *store) skip(sh *shard, began time.Time) {
	if len(s.shards) > 1 {
		now := s.clock.Now()
		sh.skipUntil = now.Add(max(pollEvery, 4*now.Sub(began)))
	}
}

func (s *store) nudge() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *store) claimFrom(ctx context.Context, sh *shard, most, bytes int) ([]state.Claimed, error) {
	call, cancel := s.detached(ctx)
	defer cancel()
	if err := s.recoverClaims(call, sh); err != nil {
		return nil, err
	}
	if some := sh.handOut(most, bytes); len(some) > 0 {
		return some, nil
	}
	bound := claimBytes
	if bytes > 0 {
		bound = min(bound, bytes)
	}
	sh.mu.Lock()
	count := min(most, claimMost, max(1, bound/sh.largest))
	freed := sh.freed
	sh.lostClaim = true // until the answer has arrived
	sh.mu.Unlock()
	ask := s.askNew
	if freed {
		ask = s.askFreed
	}
	entries, err := ask(call, sh, count, bound)
	if err != nil && strings.Contains(err.Error(), "NOGROUP") {
		if err = s.regroup(call, sh); err != nil {
			return nil, err
		}
		entries, err = s.askFreed(call, sh, count, bound)
	}
	if err != nil {
		return nil, err
	}
	some, err := s.decodeClaimed(call, sh, entries)
	sh.mu.Lock()
	sh.lostClaim = err != nil
	if !freed && bytes > 0 && err == nil {
		sh.queued, some = append(sh.queued, some...), nil
	}
	sh.mu.Unlock()
	if some == nil && err == nil {
		some = sh.handOut(most, bytes)
	}
	return some, err
}

// claimArgs are the arguments of claim.lua.
type claimArgs struct {
	Consumer    string
	Most, Bound int // events, bytes (0: any)
}

// ackForeignArgs are the arguments of ackforeign.lua.
type ackForeignArgs struct{ EntryID string }

// holderArgs are the arguments of scripts that need only the holder.
type holderArgs struct{ Consumer string }

// askFreed claims events that were released or whose holder died, and then new ones, with a script.
func (s *store) askFreed(ctx context.Context, sh *shard, count, bound int) ([]any, error) {
	got, err := claimScript.run(ctx, s, sh.base, claimArgs{s.holder, count, bound})
	if err != nil {
		return nil, err
	}
	entries := asList(got)
	if len(entries) == 0 {
		return nil, errCorrupt
	}
	sh.mu.Lock()
	sh.freed = asInt(entries[0]) == 1 // otherwise none is left
	sh.mu.Unlock()
	return entries[1:], nil
}

// askNew claims new events with XREADGROUP, which costs a third of a script that returns events. The same round trip
// finds out whether others released events.
func (s *store) askNew(ctx context.Context, sh *shard, count, _ int) ([]any, error) {
	s.calls.Add(1)
	pipe := s.client.Pipeline()
	regrouped := pipe.HGet(ctx, sh.base+"meta", "regrouped")
	free := pipe.Do(ctx, "XPENDING", sh.base+"events", group, "-", "+", 1, "free")
	read := pipe.Do(ctx, "XREADGROUP", "GROUP", group, s.holder, "COUNT", count, "STREAMS", sh.base+"events", ">")
	if err := s.exec(ctx, pipe); err != nil {
		return nil, err
	}
	sh.mu.Lock()
	sh.freed = sh.freed || len(asList(free.Val())) > 0
	freed := sh.freed
	sh.mu.Unlock()
	streams := asList(read.Val())
	if len(streams) == 0 {
		if freed {
			s.nudge()
		}
		return nil, nil
	}
	var mark uint64
	if regrouped.Err() == nil {
		mark = number(regrouped.Val())
	}
	var entries []any
	for _, e := range asList(asList(streams[0])[1]) {
		id := asText(asList(e)[0])
		if n := number(id); n <= mark {
			key, field := outcomeAt(sh, n)
			done, err := s.client.HExists(ctx, key, field).Result()
			if err != nil {
				return nil, s.fault(err)
			}
			if done { // it was committed before the group was lost
				if err := s.client.XAck(ctx, sh.base+"events", group, id).Err(); err != nil {
					return nil, s.fault(err)
				}
				continue
			}
		}
		entries = append(entries, append(asList(e), int64(1)))
	}
	return entries, nil
}

// handOut returns events that were claimed before and that their caller did not get.
func (sh *shard) handOut(most, bytes int) []state.Claimed {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	n, size := 0, 0
	for n < len(sh.queued) && n < most && (bytes <= 0 || size < bytes) {
		size += sh.queued[n].Event.Size()
		n++
	}
	some := sh.queued[:n:n]
	sh.queued = sh.queued[n:]
	return some
}

// recoverClaims queues the events that this process has claimed in Redis and does not know of: the answer was lost.
func (s *store) recoverClaims(ctx context.Context, sh *shard) error {
	sh.mu.Lock()
	lost := sh.lostClaim
	sh.mu.Unlock()
	if !lost {
		return nil
	}
	from := "-"
	for {
		held, err := s.client.Do(ctx, "XPENDING", sh.base+"events", group, from, "+", 256, s.holder).Result()
		if err != nil {
			if strings.Contains(err.Error(), "NOGROUP") {
				break
			}
			return s.fault(err)
		}
		all := asList(held)
		if len(all) == 0 {
			break
		}
		var found []any
		for _, p := range all {
			id := asText(asList(p)[0])
			from = "(" + id
			if sh.holds(number(id)) {
				continue
			}
			entry, err := s.client.Do(ctx, "XRANGE", sh.base+"events", id, id).Result()
			if err != nil {
				return s.fault(err)
			}
			if e := asList(entry); len(e) == 1 {
				found = append(found, []any{id, asList(e[0])[1], asList(p)[3]})
			}
		}
		some, err := s.decodeClaimed(ctx, sh, found)
		if err != nil {
			return err
		}
		sh.mu.Lock()
		for _, c := range some {
			if state.IsSuspect(c.Claims - 1) {
				_, sh.suspectNumber = s.at(c.Position)
				sh.suspect = &c
			} else {
				sh.queued = append(sh.queued, c)
			}
		}
		sh.mu.Unlock()
	}
	sh.mu.Lock()
	sh.lostClaim = false
	sh.mu.Unlock()
	return nil
}

func (sh *shard) holds(n uint64) bool {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	_, ok := sh.claimed[n]
	return ok
}

// number returns the N of a stream ID N-0.
func number(id string) uint64 {
	text, _, _ := strings.Cut(id, "-")
	n, _ := strconv.ParseUint(text, 10, 64)
	return n
}

// decodeClaimed decodes claimed entries. One that cannot be decoded becomes a dead letter, as no rule can be applied to it.
func (s *store) decodeClaimed(ctx context.Context, sh *shard, entries []any) ([]state.Claimed, error) {
	some := make([]state.Claimed, 0, len(entries))
	largest := 0
	for _, e := range entries {
		e := asList(e)
		if len(e) < 3 {
			return nil, errCorrupt
		}
		id := asText(e[0])
		if !strings.HasSuffix(id, "-0") { // another program added it: ours are N-0
			if _, err := ackForeignScript.run(ctx, s, sh.base, ackForeignArgs{id}); err != nil {
				return nil, err
			}
			continue
		}
		n := number(id)
		f := fieldsOf(e[1])
		ev, err := event.Decode([]byte(f["event"]), []byte(f["raw"]))
		if err == nil && ev.Tenant != f["tenant"] {
			err = errors.New("its fields and its envelope name different tenants")
		}
		if err != nil {
			s.log.Error("an event cannot be read", "event", f["id"], "tenant", f["tenant"], "err", err)
			if err := s.buryEvent(ctx, sh, n, f["tenant"], "unreadable: "+err.Error()); err != nil {
				return nil, err
			}
			continue
		}
		largest = max(largest, ev.Size())
		some = append(some, state.Claimed{Event: ev, Position: s.position(sh, n), Claims: int(asInt(e[2]))})
		sh.mu.Lock()
		sh.claimed[n] = ev.Size()
		sh.mu.Unlock()
	}
	if largest > 0 {
		sh.mu.Lock()
		sh.largest = largest
		sh.mu.Unlock()
	}
	return some, nil
}

// markFreed makes the next claim look for released events before new ones.
func (sh *shard) markFreed() {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.freed = true
}

func fieldsOf(v any) map[string]string {
	all := asList(v)
	f := make(map[string]string, len(all)/2)
	for i := 0; i+1 < len(all); i += 2 {
		f[asText(all[i])] = asText(all[i+1])
	}
	return f
}

func (s *store) buryEvent(ctx context.Context, sh *shard, n uint64, tenant, reason string) error {
	var record []byte
	err := retryTaken(func() error {
		var fresh []newName
		o := state.Outcome{Dead: reason, At: s.clock.Now()}
		record = s.appendOutcome(nil, &o, nil, nil, &fresh)
		return s.keepNames(ctx, fresh)
	})
	if err != nil {
		return err
	}
	_, err = commitScript.run(ctx, s, sh.base, commitArgs{s.holder, []commitOp{
		{Op: "B", Burial: &burialArgs{n, escape(tenant), record}},
	}})
	return err
}

// regroup recreates a lost consumer group, and the layout if that was lost too.
func (s *store) regroup(ctx context.Context, sh *shard) error {
	s.log.Error("the consumer group is gone: Redis lost data; made again at the low mark", "key", sh.base+"events")
	if err := s.layout(ctx); err != nil {
		return err
	}
	s.names.forget()
	sh.mu.Lock()
	clear(sh.claimed)
	sh.suspectNumber, sh.suspect = 0, nil
	sh.mu.Unlock()
	_, err := groupScript.run(ctx, s, sh.base, noArgs{})
	return err
}
