package redis

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	goredis "github.com/redis/go-redis/v9"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// holdArgs are the arguments of hold.lua.
type holdArgs struct {
	Dest, Till  string
	Record      []byte
	Conditional int // 1: only over the hold that follows
	Over        []byte
}

// Hold keeps a destination from being claimed: in every shard, one after the other. Whether another hold stands is said by
// the first; in the others too nothing but what stood is replaced, so that two writers leave all shards the same.
func (s *store) Hold(ctx context.Context, tenant, destination string, h state.Hold, over *state.Hold) error {
	if err := s.check(ctx); err != nil {
		return err
	}
	var record []byte
	till := ""
	if h != (state.Hold{}) {
		record = appendHold(nil, &h)
		if !h.Until.IsZero() {
			till = span(h.Until.Sub(s.clock.Now()))
		}
	}
	args := holdArgs{Dest: token(tenant, destination), Till: till, Record: record}
	if over != nil {
		args.Conditional, args.Over = 1, appendHold(nil, over)
	}
	for i, sh := range s.shards {
		done, err := holdScript.run(ctx, s, sh.base, args)
		if err == nil && i == 0 && asInt(done) == 0 {
			err = state.ErrConflict
		}
		if err != nil {
			return fmt.Errorf("hold %s: %w", destination, err)
		}
	}
	return nil
}

// Holds are the destinations on hold. One whose time is over is none.
func (s *store) Holds(ctx context.Context, tenant string) ([]state.Held, error) {
	if err := s.check(ctx); err != nil {
		return nil, err
	}
	// Every shard has all of them; where a crash came between, the first that says so counts, as it does for Hold.
	tokens := map[string]string{}
	for _, sh := range slices.Backward(s.shards) {
		all, err := s.client.HGetAll(ctx, sh.base+"holds").Result()
		if err != nil {
			return nil, fmt.Errorf("holds: %w", s.fault(err))
		}
		maps.Copy(tokens, all)
	}
	if len(tokens) == 0 {
		return nil, nil
	}
	now, err := s.time(ctx, s.shards[0].base)
	if err != nil {
		return nil, fmt.Errorf("holds: %w", err)
	}
	var held []state.Held
	var counts [][]*goredis.IntCmd
	pipe := s.client.Pipeline()
	for t, raw := range tokens {
		h, till, err := readHold(raw)
		if err != nil {
			return nil, fmt.Errorf("hold of %s: %w", t, err)
		}
		of, dest := untoken(t)
		if tenant != "*" && of != tenant || till != 0 && till <= now {
			continue
		}
		held = append(held, state.Held{Tenant: of, Destination: dest, Hold: h})
		var waiting []*goredis.IntCmd
		for _, sh := range s.shards {
			waiting = append(waiting, pipe.ZCard(ctx, sh.base+"wait:"+t))
		}
		counts = append(counts, waiting)
	}
	if len(held) == 0 {
		return nil, nil
	}
	if err := s.exec(ctx, pipe); err != nil {
		return nil, fmt.Errorf("holds: %w", err)
	}
	for i := range held {
		for _, c := range counts[i] {
			held[i].Waiting += int(c.Val())
		}
	}
	slices.SortFunc(held, func(a, b state.Held) int {
		return cmp.Or(cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.Destination, b.Destination))
	})
	return held, nil
}

func appendHold(b []byte, h *state.Hold) []byte {
	b = append(b, holdV1)
	b = appendCode(b, holdWords, string(h.Kind))
	b = appendText(b, h.Reason)
	b = appendInt(b, unixMicro(h.Until))
	b = appendText(b, h.Fingerprint)
	return appendInt(b, unixMicro(h.Since))
}

// readHold reads a hold, and when it ends by the time of scripts; 0: it does not by itself.
func readHold(raw string) (h state.Hold, till int64, err error) {
	r := reader{b: raw}
	till = int64(r.big(7))
	if r.byte() != holdV1 {
		r.fail()
	}
	h.Kind = state.HoldKind(r.code(holdWords))
	h.Reason = r.text()
	h.Until = fromMicro(r.int())
	h.Fingerprint = r.text()
	h.Since = fromMicro(r.int())
	return h, till, r.err()
}
