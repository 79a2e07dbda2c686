package redis

import (
	"context"
	"sync"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// commitResult is the result of one event or due delivery of a Commit.
type commitResult struct {
	known   bool // its shard has answered
	applied bool // its fence held, so it was applied
	ended   bool // finish has done what follows from that
}

// commitResults are the results of a Commit's events and due deliveries.
type commitResults struct{ events, due []commitResult }

func (f *commitResults) copyTo(result *state.Committed) {
	for i := range f.events {
		result.Events[i] = f.events[i].applied
	}
	for i := range f.due {
		result.Due[i] = f.due[i].applied
	}
}

// partialCommits remembers what shards applied of Commits that failed in another shard. The caller repeats such a Commit,
// and must not learn that it lost a fence to itself: its attempts would enter history twice.
type partialCommits struct {
	mu     sync.Mutex
	events map[uint64]commitResult // by position
	due    map[lease]commitResult
}

type lease struct {
	id string
	at time.Time
}

// maxPartial bounds what is remembered. Callers repeat at once, so it is rarely more than one Commit.
const maxPartial = 8192

// recall removes and returns what is remembered of a Commit.
func (p *partialCommits) recall(c *state.Commit) *commitResults {
	f := &commitResults{make([]commitResult, len(c.Events)), make([]commitResult, len(c.Due))}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.events)+len(p.due) == 0 {
		return f
	}
	for i := range c.Events {
		at := c.Events[i].Position
		f.events[i] = p.events[at]
		delete(p.events, at)
	}
	for i := range c.Due {
		l := lease{c.Due[i].Delivery.ID, c.Due[i].Lease.UTC()}
		f.due[i] = p.due[l]
		delete(p.due, l)
	}
	return f
}

func (p *partialCommits) remember(c *state.Commit, f *commitResults) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.events == nil || len(p.events)+len(p.due) > maxPartial {
		p.events, p.due = map[uint64]commitResult{}, map[lease]commitResult{}
	}
	for i, v := range f.events {
		if v.known {
			p.events[c.Events[i].Position] = v
		}
	}
	for i, v := range f.due {
		if v.known {
			p.due[lease{c.Due[i].Delivery.ID, c.Due[i].Lease.UTC()}] = v
		}
	}
}

// finish does what follows from the results that are known: attempts whose fence was lost enter history as repeats, and
// keys of `once` that are in other shards are given back.
func (s *store) finish(ctx context.Context, c *state.Commit, known *commitResults) error {
	repeats := map[*shard]*repeatArgs{}
	var ended []*commitResult
	for i := range c.Events {
		o, f := &c.Events[i], &known.events[i]
		if !f.known || f.ended || o.Release {
			continue
		}
		if f.applied {
			sh, _ := s.at(o.Position)
			if err := s.freeElsewhere(ctx, sh, o.Tenant, o.EventID, o.Free); err != nil {
				return err
			}
			f.ended = true
			continue
		}
		for k := range o.Deliveries {
			d := o.Deliveries[k]
			d.Tenant, d.EventID = o.Tenant, o.EventID
			if err := s.repeat(ctx, &d, repeats); err != nil {
				return err
			}
		}
		ended = append(ended, f)
	}
	for i := range c.Due {
		f := &known.due[i]
		if !f.known || f.ended {
			continue
		}
		d := c.Due[i].Delivery
		d.EventID, _, _ = state.SplitDeliveryID(d.ID)
		if !f.applied {
			if err := s.repeat(ctx, &d, repeats); err != nil {
				return err
			}
			ended = append(ended, f)
			continue
		}
		if len(c.Due[i].Free) > 0 && len(s.shards) > 1 {
			sh, _, err := s.locate(ctx, d.Tenant, d.EventID)
			if err != nil {
				return err
			}
			if err := s.freeElsewhere(ctx, sh, d.Tenant, d.EventID, c.Due[i].Free); err != nil {
				return err
			}
		}
		f.ended = true
	}
	for sh, args := range repeats {
		if _, err := repeatScript.run(ctx, s, sh.base, *args); err != nil {
			return err
		}
	}
	for _, f := range ended {
		f.ended = true
	}
	return nil
}

// repeatArgs are the arguments of repeat.lua.
type repeatArgs struct{ Repeats []repeatOf }

type repeatOf struct {
	idRef
	Suffix, List string
	Entry        []byte
	Record       string
}

// repeat prepares attempts whose fence was lost for history. The delivery is not changed.
func (s *store) repeat(ctx context.Context, given *state.Delivery, to map[*shard]*repeatArgs) error {
	if len(given.Log) == 0 {
		return nil
	}
	eventID, suffix, _ := state.SplitDeliveryID(given.ID)
	o, err := s.current(ctx, given.Tenant, given.ID)
	if err != nil || o == nil {
		return err // nil: the decision that was committed has no such delivery, or its event is gone
	}
	d := o.Delivery
	d.Log = given.Log
	var name string
	err = retryTaken(func() error {
		var fresh []newName
		name = s.names.reference(shape(&d), &fresh)
		return s.keepNames(ctx, fresh)
	})
	if err != nil {
		return err
	}
	record := ""
	if o.raw == "" {
		record = writeOwed(o, name)
	}
	if to[o.shard] == nil {
		to[o.shard] = &repeatArgs{}
	}
	to[o.shard].Repeats = append(to[o.shard].Repeats, repeatOf{
		idRefOf(given.Tenant, eventID), suffix, listFor(&d), appendEntry(nil, &d, suffix, name), record,
	})
	return nil
}
