package redis

import (
	"container/heap"
	"context"
	"slices"
	"strings"

	goredis "github.com/redis/go-redis/v9"
)

// fill reads the next entries of lists that have none, in one round trip for all lists, a second one where all entries that
// were asked for have one time, and one for the deliveries' records. Lists that have entries then are open.
func (m *merge) fill(ctx context.Context, all []*listed) error {
	for len(all) > 0 {
		all = slices.DeleteFunc(slices.Clone(all), func(l *listed) bool { return l.end })
		if err := m.read(ctx, all); err != nil {
			return err
		}
		if err := m.records(ctx, all); err != nil {
			return err
		}
		var again []*listed
		for _, l := range all {
			if len(l.items) > 0 {
				heap.Push(&m.open, l)
			} else {
				again = append(again, l)
			}
		}
		all = again
	}
	return nil
}

func (m *merge) read(ctx context.Context, all []*listed) error {
	if len(all) == 0 {
		return nil
	}
	m.s.read.lists.Add(int64(len(all)))
	pipe := m.s.client.Pipeline()
	asked := make([]goredis.Cmder, len(all))
	for i, l := range all {
		asked[i] = l.ask(ctx, pipe, "", l.chunk)
	}
	if err := m.s.exec(ctx, pipe); err != nil {
		return err
	}
	pipe = m.s.client.Pipeline()
	whole := make([]goredis.Cmder, len(all))
	for i, l := range all {
		found := l.found(asked[i])
		if int64(len(found)) < l.chunk {
			l.end = true
		} else {
			// There may be more entries of the last time, in another order than that of places: those are read together.
			at, n := found[len(found)-1].at, len(found)
			for n > 0 && found[n-1].at == at {
				n--
			}
			if l.upto, l.below = at, false; n == 0 {
				whole[i] = l.ask(ctx, pipe, text(at), 0)
				l.below = true
			}
			found = found[:n]
		}
		l.items = found
		l.chunk = min(2*l.chunk, chunkMost)
	}
	if pipe.Len() > 0 {
		if err := m.s.exec(ctx, pipe); err != nil {
			return err
		}
	}
	for i, l := range all {
		if whole[i] != nil {
			l.items = l.found(whole[i])
		}
		m.s.read.entries.Add(int64(len(l.items)))
		slices.SortStableFunc(l.items, func(a, b placed) int { return b.compare(a.place) })
		l.items = slices.DeleteFunc(l.items, func(p placed) bool { return p.compare(m.top) >= 0 })
		if l.list != 'W' {
			if old := slices.IndexFunc(l.items, func(p placed) bool { return p.at < m.since }); old >= 0 {
				l.items, l.end = l.items[:old], true
			}
		}
	}
	return nil
}

// ask requests the next entries, or all of one time.
func (l *listed) ask(ctx context.Context, pipe goredis.Pipeliner, at string, count int64) goredis.Cmder {
	from, to := "-inf", text(l.upto)
	if l.below {
		to = "(" + to
	}
	if at != "" {
		from, to = at, at
	}
	if l.list == 'W' || l.list == 'X' {
		return pipe.ZRevRangeByScoreWithScores(ctx, l.key, &goredis.ZRangeBy{Min: from, Max: to, Count: count})
	}
	switch {
	case at != "":
		return pipe.XRevRange(ctx, l.key, at+"-18446744073709551615", at+"-0")
	case l.below:
		to += "-0"
	default:
		to += "-18446744073709551615"
	}
	return pipe.XRevRangeN(ctx, l.key, to, "-", count)
}

func (l *listed) found(c goredis.Cmder) []placed {
	var all []placed
	switch c := c.(type) {
	case *goredis.ZSliceCmd:
		for _, z := range c.Val() {
			r := readerOf(asText(z.Member))
			n := r.big(8)
			all = append(all, placed{place: place{at: uint64(z.Score), n: n, suffix: r.Rest, shard: l.sh.n}})
		}
	case *goredis.XMessageSliceCmd:
		for _, m := range c.Val() {
			at, seq, _ := strings.Cut(m.ID, "-")
			raw := asText(m.Values["d"])
			all = append(all, placed{place: place{at: number(at), shard: l.sh.n}, seq: number(seq), raw: raw})
			p := &all[len(all)-1]
			p.n, p.suffix = entryPlace(raw)
		}
	}
	return all
}

// entryPlace decodes the event and the suffix of an entry only.
func entryPlace(raw string) (n uint64, suffix string) {
	r := readerOf(raw)
	r.Byte()
	n = r.big(6)
	if r.Byte() != '-' {
		r.Take(9)
		r.zero()
	}
	if r.Byte() == 'o' {
		return n, r.zero()
	}
	r.Byte()
	return n, r.Text()
}

// records reads the records of the entries' deliveries.
func (m *merge) records(ctx context.Context, all []*listed) error {
	pipe := m.s.client.Pipeline()
	var asked []*goredis.StringCmd
	for _, l := range all {
		for i := range l.items {
			key, field := owedAt(l.sh, l.items[i].n, l.items[i].suffix)
			asked = append(asked, pipe.HGet(ctx, key, field))
		}
	}
	if len(asked) == 0 {
		return nil
	}
	if err := m.s.exec(ctx, pipe); err != nil {
		return err
	}
	for _, l := range all {
		for i := range l.items {
			l.items[i].owed = asked[0].Val()
			asked = asked[1:]
		}
	}
	return nil
}
