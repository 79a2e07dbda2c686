package redis

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/rules/event"
)

const (
	// lineBudget bounds the events that are read for one page: each costs Redis about 20 µs, in which it does nothing else.
	lineBudget = 1500
	lineChunk  = 256
)

// Event returns an event with its outcome.
func (s *store) Event(ctx context.Context, tenant, id string) (*state.Record, error) {
	if err := s.check(ctx); err != nil {
		return nil, err
	}
	sh, n, err := s.locate(ctx, tenant, id)
	if err == nil && sh == nil {
		err = state.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("event %s: %w", id, err)
	}
	found, err := s.records(ctx, sh, tenant, []uint64{n})
	if err == nil && len(found) == 0 {
		err = state.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("event %s: %w", id, err)
	}
	return found[0], nil
}

// loading is the pending commands for one record.
type loading struct {
	entry   *goredis.XMessageSliceCmd
	kept    *goredis.MapStringStringCmd
	share   *goredis.XMessageSliceCmd
	outcome *goredis.StringCmd
	owed    *goredis.MapStringStringCmd
	pending *goredis.Cmd
	revised *goredis.MapStringStringCmd
}

// records returns events with their outcomes, without removed ones and those of other tenants.
func (s *store) records(ctx context.Context, sh *shard, tenant string, ns []uint64) ([]*state.Record, error) {
	return s.readRecords(ctx, sh, tenant, ns, false)
}

// readRecords is records; with bare, of the events alone.
func (s *store) readRecords(ctx context.Context, sh *shard, tenant string, ns []uint64, bare bool) ([]*state.Record, error) {
	pipe := s.client.Pipeline()
	asked := make([]loading, len(ns))
	for i, n := range ns {
		id := text(n) + "-0"
		a := &asked[i]
		a.entry = pipe.XRange(ctx, sh.base+"events", id, id)
		a.kept = pipe.HGetAll(ctx, sh.base+"kept:"+text(n))
		a.share = pipe.XRange(ctx, sh.base+"share:"+escape(tenant), id, id)
		a.revised = pipe.HGetAll(ctx, sh.base+"revised:"+text(n))
		if bare {
			continue
		}
		key, field := outcomeAt(sh, n)
		a.outcome = pipe.HGet(ctx, key, field)
		key, _ = owedAt(sh, n, "")
		a.owed = pipe.HGetAll(ctx, key)
		a.pending = pipe.Do(ctx, "XPENDING", sh.base+"events", group, id, id, 1)
	}
	if _, err := pipe.Exec(ctx); err != nil && asked[0].entry.Err() != nil {
		return nil, s.fault(err)
	}
	all := make([]*state.Record, 0, len(ns))
	for i, n := range ns {
		r, err := s.record(ctx, sh, tenant, n, &asked[i])
		if err != nil {
			return nil, err
		}
		if r != nil {
			all = append(all, r)
		}
	}
	return all, nil
}

func (s *store) record(ctx context.Context, sh *shard, tenant string, n uint64, a *loading) (*state.Record, error) {
	fields := a.kept.Val()
	if m := append(a.entry.Val(), a.share.Val()...); len(m) > 0 {
		fields = map[string]string{}
		for k, v := range m[0].Values {
			fields[k] = asText(v)
		}
	}
	if len(fields) == 0 || fields["tenant"] != tenant {
		return nil, nil
	}
	revised := a.revised.Val()
	if newest, ok := revised["event"]; ok {
		fields["event"] = newest
	}
	ev, err := event.Decode([]byte(fields["event"]), []byte(fields["raw"]))
	if err != nil { // the others are still returned
		s.log.Error("an event cannot be read", "event", fields["id"], "tenant", tenant, "err", err)
		return nil, nil
	}
	r := &state.Record{Event: ev, Position: s.position(sh, n)}
	for k, v := range fields {
		r.Size += len(k) + len(v)
	}
	for k, v := range revised {
		r.Size += len(k) + len(v)
	}
	if a.outcome == nil {
		return r, nil // bare
	}
	if p := asList(a.pending.Val()); a.pending.Err() == nil && len(p) == 1 {
		r.Claims = int(asInt(asList(p[0])[3]))
	}
	out := &outcome{}
	if a.outcome.Err() == nil {
		if out, err = s.readOutcome(ctx, sh, n, tenant, ev.ID, a.outcome.Val()); err != nil {
			return nil, err
		}
		if err := applyRevisions(r, out, revised); err != nil {
			return nil, err
		}
		r.Outcome = &out.Outcome
	}
	// Records of deliveries are newer than the outcome, so they replace what it says.
	for _, o := range slices.Sorted(suffixes(a.owed.Val(), n)) {
		d, err := s.readOwed(ctx, tenant, sh, n, o, a.owed.Val()[string([]byte{byte(n % 16)})+o])
		if err != nil {
			return nil, err
		}
		shown := s.shown(d)
		if at := slices.Index(out.suffixes, o); at >= 0 {
			out.Deliveries[at] = shown
		} else {
			out.Deliveries = append(out.Deliveries, shown)
		}
	}
	return r, nil
}

