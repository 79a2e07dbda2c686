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
type forgetArgs struct{ Dest string }

// Forget removes a destination of which nothing is left but its hold, in one shard after the other. All shards are looked at
// first. If a delivery arrives in one of them meanwhile, the hold is put on again in those that forgot it.
func (s *store) Forget(ctx context.Context, tenant, destination string) (bool, error) {
	forgotten, err := s.forget(ctx, tenant, destination)
	if err != nil {
		return false, fmt.Errorf("forget %s: %w", destination, err)
	}
	return forgotten, nil
}

func (s *store) forget(ctx context.Context, tenant, destination string) (bool, error) {
	if err := s.check(ctx); err != nil {
		return false, err
	}
	hold, err := s.forgettable(ctx, tenant, destination)
	if err != nil || hold == nil {
		return false, err
	}
	for i, sh := range slices.Backward(s.shards) { // the first one last: it decides about holds
		got, err := forgetScript.run(ctx, s, sh.base, forgetArgs{token(tenant, destination)})
		if err != nil {
			return false, err
		}
		waits, kept := asInt(asList(got)[0]), asInt(asList(got)[1]) > 0
		if waits == 0 && !kept {
			continue
		}
		if i < len(s.shards)-1 && *hold != (state.Hold{}) {
			if err := s.Hold(ctx, tenant, destination, *hold, hold); err != nil && !errors.Is(err, state.ErrConflict) {
				return false, err
			}
		}
		if waits > 0 {
			return false, deliveriesWait(waits)
		}
		return false, nil
	}
	return true, nil
}

func deliveriesWait(n int64) error {
	return fmt.Errorf("%w: %d deliveries wait for it", state.ErrConflict, n)
}

// forgettable returns the hold of a destination that nothing is kept of in any shard, or else nil. state.ErrConflict:
// deliveries wait.
func (s *store) forgettable(ctx context.Context, tenant, destination string) (*state.Hold, error) {
	t := token(tenant, destination)
	pipe := s.client.Pipeline()
	var waits, kept []*goredis.IntCmd
	for _, sh := range s.shards {
		waits = append(waits, pipe.ZCard(ctx, sh.base+"wait:"+t))
		kept = append(kept, pipe.Exists(ctx, sh.base+"dead:"+t, sh.base+"h:"+t, sh.base+"f:"+t))
	}
	holds := make([]*goredis.SliceCmd, len(s.shards))
	for i, sh := range s.shards {
		holds[i] = pipe.HMGet(ctx, sh.base+"holds", t)
	}
	if err := s.exec(ctx, pipe); err != nil {
		return nil, err
	}
	var waiting, entries int64
	records := map[string]string{}
	for i := range slices.Backward(s.shards) {
		waiting, entries = waiting+waits[i].Val(), entries+kept[i].Val()
		if raw := holds[i].Val()[0]; raw != nil {
			records[t] = asText(raw)
		}
	}
	switch {
	case waiting > 0:
		return nil, deliveriesWait(waiting)
	case entries > 0:
		return nil, nil //nolint:nilnil // nil: something is kept
	}
	held, err := s.inForce(ctx, records)
	if err != nil {
		return nil, err
	}
	hold := held[t]
	return &hold, nil
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
