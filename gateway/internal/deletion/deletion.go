// Package deletion deletes a tenant with all that it owns, as a job of the gateway. Its events and their history end by retention.
package deletion

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/audit"
	"github.com/surveygate/surveygate/gateway/internal/job"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/view"
)

// Kind is the kind of the jobs of this package. They belong to the tenant "*": their own one is about to go.
const Kind = "tenant_deletion"

// Everyone is the tenant that the jobs belong to.
const Everyone = "*"

// Spec is what a job deletes.
type Spec struct {
	Tenant string `json:"tenant"`
}

// Part deletes one kind of what a tenant owns. It may be called again, and then deletes what is left.
type Part func(ctx context.Context, tenant string, by audit.By) error

// Options are the dependencies of a Deleter; all are required.
type Options struct {
	Store state.Store
	// First are deleted first: what makes deliveries, and who may ask for them. Last are deleted when nothing else is left.
	First, Last []Part
	// Ended counts a delivery that is dropped.
	Ended func(d *state.Delivery)
}

// Find returns the job that deletes a tenant and has not ended; nil: there is none.
func Find(ctx context.Context, jobs *job.Jobs, tenant string) (*job.Job, error) {
	all, err := jobs.List(ctx, Everyone, Kind)
	if err != nil {
		return nil, err
	}
	for _, j := range all {
		var spec Spec
		if !j.State.Ended() && json.Unmarshal(j.Spec, &spec) == nil && spec.Tenant == tenant {
			return j, nil
		}
	}
	return nil, nil //nolint:nilnil // nil: no such job
}

// View makes the view of a job of this kind.
func View(j *job.Job) view.Job {
	v := view.NewJob(j, 0)
	var spec Spec
	if json.Unmarshal(j.Spec, &spec) == nil {
		v.Tenant = spec.Tenant
	}
	return v
}

// Deleter deletes tenants. It is safe for concurrent use.
type Deleter struct{ Options }

const (
	// pageLimit is how many deliveries are dropped in a step, restFor how long to wait after it.
	pageLimit = 100
	restFor   = 20 * time.Millisecond
	// attemptFor is how long to wait for deliveries that are being attempted.
	attemptFor = 2 * time.Second
)

// stage is what a job does next.
type stage int

// The stages of a job, in their order.
const (
	first stage = iota
	deliveries
	holds
	last
)

// work is a deletion that runs.
type work struct {
	*Deleter
	run  *job.Run
	spec Spec
	p    struct {
		Stage stage `json:"stage"`
	}
}

// Work begins or resumes a job of this kind.
func (d *Deleter) Work(run *job.Run) (job.Work, error) {
	w := &work{Deleter: d, run: run}
	if err := json.Unmarshal(run.Spec, &w.spec); err != nil || w.spec.Tenant == "" {
		return nil, errors.New("the job does not say which tenant it deletes")
	}
	if _, err := run.Resume(&w.p); err != nil {
		return nil, fmt.Errorf("read how far the deletion came: %w", err)
	}
	return w, nil
}

// Step does the next part. Each may be done twice: then nothing is left to be deleted.
func (w *work) Step(ctx context.Context) (wait time.Duration, done bool, err error) {
	switch w.p.Stage {
	case first:
		err = w.parts(ctx, w.First)
	case deliveries:
		var more bool
		if wait, more, err = w.drop(ctx); more && err == nil {
			return wait, false, w.run.Save(ctx, &w.p)
		}
	case holds:
		err = w.lift(ctx)
	case last:
		return 0, true, w.parts(ctx, w.Last)
	}
	if err != nil {
		return 0, false, err
	}
	w.p.Stage++
	return 0, false, w.run.Save(ctx, &w.p)
}

func (w *work) parts(ctx context.Context, parts []Part) error {
	for _, part := range parts {
		if err := part(ctx, w.spec.Tenant, w.run.By); err != nil {
			return err
		}
	}
	return nil
}

// drop drops some of the deliveries that wait, and returns whether there may be more.
func (w *work) drop(ctx context.Context) (wait time.Duration, more bool, err error) {
	p, err := w.Store.Deliveries(ctx, w.spec.Tenant, state.DeliveryQuery{State: state.Waiting, Limit: pageLimit})
	if err != nil {
		return 0, false, fmt.Errorf("list what waits: %w", err)
	}
	dropped := 0
	for i := range p.Items {
		d := &p.Items[i]
		switch err := w.Store.Drop(ctx, w.spec.Tenant, d.ID); {
		case errors.Is(err, state.ErrConflict), errors.Is(err, state.ErrNotFound): // it is being attempted, or has ended
		case err != nil:
			return 0, false, fmt.Errorf("drop what waits: %w", err)
		default:
			dropped++
			d.State = state.Dropped
			w.Ended(d)
		}
	}
	w.run.Total += dropped
	w.run.Done += dropped
	w.run.Waits = ""
	if len(p.Items) > 0 && dropped == 0 {
		w.run.Waits = "deliveries are being attempted"
		return attemptFor, true, nil
	}
	w.run.Counted = len(p.Items) == 0
	return restFor, len(p.Items) > 0, nil
}

// lift lifts all holds of the tenant.
func (w *work) lift(ctx context.Context) error {
	held, err := w.Store.Holds(ctx, w.spec.Tenant)
	if err != nil {
		return fmt.Errorf("list what is on hold: %w", err)
	}
	for _, h := range held {
		if err := w.Store.Hold(ctx, w.spec.Tenant, h.Destination, state.Hold{}, nil); err != nil {
			return fmt.Errorf("lift a hold: %w", err)
		}
	}
	return nil
}
