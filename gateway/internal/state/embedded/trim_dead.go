package embedded

import (
	"cmp"
	"container/heap"
	"maps"
	"slices"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// deadShedding bounds the bytes of events that dead letters refer to: the largest tenants lose their oldest dead letters, over
// all their destinations.
type deadShedding struct {
	used  map[string]int64 // by tenant
	total int64
	level int64
	heads deadHeads // of destinations that may lose some
}

// deadHead is a destination and the place of its oldest dead letter, or one before it.
type deadHead struct {
	d  *dest
	at sortKey
}

// plan computes what each tenant may keep.
func (p *deadShedding) plan(t *tx, s *slice) {
	all := t.s.due.destinations("*")
	p.used = map[string]int64{}
	for _, d := range all {
		p.used[d.tenant] += d.counts.deadBytes
		p.total += d.counts.deadBytes
	}
	if p.total <= s.r.Dead.Bytes {
		return
	}
	p.level, _ = state.Level(slices.SortedFunc(maps.Values(p.used), func(a, b int64) int { return cmp.Compare(b, a) }), p.total-s.r.Dead.Bytes)
	for _, d := range all {
		if d.counts.dead > 0 && p.used[d.tenant] > p.level {
			p.heads = append(p.heads, deadHead{d, d.low[tabDead-tabWaiting]})
		}
	}
	heap.Init(&p.heads)
}

// trim is one slice. It reads the lists of the destinations that may have the oldest dead letters, and drops those that are
// older than all others. So each slice drops some, or finds out where some lists begin.
func (p *deadShedding) trim(t *tx, s *slice) {
	type entry struct {
		d *dest
		p sortKey
	}
	var entries []entry
	var open []*dest // with more than was read
	upto := map[*dest]sortKey{}
	for n := 0; n < sliceDests && len(p.heads) > 0 && p.total > s.r.Dead.Bytes; {
		d := heap.Pop(&p.heads).(deadHead).d
		if p.used[d.tenant] <= p.level {
			continue
		}
		n++
		read := 0
		t.eachOldest(d, tabDead, func(at sortKey) bool {
			if read++; read > sliceEvents {
				open = append(open, d)
				return false
			}
			entries = append(entries, entry{d, at})
			upto[d] = at
			return true
		})
	}
	slices.SortFunc(entries, func(a, b entry) int {
		switch {
		case a.p.less(b.p):
			return -1
		case b.p.less(a.p):
			return 1
		}
		return 0
	})
	dropped := 0
	kept := map[*dest]bool{}
	for _, e := range entries {
		if kept[e.d] {
			continue
		}
		if p.used[e.d.tenant] <= p.level {
			kept[e.d] = true
			continue
		}
		if later := len(p.heads) > 0 && p.heads[0].at.less(e.p); later || dropped == sliceEvents || p.total <= s.r.Dead.Bytes {
			kept[e.d] = true
			heap.Push(&p.heads, deadHead{e.d, e.p})
			continue
		}
		dropped++
		if o := t.owed(e.d.tenant, e.p.pos, e.p.suffix); o != nil {
			p.total -= int64(o.size)
			p.used[e.d.tenant] -= int64(o.size)
		}
		t.dropDeadLetter(e.d, e.p, s)
	}
	for _, d := range open {
		if !kept[d] {
			heap.Push(&p.heads, deadHead{d, upto[d].after()})
		}
	}
	s.more = p.total > s.r.Dead.Bytes && len(p.heads) > 0
}

type deadHeads []deadHead

func (h deadHeads) Len() int           { return len(h) }
func (h deadHeads) Less(i, j int) bool { return h[i].at.less(h[j].at) }
func (h deadHeads) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *deadHeads) Push(x any)        { *h = append(*h, x.(deadHead)) }
func (h *deadHeads) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}
