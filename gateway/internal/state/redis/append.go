package redis

import (
	"context"
	"crypto/sha256"
	"fmt"
	"strconv"
	"strings"

	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/rules/event"
)

// tagSize is how many bytes of a term's hash an index entry has. Readers compare the event itself, so collisions are harmless.
const tagSize = 6

// appending is the part of an Append that goes to one shard.
type appending struct {
	events  []appendEvent
	better  map[int][]string // ids that are proved better, of those events that have some
	bytes   int
	results []state.Appended
	ended   chan error
}

// appendArgs are the arguments of append.lua.
type appendArgs struct{ Events []appendEvent }

type appendEvent struct {
	idRef
	Share string // the tenant, escaped

	ID, Tenant, EventType, Source, Survey, Response string

	Time, Received int64 // milliseconds
	Event, Raw     []byte
	Terms          []indexTerm
	Better         []idRef
}

// indexTerm is a key by which events are found: its part of the index and its tag there.
type indexTerm struct{ Bucket, Tag string }

func (a *appending) weight() (items, bytes int) { return len(a.events), a.bytes }
func (a *appending) done(err error)             { a.ended <- err }

// position returns an event's position, which orders events and contains the shard.
func (s *store) position(sh *shard, n uint64) uint64 { return n*uint64(len(s.shards)) + uint64(sh.n) }

// at returns the shard and the number of a position.
func (s *store) at(position uint64) (*shard, uint64) {
	n := uint64(len(s.shards))
	return s.shards[position%n], position / n
}

// Append makes events durable. On a Cluster, a call with events of several shards may fail after some were accepted. When
// the caller repeats it, those are recognised as duplicates.
func (s *store) Append(ctx context.Context, events []*event.Event) ([]state.Appended, error) {
	if err := s.check(ctx); err != nil || len(events) == 0 {
		return nil, err
	}
	if s.full.Load() {
		return nil, fmt.Errorf("append: %w: Redis has almost no memory left", state.ErrUnavailable)
	}
	if err := state.CheckEvents(events); err != nil {
		return nil, fmt.Errorf("append: %w", err)
	}
	where := make([]int, len(events))
	for i, ev := range events {
		name := ev.ResponseID
		if name == "" {
			name = ev.ID
		}
		where[i] = shardOf(ev.Tenant, name, len(s.shards))
	}
	if err := s.follow(ctx, events, where); err != nil {
		return nil, fmt.Errorf("append: %w", err)
	}
	parts := make([]*appending, len(s.shards))
	for i, ev := range events {
		a := parts[where[i]]
		if a == nil {
			a = &appending{ended: make(chan error, 1)}
			parts[where[i]] = a
		}
		a.add(s, ev)
	}
	for n, a := range parts {
		if a != nil {
			s.shards[n].appends.add(a)
		}
	}
	for _, a := range parts {
		if a == nil {
			continue
		}
		select {
		case err := <-a.ended:
			if err != nil {
				return nil, fmt.Errorf("append: %w", err)
			}
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	results := make([]state.Appended, len(events))
	for i, n := range where {
		a := parts[n]
		results[i], a.results = a.results[0], a.results[1:]
	}
	return results, nil
}

// add adds an event.
func (a *appending) add(s *store, ev *event.Event) {
	better := ev.StrongerIDs()
	if better != nil {
		if a.better == nil {
			a.better = map[int][]string{}
		}
		a.better[len(a.events)] = better
	}
	var refs []idRef
	for _, id := range better {
		refs = append(refs, idRefOf(ev.Tenant, id))
	}
	a.events = append(a.events, appendEvent{
		idRef: idRefOf(ev.Tenant, ev.ID), Share: escape(ev.Tenant),
		ID: ev.ID, Tenant: ev.Tenant, EventType: ev.Type, Source: ev.Source, Survey: ev.SurveyID, Response: ev.ResponseID,
		Time: ev.Time.UnixMilli(), Received: ev.Received.UnixMilli(), Event: ev.Envelope(), Raw: ev.Raw.Body,
		Terms: s.terms(ev), Better: refs,
	})
	a.bytes += ev.Size() + 512
}

// appendGroup appends the events of several calls with one script.
func (s *store) appendGroup(sh *shard, calls []*appending) {
	args := appendArgs{Events: calls[0].events}
	if len(calls) > 1 {
		events := 0
		for _, a := range calls {
			events += len(a.events)
		}
		args.Events = make([]appendEvent, 0, events)
		for _, a := range calls {
			args.Events = append(args.Events, a.events...)
		}
	}
	ctx, cancel := s.detached(s.ctx)
	defer cancel()
	got, err := appendScript.run(ctx, s, sh.base, args)
	results := asList(got)
	for _, a := range calls {
		if err == nil && len(results) < len(a.events) {
			err = fmt.Errorf("%w: the script's answer lacks %d events", errCorrupt, len(a.events)-len(results))
		}
		if err != nil {
			a.done(err)
			continue
		}
		for i, r := range results[:len(a.events)] {
			text, duplicate := strings.CutPrefix(asText(r), "-")
			text, better, isBetter := strings.Cut(text, "+")
			n := uint64(asInt(text))
			to := state.Appended{Duplicate: duplicate}
			if k := asInt(better); isBetter && k >= 1 && int(k) <= len(a.better[i]) {
				to.OriginalID = a.better[i][k-1]
			}
			if n > 0 {
				to.Position = s.position(sh, n)
			}
			a.results = append(a.results, to)
		}
		results = results[len(a.events):]
		a.done(nil)
	}
}

// terms returns what an event is indexed by: its response ID and its respondent's names. A response ID leads to every
// response that has it, in any source and survey, as people search for the ID alone.
func (s *store) terms(ev *event.Event) []indexTerm {
	var all []indexTerm
	if ev.ResponseID != "" {
		all = append(all, term(ev.Tenant, "r", ev.ResponseID))
	}
	for _, p := range s.people.Load().Hashes(ev) {
		all = append(all, term(ev.Tenant, "p", string(p)))
	}
	return all
}

func term(tenant, kind, value string) indexTerm {
	sum := sha256.Sum256([]byte(tenant + "\x00" + kind + "\x00" + value))
	return indexTerm{strconv.Itoa(int(sum[31]) % buckets), string(sum[:tagSize])}
}
