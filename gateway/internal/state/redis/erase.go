package redis

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	goredis "github.com/redis/go-redis/v9"

	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/rules/event"
)

// What may be in one node of a stream: the defaults of Redis' stream-node-max-bytes and stream-node-max-entries. They are not read
// from the server, which may refuse that.
const (
	nodeBytes   = 4096
	nodeEntries = 100
)

// eraseArgs are the arguments of erase.lua.
type eraseArgs struct {
	idRef
	Share                string // the tenant, escaped
	Number               uint64
	WasOutcome, Revision string
	Outcome              []byte
	Event                []byte
	EventType, Survey    string
	Time                 int64 // milliseconds

	NodeBytes, NodeEntries int

	Terms   []indexTerm
	Records []erasedRecord
	Moves   []moveArgs
}

// erasedRecord is the record of a delivery that has ended, as it was read and as it shall be.
type erasedRecord struct{ Suffix, Was, Is string }

// rewriteArgs are the arguments of rewrite.lua.
type rewriteArgs struct {
	List    string
	Entries []rewritten
}

type rewritten struct{ ID, Value string }

// Erase removes the content of events, each in one step, and then the history of all of them.
func (s *store) Erase(ctx context.Context, tenant string, ids []string) ([]state.Erased, error) {
	if err := s.check(ctx); err != nil {
		return nil, err
	}
	if len(ids) > state.MaxErase {
		return nil, fmt.Errorf("erase: %w: %d events", state.ErrInvalid, len(ids))
	}
	results := make([]state.Erased, len(ids))
	for i, id := range ids {
		if at := slices.Index(ids[:i], id); at >= 0 {
			results[i] = results[at]
			continue
		}
		var err error
		if results[i], err = s.erase(ctx, tenant, id); err != nil {
			return nil, fmt.Errorf("erase event %s: %w", id, err)
		}
	}
	of := map[string]*state.Erased{}
	for i := range results {
		if results[i].Busy == "" {
			of[ids[i]] = &results[i]
		}
	}
	if len(of) > 0 {
		h := &historyErasing{s: s, tenant: tenant, of: of, erase: (*state.Delivery).Erase}
		if err := h.all(ctx); err != nil {
			return nil, fmt.Errorf("erase: %w", err)
		}
	}
	return results, nil
}

// erasable is an event as it is read to be erased.
type erasable struct {
	sh         *shard
	n          uint64
	first      *event.Event // as it was received
	newest     *event.Event
	revision   string // as revised:N has it; empty: it was never revised
	wasOutcome string
	outcome    *outcome
	owed       []*owed
}

func (s *store) erase(ctx context.Context, tenant, id string) (res state.Erased, err error) {
	for range changes {
		res = state.Erased{ID: id}
		e, err := s.erasable(ctx, tenant, id)
		if e == nil || err != nil {
			return res, err
		}
		res.Found = true
		if e.outcome == nil {
			res.Busy = state.BusyPending
			return res, nil
		}
		res.Before = e.newest.IsErased()
		res.Deliveries = len(e.owed)
		for _, suffix := range e.outcome.suffixes {
			if !slices.ContainsFunc(e.owed, func(o *owed) bool { return o.suffix == suffix }) {
				res.Deliveries++
			}
		}
		for _, o := range e.owed {
			if o.open() {
				res.Ended = append(res.Ended, o.Delivery)
			}
		}
		said, err := s.eraseOne(ctx, tenant, e)
		if err != nil {
			return res, err
		}
		switch said {
		case 1:
			return res, nil
		case 0:
			return state.Erased{ID: id}, nil
		case -2:
			return state.Erased{ID: id, Found: true, Busy: state.BusyLeased}, nil
		case -3:
			return state.Erased{ID: id, Found: true, Busy: state.BusyBeside}, nil
		case -4:
			return state.Erased{ID: id, Found: true, Busy: state.BusyCounting}, nil
		}
	}
	return res, errChanged
}

