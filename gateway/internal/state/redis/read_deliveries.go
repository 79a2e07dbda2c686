package redis

import (
	"cmp"
	"container/heap"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// place is the position of a delivery in a list.
type place struct {
	at, n  uint64
	suffix string
	shard  int
}

func (p place) compare(q place) int {
	return cmp.Or(cmp.Compare(p.at, q.at), cmp.Compare(p.n, q.n), cmp.Compare(p.shard, q.shard), cmp.Compare(p.suffix, q.suffix))
}

func cursor(p place) string {
	b := appendUint(appendUint(appendUint([]byte{1}, p.at), p.n), uint64(p.shard))
	return state.EncodeCursor(append(b, p.suffix...))
}

func readCursor(text string) (p place, err error) {
	b, err := state.DecodeCursor(text, 1)
	if err != nil {
		return place{}, err
	}
	r := readerOf(string(b))
	p.at, p.n, p.shard = r.Uint(), r.Uint(), int(r.Uint())
	if p.suffix = r.Rest; r.Bad() {
		return place{}, state.ErrCursor
	}
	return p, nil
}

// Delivery returns a delivery with its attempts.
func (s *store) Delivery(ctx context.Context, tenant, id string) (*state.Delivery, error) {
	if err := s.check(ctx); err != nil {
		return nil, err
	}
	if _, _, ok := state.SplitDeliveryID(id); !ok {
		return nil, fmt.Errorf("delivery %s: %w", id, state.ErrNotFound)
	}
	o, err := s.current(ctx, tenant, id)
	if err == nil && o == nil {
		err = state.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("delivery %s: %w", id, err)
	}
	return s.whole(ctx, o)
}

// whole returns a delivery with all attempts that are kept, oldest first.
func (s *store) whole(ctx context.Context, o *owed) (*state.Delivery, error) {
	d := s.shown(o)
	d.Log = nil
	for l := o.newest; l.list != '-'; {
		id := text(l.at) + "-" + text(l.seq)
		found, err := s.client.XRange(ctx, o.shard.base+string(l.list)+":"+l.dest, id, id).Result()
		if err != nil {
			return nil, s.fault(err)
		}
		if len(found) == 0 {
			break // retention removed it and older ones
		}
		e, err := s.readEntry(ctx, o.Tenant, l.dest, o.shard, l.at, asText(found[0].Values["d"]))
		if err != nil {
			return nil, err
		}
		if e.n != o.n || e.suffix != o.suffix {
			break
		}
		d.Log = append(e.Log, d.Log...)
		l = e.before
	}
	return &d, nil
}

// Deliveries selects deliveries.
func (s *store) Deliveries(ctx context.Context, tenant string, q state.DeliveryQuery) (*state.Page[state.Delivery], error) {
	if err := s.check(ctx); err != nil {
		return nil, err
	}
	q.Since, q.Until = q.Since.Truncate(time.Microsecond), q.Until.Truncate(time.Microsecond) // as exact as records are
	m := &merge{s: s, tenant: tenant, q: &q, until: math.MaxInt64}
	if !q.Since.IsZero() {
		m.since = uint64(max(unixMicro(q.Since), 0))
	}
	if !q.Until.IsZero() {
		m.until = uint64(max(unixMicro(q.Until), 0))
	}
	page, err := m.page(ctx)
	if err != nil {
		return nil, fmt.Errorf("deliveries: %w", err)
	}
	return page, nil
}

// merge reads the lists of a tenant's destinations together, newest first.
type merge struct {
	s            *store
	tenant       string
	q            *state.DeliveryQuery
	since, until uint64
	top          place
	chunk        int64
	lists        lists
}

// lists is a heap; the list with the newest entry is first.
type lists []*listed

// listed is one list of one destination.
type listed struct {
	sh    *shard
	list  byte // W, X, h or f
	key   string
	dest  string
	upto  uint64 // entries that are read next are not newer
	open  bool   // they are older than upto
	items []placed
	end   bool
}

type placed struct {
	place
	seq  uint64
	raw  string // entry of history
	owed string // the delivery's record; empty: none is kept
}

func (h lists) Len() int           { return len(h) }
func (h lists) Less(i, j int) bool { return h[i].items[0].compare(h[j].items[0].place) > 0 }
func (h lists) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *lists) Push(x any)        { *h = append(*h, x.(*listed)) }
func (h *lists) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

// listLetters are the letters of state's lists, in their order.
const listLetters = "WXhf"