// suffixes returns the suffixes of one event's deliveries, from a hash that has those of several events.
func suffixes(fields map[string]string, n uint64) func(func(string) bool) {
	return func(yield func(string) bool) {
		for f := range fields {
			if f != "" && f[0] == byte(n%16) && !yield(f[1:]) {
				return
			}
		}
	}
}

// shown returns a delivery as callers get it.
func (s *store) shown(o *owed) state.Delivery {
	d := o.Delivery
	d.Leased = d.State == state.Waiting && d.Leased && d.Due.After(s.clock.Now())
	return d
}

// line is an event that a page may contain.
type line struct {
	n        uint64
	received int64 // milliseconds
	fits     bool
}

// strand is one shard's part of a list of events, newest first.
type strand struct {
	sh    *shard
	below uint64 // events from this number on were returned or passed over
	lines []line
	read  uint64 // events from this number on were read
	end   bool
	// ahead are the records of lines that were read together; nil of one that is no longer there.
	ahead map[uint64]*state.Record // by position
}

// recordsAtOnce is how many records of events are read in one round trip.
const recordsAtOnce = 50

// recordOf returns the record of a line that was taken from a strand, nil if it is no longer there. Where it was not read yet, it is read
// with those of the next lines that may be wanted.
func (s *store) recordOf(ctx context.Context, st *strand, tenant string, l line, wanted int, bare bool, fits func(line) bool) (*state.Record, error) {
	at := s.position(st.sh, l.n)
	if r, read := st.ahead[at]; read {
		return r, nil
	}
	ns := []uint64{l.n}
	for _, next := range st.lines {
		if len(ns) >= min(wanted, recordsAtOnce) {
			break
		}
		if fits(next) {
			ns = append(ns, next.n)
		}
	}
	found, err := s.readRecords(ctx, st.sh, tenant, ns, bare)
	if err != nil {
		return nil, err
	}
	st.ahead = make(map[uint64]*state.Record, len(ns))
	for _, n := range ns {
		st.ahead[s.position(st.sh, n)] = nil
	}
	for _, r := range found {
		st.ahead[r.Position] = r
	}
	return st.ahead[at], nil
}

// Events selects events. On a Cluster it merges all shards by the time at which events were received.
func (s *store) Events(ctx context.Context, tenant string, q state.EventQuery) (*state.Page[*state.Record], error) {
	if err := s.check(ctx); err != nil {
		return nil, err
	}
	page, err := s.events(ctx, tenant, &q)
	if err != nil {
		return nil, fmt.Errorf("events: %w", err)
	}
	return page, nil
}