// erasable reads an event with its records; nil: it is not kept.
func (s *store) erasable(ctx context.Context, tenant, id string) (*erasable, error) {
	sh, n, err := s.locate(ctx, tenant, id)
	if sh == nil || err != nil {
		return nil, err
	}
	name := text(n) + "-0"
	pipe := s.client.Pipeline()
	entry := pipe.XRange(ctx, sh.base+"events", name, name)
	kept := pipe.HGetAll(ctx, sh.base+"kept:"+text(n))
	share := pipe.XRange(ctx, sh.base+"share:"+escape(tenant), name, name)
	key, field := outcomeAt(sh, n)
	decided := pipe.HGet(ctx, key, field)
	revised := pipe.HGetAll(ctx, sh.base+"revised:"+text(n))
	key, _ = owedAt(sh, n, "")
	records := pipe.HGetAll(ctx, key)
	if err := s.exec(ctx, pipe); err != nil {
		return nil, err
	}
	fields := kept.Val()
	if m := append(entry.Val(), share.Val()...); len(m) > 0 {
		fields = map[string]string{}
		for k, v := range m[0].Values {
			fields[k] = asText(v)
		}
	}
	if len(fields) == 0 || fields["tenant"] != tenant {
		return nil, nil
	}
	e := &erasable{sh: sh, n: n, revision: revised.Val()["revision"], wasOutcome: decided.Val()}
	if e.first, err = event.Decode([]byte(fields["event"]), nil); err != nil { // it became a dead letter because of that
		e.first = &event.Event{Header: event.Header{
			ID: id, Tenant: tenant, Source: fields["source"], Type: fields["type"], SurveyID: fields["survey"],
			Received: fromMicro(asInt(fields["received"]) * 1000),
		}}
	}
	e.newest = e.first
	if newest, ok := revised.Val()["event"]; ok {
		if e.newest, err = event.Decode([]byte(newest), nil); err != nil {
			return nil, err
		}
	}
	if decided.Err() != nil {
		return e, nil
	}
	if e.outcome, err = s.readOutcome(ctx, sh, n, tenant, id, e.wasOutcome); err != nil {
		return nil, err
	}
	if err := applyRevisions(&state.Record{Event: e.newest}, e.outcome, revised.Val()); err != nil {
		return nil, err
	}
	for _, suffix := range slices.Sorted(suffixes(records.Val(), n)) {
		o, err := s.readOwed(ctx, tenant, sh, n, suffix, records.Val()[string([]byte{byte(n % 16)})+suffix])
		if err != nil {
			return nil, err
		}
		e.owed = append(e.owed, o)
	}
	return e, nil
}

// eraseOne erases one event, and returns what the script said.
func (s *store) eraseOne(ctx context.Context, tenant string, e *erasable) (int64, error) {
	now := s.clock.Now()
	at := now
	if e.newest.IsErased() {
		at = e.newest.Erased
	}
	left, err := event.Erase(e.newest, at)
	if err != nil {
		return 0, err
	}
	out := *e.outcome
	out.Deliveries = slices.Clone(out.Deliveries)
	out.Rules = slices.Clone(out.Rules)
	out.Outcome.Erase()
	args := eraseArgs{
		idRef: idRefOf(tenant, e.first.ID), Share: escape(tenant), Number: e.n, WasOutcome: e.wasOutcome, Revision: e.revision,
		Event: left.Envelope(), EventType: left.Type, Survey: left.SurveyID, Time: left.Time.UnixMilli(),
		NodeBytes: nodeBytes, NodeEntries: nodeEntries,
	}
	if len(e.first.Envelope()) > 0 {
		args.Terms = s.terms(e.first)
	}
	err = retryTaken(func() error {
		var fresh []newName
		args.Records, args.Moves = args.Records[:0], args.Moves[:0]
		for _, o := range e.owed {
			to := *o
			to.Log = nil
			to.Delivery.Erase()
			if !o.open() {
				args.Records = append(args.Records, erasedRecord{o.suffix, o.raw, writeOwed(&to, s.names.reference(shape(&to.Delivery), &fresh))})
				continue
			}
			to.State, to.Reason = state.Dropped, state.ErasedReason
			to.Stamp(now)
			args.Moves = append(args.Moves, s.moveOf(&to, true, now, &fresh))
		}
		shapes := make([]string, len(out.Deliveries))
		for i := range out.Deliveries {
			shapes[i] = s.names.reference(shape(&out.Deliveries[i]), &fresh)
		}
		args.Outcome = s.appendOutcome(nil, &out.Outcome, out.suffixes, shapes, &fresh)
		for _, l := range out.links {
			args.Outcome = appendLink(args.Outcome, l)
		}
		return s.keepNames(ctx, fresh)
	})
	if err != nil {
		return 0, err
	}
	got, err := eraseScript.run(ctx, s, e.sh.base, args)
	return asInt(got), err
}

// appendLink writes a link of an outcome, as commit.lua does.
func appendLink(b []byte, l link) []byte {
	b = append(b, l.list)
	if l.list == '-' {
		return b
	}
	return appendBig(appendBig(b, l.at, 7), l.seq, 2)
}

// historyChunk is how many entries of history are read in one command.
const historyChunk = 500

