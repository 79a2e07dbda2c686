package job

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// Kind begins a job, or resumes one whose Progress is set. An error means that this version cannot run it; it fails.
type Kind func(r *Run) (Work, error)

// Work is a job that runs. It is used by one goroutine.
type Work interface {
	// Step does the next part of the work, and returns how long to wait before the next call, or that nothing is left. It calls
	// Run.Save where it must not be repeated. After an error it is called again a little later; a Failure ends the job.
	Step(ctx context.Context) (wait time.Duration, done bool, err error)
}

// Failure is an error that ends a job; its text is shown.
type Failure struct{ Reason string }

func (e *Failure) Error() string { return e.Reason }

// ErrLost means that another replica runs the job now: this one does nothing more of it.
var ErrLost = fmt.Errorf("another replica runs the job: %w", state.ErrConflict)

// Bounds of running.
const (
	// slots is how many jobs of a tenant run at once, on all replicas together; maxRunning how many of all tenants on this one.
	slots      = 3
	maxRunning = 12
	// lookEvery is how often a process looks for jobs. pruneEvery is how often it removes old ones.
	lookEvery  = 2 * time.Second
	pruneEvery = time.Hour
	// leaseFor is the lease of a slot: after a kill -9, another replica resumes its job when that has passed. It is renewed
	// every renewEvery.
	leaseFor   = 15 * time.Second
	renewEvery = 5 * time.Second
	// turn is how long a job runs while others wait for a place in the process.
	turn = 10 * time.Second
	// askEvery is how often a job that makes no progress is read, because somebody may have cancelled it.
	askEvery = time.Second
	// retryFirst and retryMost bound the wait after an error; it doubles.
	retryFirst, retryMost = time.Second, time.Minute
	// maxStarts bounds how often a job is begun without making progress: it may kill every process that runs it.
	maxStarts = 10
)

// Run is a job that runs in this process, as its kind sees it.
type Run struct {
	*Job
	jobs    *Jobs
	pages   pages
	mu      sync.Mutex
	renewed time.Duration // when the lease was last renewed, by Clock.Elapsed
	asked   time.Duration // when the job was last read or written
}

// progress is how the progress of a job is stored: that of its kind, and its pages.
type progress struct {
	Pages pages           `json:"pages"`
	Own   json.RawMessage `json:"own,omitempty"`
}

// pages are the numbers of the pages of a job: those from First to before Next. No page from High+1 on exists.
type pages struct {
	First int `json:"first"`
	Next  int `json:"next"`
	High  int `json:"high"`
}

// Resume decodes what the last Save was given; false: there was none yet.
func (r *Run) Resume(into any) (bool, error) {
	if len(r.Progress) == 0 {
		return false, nil
	}
	var p progress
	if err := json.Unmarshal(r.Progress, &p); err != nil {
		return false, err
	}
	r.pages = p.Pages
	return len(p.Own) > 0, json.Unmarshal(p.Own, into)
}

// Save stores how far the job came: its counts, and what is given to Resume later. An error means that it may not go on.
func (r *Run) Save(ctx context.Context, own any) error {
	text, err := json.Marshal(own)
	if err != nil {
		return err
	}
	if r.Progress, err = json.Marshal(progress{Pages: r.pages, Own: text}); err != nil {
		return err
	}
	r.Starts = 0
	if err := r.put(ctx); err != nil {
		return err
	}
	if r.pages.High > r.pages.Next {
		if err := r.dropPages(ctx, r.pages.Next); err != nil {
			return err
		}
		r.pages.High = r.pages.Next
	}
	return nil
}

// put writes the job. If somebody cancelled it meanwhile, that is kept.
func (r *Run) put(ctx context.Context) error {
	for {
		if !r.Held() {
			return ErrLost
		}
		err := r.jobs.put(ctx, r.Job)
		if !errors.Is(err, state.ErrConflict) {
			r.asked = r.jobs.Clock.Elapsed()
			return err
		}
		if changed, err := r.ask(ctx); err != nil {
			return err
		} else if !changed {
			return ErrLost
		}
	}
}

