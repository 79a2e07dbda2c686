package settings

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

// A destination whose document is deleted leaves: its hold is lifted, and the deliveries that wait for it become dead letters soon
// and not when they are due. A note in the store says so before the document is deleted, so that any replica can finish what a process
// began that was killed.

// kindLeaving is the kind of those notes, under the system's tenant: TENANT/NAME.
const kindLeaving = "leaving-destination"

const (
	// leavingPage is how many deliveries are read at once, leavingPages how many pages in one round.
	leavingPage, leavingPages = 200, 50
)

// leavingNote is the value of a note. Notes of earlier versions have no time.
type leavingNote struct {
	At time.Time `json:"at"`
}

// Leaving ends what waits for deleted destinations. All fields are required; it is safe for concurrent use.
type Leaving struct {
	Store state.Store
	Clock clock.Clock
	Log   *slog.Logger
	// HasDestination reports whether the running configuration has a destination.
	HasDestination func(tenant, name string) bool
	// HoldsChanged tells the delivery loop of this process that a hold was lifted, Due that deliveries are due.
	HoldsChanged func(context.Context)
	Due          func()
}

// Removed notes that the document of a destination is about to be deleted, and returns how many deliveries wait for it.
func (l *Leaving) Removed(ctx context.Context, tenant, name string) (waiting int, err error) {
	standing, err := l.Store.Standing(ctx, tenant, []string{name})
	if err != nil {
		return 0, err
	}
	if s := &standing[0]; s.Waiting == 0 && s.Hold == (state.Hold{}) {
		return 0, nil
	}
	key := tenant + "/" + name
	kept, err := l.Store.Get(ctx, systemTenant, kindLeaving, key)
	if err != nil && !errors.Is(err, state.ErrNotFound) {
		return 0, err
	}
	value, err := json.Marshal(leavingNote{l.Clock.Now().UTC()})
	if err != nil {
		return 0, fmt.Errorf("write the note of a destination that leaves: %w", err)
	}
	_, err = l.Store.Put(ctx, systemTenant, kindLeaving, key, value, kept.Version)
	if err != nil && !errors.Is(err, state.ErrConflict) { // another one noted it just now
		return 0, fmt.Errorf("note that a destination leaves: %w", err)
	}
	return standing[0].Waiting, nil
}

// Made lifts the holds that destinations of these names had before their documents are made.
func (l *Leaving) Made(ctx context.Context, tenant string, names []string) error {
	standing, err := l.Store.Standing(ctx, tenant, names)
	if err != nil {
		return err
	}
	for i := range standing {
		if err := l.lift(ctx, tenant, names[i], standing[i].Hold); err != nil {
			return err
		}
	}
	return nil
}

func (l *Leaving) lift(ctx context.Context, tenant, name string, hold state.Hold) error {
	if hold == (state.Hold{}) {
		return nil
	}
	if err := l.Store.Hold(ctx, tenant, name, state.Hold{}, &hold); err != nil && !errors.Is(err, state.ErrConflict) {
		return fmt.Errorf("lift the hold of a deleted destination: %w", err)
	}
	l.HoldsChanged(ctx)
	return nil
}

// End makes dead letters of what waits for deleted destinations, as many as one round may. It may run on several replicas at once.
// The error is that of the last destination that failed; the next round tries it again.
func (l *Leaving) End(ctx context.Context) error {
	notes, err := l.Store.List(ctx, systemTenant, kindLeaving)
	if err != nil {
		return fmt.Errorf("find deleted destinations: %w", err)
	}
	var failed error
	for _, note := range notes {
		tenant, name, _ := strings.Cut(note.Name, "/")
		var noted leavingNote
		_ = json.Unmarshal(note.Value, &noted) // without a time it is an old one
		done, err := l.end(ctx, tenant, name, noted.At)
		if err == nil && done {
			err = l.Store.Delete(ctx, systemTenant, kindLeaving, note.Name, note.Version)
			if errors.Is(err, state.ErrNotFound) || errors.Is(err, state.ErrConflict) {
				err = nil
			}
		}
		if err != nil {
			failed = fmt.Errorf("end what waits for the deleted destination %s of tenant %s: %w", name, tenant, err)
			if state.StopsAll(err) {
				return failed
			}
		}
	}
	return failed
}

// end reports whether nothing is left to do for a destination, which was noted at a time.
func (l *Leaving) end(ctx context.Context, tenant, name string, noted time.Time) (done bool, err error) {
	for _, document := range decide.DocumentsOf(state.Origin{Kind: state.Test, Name: name}) {
		switch _, err := l.Store.Get(ctx, tenant, state.KindDocument, document); {
		case err == nil: // it is not deleted yet, it was made again, or its deletion failed
			return l.Clock.Now().Sub(noted) > workFor, nil
		case !errors.Is(err, state.ErrNotFound):
			return false, err
		}
	}
	if l.HasDestination(tenant, name) { // a file has it, or the deletion is not applied yet
		return false, nil
	}
	standing, err := l.Store.Standing(ctx, tenant, []string{name})
	if err != nil {
		return false, err
	}
	if err := l.lift(ctx, tenant, name, standing[0].Hold); err != nil {
		return false, err
	}
	if standing[0].Waiting == 0 {
		return true, nil
	}
	now := l.Clock.Now()
	q := state.DeliveryQuery{State: state.Waiting, Destination: name, Limit: leavingPage}
	ended := 0
	for range leavingPages {
		page, err := l.Store.Deliveries(ctx, tenant, q)
		if err != nil {
			return false, err
		}
		for i := range page.Items { // due now and known to miss their step: the delivery loop then ends them
			page.Items[i].Due, page.Items[i].Reason = now, decide.Absent
		}
		ended += len(page.Items)
		if len(page.Items) > 0 {
			if _, err := l.Store.Schedule(ctx, tenant, page.Items); err != nil {
				return false, err
			}
		}
		if q.Cursor = page.Next; q.Cursor == "" {
			break
		}
	}
	if ended > 0 {
		l.Log.Info("a destination was deleted: what waited for it becomes dead letters", "tenant", tenant, "destination", name, "count", ended)
		l.Due()
	}
	return false, nil
}
