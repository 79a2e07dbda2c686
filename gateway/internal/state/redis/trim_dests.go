package redis

import (
	"fmt"
	"slices"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// destSlices is how many slices a destination gets in one shard before the next destination has its turn.
const destSlices = 2

// listEndsArgs are the arguments of listends.lua.
type listEndsArgs struct{ Dests []string }

// destLists are the lists of a destination in one shard, and the bounds that they have there. Times are microseconds.
type destLists struct {
	sh    *shard
	dest  string
	sick  bool  // they cannot be read
	stale bool  // all are empty, and its name is still listed; or an order has a time for it that no entry has
	now   int64 // when they were read

	waiting, bytes, history, failures         int64 // how much there is; bytes: of the events of waiting deliveries
	oldestWaiting, oldestDead, oldestFinished int64 // 0: none; finished: in history or failures
	bounds                                    destBounds
}

// destBounds bound the lists of a destination in one shard; 0: no bound.
type destBounds struct{ waiting, bytes, history, failures int64 }

// dests bounds each destination's lists, in turn. Most exceed nothing: a page of them is looked at with one script for each
// shard. What slices are left in the end go to the destinations that need more than their turn.
func (t *trimming) dests() error {
	if t.r.Waiting == (state.WaitingBound{}) && t.r.History == (state.HistoryBound{}) && t.r.Dead.Age <= 0 {
		return nil
	}
	var unfinished []*destLists
	err := t.inTurn("dests", "dests", func(sh *shard, names []string) ([]string, error) {
		names, all, err := t.lists(sh, names)
		if err != nil {
			return names, err
		}
		for i, name := range names {
			for _, d := range all[i] {
				if !t.exceeds(d) {
					continue
				}
				if t.budget <= 0 {
					return names[i:], nil // what was done of it exceeds nothing the next time
				}
				more, err := t.dest(d)
				if err != nil {
					return names[i+1:], fmt.Errorf("destination %s: %w", name, err)
				}
				if more {
					unfinished = append(unfinished, d)
				}
			}
		}
		return nil, nil
	})
	for err == nil && t.budget > 0 && len(unfinished) > 0 {
		d := unfinished[0]
		unfinished = unfinished[1:]
		var more bool
		if more, err = t.dest(d); more {
			unfinished = append(unfinished, d)
		}
	}
	if len(unfinished) > 0 {
		t.done.More = true
	}
	return err
}

// lists reads how much the shards have of each destination, and corrects its times in the orders of lists. It leaves out
// destinations that an earlier shard has too: they have their turn there.
func (t *trimming) lists(sh *shard, names []string) (own []string, all [][]*destLists, err error) {
	if own, err = t.notBefore(sh, names); err != nil || len(own) == 0 {
		return own, nil, err
	}
	all = make([][]*destLists, len(own))
	for _, sh := range t.s.shards[sh.n:] {
		t.budget--
		if err := t.goOn(); err != nil {
			return own, nil, err
		}
		got, err := listEndsScript.run(t.ctx, t.s, sh.base, listEndsArgs{own})
		if err != nil {
			return own, nil, err
		}
		reply := asList(got)
		if len(reply) != 1+len(own) {
			return own, nil, errCorrupt
		}
		// It costs no slice: a short call would have none left for what it found.
		if _, err := orderListsScript.run(t.ctx, t.s, sh.base, orderListsArgs{own}); err != nil {
			return own, nil, err
		}
		now := asInt(reply[0])
		for i, v := range reply[1:] {
			d := &destLists{sh: sh, dest: own[i], now: now, sick: true}
			if n := asList(v); len(n) == 9 {
				d.sick, d.stale = false, asInt(n[0]) == 1 || asInt(n[8]) == 1
				d.waiting, d.bytes, d.history, d.failures = asInt(n[1]), asInt(n[2]), asInt(n[3]), asInt(n[4])
				d.oldestWaiting, d.oldestDead, d.oldestFinished = asInt(n[5]), asInt(n[6]), asInt(n[7])
			}
			all[i] = append(all[i], d)
		}
	}
	w, h := t.r.Waiting, t.r.History
	for _, lists := range all {
		waiting := shares(int64(w.Count), lists, func(d *destLists) int64 { return d.waiting })
		bytes := shares(w.Bytes, lists, func(d *destLists) int64 { return d.bytes })
		history := shares(int64(h.PerDestination), lists, func(d *destLists) int64 { return d.history })
		failures := shares(int64(h.PerDestination), lists, func(d *destLists) int64 { return d.failures })
		for i, d := range lists {
			d.bounds = destBounds{waiting[i], bytes[i], history[i], failures[i]}
		}
	}
	return own, all, nil
}

// notBefore returns the destinations that no shard before this one has.
func (t *trimming) notBefore(sh *shard, names []string) ([]string, error) {
	if sh.n == 0 {
		return names, nil
	}
	members := make([]any, len(names))
	for i, name := range names {
		members[i] = name
	}
	pipe := t.s.client.Pipeline()
	var asked []*goredis.BoolSliceCmd
	for _, before := range t.s.shards[:sh.n] {
		asked = append(asked, pipe.SMIsMember(t.ctx, before.base+"dests", members...))
	}
	if err := t.s.exec(t.ctx, pipe); err != nil {
		return names, err
	}
	var own []string
	for i, name := range names {
		if !slices.ContainsFunc(asked, func(c *goredis.BoolSliceCmd) bool { return c.Val()[i] }) {
			own = append(own, name)
		}
	}
	return own, nil
}

// exceeds reports whether something of a destination is to be removed from a shard, or its name, as its lists are empty.
func (t *trimming) exceeds(d *destLists) bool {
	above := func(n, bound int64) bool { return bound > 0 && n > bound }
	old := func(at int64, age time.Duration) bool { return age > 0 && at > 0 && at < d.now-atLeastOne(age) }
	b := &d.bounds
	return d.sick || d.stale || above(d.waiting, b.waiting) || above(d.bytes, b.bytes) || above(d.history, b.history) || above(d.failures, b.failures) ||
		old(d.oldestWaiting, t.r.Waiting.Age) || old(d.oldestDead, t.r.Dead.Age) || old(d.oldestFinished, t.r.History.Age)
}

// atLeastOne returns an age in microseconds. One below a microsecond would become 0, which is no bound.
func atLeastOne(age time.Duration) int64 {
	if age > 0 {
		age = max(age, time.Microsecond)
	}
	return age.Microseconds()
}

// destArgs are the arguments of trimdest.lua. Ages are microseconds; 0: no bound.
type destArgs struct {
	Dest                                   string
	TooOld, TooMany, TooLarge              string // reasons of dead letters
	WaitingAge, WaitingCount, WaitingBytes int64
	DeadAge                                int64
	HistoryAge, HistoryCount, FailureCount int64
	Most                                   int
}

// dest bounds a destination's lists in a shard, as far as it gets in one turn.
func (t *trimming) dest(d *destLists) (more bool, err error) {
	for range min(destSlices, t.budget) {
		t.budget--
		if err := t.goOn(); err != nil {
			return false, err
		}
		got, err := destScript.run(t.ctx, t.s, d.sh.base, destArgs{
			Dest: d.dest, TooOld: t.r.Waiting.TooOld(), TooMany: t.r.Waiting.TooMany(), TooLarge: t.r.Waiting.TooLarge(),
			WaitingAge: atLeastOne(t.r.Waiting.Age), WaitingCount: d.bounds.waiting, WaitingBytes: d.bounds.bytes, DeadAge: atLeastOne(t.r.Dead.Age),
			HistoryAge: atLeastOne(t.r.History.Age), HistoryCount: d.bounds.history, FailureCount: d.bounds.failures, Most: sliceList,
		})
		if err != nil {
			return false, err
		}
		n := asList(got)
		tenant, destination, _ := strings.Cut(d.dest, "/")
		t.done.AddOverdue(unescape(tenant), unescape(destination), int(asInt(n[0])))
		t.done.Dead += int(asInt(n[1]))
		t.done.Attempts += int(asInt(n[2]))
		if asInt(n[3]) == 0 {
			return false, nil
		}
	}
	return true, nil
}