// ask reads whether somebody cancelled the job. It returns whether the job was changed so.
func (r *Run) ask(ctx context.Context) (bool, error) {
	r.asked = r.jobs.Clock.Elapsed()
	kept, err := r.jobs.Get(ctx, r.Tenant, r.ID)
	switch {
	case errors.Is(err, ErrNoJob):
		return false, ErrLost
	case err != nil:
		return false, err
	case kept.version == r.version:
		return false, nil
	case !kept.Cancel || r.Cancel || kept.State.Ended():
		return false, ErrLost
	}
	r.version, r.Cancel = kept.version, true
	return true, nil
}

// Held reports whether this process still has the job. What must not be done twice is done right behind it.
func (r *Run) Held() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.jobs.Clock.Elapsed()-r.renewed < leaseFor-renewEvery
}

// AddPage stores a page of work behind the others. The next Save makes it part of the job.
func (r *Run) AddPage(ctx context.Context, value []byte) error {
	if err := r.putPage(ctx, r.pages.Next, value); err != nil {
		return err
	}
	r.pages.Next++
	r.pages.High = max(r.pages.High, r.pages.Next)
	return nil
}

// PutOff is AddPage before the others, so that TakePage returns it last.
func (r *Run) PutOff(ctx context.Context, value []byte) error {
	if err := r.putPage(ctx, r.pages.First-1, value); err != nil {
		return err
	}
	r.pages.First--
	return nil
}

// TakePage returns the last page, which is part of the job until the next Save; nil: there is none.
func (r *Run) TakePage(ctx context.Context) ([]byte, error) {
	if r.pages.Next == r.pages.First {
		return nil, nil
	}
	page, err := r.jobs.Store.Get(ctx, r.Tenant, kindPage, pageName(r.ID, r.pages.Next-1))
	if err != nil {
		return nil, fmt.Errorf("read a page of job %s: %w", r.ID, err)
	}
	r.pages.Next--
	return page.Value, nil
}

func pageName(id string, n int) string { return id + "/" + strconv.Itoa(n) }

func (r *Run) putPage(ctx context.Context, n int, value []byte) error {
	name := pageName(r.ID, n)
	was, err := r.jobs.Store.Get(ctx, r.Tenant, kindPage, name) // a run that died before its Save has left one
	if err == nil || errors.Is(err, state.ErrNotFound) {
		_, err = r.jobs.Store.Put(ctx, r.Tenant, kindPage, name, value, was.Version)
	}
	if err != nil {
		return fmt.Errorf("write a page of job %s: %w", r.ID, err)
	}
	return nil
}

// dropPages removes the pages from a number up to the highest that may exist.
func (r *Run) dropPages(ctx context.Context, from int) error {
	for n := r.pages.High; n >= from; n-- {
		page, err := r.jobs.Store.Get(ctx, r.Tenant, kindPage, pageName(r.ID, n))
		if err == nil {
			err = r.jobs.Store.Delete(ctx, r.Tenant, kindPage, page.Name, page.Version)
		}
		if err != nil && !errors.Is(err, state.ErrNotFound) {
			return fmt.Errorf("remove the pages of job %s: %w", r.ID, err)
		}
	}
	return nil
}

// Run looks for jobs and runs them until ctx ends. What it has begun then goes on elsewhere, or after the next start.
func (j *Jobs) Run(ctx context.Context) {
	var runs sync.WaitGroup
	defer runs.Wait()
	pruned := j.Clock.Elapsed()
	for {
		if err := j.begin(ctx, &runs); err != nil && ctx.Err() == nil {
			j.Log.Warn("cannot look for jobs", "err", err)
		}
		if now := j.Clock.Elapsed(); now-pruned >= pruneEvery {
			pruned = now
			if err := j.pruneAll(ctx); err != nil && ctx.Err() == nil {
				j.Log.Warn("cannot remove old jobs", "err", err)
			}
		}
		after, stop := j.Clock.After(lookEvery)
		select {
		case <-after:
		case <-j.nudge:
		case <-ctx.Done():
			stop()
			return
		}
		stop()
	}
}

// begin begins as many jobs as there is place for. Tenants that had no turn for the longest time come first.
func (j *Jobs) begin(ctx context.Context, runs *sync.WaitGroup) error {
	active, err := j.active(ctx)
	if err != nil {
		return err
	}
	tenants := slices.Sorted(maps.Keys(active))
	j.mu.Lock()
	maps.DeleteFunc(j.ran, func(tenant string, _ time.Duration) bool { return active[tenant] == nil })
	slices.SortStableFunc(tenants, func(a, b string) int { return int(j.ran[a] - j.ran[b]) })
	j.waiting = false
	j.mu.Unlock()
	for n := range slots { // one of each tenant, before the second of any
		for _, tenant := range tenants {
			if n > 0 && len(active[tenant]) <= n && !j.mayHave(ctx, slot{tenant, n}, active[tenant]) {
				continue
			}
			if err := j.beginOne(ctx, runs, slot{tenant, n}, active[tenant]); err != nil {
				return err
			}
		}
	}
	return nil
}

