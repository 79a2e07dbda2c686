package redis

import (
	"context"
	"fmt"
	"slices"

	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/rules/event"
)

const revisionsV1 = 1

// Revise makes the next revision of a committed event the one that counts. What it follows is read first, and the script
// refuses it where that has changed meanwhile.
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
	fields := []any{
		"event", ev.Envelope(), "type", ev.Type, "survey", ev.SurveyID, "response", ev.ResponseID, "time", ev.Time.UnixMilli(),
		"revision", ev.Revision, "newest", newest, "former", appendFormer(kept),
	}
	args := append([]any{s.now(), slotOf(ev.ID), fieldOf(tenant, ev.ID), escape(tenant), text(uint64(ev.Revision - 1)), len(fields) / 2}, fields...)
	terms := s.terms(ev)
	args = append(args, len(terms)/2)
	for i := 0; i < len(terms); i += 2 {
		args = append(args, termsKey(asText(terms[i]), asText(terms[i+1])))
	}
	now, moved := s.clock.Now(), args
	err = untaken(func() error {
		var fresh []any
		moved = args
		for _, to := range moves {
			moved = s.appendMove(moved, to, to.State == state.Dropped, now, &fresh)
		}
		return s.keepNames(ctx, fresh)
	})
	if err != nil {
		return err
	}
	got, err := s.run(ctx, reviseScript, sh.base, moved...)
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

// revisedDeliveries are those that a revision ends and owes, as they are to be.
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

// appendFormer writes the revisions that are no longer the newest once the event as it is kept has another one.
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

// lay puts the newest revision's decision over what the event's commit said, and tells of the former ones.
func lay(r *state.Record, out *outcome, revised map[string]string) error {
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
