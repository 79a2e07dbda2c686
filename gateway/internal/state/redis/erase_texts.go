package redis

import (
	"context"
	"fmt"
	"slices"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

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
				to.EraseTexts()
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
