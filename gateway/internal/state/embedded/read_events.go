package embedded

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sort"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

const (
	// lineBudget is how many lines of the timeline one page may read: about 20 ms of work.
	lineBudget = 20000
)

// Event is one event with its outcome.
func (s *store) Event(ctx context.Context, tenant, id string) (*state.Record, error) {
	if err := s.check(ctx); err != nil {
		return nil, err
	}
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	pos, err := s.position(s.db, tenant, id)
	if err != nil {
		return nil, fmt.Errorf("event %s: %w", id, err)
	}
	r, err := s.record(s.db, tenant, pos)
	if err == nil && r == nil {
		err = state.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("event %s: %w", id, err)
	}
	return r, nil
}

func (s *store) position(from pebble.Reader, tenant, id string) (uint64, error) {
	v, err := s.read(from, idKey(nil, tenant, id), nil)
	if err != nil {
		return 0, err
	}
	if v == nil {
		return 0, state.ErrNotFound
	}
	pos, _, err := readIDRecord(v)
	return pos, err
}

// record is an event as it is kept, with its outcome; nil: it is not kept.
func (s *store) record(from pebble.Reader, tenant string, pos uint64) (*state.Record, error) {
	record, err := s.eventRecord(from, pos)
	if record == nil || err != nil {
		return nil, err
	}
	e, err := decodeEvent(record)
	if err != nil {
		return nil, err
	}
	if e.Tenant != tenant {
		return nil, nil // a tenant never sees the event of another
	}
	r := &state.Record{Event: e, Position: pos, Size: len(record)}
	v, err := s.read(from, posKey(nil, tabOutcome, pos), nil)
	if err != nil {
		return nil, err
	}
	if r.Claims, err = s.claims(pos, v != nil); err != nil {
		return nil, err
	}
	out := &outcome{Outcome: state.Outcome{Position: pos, Tenant: tenant, EventID: e.ID}}
	if v != nil {
		if out, err = readOutcome(tenant, e.ID, pos, v); err != nil {
			return nil, err
		}
		out.Generation = s.generations.nameOf(out.generation)
		if err := s.applyRevisions(r, out, record); err != nil {
			return nil, err
		}
		r.Outcome = &out.Outcome
	}
	// Records of deliveries are newer than the outcome.
	at := map[string]int{}
	for i, suffix := range out.suffixes {
		at[suffix] = i
	}
	now := s.clock.look()
	err = scan(from, posKey(nil, tabOwed, pos), func(rest, value []byte) error {
		o, err := readOwed(tenant, pos, string(rest), value)
		if err != nil {
			return err
		}
		d := s.view(o, now)
		if i, ok := at[o.suffix]; ok {
			out.Deliveries[i] = d
		} else {
			out.Deliveries = append(out.Deliveries, d)
		}
		return nil
	})
	return r, err
}

// view is a delivery as readers see it.
func (s *store) view(o *owed, now moment) state.Delivery {
	d := o.Delivery
	if d.State != state.Waiting {
		d.Leased = false
		return d
	}
	d.Leased = d.Leased && o.at > now.now || s.due.hasLease(o.pos, o.suffix, now.now)
	return d
}

// claims returns how many claims of an event were not released.
func (s *store) claims(pos uint64, committed bool) (int, error) {
	w := &s.window
	w.mu.Lock()
	if pos >= w.low && pos < w.next {
		if sl := w.slot(pos); sl.state != slotDone {
			n := sl.claims
			if sl.state == slotClaimed {
				n++
			}
			w.mu.Unlock()
			return n, nil
		}
	}
	w.mu.Unlock()
	if committed {
		return 0, nil
	}
	n, _, err := w.claimsOf(pos)
	return n, err
}

// Events selects events.
func (s *store) Events(ctx context.Context, tenant string, q state.EventQuery) (*state.Page[*state.Record], error) {
	if err := s.check(ctx); err != nil {
		return nil, err
	}
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	page, err := s.events(ctx, tenant, q)
	if err == nil && q.Respondent != "" {
		page.RespondentsSince, err = s.respondentsFrom()
	}
	if err != nil {
		return nil, fmt.Errorf("events: %w", err)
	}
	return page, nil
}

