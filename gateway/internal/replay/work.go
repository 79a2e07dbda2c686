package replay

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/crashpoint"
	"github.com/surveygate/surveygate/gateway/internal/job"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

// Bounds of a job's work.
const (
	// perPage is how many ids a page of the job holds.
	perPage = 400
	// window is how far ahead deliveries are scheduled; maxBatch how many at most.
	window   = time.Second
	maxBatch = 250
	// heldFor is how long to wait when every destination that is left is on hold.
	heldFor = 5 * time.Second
	// restFor is the shortest pause between two reads of a selection, which otherwise waits as long as a read took.
	restFor = 5 * time.Millisecond
)

// progress is how far a replay came, as its job keeps it.
type progress struct {
	// Selected: everything that it selects is in its pages. Until then, Cursor and Event say where the selection goes on.
	Selected bool   `json:"selected,omitempty"`
	Cursor   string `json:"cursor,omitempty"`
	Event    int    `json:"event,omitempty"`
	// Current are the ids of the page that it works on, the next one last.
	Current []string `json:"current,omitempty"`
	// Intent is what it is about to schedule, or has just scheduled.
	Intent *intent `json:"intent,omitempty"`
}

// intent is written before a batch is scheduled. If the process dies then, the next one finds out what was scheduled: a delivery that
// has changed since, or is new, was.
type intent struct {
	Units []string `json:"units"`
	// Before is when each delivery had changed last, in nanoseconds, by its id; one that is not in it did not exist.
	Before map[string]int64 `json:"before"`
}

// work is a replay that runs.
type work struct {
	*Replayer
	run  *job.Run
	spec Spec
	p    progress

	// What follows is found out again after a restart.
	last    map[string]string // by destination: the last delivery that was scheduled to it
	held    map[string]string // destinations that are on hold, with the reason: what is owed to them is put off
	rotated int               // ids of Current that were put off
	putOff  int               // all ids that were put off since one was last scheduled
	pace    pace              // how fast it goes
	saved   bool              // Intent is stored
}

// Work begins or resumes a job of these kinds.
func (r *Replayer) Work(run *job.Run) (job.Work, error) {
	w := &work{Replayer: r, run: run, last: map[string]string{}, held: map[string]string{}, saved: true}
	if err := json.Unmarshal(run.Spec, &w.spec); err != nil {
		return nil, fmt.Errorf("read what is to be replayed: %w", err)
	}
	if _, err := run.Resume(&w.p); err != nil {
		return nil, fmt.Errorf("read how far the replay came: %w", err)
	}
	w.pace = newPace(w.spec.Rate, w.limitOf)
	return w, nil
}

// Step selects a page, schedules a batch, or drops some.
func (w *work) Step(ctx context.Context) (wait time.Duration, done bool, err error) {
	switch {
	case w.Clock.Now().Before(w.run.Created): // the clock of this replica is behind: what it schedules would look old
		return min(w.run.Created.Sub(w.Clock.Now()), time.Second), false, nil
	case !w.p.Selected:
		began := w.Clock.Elapsed()
		err := w.selectSome(ctx)
		return max(w.Clock.Elapsed()-began, restFor), false, err
	case w.p.Intent != nil:
		return w.resume(ctx)
	}
	if len(w.p.Current) == 0 {
		if done, err := w.turnPage(ctx); done || err != nil {
			return 0, done, err
		}
	}
	if w.spec.As == dropped {
		return w.drop(ctx)
	}
	return w.batch(ctx)
}

