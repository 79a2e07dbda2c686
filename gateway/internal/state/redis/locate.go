package redis

import (
	"context"
	"errors"
	"strconv"

	goredis "github.com/redis/go-redis/v9"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// locate finds an event by its ID. The ID does not tell the shard, which depends on the response, so all shards are asked at
// once; the error of one that does not answer counts only if no other has the event. A nil shard means that there is none.
func (s *store) locate(ctx context.Context, tenant, id string) (*shard, uint64, error) {
	slot, field := slotOf(id), fieldOf(tenant, id)
	if len(s.shards) == 1 {
		v, err := s.client.HGet(ctx, s.shards[0].base+"id:"+slot, field).Uint64()
		if errors.Is(err, goredis.Nil) {
			return nil, 0, nil
		}
		return s.shards[0], v, s.fault(err)
	}
	pipe := s.client.Pipeline()
	asked := make([]*goredis.StringCmd, len(s.shards))
	for i, sh := range s.shards {
		asked[i] = pipe.HGet(ctx, sh.base+"id:"+slot, field)
	}
	sick := s.exec(ctx, pipe)
	for i, v := range asked {
		if n, err := v.Uint64(); err == nil {
			return s.shards[i], n, nil
		}
	}
	return nil, 0, sick
}

// exec runs a pipeline. A missing key is no error.
func (s *store) exec(ctx context.Context, pipe goredis.Pipeliner) error {
	cmds, err := pipe.Exec(ctx)
	if err == nil || errors.Is(err, goredis.Nil) {
		for _, c := range cmds {
			if err := c.Err(); err != nil && !errors.Is(err, goredis.Nil) {
				return s.fault(err)
			}
		}
		return nil
	}
	return s.fault(err)
}

// shardsOf returns the shards of due deliveries. If a shard does not answer, sick is its error, and deliveries that no other
// shard knows have a nil shard.
func (s *store) shardsOf(ctx context.Context, due []state.Settled) (where []*shard, sick error) {
	where = make([]*shard, len(due))
	if len(s.shards) == 1 || len(due) == 0 {
		for i := range due {
			where[i] = s.shards[0]
		}
		return where, nil
	}
	pipe := s.client.Pipeline()
	asked := make([][]*goredis.StringCmd, len(due))
	for i := range due {
		id, _, _ := state.SplitDeliveryID(due[i].Delivery.ID)
		slot, field := slotOf(id), fieldOf(due[i].Delivery.Tenant, id)
		for _, sh := range s.shards {
			asked[i] = append(asked[i], pipe.HGet(ctx, sh.base+"id:"+slot, field))
		}
	}
	sick = s.exec(ctx, pipe)
	for i := range due {
		if sick == nil {
			where[i] = s.shards[0] // the event was removed: its fence is lost in any shard
		}
		for k, v := range asked[i] {
			if _, err := v.Uint64(); err == nil { // a command that was not sent has no error of its own
				where[i] = s.shards[k]
			}
		}
	}
	return where, sick
}

func text(n uint64) string { return strconv.FormatUint(n, 10) }

func outcomeAt(sh *shard, n uint64) (key, field string) {
	return sh.base + "outcome:" + text(n/64), text(n % 64)
}

func owedAt(sh *shard, n uint64, suffix string) (key, field string) {
	return sh.base + "owed:" + text(n/16), string([]byte{byte(n % 16)}) + suffix
}

// standing is where an event is, and the present state of one of its deliveries.
type standing struct {
	shard *shard // nil: the event was removed
	n     uint64
	owed  *owed // the record, or what the event's commit said of it; nil: none
}

// standings finds deliveries by their IDs, in two round trips for all of them.
func (s *store) standings(ctx context.Context, tenant string, ids []string) ([]standing, error) {
	found := make([]standing, len(ids))
	pipe := s.client.Pipeline()
	asked := make([][]*goredis.StringCmd, len(ids))
	for i, id := range ids {
		eventID, _, _ := state.SplitDeliveryID(id)
		slot, field := slotOf(eventID), fieldOf(tenant, eventID)
		for _, sh := range s.shards {
			asked[i] = append(asked[i], pipe.HGet(ctx, sh.base+"id:"+slot, field))
		}
	}
	if err := s.exec(ctx, pipe); err != nil {
		return nil, err
	}
	pipe = s.client.Pipeline()
	records := make([][2]*goredis.StringCmd, len(ids))
	for i, id := range ids {
		for k, cmd := range asked[i] {
			n, err := cmd.Uint64()
			if err != nil {
				continue
			}
			sh := s.shards[k]
			found[i].shard, found[i].n = sh, n
			_, suffix, _ := state.SplitDeliveryID(id)
			key, field := owedAt(sh, n, suffix)
			records[i][0] = pipe.HGet(ctx, key, field)
			key, field = outcomeAt(sh, n)
			records[i][1] = pipe.HGet(ctx, key, field)
			break
		}
	}
	if pipe.Len() == 0 {
		return found, nil
	}
	if err := s.exec(ctx, pipe); err != nil {
		return nil, err
	}
	for i, id := range ids {
		st := &found[i]
		if st.shard == nil {
			continue
		}
		eventID, suffix, _ := state.SplitDeliveryID(id)
		var err error
		switch own, decided := records[i][0], records[i][1]; {
		case own.Err() == nil:
			st.owed, err = s.readOwed(ctx, tenant, st.shard, st.n, suffix, own.Val())
		case decided.Err() == nil:
			var out *outcome
			if out, err = s.readOutcome(ctx, st.shard, st.n, tenant, eventID, decided.Val()); err == nil {
				st.owed = out.delivery(st.shard, st.n, suffix)
			}
		}
		if err != nil {
			return nil, err
		}
	}
	return found, nil
}

// current returns the present state of a delivery; nil: there is none.
func (s *store) current(ctx context.Context, tenant, id string) (*owed, error) {
	found, err := s.standings(ctx, tenant, []string{id})
	if err != nil {
		return nil, err
	}
	return found[0].owed, nil
}
