package redis

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	goredis "github.com/redis/go-redis/v9"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// standingMost is how many destinations one pipeline asks for.
const standingMost = 1000

// Standing returns the standing of destinations, over all shards: one pipeline for the named ones. Those that are known are found
// with the tenant's orders of lists before.
func (s *store) Standing(ctx context.Context, tenant string, destinations []string) ([]state.Standing, error) {
	if err := s.check(ctx); err != nil {
		return nil, err
	}
	if destinations == nil {
		var err error
		if destinations, err = s.knownDestinations(ctx, tenant); err != nil {
			return nil, fmt.Errorf("standing: %w", err)
		}
	}
	all := make([]state.Standing, 0, len(destinations))
	for some := range slices.Chunk(destinations, standingMost) {
		more, err := s.standingOf(ctx, tenant, some)
		if err != nil {
			return nil, fmt.Errorf("standing: %w", err)
		}
		all = append(all, more...)
	}
	return all, nil
}

func (s *store) standingOf(ctx context.Context, tenant string, destinations []string) ([]state.Standing, error) {
	type part struct {
		waiting, dead *goredis.IntCmd
		oldest        *goredis.ZSliceCmd
	}
	tokens := make([]string, len(destinations))
	for i, name := range destinations {
		tokens[i] = token(tenant, name)
	}
	pipe := s.client.Pipeline()
	parts, holds := make([][]part, len(destinations)), make([]*goredis.SliceCmd, len(s.shards))
	for n, sh := range s.shards {
		holds[n] = pipe.HMGet(ctx, sh.base+"holds", tokens...)
		for i, t := range tokens {
			waits := sh.base + "wait:" + t
			parts[i] = append(parts[i], part{pipe.ZCard(ctx, waits), pipe.ZCard(ctx, sh.base+"dead:"+t), pipe.ZRangeWithScores(ctx, waits, 0, 0)})
		}
	}
	if err := s.exec(ctx, pipe); err != nil {
		return nil, err
	}
	all := make([]state.Standing, len(destinations))
	records := map[string]string{}
	for i, name := range destinations {
		all[i].Destination = name
		for _, p := range parts[i] {
			all[i].Waiting += int(p.waiting.Val())
			all[i].Dead += int(p.dead.Val())
			for _, z := range p.oldest.Val() {
				all[i].OldestWaiting = earlier(all[i].OldestWaiting, int64(z.Score))
			}
		}
		for _, cmd := range slices.Backward(holds) { // the first shard counts, as in Holds
			if raw := cmd.Val()[i]; raw != nil {
				records[tokens[i]] = asText(raw)
			}
		}
	}
	held, err := s.inForce(ctx, records)
	if err != nil {
		return nil, err
	}
	for i, t := range tokens {
		all[i].Hold = held[t]
	}
	return all, nil
}

// inForce decodes the records of holds, by destination, and leaves out those that have ended.
func (s *store) inForce(ctx context.Context, records map[string]string) (map[string]state.Hold, error) {
	if len(records) == 0 {
		return nil, nil
	}
	now, err := s.time(ctx, s.shards[0].base)
	if err != nil {
		return nil, err
	}
	held := map[string]state.Hold{}
	for t, raw := range records {
		h, till, err := readHold(raw)
		if err != nil {
			return nil, fmt.Errorf("hold of %s: %w", t, err)
		}
		if till == 0 || till > now {
			held[t] = h
		}
	}
	return held, nil
}

// knownDestinations returns the names of a tenant's destinations that have anything in the store, in order.
func (s *store) knownDestinations(ctx context.Context, tenant string) ([]string, error) {
	prefix := escape(tenant) + "/"
	names, records := map[string]bool{}, map[string]string{}
	add := func(t string) {
		_, name := untoken(t)
		names[name] = true
	}
	pipe := s.client.Pipeline()
	holds := make([]*goredis.MapStringStringCmd, len(s.shards))
	for n, sh := range s.shards {
		holds[n] = pipe.HGetAll(ctx, sh.base+"holds")
	}
	if err := s.exec(ctx, pipe); err != nil {
		return nil, err
	}
	for n, sh := range slices.Backward(s.shards) {
		listed, err := s.listedDestinations(ctx, sh, tenant)
		if err != nil {
			return nil, err
		}
		for _, name := range listed {
			add(prefix + name)
		}
		for t, raw := range holds[n].Val() {
			if strings.HasPrefix(t, prefix) {
				records[t] = raw
			}
		}
	}
	held, err := s.inForce(ctx, records)
	if err != nil {
		return nil, err
	}
	for t := range held {
		add(t)
	}
	return slices.Sorted(maps.Keys(names)), nil
}

// listedDestinations returns the escaped names of a tenant's destinations that are in the orders of a shard, some more than once.
func (s *store) listedDestinations(ctx context.Context, sh *shard, tenant string) (names []string, err error) {
	args := orderArgs{Share: escape(tenant)}
	for _, kind := range []byte(listLetters) {
		args.Lists = append(args.Lists, orderRef{string(kind), "-inf", 0}) // none is older
	}
	for range 2 {
		got, err := orderScript.run(ctx, s, sh.base, args)
		if err != nil {
			return nil, err
		}
		v := asList(got)
		if len(v) != 2+2*len(args.Lists) {
			return nil, errCorrupt
		}
		names = nil
		for i := range args.Lists {
			for found := asList(v[3+2*i]); len(found) > 1; found = found[2:] {
				names = append(names, asText(found[0]))
			}
		}
		if asInt(v[0]) == 1 {
			break
		}
		if err := s.makeOrders(ctx, sh, tenant, text(uint64(asInt(v[1])))); err != nil {
			return nil, err
		}
	}
	return names, nil
}
