package embedded

import (
	"cmp"
	"container/heap"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// The kinds of cursors: none is taken for that of another list.
const (
	deliveriesCursor byte = 1
	eventsCursor     byte = 2
)

// cursor is the text of a place in a list; readCursor returns the place.
func cursor(kind byte, p sortKey) string { return state.EncodeCursor(p.append([]byte{kind})) }

func readCursor(kind byte, text string) (sortKey, error) {
	b, err := state.DecodeCursor(text, kind)
	if err != nil {
		return sortKey{}, err
	}
	p, ok := cutSortKey(b)
	if !ok {
		return sortKey{}, state.ErrCursor
	}
	return p, nil
}

// Delivery is one delivery with its attempts.
func (s *store) Delivery(ctx context.Context, tenant, id string) (*state.Delivery, error) {
	if err := s.check(ctx); err != nil {
		return nil, err
	}
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	d, err := s.delivery(tenant, id)
	if err != nil {
		return nil, fmt.Errorf("delivery %s: %w", id, err)
	}
	return d, nil
}

func (s *store) delivery(tenant, id string) (*state.Delivery, error) {
	eventID, suffix, ok := state.SplitDeliveryID(id)
	if !ok {
		return nil, state.ErrNotFound
	}
	pos, err := s.position(s.db, tenant, eventID)
	if err != nil {
		return nil, err
	}
	o, err := s.current(s.db, tenant, eventID, pos, suffix)
	if err != nil {
		return nil, err
	}
	if o == nil {
		return nil, state.ErrNotFound
	}
	return s.withAttempts(s.db, o)
}

// current is a delivery as it is now; nil: there is none.
func (s *store) current(from pebble.Reader, tenant, eventID string, pos uint64, suffix string) (*owed, error) {
	v, err := s.read(from, owedKey(nil, pos, suffix), nil)
	if err != nil {
		return nil, err
	}
	if v != nil {
		return readOwed(tenant, pos, suffix, v)
	}
	if v, err = s.read(from, posKey(nil, tabOutcome, pos), nil); v == nil || err != nil {
		return nil, err
	}
	out, err := readOutcome(tenant, eventID, pos, v)
	if err != nil {
		return nil, err
	}
	return out.delivery(pos, suffix), nil
}

// delivery is a delivery as it is in the outcome; nil: the outcome has no such delivery.
func (o *outcome) delivery(pos uint64, suffix string) *owed {
	for i := range o.Deliveries {
		if o.suffixes[i] != suffix {
			continue
		}
		d := &owed{Delivery: o.Deliveries[i], pos: pos, suffix: suffix, newest: o.links[i], failedAt: noTime}
		if d.newest.table == tabFailures {
			d.failedAt = d.newest.at
		}
		return d
	}
	return nil
}

// withAttempts is a delivery with all attempts that are kept, oldest first.
func (s *store) withAttempts(from pebble.Reader, o *owed) (*state.Delivery, error) {
	d := s.view(o, s.clock.look())
	d.Log = nil
	for l := o.newest; l.table != 0; {
		p := sortKey{l.at, o.pos, o.suffix}
		v, err := s.read(from, listKey(nil, l.table, o.Tenant, l.dest, p), nil)
		if err != nil {
			return nil, err
		}
		if v == nil {
			break // retention removed it, and everything before it
		}
		e, err := readEntry(o.Tenant, p, v)
		if err != nil {
			return nil, err
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
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	m := &merge{s: s, tenant: tenant, q: &q, since: math.MinInt64, until: math.MaxInt64}
	if !q.Since.IsZero() {
		m.since = nanos(q.Since)
	}
	if !q.Until.IsZero() {
		m.until = nanos(q.Until)
	}
	page, err := m.page(ctx)
	if err != nil {
		return nil, fmt.Errorf("deliveries: %w", err)
	}
	return page, nil
}

// merge reads lists of several destinations of a tenant as one, newest first. It opens a list when the page reaches the time of
// its newest entry.
type merge struct {
	s            *store
	tenant       string
	q            *state.DeliveryQuery
	since, until int64
	snap         *pebble.Snapshot
	it           *pebble.Iterator
	closed       []*listed // the one with the newest entry is first
	open         lists
	budget       int // list entries that the page may still read
}

// lists is a heap: the list with the newest entry is first.
type lists []*listed

// listed is one list of a destination, at its next entry.
type listed struct {
	dest   *dest
	table  byte
	prefix []byte
	key    sortKey // while it is closed: its entries are before it
	value  []byte
	newest int64 // while it is closed: of the entries before key
	whole  bool  // while it is closed: it has no entry after key
}

func (h lists) Len() int           { return len(h) }
func (h lists) Less(i, j int) bool { return h[j].key.less(h[i].key) }
func (h lists) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *lists) Push(x any)        { *h = append(*h, x.(*listed)) }
func (h *lists) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

// listTables are the tables of state's lists, in their order.
var listTables = [...]byte{tabWaiting, tabDead, tabHistory, tabFailures}

func (m *merge) page(ctx context.Context) (page *state.Page[state.Delivery], err error) {
	top := sortKey{at: math.MaxInt64, pos: math.MaxUint64}
	if m.q.Cursor != "" {
		if top, err = readCursor(deliveriesCursor, m.q.Cursor); err != nil {
			return nil, err
		}
	}
	m.snap = m.s.db.NewSnapshot()
	defer func() { err = errors.Join(err, m.snap.Close()) }()
	if m.q.EventID != "" {
		return m.eventPage(top)
	}
	if m.it, err = m.snap.NewIter(&pebble.IterOptions{LowerBound: []byte{tabWaiting}, UpperBound: []byte{tabFailures + 1}}); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, m.it.Close()) }()
	m.begin(top)
	page = &state.Page[state.Delivery]{}
	most := state.PageLimit(m.q.Limit)
	m.budget = state.MaxListEntries
	for ; ; m.budget-- {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		l, err := m.next()
		if l == nil || err != nil {
			return page, err
		}
		if len(page.Items) == most || m.budget <= 0 {
			page.Next = cursor(deliveriesCursor, top)
			if len(page.Items) < most {
				page.SearchedBackTo = fromNanos(top.at)
			}
			return page, nil
		}
		top = l.key
		d, err := m.item(l)
		if err != nil {
			return nil, err
		}
		if d != nil {
			page.Items = append(page.Items, *d)
		}
		if ok, err := m.step(l); err != nil {
			return nil, err
		} else if ok {
			heap.Fix(&m.open, 0)
		} else {
			heap.Pop(&m.open)
		}
	}
}