func (m *merge) page(ctx context.Context) (*state.Page[state.Delivery], error) {
	m.top = place{at: math.MaxInt64, n: math.MaxUint64}
	if m.q.Cursor != "" {
		var err error
		if m.top, err = readCursor(m.q.Cursor); err != nil {
			return nil, err
		}
	}
	if m.q.EventID != "" {
		return m.ofEvent(ctx)
	}
	most := state.PageLimit(m.q.Limit)
	m.chunk = int64(most + 1)
	var all []*listed
	for _, sh := range m.s.shards {
		dests, err := m.dests(ctx, sh)
		if err != nil {
			return nil, err
		}
		for _, dest := range dests {
			for _, list := range m.q.Lists() {
				kind := listLetters[list]
				l := &listed{sh: sh, list: kind, dest: dest, upto: m.top.at}
				if kind != 'W' && m.until < l.upto {
					l.upto, l.open = m.until, true
				}
				name := map[byte]string{'W': "wait:", 'X': "dead:", 'h': "h:", 'f': "f:"}[kind]
				l.key = sh.base + name + dest
				all = append(all, l)
			}
		}
	}
	if err := m.fill(ctx, all); err != nil {
		return nil, err
	}
	for _, l := range all {
		if len(l.items) > 0 {
			m.lists = append(m.lists, l)
		}
	}
	heap.Init(&m.lists)
	page := &state.Page[state.Delivery]{}
	var last place
	for budget := state.MaxListEntries; len(m.lists) > 0; budget-- {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if len(page.Items) == most || budget == 0 {
			page.Next = cursor(last)
			if len(page.Items) < most {
				page.SearchedBackTo = fromMicro(int64(last.at))
			}
			return page, nil
		}
		l := m.lists[0]
		it := l.items[0]
		d, err := m.item(ctx, l, it)
		if err != nil {
			return nil, err
		}
		if d != nil {
			page.Items = append(page.Items, *d)
		}
		last = it.place
		if l.items = l.items[1:]; len(l.items) == 0 {
			if err := m.fill(ctx, []*listed{l}); err != nil {
				return nil, err
			}
		}
		if len(l.items) > 0 {
			heap.Fix(&m.lists, 0)
		} else {
			heap.Pop(&m.lists)
		}
	}
	return page, nil
}

func (m *merge) dests(ctx context.Context, sh *shard) ([]string, error) {
	if m.q.Destination != "" {
		return []string{token(m.tenant, m.q.Destination)}, nil
	}
	all, err := m.s.client.SMembers(ctx, sh.base+"dests").Result()
	if err != nil {
		return nil, m.s.fault(err)
	}
	all = slices.DeleteFunc(all, func(t string) bool { return !strings.HasPrefix(t, escape(m.tenant)+"/") })
	slices.Sort(all)
	return all, nil
}

// item returns the delivery of an entry; nil: the query does not select it, or another entry stands for it.
func (m *merge) item(ctx context.Context, l *listed, p placed) (*state.Delivery, error) {
	var o *owed
	var err error
	if p.owed != "" {
		if o, err = m.s.readOwed(ctx, m.tenant, l.sh, p.n, p.suffix, p.owed); err != nil {
			return nil, err
		}
	}
	switch l.list {
	case 'W', 'X':
		if o == nil {
			return nil, nil
		}
	default:
		newest := link{list: l.list, at: p.at, seq: p.seq, dest: l.dest}
		if o == nil {
			e, err := m.s.readEntry(ctx, m.tenant, l.dest, l.sh, p.at, p.raw)
			if err != nil {
				return nil, err
			}
			if e.open() {
				return nil, nil // a later entry has its present state
			}
			o = &e.owed
			o.newest = newest
		} else if m.q.Failed {
			if o.failed != p.at {
				return nil, nil // it failed again later: that entry stands for it
			}
		} else if o.State.Open() || o.newest != newest {
			return nil, nil
		}
	}
	if !m.q.Matches(&o.Delivery) {
		return nil, nil
	}
	return m.s.whole(ctx, o)
}

// ofEvent are an event's deliveries: few, so a page is cut out of all of them.
func (m *merge) ofEvent(ctx context.Context) (*state.Page[state.Delivery], error) {
	page := &state.Page[state.Delivery]{}
	sh, n, err := m.s.locate(ctx, m.tenant, m.q.EventID)
	if sh == nil || err != nil {
		return page, err
	}
	found, err := m.s.records(ctx, sh, m.tenant, []uint64{n})
	if err != nil || len(found) == 0 || found[0].Outcome == nil {
		return page, err
	}
	ids := make([]string, len(found[0].Outcome.Deliveries))
	for i := range ids {
		ids[i] = found[0].Outcome.Deliveries[i].ID
	}
	standings, err := m.s.standings(ctx, m.tenant, ids)
	if err != nil {
		return nil, err
	}
	var all []*owed
	for _, st := range standings {
		if st.owed != nil {
			all = append(all, st.owed)
		}
	}
	at := func(o *owed) place {
		return place{at: uint64(max(unixMicro(o.Updated), 0)), n: n, suffix: o.suffix, shard: sh.n}
	}
	slices.SortFunc(all, func(a, b *owed) int { return at(b).compare(at(a)) })
	most := state.PageLimit(m.q.Limit)
	var last place
	for _, o := range all {
		if at(o).compare(m.top) >= 0 || !m.q.Matches(&o.Delivery) || m.q.Failed && o.failed == 0 {
			continue
		}
		if len(page.Items) == most {
			page.Next = cursor(last)
			return page, nil
		}
		d, err := m.s.whole(ctx, o)
		if err != nil {
			return nil, err
		}
		page.Items = append(page.Items, *d)
		last = at(o)
	}
	return page, nil
}