// mayHave reports whether a job was begun in a slot that is not among the first ones any more, because jobs beside it have ended.
func (j *Jobs) mayHave(ctx context.Context, s slot, ids []string) bool {
	for _, id := range ids {
		j.mu.Lock()
		own := contains(j.running, id)
		j.mu.Unlock()
		if own {
			continue
		}
		if job, err := j.Get(ctx, s.tenant, id); err == nil && job.State == Running && job.Slot == s.n {
			return true
		}
	}
	return false
}

// beginOne begins or resumes a job of a tenant, if one of them waits for a slot that nobody has.
func (j *Jobs) beginOne(ctx context.Context, runs *sync.WaitGroup, s slot, ids []string) error {
	j.mu.Lock()
	_, busy := j.running[s]
	full := len(j.running) >= maxRunning
	idle := slices.ContainsFunc(ids, func(id string) bool { return !contains(j.running, id) })
	if !busy && idle && full {
		j.waiting = true
	}
	j.mu.Unlock()
	if busy || full || !idle {
		return nil
	}
	began := j.Clock.Elapsed()
	if _, err := j.Store.Lease(ctx, s.lease(), j.Holder, leaseFor); errors.Is(err, state.ErrConflict) {
		return nil
	} else if err != nil {
		return err
	}
	job, err := j.next(ctx, s, ids)
	if job == nil || err != nil {
		return errors.Join(err, j.giveBack(ctx, s))
	}
	j.mu.Lock()
	j.running[s] = job.ID
	j.ran[s.tenant] = began
	j.mu.Unlock()
	runs.Go(func() {
		j.run(ctx, s, &Run{Job: job, jobs: j, renewed: began, asked: began})
		j.mu.Lock()
		delete(j.running, s)
		j.mu.Unlock()
		j.look()
	})
	return nil
}

func contains(running map[slot]string, id string) bool {
	for _, other := range running {
		if other == id {
			return true
		}
	}
	return false
}

// lease is the lease of a slot. Its name is one of a few for each tenant, because the record of a lease is never deleted.
func (s slot) lease() string { return "jobs:" + s.tenant + ":" + strconv.Itoa(s.n) }

func (j *Jobs) giveBack(ctx context.Context, s slot) error {
	_, err := j.Store.Lease(context.WithoutCancel(ctx), s.lease(), j.Holder, 0)
	return err
}

// next returns the job that a slot is for: the one that was begun in it, else the oldest that waits; nil: there is none.
func (j *Jobs) next(ctx context.Context, s slot, ids []string) (*Job, error) {
	var next *Job
	for _, id := range ids {
		job, err := j.Get(ctx, s.tenant, id)
		switch {
		case errors.Is(err, ErrNoJob):
			err = j.orphan(ctx, s.tenant, id)
		case err == nil && job.State.Ended():
			err = j.forget(ctx, s.tenant, id)
		case err != nil:
		case j.Kinds[job.Kind] == nil: // a replica of another version has it
		case job.State == Running && job.Slot == s.n:
			return job, nil
		case job.State == Queued && (next == nil || job.Created.Before(next.Created)):
			next = job
		}
		if err != nil {
			return nil, err
		}
	}
	return next, nil
}

// run runs a job until it ends, the process stops, or others wait for the place.
func (j *Jobs) run(ctx context.Context, s slot, r *Run) {
	ctx, stop := context.WithCancel(ctx)
	var renewing sync.WaitGroup
	renewing.Go(func() { j.renew(ctx, stop, s, r) })
	err := j.work(ctx, s, r)
	stop()
	renewing.Wait()
	if err != nil && !errors.Is(err, ErrLost) && !errors.Is(err, context.Canceled) {
		j.Log.Warn("a job is interrupted, and goes on later", "tenant", r.Tenant, "job", r.ID, "err", err)
	}
	if err := j.giveBack(ctx, s); err != nil {
		j.Log.Warn("cannot give back the lease of a job: it goes on when that has ended", "tenant", r.Tenant, "job", r.ID, "err", err)
	}
}

