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

// holdArgs are the arguments of hold.lua.
type holdArgs struct {
	Dest, Till  string
	Record      []byte
	Conditional int // 1: replace only the hold Over
	Over        []byte
}

// Hold puts a destination on hold, or lifts its hold, in one shard after the other. The first shard decides whether another
// hold conflicts. The others replace the same hold only, so that two writers leave all shards the same.
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

// Holds returns the destinations on hold, without holds that have ended.
func (s *store) Holds(ctx context.Context, tenant string) ([]state.DestinationOnHold, error) {
	if err := s.check(ctx); err != nil {
		return nil, err
	}
	// Every shard has all of them. After a crash in Hold they may differ: then the first shard counts, as it does there.
	records := map[string]string{}
	for _, sh := range slices.Backward(s.shards) {
		all, err := s.client.HGetAll(ctx, sh.base+"holds").Result()
		if err != nil {
			return nil, fmt.Errorf("holds: %w", s.fault(err))
		}
		maps.Copy(records, all)
	}
	maps.DeleteFunc(records, func(t, _ string) bool { return tenant != "*" && !strings.HasPrefix(t, escape(tenant)+"/") })
	inForce, err := s.inForce(ctx, records)
	if err != nil {
		return nil, fmt.Errorf("holds: %w", err)
	}
	var held []state.DestinationOnHold
	var counts [][]*goredis.IntCmd
	pipe := s.client.Pipeline()
	for t, h := range inForce {
		of, dest := untoken(t)
		held = append(held, state.DestinationOnHold{Tenant: of, Destination: dest, Hold: h})
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
	state.SortOnHold(held)
	return held, nil
}

func appendHold(b []byte, h *state.Hold) []byte {
	b = append(b, holdV1)
	b = state.HoldCodes.Append(b, string(h.Kind))
	b = state.AppendText(b, h.Reason)
	b = appendInt(b, unixMicro(h.Until))
	b = state.AppendText(b, h.Fingerprint)
	return appendInt(b, unixMicro(h.Since))
}

// readHold decodes a hold, and its end in the time of scripts; 0: it has none.
func readHold(raw string) (h state.Hold, till int64, err error) {
	r := readerOf(raw)
	till = int64(r.big(7))
	r.Version(holdV1)
	h.Kind = state.HoldKind(r.Code(state.HoldCodes))
	h.Reason = r.Text()
	h.Until = fromMicro(r.Int())
	h.Fingerprint = r.Text()
	h.Since = fromMicro(r.Int())
	return h, till, r.Err()
}
