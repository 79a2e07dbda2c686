package access

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// A deleted tenant leaves a record of its deletion behind, for keepDeleted. While the store keeps events of it, its name is not given to
// another tenant, which would see them, and whose events would be taken for theirs. From then on the name is free: what the store keeps
// for longer, the audit and statistics, is shown to the new tenant from its own time on (Since).
const keepDeleted = 400 * 24 * time.Hour

// DeletedError means that a tenant was deleted, and that the store still keeps events of it.
type DeletedError struct {
	Tenant string
	At     time.Time
}

func (e *DeletedError) Error() string {
	return fmt.Sprintf("a tenant `%s` was deleted at %s, and its events are kept until `retention` ends them", e.Tenant, e.At.UTC().Format(time.RFC3339))
}

// Deleted returns when a tenant was deleted that has not been made again; zero: there is none such. What the files name is there, whatever
// was deleted.
func (t *Tenants) Deleted(id string) time.Time {
	if record, ok := t.records.get(id); ok && !record.Deleted.IsZero() && t.Named(id) != InFile {
		return record.Deleted
	}
	return time.Time{}
}

// Since returns from when on what is kept under the name of a tenant is its own; zero: from the beginning.
func (t *Tenants) Since(id string) time.Time {
	if record := t.Record(id); record != nil && !record.Former.IsZero() {
		return record.Created
	}
	return time.Time{}
}

// mayBegin reports whether a deleted tenant may be made again for another customer: nothing of it is kept.
func (t *Tenants) mayBegin(ctx context.Context, deleted *Tenant) error {
	kept, err := t.keeps(ctx, deleted.ID)
	if err == nil && kept {
		err = &DeletedError{deleted.ID, deleted.Deleted}
	}
	return err
}

// keeps reports whether the store keeps events or deliveries of a tenant.
func (t *Tenants) keeps(ctx context.Context, id string) (bool, error) {
	events, err := t.Store.Events(ctx, id, state.EventQuery{Limit: 1})
	if err != nil || len(events.Items) > 0 {
		return err == nil, err
	}
	deliveries, err := t.Store.Deliveries(ctx, id, state.DeliveryQuery{Limit: 1})
	if err != nil {
		return false, err
	}
	return len(deliveries.Items) > 0, nil
}

// Delete removes the record of a tenant, and notes the deletion, also of one that has no record. state.ErrNotFound: it was deleted before.
func (t *Tenants) Delete(ctx context.Context, id, by string, now time.Time) error {
	for {
		was, _ := t.records.get(id)
		if was != nil && !was.Deleted.IsZero() {
			return state.ErrNotFound
		}
		value, err := json.Marshal(&Tenant{Deleted: now, Updated: now, UpdatedBy: by})
		if err != nil {
			return fmt.Errorf("write a tenant: %w", err)
		}
		if _, err = t.records.put(ctx, id, value, was.version()); !errors.Is(err, state.ErrConflict) {
			return err
		}
		// It may have been written back into a store that had lost it.
		if err := t.records.sweep(ctx); err != nil {
			return err
		}
		if next, _ := t.records.get(id); next.version() == was.version() || (next == nil) != (was == nil) || !next.same(was) {
			return state.ErrConflict
		}
	}
}

// forget removes what was noted of tenants that were deleted long ago.
func (t *Tenants) forget(ctx context.Context, now time.Time) error {
	var old []*Tenant
	t.records.each(func(r *Tenant) bool {
		if !r.Deleted.IsZero() && now.Sub(r.Deleted) > keepDeleted {
			old = append(old, r)
		}
		return true
	})
	for _, r := range old {
		if err := t.records.remove(ctx, r.ID, r.Version); err != nil && !errors.Is(err, state.ErrNotFound) && !errors.Is(err, state.ErrConflict) {
			return err
		}
	}
	return nil
}