// selectSome adds the next page of ids.
func (w *work) selectSome(ctx context.Context) error {
	s := selection{replayer: w.Replayer, tenant: w.run.Tenant, spec: &w.spec, before: w.run.Created, cursor: w.p.Cursor, event: w.p.Event}
	var ids []string
	total, waiting := w.run.Total, 0
	events := map[string]bool{} // an event that several deliveries lead to is one unit
	for reads := 0; len(ids) < perPage/2 && !s.done && reads < 4; reads++ {
		found, err := s.next(ctx)
		if err != nil {
			return err
		}
		for _, u := range found {
			id := u.id
			if w.spec.As == Today {
				if id = u.event; events[id] {
					continue
				}
				events[id] = true
			}
			total++
			if u.waiting && w.spec.As != Today && w.spec.Of.State == "" {
				waiting++
				continue
			}
			ids = append(ids, id)
		}
	}
	if total > MaxUnits {
		return &job.Failure{Reason: fmt.Sprintf("it selects more than %d: do it in parts, by `since` and `until`", MaxUnits)}
	}
	for page := range slices.Chunk(ids, perPage) {
		text, err := json.Marshal(page)
		if err == nil {
			err = w.run.AddPage(ctx, text)
		}
		if err != nil {
			return err
		}
	}
	crashpoint.At(crashpoint.JobSelected)
	if w.run.Total = total; waiting > 0 {
		w.run.Leave(whyWaiting, waiting)
	}
	w.p.Cursor, w.p.Event, w.p.Selected = s.cursor, s.event, s.done
	w.run.Counted = s.done
	return w.run.Save(ctx, &w.p)
}

// turnPage takes the next page; done: there is none.
func (w *work) turnPage(ctx context.Context) (done bool, err error) {
	page, err := w.run.TakePage(ctx)
	if isNotFound(err) {
		return false, &job.Failure{Reason: "a page of the job is lost"}
	}
	if page == nil || err != nil {
		return err == nil, err
	}
	if err := json.Unmarshal(page, &w.p.Current); err != nil {
		return false, &job.Failure{Reason: "a page of the job cannot be read: " + err.Error()}
	}
	w.rotated = 0
	return false, nil
}

// batch schedules the next deliveries, unless their destinations cannot take them.
func (w *work) batch(ctx context.Context) (wait time.Duration, done bool, err error) {
	if name := w.spec.Of.Destination; name != "" { // nothing else is selected: nothing has to be put off
		standing, err := w.Store.Standing(ctx, w.run.Tenant, []string{name})
		if err != nil {
			return 0, false, fmt.Errorf("look at the destination: %w", err)
		}
		if hold := standing[0].Hold; isHeld(hold) {
			return heldFor, false, w.waits(ctx, name, hold.Reason)
		}
	}
	behind, err := w.behind(ctx)
	if err != nil {
		return 0, false, err
	}
	if behind != "" {
		w.pace.behind(behind)
		return max(w.pace.over(1), behindFor), false, nil
	}
	w.pace.kept()
	return w.begin(ctx, min(w.pace.size(w.spec.Of.Destination), len(w.p.Current)))
}

// waits stores why the job does nothing at this moment.
func (w *work) waits(ctx context.Context, destination, reason string) error {
	text := holdText(destination, reason)
	if w.run.Waits == text {
		return nil
	}
	w.run.Waits = text
	return w.run.Save(ctx, &w.p)
}

func holdText(destination, reason string) string {
	return fmt.Sprintf("`%s` is on hold: %s", destination, reason)
}

// isHeld reports whether a hold puts off a replay. A rate that a product set ends soon, and is one that live deliveries wait for too.
func isHeld(h state.Hold) bool { return h.Kind != "" && h.Kind != state.HoldRate }

// limitOf returns the rate of a destination in deliveries per second; 0: it has none, or one of batches.
func (w *work) limitOf(destination string) float64 {
	d := w.Plan().Destination(w.run.Tenant, destination)
	if d == nil || d.Rate.Events <= 0 || d.Rate.Per <= 0 || d.Batch.Max > 1 {
		return 0
	}
	return float64(d.Rate.Events) / d.Rate.Per.Seconds()
}