func (s *store) events(ctx context.Context, tenant string, q state.EventQuery) (page *state.Page[*state.Record], err error) {
	if err := q.Check(); err != nil {
		return nil, err
	}
	prefix, timed := appendText([]byte{tabTimeline}, tenant), false
	switch {
	case q.Response != "":
		prefix = responsePrefix(nil, tenant, q.Response)
	case q.Respondent != "":
		prefix = personPrefix(nil, tenant, s.people.Hash(q.Respondent))
	case q.Dead:
		prefix, timed = appendText([]byte{tabDeadEvent}, tenant), true
	}
	upper := prefixEnd(prefix)
	if q.Cursor != "" {
		at, err := readCursor(eventsCursor, q.Cursor)
		if err != nil {
			return nil, err
		}
		upper = append([]byte(nil), prefix...)
		if timed {
			upper = appendTime(upper, at.at)
		}
		upper = appendU64(upper, at.pos)
	}
	snap := s.db.NewSnapshot()
	defer func() { err = errors.Join(err, snap.Close()) }()
	it, err := snap.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: upper})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, it.Close()) }()

	since, until := int64(math.MinInt64), int64(math.MaxInt64)
	if !q.Since.IsZero() {
		since = nanos(q.Since)
	}
	if !q.Until.IsZero() {
		until = nanos(q.Until)
	}
	page = &state.Page[*state.Record]{}
	most, budget, outcomes, bytes := q.PageLimit(), lineBudget, state.MaxOutcomes, state.MaxBareBytes
	read := s.record
	if q.Bare {
		bare := &bareReader{store: s, from: snap}
		defer func() { err = errors.Join(err, bare.close()) }()
		read = bare.record
	}
	ok := it.Last()
	if prefix[0] == tabTimeline && q.Cursor == "" && until != math.MaxInt64 {
		ok = s.seekTime(it, prefix, until)
	}
	var key, val []byte
	for ; ok; ok = it.Prev() {
		if budget--; budget%1024 == 0 {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
		}
		rest := it.Key()[len(prefix):]
		at := sortKey{}
		if timed {
			at.at, rest = keyTime(rest), rest[8:]
		}
		at.pos = keyPos(append([]byte{0}, rest...))
		if val, err = it.ValueAndErr(); err != nil {
			return nil, err
		}
		if prefix[0] != tabTimeline {
			key = timelineKey(key, tenant, at.pos)
			if val, err = s.read(snap, key, nil); err != nil {
				return nil, err
			}
			if val == nil {
				continue
			}
		}
		l, err := readTimeline(val)
		if err != nil {
			return nil, err
		}
		if prefix[0] == tabTimeline && l.received < since && since-l.received > int64(state.MaxDisorder) {
			return page, nil
		}
		if l.received >= since && l.received < until && l.fits(&q) {
			r, err := read(snap, tenant, at.pos)
			if err != nil {
				return nil, err
			}
			if r != nil && q.Matches(r, s.people) {
				page.Items = append(page.Items, r)
				bytes -= r.Size
			}
			if outcomes--; outcomes <= 0 && q.ReadsOutcomes() {
				budget = 0
			}
		}
		if full := q.Bare && bytes <= 0; len(page.Items) == most || budget <= 0 || full {
			if !it.Prev() {
				return page, it.Error()
			}
			page.Next = cursor(eventsCursor, at)
			if len(page.Items) < most && !full {
				page.SearchedBackTo = fromNanos(l.received)
			}
			return page, nil
		}
	}
	return page, it.Error()
}

// seekTime moves to the newest line that was received before a time, by a binary search over positions. As lines may be out
// of order by up to MaxDisorder, it looks for a time later by that much.
func (s *store) seekTime(it *pebble.Iterator, prefix []byte, until int64) bool {
	bound := until + int64(state.MaxDisorder)
	c := s.w.counters.snapshot()
	base := uint64(1)
	n := int(c.next - base)
	i := sort.Search(n, func(i int) bool {
		if !it.SeekGE(appendU64(append([]byte(nil), prefix...), base+uint64(i))) {
			return true
		}
		v, err := it.ValueAndErr()
		if err != nil {
			return false
		}
		l, err := readTimeline(v)
		return err == nil && l.received > bound
	})
	return it.SeekLT(appendU64(append([]byte(nil), prefix...), base+uint64(i)))
}

func (l *line) fits(q *state.EventQuery) bool {
	return (q.Type == "" || string(l.kind) == q.Type) &&
		(q.Source == "" || string(l.source) == q.Source) &&
		(q.Survey == "" || string(l.survey) == q.Survey)
}

// Range calls each for a tenant's events in order, as they were when Range was called.
func (s *store) Range(ctx context.Context, tenant string, from uint64, each func(*state.Record) error) (err error) {
	if err := s.check(ctx); err != nil {
		return err
	}
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	snap := s.db.NewSnapshot()
	defer func() { err = errors.Join(err, snap.Close()) }()
	prefix := appendText([]byte{tabTimeline}, tenant)
	it, err := snap.NewIter(&pebble.IterOptions{
		LowerBound: appendU64(append([]byte(nil), prefix...), from), UpperBound: prefixEnd(prefix),
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for ok := it.First(); ok; ok = it.Next() {
		if err := ctx.Err(); err != nil {
			return err
		}
		select {
		case <-s.closing:
			return state.ErrClosed // Close waits for readers
		default:
		}
		r, err := s.record(snap, tenant, keyPos(it.Key()[len(prefix)-1:]))
		if err != nil {
			return fmt.Errorf("range: %w", err)
		}
		if r == nil {
			continue
		}
		if err := each(r); err != nil {
			return err
		}
	}
	return it.Error()
}

// Oldest returns when a tenant's event with the lowest position was received; "*" means all tenants.
func (s *store) Oldest(ctx context.Context, tenant string) (oldest time.Time, err error) {
	if err := s.check(ctx); err != nil {
		return oldest, err
	}
	if err := s.enter(); err != nil {
		return oldest, err
	}
	defer s.leave()
	lower := []byte{tabTimeline}
	if tenant != "*" {
		lower = textKey(tabTimeline, tenant)
	}
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: prefixEnd(lower)})
	if err != nil {
		return oldest, err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for ok := it.First(); ok; {
		if err := ctx.Err(); err != nil {
			return oldest, err
		}
		v, err := it.ValueAndErr()
		if err != nil {
			return oldest, fmt.Errorf("oldest event: %w", err)
		}
		l, err := readTimeline(v)
		if err != nil {
			return oldest, fmt.Errorf("oldest event: %w", err)
		}
		if received := fromNanos(l.received); oldest.IsZero() || received.Before(oldest) {
			oldest = received
		}
		of, _, valid := cutText(it.Key()[1:])
		if !valid {
			return oldest, state.ErrCorrupt
		}
		ok = it.SeekGE(prefixEnd(textKey(tabTimeline, of)))
	}
	return oldest, it.Error()
}
