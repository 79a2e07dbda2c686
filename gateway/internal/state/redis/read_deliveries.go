package redis

import (
	"cmp"
	"container/heap"
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	goredis "github.com/redis/go-redis/v9"

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
	all, err := s.complete(ctx, []*row{{owed: o, next: o.newest}})
	if err != nil {
		return nil, err
	}
	return &all[0], nil
}

// complete returns deliveries with all attempts that are kept, oldest first. It reads the entries of all of them together: the
// newest of each, then those before them.
func (s *store) complete(ctx context.Context, rows []*row) ([]state.Delivery, error) {
	left := slices.Clone(rows)
	for {
		pipe := s.client.Pipeline()
		asked := make([]*goredis.XMessageSliceCmd, len(left))
		for i, r := range left {
			if l := r.next; l.list != '-' && (l != r.at || r.raw == "") {
				id := text(l.at) + "-" + text(l.seq)
				asked[i] = pipe.XRange(ctx, r.shard.base+string(l.list)+":"+l.dest, id, id)
			}
		}
		if pipe.Len() > 0 {
			if err := s.exec(ctx, pipe); err != nil {
				return nil, err
			}
		}
		var more []*row
		for i, r := range left {
			raw := r.raw
			if asked[i] != nil {
				if found := asked[i].Val(); len(found) > 0 {
					raw = asText(found[0].Values["d"])
				} else {
					continue // retention removed it and older ones
				}
			} else if r.next.list == '-' {
				continue
			}
			e, err := s.readEntry(ctx, r.Tenant, r.next.dest, r.shard, r.next.at, raw)
			if err != nil {
				return nil, err
			}
			if e.n == r.n && e.suffix == r.suffix {
				r.log, r.next = append(r.log, e.Log), e.before
				more = append(more, r)
			}
		}
		if left = more; len(left) == 0 {
			break
		}
	}
	all := make([]state.Delivery, len(rows))
	for i, r := range rows {
		all[i] = s.shown(r.owed)
		all[i].Log = nil
		for _, log := range slices.Backward(r.log) {
			all[i].Log = append(all[i].Log, log...)
		}
	}
	return all, nil
}

