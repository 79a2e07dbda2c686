package redis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// changes is how often a change is tried that conflicts with another one.
const changes = 16

var errChanged = errors.New("it changes all the time")

// scheduleMost is how many deliveries one script moves.
const scheduleMost = 256

// Schedule puts deliveries into the due-queue, each atomically, in a few round trips for all of them.
func (s *store) Schedule(ctx context.Context, tenant string, deliveries []state.Delivery) ([]bool, error) {
	if err := s.check(ctx); err != nil {
		return nil, err
	}
	if err := state.CheckScheduled(tenant, deliveries); err != nil {
		return nil, fmt.Errorf("schedule: %w", err)
	}
	result := make([]bool, len(deliveries))
	all := make([]int, len(deliveries))
	for i := range all {
		all[i] = i
	}
	for some := range slices.Chunk(all, scheduleMost) {
		for round := 0; len(some) > 0; round++ {
			if round == changes {
				return nil, fmt.Errorf("schedule %s: %w", deliveries[some[0]].ID, errChanged)
			}
			again, err := s.schedule(ctx, tenant, deliveries, some, result)
			if err != nil {
				return nil, fmt.Errorf("schedule: %w", err)
			}
			some = again
		}
	}
	return result, nil
}

// schedule moves some of the deliveries, and returns those to try again because they have changed since they were read.
func (s *store) schedule(ctx context.Context, tenant string, deliveries []state.Delivery, some []int, result []bool) (again []int, err error) {
	ids := make([]string, len(some))
	for i, at := range some {
		ids[i] = deliveries[at].ID
	}
	now := s.clock.Now()
	found, err := s.standings(ctx, tenant, ids)
	if err != nil {
		return nil, err
	}
	var moved []*owed
	var places []int
	for i, at := range some {
		if to := found[i].scheduled(tenant, &deliveries[at], now); to != nil {
			moved, places = append(moved, to), append(places, at)
		}
	}
	done, err := s.change(ctx, moved, false, now)
	if err != nil {
		return nil, err
	}
	for i, at := range places {
		if done[i] < 0 {
			again = append(again, at)
		}
		result[at] = done[i] == 1
	}
	return again, nil
}

// scheduled returns the delivery in its new state; nil: it is not changed.
func (st *standing) scheduled(tenant string, given *state.Delivery, now time.Time) *owed {
	if st.shard == nil {
		return nil
	}
	eventID, suffix, _ := state.SplitDeliveryID(given.ID)
	to := &owed{shard: st.shard, n: st.n, suffix: suffix, newest: noLink}
	var kept *state.Delivery
	if st.owed != nil {
		*to = *st.owed
		kept = &st.owed.Delivery
	}
	d, ok := state.Reschedule(kept, given, now)
	if !ok {
		return nil
	}
	to.Delivery = d
	to.Tenant, to.EventID = tenant, eventID
	return to
}

// change writes deliveries that are still as they were read. It returns 1 for each that was written, 0 for a leased one, and
// -1 for one that has changed.
func (s *store) change(ctx context.Context, all []*owed, ends bool, now time.Time) ([]int, error) {
	if len(all) == 0 {
		return nil, nil
	}
	var args map[*shard]*changeArgs
	var places map[*shard][]int
	err := retryTaken(func() error {
		var fresh []newName
		args, places, fresh = s.changesOf(all, ends, now)
		return s.keepNames(ctx, fresh)
	})
	if err != nil {
		return nil, err
	}
	done := make([]int, len(all))
	for sh, own := range args {
		got, err := changeScript.run(ctx, s, sh.base, *own)
		if err != nil {
			return nil, err
		}
		answers := asList(got)
		if len(answers) != len(places[sh]) {
			return nil, errCorrupt
		}
		for i, at := range places[sh] {
			done[at] = int(asInt(answers[i]))
		}
	}
	return done, nil
}

// changeArgs are the arguments of change.lua.
type changeArgs struct{ Moves []moveArgs }

// moveArgs are what move.lua reads of a delivery; times are microseconds.
type moveArgs struct {
	idRef
	Suffix, Was         string
	List, Where         string
	Dest, State, Reason string
	Tail, Entry         []byte
	At, Seq, Failed     uint64
	Created, Wait, Due  int64
}

// moveOf makes the arguments for a delivery in its new state.
func (s *store) moveOf(to *owed, ends bool, now time.Time, fresh *[]newName) moveArgs {
	sh := s.names.reference(shape(&to.Delivery), fresh)
	l, v := to.newest, valuesOf(&to.Delivery, sh, now)
	var entry []byte
	if ends {
		entry = appendEntry([]byte(listFor(&to.Delivery)), &to.Delivery, to.suffix, sh)
	}
	return moveArgs{
		idRef: idRefOf(to.Tenant, to.EventID), Suffix: to.suffix, Was: to.raw,
		List: string(l.list), Where: l.dest, At: l.at, Seq: l.seq, Failed: to.failed,
		Dest: token(to.Tenant, to.Destination), State: letterOf(to.State), Reason: v.reason, Tail: v.tail, Entry: entry,
		Created: v.created, Wait: v.wait, Due: v.due,
	}
}

// changesOf makes the arguments of the script for each shard, with the indexes in all of their deliveries, and names to keep.
func (s *store) changesOf(all []*owed, ends bool, now time.Time) (args map[*shard]*changeArgs, places map[*shard][]int, fresh []newName) {
	args, places = map[*shard]*changeArgs{}, map[*shard][]int{}
	for i, to := range all {
		if args[to.shard] == nil {
			args[to.shard] = &changeArgs{}
		}
		args[to.shard].Moves = append(args[to.shard].Moves, s.moveOf(to, ends, now, &fresh))
		places[to.shard] = append(places[to.shard], i)
	}
	return args, places, fresh
}

// Drop ends a waiting or dead delivery, or takes an event out of the dead letters.
func (s *store) Drop(ctx context.Context, tenant, id string) error {
	if err := s.check(ctx); err != nil {
		return err
	}
	if err := s.drop(ctx, tenant, id); err != nil {
		return fmt.Errorf("drop %s: %w", id, err)
	}
	return nil
}

func (s *store) drop(ctx context.Context, tenant, id string) error {
	if _, _, ok := state.SplitDeliveryID(id); !ok {
		return s.pardon(ctx, tenant, id)
	}
	for range changes {
		o, err := s.current(ctx, tenant, id)
		if err != nil {
			return err
		}
		if o == nil || !o.State.Open() {
			return state.ErrNotFound
		}
		now := s.clock.Now()
		o.State, o.Reason = state.Dropped, ""
		o.Stamp(now)
		done, err := s.change(ctx, []*owed{o}, true, now)
		switch {
		case err != nil:
			return err
		case done[0] == 1:
			return nil
		case done[0] == 0:
			return state.ErrConflict
		}
	}
	return errChanged
}

// dropEventArgs are the arguments of dropevent.lua.
type dropEventArgs struct {
	Share string // the tenant, escaped
	idRef
}

// pardon takes an event out of the dead letters.
func (s *store) pardon(ctx context.Context, tenant, id string) error {
	sh, _, err := s.locate(ctx, tenant, id)
	if err != nil {
		return err
	}
	if sh == nil {
		return state.ErrNotFound
	}
	got, err := dropEventScript.run(ctx, s, sh.base, dropEventArgs{escape(tenant), idRefOf(tenant, id)})
	if err == nil && asInt(got) == 0 {
		err = state.ErrNotFound
	}
	return err
}
