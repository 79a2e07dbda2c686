package redis

import (
	"context"
	"fmt"
	"slices"

	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/rules/event"
)

const revisionsV1 = 1

// reviseArgs are the arguments of revise.lua.
type reviseArgs struct {
	idRef
	Share  string // the tenant, escaped
	Former int    // the revision that must be the newest one

	// What revised:N keeps.
	Event                       []byte
	EventType, Survey, Response string
	Time                        int64 // milliseconds
	Revision                    int
	Newest, Formers             []byte

	Keys  []string // of the terms that the revision is found by
	Moves []moveArgs
}

// Revise makes the next revision of a committed event its newest. The present revision and deliveries are read first; the
// script refuses the revision if they have changed since.
func (s *store) Revise(ctx context.Context, tenant string, r *state.Revision) error {
	if err := s.check(ctx); err != nil {
		return err
	}
	if s.full.Load() {
		return fmt.Errorf("revise event %s: %w: Redis has almost no memory left", r.Event.ID, state.ErrUnavailable)
	}
	if err := s.revise(ctx, tenant, r); err != nil {
		return fmt.Errorf("revise event %s: %w", r.Event.ID, err)
	}
	return nil
}

func (s *store) revise(ctx context.Context, tenant string, r *state.Revision) error {
	ev := r.Event
	if ev.Tenant != tenant {
		return state.ErrNotFound
	}
	if err := r.Validate(); err != nil {
		return err
	}
	kept, err := s.Event(ctx, tenant, ev.ID)
	if err != nil {
		return err
	}
	if kept.Event.IsErased() {
		return state.ErrNotFound
	}
	if kept.Outcome == nil || kept.Event.Revision != ev.Revision-1 {
		return state.ErrConflict
	}
	moves, err := s.revisedDeliveries(ctx, tenant, r)
	if err != nil {
		return err
	}
	sh, _, err := s.locate(ctx, tenant, ev.ID)
	if err != nil {
		return err
	}
	if sh == nil {
		return state.ErrNotFound
	}
	newest := appendDecision([]byte{revisionsV1}, &state.Former{Generation: r.Generation, At: r.At, Rules: r.Rules})
	args := reviseArgs{
		idRef: idRefOf(tenant, ev.ID), Share: escape(tenant), Former: ev.Revision - 1,
		Event: ev.Envelope(), EventType: ev.Type, Survey: ev.SurveyID, Response: ev.ResponseID, Time: ev.Time.UnixMilli(),
		Revision: ev.Revision, Newest: newest, Formers: appendFormer(kept),
	}
	for _, t := range s.terms(ev) {
		args.Keys = append(args.Keys, termsKey(t))
	}
	now := s.clock.Now()
	err = retryTaken(func() error {
		var fresh []newName
		args.Moves = args.Moves[:0]
		for _, to := range moves {
			args.Moves = append(args.Moves, s.moveOf(to, to.State == state.Dropped, now, &fresh))
		}
		return s.keepNames(ctx, fresh)
	})
	if err != nil {
		return err
	}
	got, err := reviseScript.run(ctx, s, sh.base, args)
	switch {
	case err != nil:
		return err
	case asInt(got) == 0:
		return state.ErrNotFound
	case asInt(got) < 0:
		return state.ErrConflict
	}
	return nil
}

// revisedDeliveries returns the deliveries that a revision ends or creates, in their new state.
func (s *store) revisedDeliveries(ctx context.Context, tenant string, r *state.Revision) ([]*owed, error) {
	ids := append([]string(nil), r.Ended...)
	for i := range r.Deliveries {
		ids = append(ids, r.Deliveries[i].ID)
	}
	if len(ids) == 0 {
		return nil, nil
	}
	found, err := s.standings(ctx, tenant, ids)
	if err != nil {
		return nil, err
	}
	now := s.clock.Now()
	var moves []*owed
	for i := range found {
		st := &found[i]
		if st.shard == nil {
			return nil, state.ErrNotFound
		}
		if i < len(r.Ended) {
			if st.owed == nil || !st.owed.State.Open() {
				return nil, state.ErrConflict
			}
			to := *st.owed
			to.State, to.Reason, to.Log = state.Dropped, state.Superseded(r.Event.Revision), nil
			to.Stamp(now)
			moves = append(moves, &to)
			continue
		}
		if st.owed != nil {
			return nil, state.ErrConflict
		}
		to := st.scheduled(tenant, &r.Deliveries[i-len(r.Ended)], now)
		to.Revision = r.Event.Revision
		moves = append(moves, to)
	}
	return moves, nil
}

func appendDecision(b []byte, d *state.Former) []byte {
	b = state.AppendText(b, d.Generation)
	b = appendInt(b, unixMicro(d.At))
	b = state.AppendText(b, d.Dead)
	b = appendUint(b, uint64(len(d.Rules)))
	for i := range d.Rules {
		b = state.OriginCodes.Append(b, string(d.Rules[i].Origin.Kind))
		b = state.AppendText(b, d.Rules[i].Origin.Name)
		b = state.AppendText(b, d.Rules[i].Err)
	}
	return b
}

func (r *reader) decision() (d state.Former) {
	d.Generation, d.At, d.Dead = r.Text(), fromMicro(r.Int()), r.Text()
	for n := r.Count(); n > 0 && !r.Bad(); n-- {
		d.Rules = append(d.Rules, state.RuleOutcome{
			Origin: state.Origin{Kind: state.OriginKind(r.Code(state.OriginCodes)), Name: r.Text()}, Err: r.Text(),
		})
	}
	return d
}

// appendFormer writes the former revisions of an event that gets a new one, which include the present one.
func appendFormer(kept *state.Record) []byte {
	o := kept.Outcome
	all := state.TrimFormer(append(slices.Clip(kept.Former), state.Former{
		Event: kept.Event, Generation: o.Generation, At: o.At, Rules: o.Rules, Dead: o.Dead,
	}))
	b := appendUint([]byte{revisionsV1}, uint64(len(all)))
	for i := range all {
		b = state.AppendText(appendDecision(b, &all[i]), all[i].Event.Envelope())
	}
	return b
}

// applyRevisions replaces the decision of the event's commit by that of its newest revision, and adds the former ones.
func applyRevisions(r *state.Record, out *outcome, revised map[string]string) error {
	newest, ok := revised["newest"]
	if !ok {
		return nil
	}
	in := readerOf(newest)
	in.Version(revisionsV1)
	d := in.decision()
	if err := in.Err(); err != nil {
		return fmt.Errorf("revision of event %s: %w", r.Event.ID, err)
	}
	out.Generation, out.At, out.Rules, out.Dead = d.Generation, d.At, d.Rules, d.Dead
	in = readerOf(revised["former"])
	in.Version(revisionsV1)
	for n := in.Count(); n > 0 && !in.Bad(); n-- {
		f := in.decision()
		envelope := in.Text()
		if in.Bad() {
			break
		}
		var err error
		if f.Event, err = event.Decode([]byte(envelope), nil); err != nil {
			return err
		}
		r.Former = append(r.Former, f)
	}
	if err := in.Err(); err != nil {
		return fmt.Errorf("former revisions of event %s: %w", r.Event.ID, err)
	}
	return nil
}