// renew keeps the lease of a job until ctx ends, and stops the job if another replica has it.
func (j *Jobs) renew(ctx context.Context, stop context.CancelFunc, s slot, r *Run) {
	for {
		after, release := j.Clock.After(renewEvery)
		select {
		case <-after:
		case <-ctx.Done():
			release()
			return
		}
		asked := j.Clock.Elapsed()
		switch _, err := j.Store.Lease(ctx, s.lease(), j.Holder, leaseFor); {
		case err == nil:
			r.mu.Lock()
			r.renewed = asked
			r.mu.Unlock()
		case errors.Is(err, state.ErrConflict):
			stop()
			return
		}
	}
}

// work does the steps of a job.
func (j *Jobs) work(ctx context.Context, s slot, r *Run) error {
	if r.Cancel {
		return j.end(ctx, r, Cancelled, "")
	}
	if r.Starts++; r.Starts > maxStarts {
		return j.end(ctx, r, Failed, fmt.Sprintf("it was begun %d times without making progress", maxStarts))
	}
	if r.State, r.Slot, r.Waits = Running, s.n, ""; r.Started.IsZero() {
		r.Started = j.Clock.Now().UTC()
	}
	if err := r.put(ctx); err != nil {
		return err
	}
	w, err := j.Kinds[r.Kind](r)
	if err != nil {
		return j.end(ctx, r, Failed, err.Error())
	}
	began, failures := j.Clock.Elapsed(), 0
	for {
		if j.Clock.Elapsed()-r.asked >= askEvery {
			if _, err := r.ask(ctx); err != nil {
				return err
			}
		}
		if r.Cancel {
			return j.end(ctx, r, Cancelled, "")
		}
		if j.Clock.Elapsed()-began >= turn && j.crowded() {
			return nil
		}
		wait, done, err := w.Step(ctx)
		if failure := (*Failure)(nil); errors.As(err, &failure) {
			return j.end(ctx, r, Failed, failure.Reason)
		}
		switch {
		case errors.Is(err, ErrLost) || ctx.Err() != nil:
			return errors.Join(err, ctx.Err())
		case err != nil:
			j.Log.Warn("a step of a job failed, and is repeated", "tenant", r.Tenant, "job", r.ID, "err", err)
			wait = min(retryFirst<<min(failures, 10), retryMost)
			failures++
		case done:
			return j.end(ctx, r, Done, "")
		default:
			failures = 0
		}
		if err := j.sleep(ctx, r, wait); err != nil {
			return err
		}
	}
}

// crowded reports whether other jobs wait for a place in this process.
func (j *Jobs) crowded() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.waiting
}

// sleep waits, and ends early when the job was cancelled.
func (j *Jobs) sleep(ctx context.Context, r *Run, d time.Duration) error {
	for until := j.Clock.Elapsed() + d; ; {
		left := until - j.Clock.Elapsed()
		if left <= 0 {
			return ctx.Err()
		}
		after, stop := j.Clock.After(min(left, askEvery))
		select {
		case <-after:
		case <-ctx.Done():
			stop()
			return ctx.Err()
		}
		stop()
		if left > askEvery {
			if _, err := r.ask(ctx); err != nil && !errors.Is(err, state.ErrUnavailable) {
				return err
			}
			if r.Cancel {
				return nil
			}
		}
	}
}

// end ends a job, and removes what only a running one needs.
func (j *Jobs) end(ctx context.Context, r *Run, as State, fault string) error {
	if len(r.Progress) > 0 && r.pages == (pages{}) { // its kind has not resumed it
		var none json.RawMessage
		_, _ = r.Resume(&none)
	}
	if err := r.dropPages(ctx, r.pages.First-1); err != nil {
		return err
	}
	r.State, r.Ended, r.Fault, r.Waits, r.Progress = as, j.Clock.Now().UTC(), fault, "", nil
	if err := r.put(ctx); err != nil {
		return fmt.Errorf("end a job: %w", err)
	}
	j.Log.Info("a job has ended", "tenant", r.Tenant, "job", r.ID, "kind", r.Kind, "state", as, "done", r.Done, "left_alone", r.LeftAlone,
		"not_kept", r.NotKept, "err", fault)
	return errors.Join(j.forget(ctx, r.Tenant, r.ID), j.prune(ctx, r.Tenant))
}