// Deliveries selects deliveries.
func (s *store) Deliveries(ctx context.Context, tenant string, q state.DeliveryQuery) (*state.Page[state.Delivery], error) {
	if err := s.check(ctx); err != nil {
		return nil, err
	}
	q.Since, q.Until = q.Since.Truncate(time.Microsecond), q.Until.Truncate(time.Microsecond) // as exact as records are
	m := &merge{s: s, tenant: tenant, q: &q, until: maxMicro}
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

// maxMicro is later than every time.
const maxMicro = math.MaxInt64

// merge reads the lists of a tenant's destinations together, newest first. It opens a list when the page reaches the time of
// its newest entry, which it knows from the orders or from a look.
type merge struct {
	s            *store
	tenant       string
	q            *state.DeliveryQuery
	kinds        []byte // of the lists that the query selects
	since, until uint64
	top          place // the last entry that was passed: only older ones are returned
	wanted       int   // rows that are still to be found, and one to tell whether there is a next page
	tails        []*order
	closed       []*listed // the one with the newest entry is first
	open         lists
	only         map[string]bool // tokens of the only destinations that can have rows; nil: all
	budget       int             // list entries that the page may still read
}

// lists is a heap; the list with the newest entry is first.
type lists []*listed

// listed is one list of one destination.
type listed struct {
	sh     *shard
	list   byte // W, X, h or f
	key    string
	dest   string
	newest uint64 // it has no newer entry that the page may return
	looked bool   // newest is not only the beginning of the page
	upto   uint64 // entries that are read next are not newer
	below  bool   // they are older than upto
	chunk  int64  // how many are read next
	items  []placed
	end    bool
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

// listKeys begin the keys of lists, by their letters.
var listKeys = map[byte]string{'W': "wait:", 'X': "dead:", 'h': "h:", 'f': "f:"}

func (m *merge) page(ctx context.Context) (*state.Page[state.Delivery], error) {
	m.top = place{at: maxMicro, n: math.MaxUint64}
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
	m.wanted = most + 1
	for _, list := range m.q.Lists() {
		m.kinds = append(m.kinds, listLetters[list])
	}
	if err := m.begin(ctx); err != nil {
		return nil, err
	}
	page := &state.Page[state.Delivery]{}
	var rows []*row // whose attempts, and events, are still to be read
	settle := func() error {
		found, err := m.selected(ctx, rows)
		page.Items, rows = append(page.Items, found...), nil
		m.wanted = most + 1 - len(page.Items)
		return err
	}
	for m.budget = state.MaxListEntries; ; m.budget-- {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		l, err := m.next(ctx)
		if err != nil {
			return nil, err
		}
		if l == nil {
			break
		}
		if len(page.Items)+len(rows) == most {
			if err := settle(); err != nil {
				return nil, err
			}
		}
		if len(page.Items) == most || m.budget <= 0 {
			page.Next = cursor(m.top)
			break
		}
		r, err := m.item(ctx, l, l.items[0])
		if err != nil {
			return nil, err
		}
		if r != nil {
			rows = append(rows, r)
			m.wanted--
			if m.q.NeedsEvent() {
				m.budget -= state.EventEntries - 1
			}
		}
		m.top = l.items[0].place
		l.items = l.items[1:]
		if len(l.items) > 0 {
			heap.Fix(&m.open, 0)
			continue
		}
		heap.Pop(&m.open)
		if err := m.fill(ctx, []*listed{l}); err != nil {
			return nil, err
		}
	}
	if err := settle(); err != nil {
		return nil, err
	}
	if page.Next != "" && len(page.Items) < most {
		page.SearchedBackTo = fromMicro(int64(m.top.at))
	}
	return page, nil
}

// selected returns the deliveries of rows that the query selects by their attempts and events.
func (m *merge) selected(ctx context.Context, rows []*row) ([]state.Delivery, error) {
	all, err := m.s.complete(ctx, rows)
	if err != nil {
		return nil, err
	}
	some := all[:0]
	byShard := map[*shard][]uint64{}
	for i := range all {
		if r := rows[i]; m.q.MatchesAttempt(&all[i]) {
			rows[len(some)] = r
			some = append(some, all[i])
			byShard[r.shard] = append(byShard[r.shard], r.n)
		}
	}
	if !m.q.NeedsEvent() {
		return some, nil
	}
	selected := map[*shard]map[uint64]bool{} // by the event's number
	for sh, ns := range byShard {
		slices.Sort(ns)
		ns = slices.Compact(ns)
		got, err := matchScript.run(ctx, m.s, sh.base, matchArgs{m.tenant, m.q.Type, m.q.Source, "", ns})
		if err != nil {
			return nil, err
		}
		selected[sh] = map[uint64]bool{}
		for i, received := range asList(got) {
			selected[sh][ns[i]] = asInt(received) > 0
		}
	}
	kept := some[:0]
	for i := range some {
		if r := rows[i]; selected[r.shard][r.n] {
			kept = append(kept, some[i])
		}
	}
	return kept, nil
}

// begin finds the lists that the page may open.
func (m *merge) begin(ctx context.Context) error {
	if m.q.Rule != "" {
		names, err := m.s.names.destinations(ctx, m.s, m.q.Rule)
		if err != nil {
			return err
		}
		m.only = map[string]bool{}
		for name := range names {
			if m.q.Destination == "" || m.q.Destination == name {
				m.only[token(m.tenant, name)] = true
			}
		}
	} else if m.q.Destination != "" {
		m.only = map[string]bool{token(m.tenant, m.q.Destination): true}
	}
	for _, sh := range m.s.shards {
		if m.only == nil || len(m.only) > orderStep {
			if err := m.orders(ctx, sh); err != nil {
				return err
			}
			continue
		}
		for dest := range m.only {
			for _, kind := range m.kinds {
				m.enter(sh, kind, dest, maxMicro)
			}
		}
	}
	return m.look(ctx)
}

// upper is where entries of a kind of list begin: they are not newer than it, or older if below is set.
func (m *merge) upper(kind byte) (top place, below bool) {
	top = m.top
	if kind != 'W' && m.until < top.at {
		return place{at: m.until}, true
	}
	return top, false
}

// enter adds a list that has no entry newer than a time.
func (m *merge) enter(sh *shard, kind byte, dest string, newest uint64) {
	if m.only != nil && !m.only[dest] || kind != 'W' && newest < m.since {
		return
	}
	l := &listed{sh: sh, list: kind, dest: dest, key: sh.base + listKeys[kind] + dest, newest: newest, looked: true}
	top, below := m.upper(kind)
	l.upto, l.below = top.at, below
	if newest >= top.at {
		l.newest, l.looked = top.at, false
	}
	m.closed = append(m.closed, l)
}

func (m *merge) sortClosed() {
	m.closed = slices.DeleteFunc(m.closed, func(l *listed) bool { return l.end })
	slices.SortStableFunc(m.closed, func(a, b *listed) int { return cmp.Compare(b.newest, a.newest) })
}

// next returns the list with the newest entry, of all lists; nil: there are no more entries.
func (m *merge) next(ctx context.Context) (*listed, error) {
	for {
		var reached uint64 // the newest entry of open and closed lists
		if len(m.open) > 0 {
			reached = m.open[0].items[0].at
		}
		if len(m.closed) > 0 {
			reached = max(reached, m.closed[0].newest)
		}
		m.tails = slices.DeleteFunc(m.tails, func(o *order) bool { return o.end })
		again := false
		for _, o := range m.tails {
			if o.rest < reached {
				continue
			}
			if _, _, err := m.extend(ctx, o.sh, o); err != nil {
				return nil, err
			}
			again = true
		}
		if again {
			if err := m.look(ctx); err != nil {
				return nil, err
			}
			continue
		}
		switch {
		case len(m.closed) > 0 && m.closed[0].newest >= reached:
			if err := m.openSome(ctx); err != nil {
				return nil, err
			}
		case len(m.open) > 0:
			return m.open[0], nil
		default:
			return nil, nil
		}
	}
}

// Bounds of one read of lists.
const (
	openAtOnce = 64
	chunkLeast = 3
	chunkMost  = 256
)

// openSome opens the next closed lists: as many as the page may need, with twice the entries that it needs in all.
func (m *merge) openSome(ctx context.Context) error {
	some := m.closed[:min(len(m.closed), m.wanted, openAtOnce)]
	m.closed = m.closed[len(some):]
	for _, l := range some {
		l.chunk = int64(min(max(2*m.wanted/len(some), chunkLeast), m.wanted+1))
		if m.top.at < l.upto { // entries that came since the page began are not returned
			l.upto, l.below = m.top.at, false
		}
	}
	return m.fill(ctx, some)
}

// row is a delivery of a page whose attempts are still to be read.
type row struct {
	*owed
	next link   // the newest entry of its history that was not read
	at   link   // an entry of its history
	raw  string // that entry as it was read
	log  [][]state.Attempt
}

// item returns the delivery of an entry; nil: the query does not select it, or another entry stands for it.
func (m *merge) item(ctx context.Context, l *listed, p placed) (*row, error) {
	var o *owed
	var err error
	at := link{list: l.list, at: p.at, seq: p.seq, dest: l.dest}
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
		if o == nil {
			e, err := m.s.readEntry(ctx, m.tenant, l.dest, l.sh, p.at, p.raw)
			if err != nil {
				return nil, err
			}
			if e.open() {
				return nil, nil // a later entry has its present state
			}
			o = &e.owed
			o.newest = at
		} else if m.q.Failed {
			if o.failed != p.at {
				return nil, nil // it failed again later: that entry stands for it
			}
		} else if o.State.Open() || o.newest != at {
			return nil, nil
		}
	}
	if !m.q.Matches(&o.Delivery) {
		return nil, nil
	}
	return &row{owed: o, next: o.newest, at: at, raw: p.raw}, nil
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
	var rows []*row
	for _, o := range all {
		if at(o).compare(m.top) >= 0 || !m.q.Matches(&o.Delivery) || m.q.Failed && o.failed == 0 {
			continue
		}
		rows = append(rows, &row{owed: o, next: o.newest})
	}
	if page.Items, err = m.selected(ctx, rows); err != nil || len(page.Items) <= most {
		return page, err
	}
	page.Items = page.Items[:most]
	last := slices.IndexFunc(rows, func(r *row) bool { return r.ID == page.Items[most-1].ID })
	page.Next = cursor(at(rows[last].owed))
	return page, nil
}
