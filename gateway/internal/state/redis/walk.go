package redis

import (
	"cmp"
	"context"
	"encoding/hex"
	"slices"
	"strconv"

	goredis "github.com/redis/go-redis/v9"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// walk returns the numbers of the next events of a query below a number, newest first.
func (s *store) walk(ctx context.Context, sh *shard, tenant string, q *state.EventQuery, below uint64, most int) ([]uint64, error) {
	switch {
	case q.Response != "":
		return s.posted(ctx, sh, term(tenant, "r", q.Response), below, most)
	case q.Respondent != "":
		return s.posted(ctx, sh, term(tenant, "p", string(s.people.Load().Hash(q.Respondent))), below, most)
	case q.Dead:
		// They are few, as they are bounded by age.
		all, err := s.client.ZRange(ctx, sh.base+"gone:"+escape(tenant), 0, -1).Result()
		if err != nil {
			return nil, s.fault(err)
		}
		var ns []uint64
		for _, m := range all {
			if n, err := strconv.ParseUint(m, 10, 64); err == nil && n < below {
				ns = append(ns, n)
			}
		}
		slices.Sort(ns)
		slices.Reverse(ns)
		return ns[:min(len(ns), most)], nil
	}
	return s.timeline(ctx, sh, tenant, below, most)
}

// marks are the number of a shard's first event in the stream, that of its next event, and the slices of its indexes, oldest
// first. Slices are listed, because numbers jump after an entry of another program.
type marks struct {
	first, next uint64
	slices      []uint64
}

func (s *store) marks(ctx context.Context, sh *shard) (*marks, error) {
	pipe := s.client.Pipeline()
	counters := pipe.HMGet(ctx, sh.base+"meta", "first", "next")
	slices := pipe.ZRange(ctx, sh.base+"slices", 0, -1)
	if err := s.exec(ctx, pipe); err != nil {
		return nil, err
	}
	v := counters.Val()
	m := &marks{first: max(uint64(asInt(v[0])), 1), next: max(uint64(asInt(v[1])), 1)}
	for _, name := range slices.Val() {
		m.slices = append(m.slices, number(name))
	}
	return m, nil
}

// timeline returns the numbers of a tenant's events: those in the stream and in its share, from the index by tenant, and kept
// ones, from the one list of all tenants.
func (s *store) timeline(ctx context.Context, sh *shard, tenant string, below uint64, most int) ([]uint64, error) {
	m, err := s.marks(ctx, sh)
	if err != nil {
		return nil, err
	}
	below = min(below, m.next)
	var ns []uint64
	for _, slice := range slices.Backward(m.slices) {
		if slice > below/sliced {
			continue
		}
		if len(ns) >= most {
			break
		}
		all, err := s.slice(ctx, sh, tenant, slice, m.first)
		if err != nil {
			return nil, err
		}
		for i := len(all) - 1; i >= 0 && len(ns) < most; i-- {
			if n := all[i]; n < below {
				ns = append(ns, n)
			}
		}
	}
	kept, err := s.client.ZRevRangeByScore(ctx, sh.base+"kept", &goredis.ZRangeBy{
		Min: "-inf", Max: "(" + text(min(below, m.first)), Count: int64(most),
	}).Result()
	if err != nil {
		return nil, s.fault(err)
	}
	if len(kept) == 0 {
		return ns, nil
	}
	for _, m := range kept {
		ns = append(ns, number(m))
	}
	slices.SortFunc(ns, func(a, b uint64) int { return cmp.Compare(b, a) })
	ns = slices.Compact(ns)
	return ns[:min(len(ns), most)], nil
}

// slice returns the numbers of a tenant's events within a slice, in order; below first, only those in its share.
func (s *store) slice(ctx context.Context, sh *shard, tenant string, slice, first uint64) ([]uint64, error) {
	pipe := s.client.Pipeline()
	line := pipe.Get(ctx, sh.base+"line:"+escape(tenant)+":"+text(slice))
	var aside *goredis.StringCmd
	if slice*sliced < first {
		aside = pipe.Get(ctx, sh.base+"aside:"+text(slice))
	}
	if err := s.exec(ctx, pipe); err != nil {
		return nil, err
	}
	raw, bits := line.Val(), ""
	if aside != nil {
		bits = aside.Val()
	}
	ns := make([]uint64, 0, len(raw)/2)
	for i := 0; i+1 < len(raw); i += 2 {
		offset := uint64(raw[i])<<8 | uint64(raw[i+1])
		if n := slice*sliced + offset; n >= first || bit(bits, offset) {
			ns = append(ns, n)
		}
	}
	return ns, nil
}

// bit returns a bit in the order of SETBIT.
func bit(bits string, n uint64) bool { return n/8 < uint64(len(bits)) && bits[n/8]&(0x80>>(n%8)) != 0 }

// posted returns the numbers of the events that have a term, newest first.
func (s *store) posted(ctx context.Context, sh *shard, t indexTerm, below uint64, most int) ([]uint64, error) {
	m, err := s.marks(ctx, sh)
	if err != nil {
		return nil, err
	}
	below = min(below, m.next)
	newest := slices.DeleteFunc(m.slices, func(slice uint64) bool { return slice > below/sliced })
	slices.Reverse(newest)
	var ns []uint64
	for len(newest) > 0 && len(ns) < most {
		some := newest[:min(len(newest), 16)]
		newest = newest[len(some):]
		var keys []string
		for _, slice := range some {
			keys = append(keys, sh.base+"index:"+text(slice)+":"+t.Bucket)
		}
		values, err := s.client.MGet(ctx, keys...).Result()
		if err != nil {
			return nil, s.fault(err)
		}
		for i, v := range values {
			raw := asText(v)
			for at := len(raw) - tagSize - 2; at >= 0 && len(ns) < most; at -= tagSize + 2 {
				if raw[at:at+tagSize] != t.Tag {
					continue
				}
				n := some[i]*sliced + uint64(raw[at+tagSize])<<8 + uint64(raw[at+tagSize+1])
				if n < below && (len(ns) == 0 || ns[len(ns)-1] != n) {
					ns = append(ns, n)
				}
			}
		}
	}
	// Revisions have sets of their own, because the index is in the order of numbers.
	revised, err := s.client.ZRevRangeByScore(ctx, sh.base+termsKey(t), &goredis.ZRangeBy{
		Min: "-inf", Max: "(" + text(below), Count: int64(most),
	}).Result()
	if err != nil {
		return nil, s.fault(err)
	}
	if len(revised) == 0 {
		return ns, nil
	}
	for _, m := range revised {
		ns = append(ns, number(m))
	}
	slices.SortFunc(ns, func(a, b uint64) int { return cmp.Compare(b, a) })
	ns = slices.Compact(ns)
	return ns[:min(len(ns), most)], nil
}

// termsKey returns the key of the revisions that have a term, without the prefix.
func termsKey(t indexTerm) string {
	return "terms:" + t.Bucket + ":" + hex.EncodeToString([]byte(t.Tag))
}