// behind returns a destination that has not attempted yet what was scheduled to it last and is due: then no more is, so that live
// deliveries to it wait behind one batch at most. Empty: there is none.
func (w *work) behind(ctx context.Context) (string, error) {
	for destination, id := range w.last {
		d, err := w.Store.Delivery(ctx, w.run.Tenant, id)
		switch {
		case isNotFound(err):
		case err != nil:
			return "", fmt.Errorf("look at the delivery before: %w", err)
		case d.State == state.Waiting && !d.Leased && d.Reason == reason && !d.Due.After(w.Clock.Now()):
			standing, err := w.Store.Standing(ctx, w.run.Tenant, []string{d.Destination})
			if err != nil {
				return "", fmt.Errorf("look at a destination: %w", err)
			}
			if standing[0].Hold.Kind == "" { // on hold, it is put off and the others go on
				return destination, nil
			}
		}
		delete(w.last, destination)
	}
	return "", nil
}

// begin schedules the next n units of the page, without those whose destinations are on hold.
func (w *work) begin(ctx context.Context, n int) (wait time.Duration, done bool, err error) {
	at := len(w.p.Current) - n
	units := slices.Clone(w.p.Current[at:])
	slices.Reverse(units) // the oldest first
	b := newBatch(w, nil)
	for _, id := range units {
		if err := b.add(ctx, id); err != nil {
			return 0, false, err
		}
	}
	away, err := b.away(ctx)
	if err != nil {
		return 0, false, err
	}
	w.p.Current = w.p.Current[:at]
	b.settleIdle()
	if len(away) > 0 {
		if wait, err = w.putAway(ctx, away); err != nil {
			return 0, false, err
		}
	}
	if len(b.owed) == 0 {
		return wait, false, w.run.Save(ctx, &w.p)
	}
	w.p.Intent, w.saved = b.newIntent(), false
	return w.finish(ctx, b)
}

// resume finishes a batch that was begun: what of it is scheduled is not scheduled again.
func (w *work) resume(ctx context.Context) (wait time.Duration, done bool, err error) {
	b := newBatch(w, w.p.Intent)
	for _, id := range w.p.Intent.Units {
		if err := b.add(ctx, id); err != nil {
			return 0, false, err
		}
	}
	return w.finish(ctx, b)
}

// finish schedules a batch, whose intent is stored first.
func (w *work) finish(ctx context.Context, b *batch) (wait time.Duration, done bool, err error) {
	if !w.saved {
		if err := w.run.Save(ctx, &w.p); err != nil {
			return 0, false, err
		}
		w.saved = true
	}
	crashpoint.At(crashpoint.JobIntended)
	if !w.run.Held() {
		return 0, false, job.ErrLost
	}
	wait, err = b.schedule(ctx)
	if err != nil {
		return 0, false, err
	}
	crashpoint.At(crashpoint.JobScheduled)
	w.p.Intent, w.putOff, w.run.Waits = nil, 0, ""
	if len(w.p.Current) == 0 && w.run.Left() == 0 {
		return 0, false, nil // that was the last one
	}
	return wait, false, nil
}

// putAway puts off units whose destinations are on hold, and returns how long to wait where nothing else is left.
func (w *work) putAway(ctx context.Context, units []string) (time.Duration, error) {
	slices.Reverse(units)
	w.p.Current = append(units, w.p.Current...)
	w.rotated += len(units)
	w.putOff += len(units)
	if w.rotated >= len(w.p.Current) { // nothing of this page can be scheduled
		text, err := json.Marshal(w.p.Current)
		if err == nil {
			err = w.run.PutOff(ctx, text)
		}
		if err != nil {
			return 0, err
		}
		w.p.Current, w.rotated = nil, 0
	}
	if w.putOff < w.run.Left() {
		return w.pace.over(len(units)), nil // looking at them is work for the store
	}
	if names := slices.Sorted(maps.Keys(w.held)); len(names) > 0 {
		w.run.Waits = holdText(names[0], w.held[names[0]])
	} else if w.spec.As == dropped {
		w.run.Waits = waitsForAttempt
	}
	w.putOff, w.held = 0, map[string]string{}
	return heldFor, nil
}