// begin finds the lists that the page may open: entries before top.
func (m *merge) begin(top sortKey) {
	q := &m.s.due
	for _, d := range q.withName(m.tenant, m.q.Destination) {
		rulesTo := int64(math.MaxInt64)
		if m.q.Rule != "" {
			if rulesTo = q.rulesTo(d, m.q.Rule); rulesTo == noTime {
				continue
			}
		}
		for _, list := range m.q.Lists() {
			table := listTables[list]
			if q.listLength(d, table) == 0 {
				continue
			}
			at, known := q.newestAt(d, table)
			if table != tabWaiting && known && at < m.since {
				continue
			}
			l := &listed{dest: d, table: table, key: top}
			if rulesTo < l.key.at {
				l.key = sortKey{at: rulesTo + 1}
			}
			if table != tabWaiting && m.until < l.key.at {
				l.key = sortKey{at: m.until}
			}
			l.newest, l.whole = l.key.at, l.key.at == math.MaxInt64
			if known {
				l.newest = min(l.newest, at)
			}
			m.closed = append(m.closed, l)
		}
	}
	slices.SortFunc(m.closed, func(a, b *listed) int { return cmp.Compare(b.newest, a.newest) })
}

// next is the list with the newest entry; nil: there are no more entries.
func (m *merge) next() (*listed, error) {
	for len(m.closed) > 0 && (len(m.open) == 0 || m.closed[0].newest >= m.open[0].key.at) {
		l := m.closed[0]
		m.closed = m.closed[1:]
		l.prefix = destPrefix(nil, l.table, l.dest.tenant, l.dest.name)
		m.s.reads.lists.Add(1)
		ok, err := m.step(l)
		if err != nil {
			return nil, err
		}
		if ok {
			heap.Push(&m.open, l)
		}
	}
	if len(m.open) == 0 {
		return nil, nil
	}
	return m.open[0], nil
}