// historyErasing erases history of events, of those too that retention has removed.
type historyErasing struct {
	s      *store
	tenant string
	of     map[string]*state.Erased // by event
	only   map[string]bool          // ids of deliveries; nil: all of the events
	erase  func(*state.Delivery)
	found  map[string]bool // ids of deliveries with some

	at   []map[uint64]string // by shard and number: ids of events
	lost bool                // only the entries themselves lead to some of them
}

func (h *historyErasing) all(ctx context.Context) error {
	s := h.s
	h.found = map[string]bool{}
	h.at = make([]map[uint64]string, len(s.shards))
	for i := range h.at {
		h.at[i] = map[uint64]string{}
	}
	for id := range maps.Keys(h.of) {
		sh, n, err := s.locate(ctx, h.tenant, id)
		if err != nil {
			return err
		}
		if sh == nil {
			h.lost = true
		} else {
			h.at[sh.n][n] = id
		}
	}
	for _, sh := range s.shards {
		dests, err := s.client.SMembers(ctx, sh.base+"dests").Result()
		if err != nil {
			return s.fault(err)
		}
		for _, dest := range dests {
			if !strings.HasPrefix(dest, escape(h.tenant)+"/") {
				continue
			}
			for _, list := range [...]string{"h", "f"} {
				if err := h.list(ctx, sh, list+":"+dest, dest); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// list erases entries of one list.
func (h *historyErasing) list(ctx context.Context, sh *shard, list, dest string) error {
	args := rewriteArgs{List: list}
	for from := "-"; ; {
		some, err := h.s.client.XRangeN(ctx, sh.base+list, from, "+", historyChunk).Result()
		if err != nil {
			return h.s.fault(err)
		}
		for _, m := range some {
			raw := asText(m.Values["d"])
			id, known := h.at[sh.n][entryNumber(raw)]
			if !known && !h.lost {
				continue
			}
			is, e, err := h.entry(ctx, dest, sh, m.ID, raw, id)
			if err != nil {
				return err
			}
			if e == nil {
				continue
			}
			h.found[e.ID] = true
			h.of[e.EventID].Attempts += len(e.Log)
			if is != raw {
				args.Entries = append(args.Entries, rewritten{m.ID, is})
			}
		}
		if len(some) < historyChunk {
			break
		}
		from = "(" + some[len(some)-1].ID
	}
	if len(args.Entries) == 0 {
		return nil
	}
	_, err := rewriteScript.run(ctx, h.s, sh.base, args)
	return err
}

// entryNumber returns the number of the event of an entry of history.
func entryNumber(raw string) uint64 {
	r := readerOf(raw)
	r.Byte()
	return r.big(6)
}

// entry returns an entry as it is after it was erased; nil: it is of another event or delivery. known is the id of its event, if
// its number leads to one.
func (h *historyErasing) entry(ctx context.Context, dest string, sh *shard, id, raw, known string) (string, *entry, error) {
	s := h.s
	micros, _, _ := strings.Cut(id, "-")
	e, err := s.readEntry(ctx, h.tenant, dest, sh, uint64(asInt(micros)), raw)
	if err != nil {
		return "", nil, err
	}
	if h.of[e.EventID] == nil || known != "" && e.EventID != known || h.only != nil && !h.only[e.ID] {
		return "", nil, nil
	}
	r := readerOf(raw)
	r.Byte()
	r.big(6)
	if r.Byte() != '-' {
		r.big(7)
		r.big(2)
		r.zero()
	}
	b := []byte(raw[:len(raw)-len(r.Rest)])
	form := r.Byte()
	h.erase(&e.Delivery)
	var is string
	err = retryTaken(func() error {
		var fresh []newName
		sh := s.names.reference(shape(&e.Delivery), &fresh)
		if form == 'o' {
			is = string(b) + "o" + e.suffix + "\x00" + writeOwed(&e.owed, sh)
		} else {
			is = string(appendEntry(slices.Clone(b), &e.Delivery, e.suffix, sh))
		}
		return s.keepNames(ctx, fresh)
	})
	return is, e, err
}

// eraseTextsArgs are the arguments of erasetexts.lua.
type eraseTextsArgs struct {
	idRef
	Number     uint64
	WasOutcome string
	Outcome    []byte
	Records    []erasedRecord
}

// EraseAttempts removes the texts of attempts of deliveries.
func (s *store) EraseAttempts(ctx context.Context, tenant string, ids []string) (int, error) {
	if err := s.check(ctx); err != nil {
		return 0, err
	}
	if len(ids) > state.MaxErase {
		return 0, fmt.Errorf("erase attempts: %w: %d deliveries", state.ErrInvalid, len(ids))
	}
	h := &historyErasing{
		s: s, tenant: tenant, of: map[string]*state.Erased{}, only: map[string]bool{}, erase: (*state.Delivery).EraseTexts,
	}
	suffixes := map[string][]string{}
	for _, id := range ids {
		if event, suffix, ok := state.SplitDeliveryID(id); ok && !h.only[id] {
			h.only[id], h.of[event] = true, &state.Erased{}
			suffixes[event] = append(suffixes[event], suffix)
		}
	}
	if len(h.only) == 0 {
		return 0, nil
	}
	if err := h.all(ctx); err != nil {
		return 0, fmt.Errorf("erase attempts: %w", err)
	}
	for id, some := range suffixes {
		if err := s.eraseTexts(ctx, tenant, id, some, h.found); err != nil {
			return 0, fmt.Errorf("erase attempts of event %s: %w", id, err)
		}
	}
	return len(h.found), nil
}

// eraseTexts erases the reasons in the records of deliveries of one event.
func (s *store) eraseTexts(ctx context.Context, tenant, id string, some []string, found map[string]bool) error {
	for range changes {
		e, err := s.erasable(ctx, tenant, id)
		if e == nil || e != nil && e.outcome == nil || err != nil {
			return err
		}
		out, err := s.readOutcome(ctx, e.sh, e.n, tenant, id, e.wasOutcome) // without revisions, which stay
		if err != nil {
			return err
		}
		args := eraseTextsArgs{idRef: idRefOf(tenant, id), Number: e.n, WasOutcome: e.wasOutcome}
		for i, suffix := range out.suffixes {
			if slices.Contains(some, suffix) {
				found[out.Deliveries[i].ID] = true
				out.Deliveries[i].EraseTexts()
			}
		}
		err = retryTaken(func() error {
			var fresh []newName
			args.Records = args.Records[:0]
			for _, o := range e.owed {
				if !slices.Contains(some, o.suffix) {
					continue
				}
				found[o.ID] = true
				to := *o
				to.Delivery.EraseTexts()
				is := []byte(writeOwed(&to, s.names.reference(shape(&to.Delivery), &fresh)))
				is[1] = o.raw[1] // whether it is leased
				args.Records = append(args.Records, erasedRecord{o.suffix, o.raw, string(is)})
			}
			shapes := make([]string, len(out.Deliveries))
			for i := range out.Deliveries {
				shapes[i] = s.names.reference(shape(&out.Deliveries[i]), &fresh)
			}
			args.Outcome = s.appendOutcome(nil, &out.Outcome, out.suffixes, shapes, &fresh)
			for _, l := range out.links {
				args.Outcome = appendLink(args.Outcome, l)
			}
			return s.keepNames(ctx, fresh)
		})
		if err != nil {
			return err
		}
		got, err := eraseTextsScript.run(ctx, s, e.sh.base, args)
		if err != nil || asInt(got) >= 0 {
			return err
		}
	}
	return errChanged
}

// Weed removes items of a list.
func (s *store) Weed(ctx context.Context, tenant, list string, drop func(item []byte) bool) (int, error) {
	if err := s.check(ctx); err != nil {
		return 0, err
	}
	n, err := s.weed(ctx, s.meta+listKey(tenant, list), drop)
	if err != nil {
		return n, fmt.Errorf("weed %s: %w", list, err)
	}
	return n, nil
}

const weedChunk = 32

func (s *store) weed(ctx context.Context, key string, drop func(item []byte) bool) (int, error) {
	var dropped []string
	for from := int64(0); ; from += weedChunk {
		// An item that is added meanwhile moves the others, so that one may be seen twice and none is missed.
		some, err := s.client.LRange(ctx, key, from, from+weedChunk-1).Result()
		if err != nil {
			return 0, s.fault(err)
		}
		for _, item := range some {
			if len(item) >= 8 && drop([]byte(item[8:])) {
				dropped = append(dropped, item)
			}
		}
		if len(some) < weedChunk {
			break
		}
	}
	n := 0
	for some := range slices.Chunk(dropped, weedChunk) {
		pipe := s.client.Pipeline()
		removed := make([]*goredis.IntCmd, len(some))
		for i, item := range some {
			removed[i] = pipe.LRem(ctx, key, 0, item)
		}
		if err := s.exec(ctx, pipe); err != nil {
			return n, err
		}
		for _, r := range removed {
			n += int(r.Val())
		}
	}
	return n, nil
}
