package erase

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

// passDigests has others be the digests that the deliveries of events are, before these events are erased: a digest tells of more
// persons than one.
func (w *work) passDigests(ctx context.Context, ids []string) error {
	for _, id := range ids {
		p, err := w.Store.Deliveries(ctx, w.tenant, state.DeliveryQuery{EventID: id, State: state.Waiting, Limit: pageLimit})
		if err != nil {
			return fmt.Errorf("pass on digests: %w", err)
		}
		for i := range p.Items {
			if p.Items[i].Reason != decide.DigestWaits {
				continue
			}
			if err := w.passDigest(ctx, &p.Items[i]); err != nil {
				return fmt.Errorf("pass on a digest: %w", err)
			}
		}
	}
	return nil
}

// passDigest has another delivery be the digest that one is; none if the digest tells of no other event.
func (w *work) passDigest(ctx context.Context, d *state.Delivery) error {
	owed := decide.Owed{Delivery: *d}
	owners, err := w.once(ctx, state.OnceKey{Key: owed.DigestOfKey()})
	if err != nil {
		return err
	}
	period, ok := decide.ParsePeriod(owners[0])
	if !ok {
		return nil
	}
	var keys []state.OnceKey
	for _, key := range owed.MemberKeys(period) {
		keys = append(keys, state.OnceKey{Key: key})
	}
	if owners, err = w.once(ctx, keys...); err != nil {
		return err
	}
	for _, id := range owners {
		if id == "" {
			return nil
		}
		if slices.Contains(w.s.Events, state.EventID(id)) {
			continue
		}
		next, err := w.Store.Delivery(ctx, w.tenant, id)
		if errors.Is(err, state.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		key := state.OnceKey{Key: (&decide.Owed{Delivery: *next}).DigestOfKey(), Owner: period.String()}
		if _, err := w.Store.Once(ctx, w.tenant, []state.OnceKey{key}, period.Per+decide.DigestKept); err != nil {
			return err
		}
		next.State, next.Reason, next.Due, next.Updated, next.Log = state.Waiting, decide.DigestWaits, d.Due, w.Clock.Now(), nil
		switch done, err := w.Store.Schedule(ctx, w.tenant, []state.Delivery{*next}); {
		case errors.Is(err, state.ErrNotFound):
		case err != nil:
			return err
		case done[0]:
			return nil
		}
	}
	return nil
}

// once returns the owners of keys.
func (w *work) once(ctx context.Context, keys ...state.OnceKey) ([]string, error) {
	return w.Store.Once(ctx, w.tenant, keys, 0)
}
