package erase

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/view"
)

// Count counts what an erasure would erase, and changes nothing. It ends after a time; then the receipt is incomplete.
func (e *Eraser) Count(ctx context.Context, tenant, person string, withProducts bool) (view.ErasureReceipt, error) {
	var r view.ErasureReceipt
	if withProducts {
		r.Products = products(e.Plan(), tenant)
	}
	s := &search{Person: normal(person), Names: []string{normal(person)}}
	f := &finder{Eraser: e, tenant: tenant, s: s, dry: true, r: &r}
	began := e.Clock.Elapsed()
	for s.Stage != searched {
		if err := f.step(ctx); err != nil {
			return r, err
		}
		if e.Clock.Elapsed()-began > countFor {
			r.Incomplete = true
			break
		}
	}
	for i, id := range s.Events {
		if r.Incomplete = r.Incomplete || e.Clock.Elapsed()-began > 2*countFor; r.Incomplete && i > 0 {
			break
		}
		if err := e.countEvent(ctx, tenant, id, &r); err != nil {
			return r, err
		}
	}
	r.NotFound = notFound(&r)
	return r, nil
}

// countFor bounds each half of a count.
const countFor = 5 * time.Second

func (e *Eraser) countEvent(ctx context.Context, tenant, id string, r *view.ErasureReceipt) error {
	for q := (state.DeliveryQuery{EventID: id, Limit: pageLimit}); ; {
		p, err := e.Store.Deliveries(ctx, tenant, q)
		if err != nil {
			return fmt.Errorf("count deliveries: %w", err)
		}
		for i := range p.Items {
			d := &p.Items[i]
			r.Deliveries++
			r.Attempts += len(d.Log)
			if d.State.Open() {
				r.Dropped++
			}
		}
		if q.Cursor = p.Next; p.Next == "" {
			return nil
		}
	}
}

// notFound says what was looked for and is not there.
func notFound(r *view.ErasureReceipt) []string {
	var all []string
	for _, of := range []struct {
		n    int
		what string
	}{
		{r.Events, "events of this person"},
		{r.Removed + r.Mentioned, "requests or answers of other events that name the person"},
		{r.Rejected + r.Captured + r.Answers, "kept requests that name the person"},
	} {
		if of.n == 0 {
			all = append(all, of.what)
		}
	}
	return all
}

// tooManyError reports more events than one erasure takes.
type tooManyError struct{}

func (*tooManyError) Error() string {
	return fmt.Sprintf("more than %d events are of this person: is it the name of one person?", MaxEvents)
}

// IsTooMany reports whether an error of Count means that the person has too many events.
func IsTooMany(err error) bool {
	_, is := errors.AsType[*tooManyError](err)
	return is
}
