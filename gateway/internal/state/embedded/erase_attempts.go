package embedded

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// erasingAttempts is the operation of EraseAttempts.
type erasingAttempts struct {
	erasing
	suffixes map[string][]string // of the deliveries, by event
	kept     int
}

// EraseAttempts removes the texts of attempts of deliveries.
func (s *store) EraseAttempts(ctx context.Context, tenant string, ids []string) (int, error) {
	if len(ids) > state.MaxErase {
		return 0, fmt.Errorf("erase attempts: %w: %d deliveries", state.ErrInvalid, len(ids))
	}
	op := &erasingAttempts{suffixes: map[string][]string{}}
	op.tenant = tenant
	for _, id := range ids {
		if event, suffix, ok := state.SplitDeliveryID(id); ok && !slices.Contains(op.suffixes[event], suffix) {
			op.suffixes[event] = append(op.suffixes[event], suffix)
		}
	}
	if len(op.suffixes) == 0 {
		return 0, s.check(ctx)
	}
	var err error
	if op.entries, err = s.historyOf(ctx, tenant, slices.Collect(maps.Keys(op.suffixes))); err != nil {
		return 0, fmt.Errorf("erase attempts: %w", err)
	}
	if err := s.do(ctx, &call{op: op, size: 1024 * len(ids), sync: true, alone: true}); err != nil {
		return 0, fmt.Errorf("erase attempts: %w", err)
	}
	return op.kept, nil
}

func (op *erasingAttempts) stage(t *tx) error {
	for id, suffixes := range op.suffixes {
		found := map[string]bool{}
		for _, p := range op.entries[id] {
			if slices.Contains(suffixes, p.key.suffix) {
				found[p.key.suffix] = true
				op.eraseEntry(t, p, (*state.Delivery).EraseTexts)
			}
		}
		if pos, ok := t.position(op.tenant, id); ok {
			op.eraseKept(t, id, pos, suffixes, found)
		}
		op.kept += len(found)
	}
	return nil
}

// eraseKept erases the reasons in the records of deliveries whose event is kept, and the history that came since it was searched.
func (op *erasingAttempts) eraseKept(t *tx, id string, pos uint64, suffixes []string, found map[string]bool) {
	for _, suffix := range suffixes {
		if o := t.owed(op.tenant, pos, suffix); o != nil {
			found[suffix] = true
			op.eraseLinked(t, pos, suffix, o.newest, (*state.Delivery).EraseTexts)
			o.EraseTexts()
			t.val = appendOwed(t.val[:0], o)
			t.put(owedKey(t.key, pos, suffix), t.val)
		}
	}
	v := t.get(posKey(t.key, tabOutcome, pos))
	if v == nil {
		return
	}
	out, err := readOutcome(op.tenant, id, pos, v)
	must(err)
	for i, suffix := range out.suffixes {
		if slices.Contains(suffixes, suffix) {
			found[suffix] = true
			op.eraseLinked(t, pos, suffix, out.links[i], (*state.Delivery).EraseTexts)
			out.Deliveries[i].EraseTexts()
		}
	}
	t.put(posKey(t.key, tabOutcome, pos), appendOutcome(nil, &out.Outcome, out.generation, out.suffixes, out.links))
}
