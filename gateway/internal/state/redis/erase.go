package redis

import (
	"context"
	"fmt"
	"slices"

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
	out.Erase()
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
			to.Erase()
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