// step moves to the next older entry of a list; false: the query selects no further one.
func (m *merge) step(l *listed) (bool, error) {
	key := l.key.append(append([]byte(nil), l.prefix...))
	found := m.it.SeekLT(key) && len(m.it.Key()) >= len(l.prefix) && string(m.it.Key()[:len(l.prefix)]) == string(l.prefix)
	if err := m.it.Error(); err != nil {
		return false, err
	}
	at := int64(math.MinInt64)
	if found {
		p, ok := cutSortKey(m.it.Key()[len(l.prefix):])
		if !ok {
			return false, state.ErrCorrupt
		}
		v, err := m.it.ValueAndErr()
		if err != nil {
			return false, err
		}
		m.s.reads.entries.Add(1)
		l.key, l.value, at = p, append(l.value[:0], v...), p.at
	}
	if l.whole {
		l.whole = false
		m.s.due.lookedAt(l.dest, l.table, at)
	}
	return found && (l.table == tabWaiting || at >= m.since), nil
}

// item is the delivery of an entry; nil: the query does not select it, or another entry stands for it.
func (m *merge) item(l *listed) (*state.Delivery, error) {
	v, err := m.s.read(m.snap, owedKey(nil, l.key.pos, l.key.suffix), nil)
	if err != nil {
		return nil, err
	}
	var o *owed
	if v != nil {
		if o, err = readOwed(m.tenant, l.key.pos, l.key.suffix, v); err != nil {
			return nil, err
		}
	}
	switch l.table {
	case tabWaiting, tabDead:
		if o == nil {
			return nil, nil
		}
	case tabFailures, tabHistory:
		if o == nil {
			e, err := readEntry(m.tenant, l.key, l.value)
			if err != nil {
				return nil, err
			}
			if e.State.Open() {
				return nil, nil // it did not end there; a later entry stands for it
			}
			o = &owed{Delivery: e.Delivery, pos: l.key.pos, suffix: l.key.suffix, newest: link{l.table, l.key.at, e.Destination}}
			break
		}
		newest := link{l.table, l.key.at, o.Destination}
		if m.q.Failed {
			if o.failedAt != l.key.at {
				return nil, nil // a later failure stands for it
			}
		} else if o.State.Open() || o.newest.table != newest.table || o.newest.at != newest.at {
			return nil, nil
		}
	}
	return m.selected(o)
}

// selected is a delivery with its attempts; nil: the query does not select it.
func (m *merge) selected(o *owed) (*state.Delivery, error) {
	if !m.q.Matches(&o.Delivery) {
		return nil, nil
	}
	d, err := m.s.withAttempts(m.snap, o)
	if err != nil || !m.q.MatchesAttempt(d) {
		return nil, err
	}
	if m.q.NeedsEvent() {
		m.budget -= state.EventEntries - 1
		record, err := m.s.eventRecord(m.snap, o.pos)
		if record == nil || err != nil {
			return nil, err
		}
		t, _, _, err := readEvent(record)
		if err != nil || !m.q.MatchesEvent(t.kind, t.source) {
			return nil, err
		}
	}
	return d, nil
}

// eventPage is a page of an event's deliveries. They are few, so all of them are read.
func (m *merge) eventPage(top sortKey) (*state.Page[state.Delivery], error) {
	page := &state.Page[state.Delivery]{}
	pos, err := m.s.position(m.snap, m.tenant, m.q.EventID)
	if errors.Is(err, state.ErrNotFound) {
		return page, nil
	}
	if err != nil {
		return nil, err
	}
	all, err := m.s.deliveriesOf(m.snap, m.tenant, m.q.EventID, pos)
	if err != nil {
		return nil, err
	}
	most := state.PageLimit(m.q.Limit)
	for _, o := range all {
		at := sortKey{nanos(o.Updated), pos, o.suffix}
		if !at.less(top) || m.q.Failed && o.failedAt == noTime {
			continue
		}
		d, err := m.selected(o)
		if err != nil {
			return nil, err
		}
		if d == nil {
			continue
		}
		if len(page.Items) == most {
			last := page.Items[most-1]
			_, suffix, _ := state.SplitDeliveryID(last.ID)
			page.Next = cursor(deliveriesCursor, sortKey{nanos(last.Updated), pos, suffix})
			return page, nil
		}
		page.Items = append(page.Items, *d)
	}
	return page, nil
}