func (s *store) events(ctx context.Context, tenant string, q *state.EventQuery) (*state.Page[*state.Record], error) {
	if err := q.Check(); err != nil {
		return nil, err
	}
	strands := make([]*strand, len(s.shards))
	for i, sh := range s.shards {
		strands[i] = &strand{sh: sh, below: math.MaxUint64}
	}
	if q.Cursor != "" {
		if err := readPlaces(q.Cursor, strands); err != nil {
			return nil, err
		}
	}
	since, until := int64(math.MinInt64), int64(math.MaxInt64)
	if !q.Since.IsZero() {
		since = ceilMilli(q.Since)
	}
	if !q.Until.IsZero() {
		until = ceilMilli(q.Until)
	}
	scan := q.Response == "" && q.Respondent == "" && !q.Dead
	if scan && q.Cursor == "" && until != math.MaxInt64 {
		if err := s.seek(ctx, strands, until); err != nil {
			return nil, err
		}
	}
	for _, st := range strands {
		st.read = st.below
	}
	fits := func(l line) bool { return l.fits && l.received >= since && l.received < until }
	page := &state.Page[*state.Record]{}
	most, budget, outcomes, bytes := q.PageLimit(), lineBudget, state.MaxOutcomes, state.MaxBareBytes
	chunk := lineChunk
	if scan && q.Type == "" && q.Source == "" && q.Survey == "" && q.Since.IsZero() && q.Until.IsZero() {
		chunk = most + 1
	}
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		var newest *strand
		for _, st := range strands {
			if err := s.fill(ctx, st, tenant, q, chunk); err != nil {
				return nil, err
			}
			if len(st.lines) > 0 && (newest == nil || st.lines[0].received > newest.lines[0].received) {
				newest = st
			}
		}
		if newest == nil {
			return page, nil
		}
		if full := q.Bare && bytes <= 0; len(page.Items) == most || budget <= 0 || full {
			page.Next = places(strands)
			if len(page.Items) < most && !full {
				page.SearchedBackTo = time.UnixMilli(newest.lines[0].received).UTC()
			}
			return page, nil
		}
		l := newest.lines[0]
		if scan && l.received < since && since-l.received > state.MaxDisorder.Milliseconds() {
			newest.lines, newest.end = nil, true
			continue
		}
		newest.lines = newest.lines[1:]
		newest.below = l.n
		budget--
		if !fits(l) {
			continue
		}
		wanted := most - len(page.Items)
		if q.ReadsOutcomes() {
			wanted = outcomes // most of them may not match
		}
		r, err := s.recordOf(ctx, newest, tenant, l, wanted, q.Bare, fits)
		if err != nil {
			return nil, err
		}
		if r != nil && q.Matches(r, s.people.Load()) {
			page.Items = append(page.Items, r)
			bytes -= r.Size
		}
		if outcomes--; outcomes <= 0 && q.ReadsOutcomes() {
			budget = 0
		}
	}
}

// seekArgs are the arguments of seek.lua.
type seekArgs struct {
	UntilTime int64 // milliseconds
}

// matchArgs are the arguments of match.lua.
type matchArgs struct {
	Tenant, EventType, Source, Survey string
	Positions                         []uint64
}

// seek skips events received after the end of the query, which would use up the budget of its first pages.
func (s *store) seek(ctx context.Context, strands []*strand, until int64) error {
	for _, st := range strands {
		got, err := seekScript.run(ctx, s, st.sh.base, seekArgs{until + state.MaxDisorder.Milliseconds()})
		if err != nil {
			return err
		}
		st.below = uint64(asInt(got))
	}
	return nil
}

func ceilMilli(t time.Time) int64 {
	ms := t.UnixMilli()
	if time.UnixMilli(ms).Before(t) {
		ms++
	}
	return ms
}

// fill reads a strand's next lines and has Redis find out which of them match.
func (s *store) fill(ctx context.Context, st *strand, tenant string, q *state.EventQuery, chunk int) error {
	for !st.end && len(st.lines) == 0 {
		ns, err := s.walk(ctx, st.sh, tenant, q, st.read, chunk)
		if err != nil {
			return err
		}
		if len(ns) == 0 {
			st.end = true
			return nil
		}
		st.read = ns[len(ns)-1]
		got, err := matchScript.run(ctx, s, st.sh.base, matchArgs{tenant, q.Type, q.Source, q.Survey, ns})
		if err != nil {
			return err
		}
		for i, r := range asList(got) {
			if at := asInt(r); at > 0 {
				st.lines = append(st.lines, line{ns[i], at, true})
			} else if at < 0 {
				st.lines = append(st.lines, line{ns[i], -at, false})
			}
		}
	}
	return nil
}

// A cursor of events has the number reached in each shard.
func places(strands []*strand) string {
	b := []byte{2}
	for _, st := range strands {
		b = appendUint(b, st.below)
	}
	return state.EncodeCursor(b)
}

func readPlaces(cursor string, strands []*strand) error {
	b, err := state.DecodeCursor(cursor, 2)
	if err != nil {
		return err
	}
	r := readerOf(string(b))
	for _, st := range strands {
		st.below = r.Uint()
	}
	if r.Bad() || r.Rest != "" {
		return state.ErrCursor
	}
	return nil
}
