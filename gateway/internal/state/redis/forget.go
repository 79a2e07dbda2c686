package redis

import (
	"context"
	"errors"
	"fmt"
	"slices"

	goredis "github.com/redis/go-redis/v9"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// forgetArgs are the arguments of forget.lua.
type forgetArgs struct {
	Dest        string
	Conditional int // 1: only over the hold Over
	Over        []byte
}

// Forget removes a destination of which nothing is left but its hold, in one shard after the other. All shards are looked at
// first. If a delivery or another hold arrives in one of them meanwhile, the hold is put on again in those that forgot it.
func (s *store) Forget(ctx context.Context, tenant, destination string, over *state.Hold) (bool, error) {
	forgotten, err := s.forget(ctx, tenant, destination, over)
	if err != nil {
		return false, fmt.Errorf("forget %s: %w", destination, err)
	}
	return forgotten, nil
}

func (s *store) forget(ctx context.Context, tenant, destination string, over *state.Hold) (bool, error) {
	if err := s.check(ctx); err != nil {
		return false, err
	}
	hold, kept, err := s.leftOf(ctx, tenant, destination)
	if err != nil || kept {
		return false, err
	}
	args := forgetArgs{Dest: token(tenant, destination)}
	if over != nil {
		args.Conditional, args.Over = 1, appendHold(nil, over)
	}
	for i, sh := range slices.Backward(s.shards) { // the first one last: it decides about holds
		got, err := forgetScript.run(ctx, s, sh.base, args)
		if err != nil {
			return false, err
		}
		said := asList(got)
		if asInt(said[0]) == 1 {
			continue
		}
		if i < len(s.shards)-1 && hold != (state.Hold{}) {
			if err := s.Hold(ctx, tenant, destination, hold, &hold); err != nil && !errors.Is(err, state.ErrConflict) {
				return false, err
			}
		}
		switch waits := asInt(said[1]); {
		case waits > 0:
			return false, deliveriesWait(waits)
		case asInt(said[3]) == 1:
			return false, fmt.Errorf("%w: another hold is in force", state.ErrConflict)
		}
		return false, nil
	}
	return true, nil
}

func deliveriesWait(n int64) error {
	return fmt.Errorf("%w: %d deliveries wait for it", state.ErrConflict, n)
}

// leftOf returns a destination's hold in force, and whether dead letters or history of it are kept, over all shards.
// state.ErrConflict: deliveries wait.
func (s *store) leftOf(ctx context.Context, tenant, destination string) (hold state.Hold, kept bool, err error) {
	t := token(tenant, destination)
	pipe := s.client.Pipeline()
	var waits, lists []*goredis.IntCmd
	var holds []*goredis.SliceCmd
	for _, sh := range s.shards {
		waits = append(waits, pipe.ZCard(ctx, sh.base+"wait:"+t))
		lists = append(lists, pipe.Exists(ctx, sh.base+"dead:"+t, sh.base+"h:"+t, sh.base+"f:"+t))
		holds = append(holds, pipe.HMGet(ctx, sh.base+"holds", t))
	}
	if err := s.exec(ctx, pipe); err != nil {
		return hold, false, err
	}
	var waiting, entries int64
	records := map[string]string{}
	for i := range slices.Backward(s.shards) {
		waiting, entries = waiting+waits[i].Val(), entries+lists[i].Val()
		if raw := holds[i].Val()[0]; raw != nil {
			records[t] = asText(raw)
		}
	}
	if waiting > 0 {
		return hold, false, deliveriesWait(waiting)
	}
	held, err := s.inForce(ctx, records)
	return held[t], entries > 0, err
}

// trimHoldsArgs are the arguments of trimholds.lua.
type trimHoldsArgs struct{ Dests []string }

// holds removes holds that have ended.
func (t *trimming) holds() error {
	for _, sh := range t.s.shards {
		all, err := t.s.client.HGetAll(t.ctx, sh.base+"holds").Result()
		if err != nil {
			return t.s.fault(err)
		}
		if len(all) == 0 {
			continue
		}
		now, err := t.s.time(t.ctx, sh.base)
		if err != nil {
			return err
		}
		var args trimHoldsArgs
		for dest, raw := range all {
			r := readerOf(raw)
			if till := int64(r.big(7)); r.Bad() || till == 0 || till > now {
				continue
			}
			if len(args.Dests) == sliceList {
				t.done.More = true
				break
			}
			args.Dests = append(args.Dests, dest)
		}
		if len(args.Dests) > 0 {
			if _, err := trimHoldsScript.run(t.ctx, t.s, sh.base, args); err != nil {
				return err
			}
		}
	}
	return nil
}
