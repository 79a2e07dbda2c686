package settings

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/vault"
)

const (
	// gatherFor is how long a changed tenant waits for further changes, so that many changes at once are one compilation.
	gatherFor = 20 * time.Millisecond
	// maxApplying is how many tenants are read and compiled at once, maxLoading how many are read at once at the start.
	maxApplying, maxLoading = 4, 8
	// sweepEvery is how often the index of last changes is compared with what is applied.
	sweepEvery = time.Minute
	// firstRetry and lastRetry bound the wait before a tenant that failed is tried again; it doubles.
	firstRetry, lastRetry = time.Second, time.Minute
)

// Options are the dependencies of a Worker; all are required.
type Options struct {
	Store state.Settings
	Vault *vault.Vault
	Clock clock.Clock
	Log   *slog.Logger
	// Apply makes documents the ones of a tenant in the running plan. It is called for one tenant once at a time, and for several
	// tenants at once. After an error it is called again later, with what the store has then.
	Apply func(ctx context.Context, tenant string, documents []config.Document) error
}

// Worker applies the documents in the store, first all of them (Load), then each change (Run). Make it with New.
type Worker struct {
	o Options

	changes <-chan state.Change
	unwatch context.CancelFunc
	// identity is that of the store when its documents were read: see identity.go.
	identity string

	mu       sync.Mutex
	tenants  map[string]*tenant // those that have documents or had some
	queue    dirty
	wake     chan struct{} // receives after the queue or the number of running applications changed
	applying int
	stopped  chan struct{} // closed when Run has ended
}

// tenant is what the worker knows of one tenant. Its fields are guarded by Worker.mu; only the one application that runs for it
// writes kept, and reads kept and failures without.
type tenant struct {
	// turn holds one value while the tenant's documents are read and applied, or written back. The two exclude each other: what
	// was read before the documents were written back must not be judged by the identity that the store has afterwards, and what
	// is being applied must be written back too.
	turn chan struct{}
	// version is that of the last change that is applied, as far as known: it is compared with state.LastChange.
	version uint64
	busy    bool
	// again is when a change was noticed while busy; zero: none was.
	again    time.Time
	since    time.Time // of the change being applied
	failures int
	// asked counts the calls of Worker.ask, reading is how many of them the running application answers, and applied how many are
	// answered. more is closed, and replaced, when applied rises.
	asked, reading, applied uint64
	more                    chan struct{}

	kept []state.Setting // what is applied, as stored
}

// New returns a worker that has not read anything yet.
func New(o Options) *Worker {
	return &Worker{o: o, tenants: map[string]*tenant{}, wake: make(chan struct{}, 1), stopped: make(chan struct{})}
}

// Load begins to watch the store and reads the documents of all tenants, for a plan that is made with all of them. It may be
// called again after an error. The changes since then are applied by Run.
func (w *Worker) Load(ctx context.Context) (map[string][]config.Document, error) {
	if w.changes == nil {
		// The watch lasts until Run ends it; if Run is never called, until the store is closed.
		watching, unwatch := context.WithCancel(context.WithoutCancel(ctx))
		changes, err := w.o.Store.Watch(watching, "*")
		if err != nil {
			unwatch()
			return nil, fmt.Errorf("watch the documents of tenants: %w", err)
		}
		w.changes, w.unwatch = changes, unwatch
	}
	if err := w.identify(ctx); err != nil {
		return nil, err
	}
	last, err := w.o.Store.LastChanges(ctx, state.KindDocument)
	if err != nil {
		return nil, fmt.Errorf("find the tenants with documents: %w", err)
	}
	all := make([][]config.Document, len(last))
	tenants := make([]*tenant, len(last))
	err = each(ctx, len(last), maxLoading, func(ctx context.Context, i int) error {
		kept, err := w.o.Store.List(ctx, last[i].Tenant, state.KindDocument)
		if err != nil {
			return fmt.Errorf("read the documents of tenant %s: %w", last[i].Tenant, err)
		}
		all[i] = w.decode(last[i].Tenant, kept)
		tenants[i] = newTenant()
		tenants[i].version, tenants[i].kept = last[i].Version, kept
		return nil
	})
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	documents := map[string][]config.Document{}
	for i, l := range last {
		w.tenants[l.Tenant] = tenants[i]
		if len(all[i]) > 0 {
			documents[l.Tenant] = all[i]
		}
	}
	return documents, nil
}

func (w *Worker) decode(tenant string, kept []state.Setting) []config.Document {
	all := make([]config.Document, len(kept))
	for i, setting := range kept {
		all[i] = Decode(w.o.Vault, tenant, setting)
	}
	return all
}

// Run applies changes until ctx ends. It waits for running applications. It is called once.
func (w *Worker) Run(ctx context.Context) {
	defer close(w.stopped)
	defer w.unwatch()
	var running sync.WaitGroup
	defer running.Wait()
	running.Go(func() { w.sweeps(ctx) })
	for {
		wait, stop := w.startDue(ctx, &running)
		select {
		case <-ctx.Done():
			stop()
			return
		case c, ok := <-w.changes:
			if !ok { // the store is closed
				stop()
				<-ctx.Done()
				return
			}
			if c.Kind == state.KindDocument {
				w.changed(c.Tenant)
			}
		case <-wait:
		case <-w.wake:
		}
		stop()
	}
}

// startDue applies the tenants whose time has come, as many as may be applied at once. It returns a channel that receives when
// the next one's time comes.
func (w *Worker) startDue(ctx context.Context, running *sync.WaitGroup) (wait <-chan time.Time, stop func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.applying < maxApplying {
		first := w.queue.first()
		if first == nil {
			break
		}
		if left := first.due - w.o.Clock.Elapsed(); left > 0 {
			return w.o.Clock.After(left)
		}
		first = w.queue.take()
		t := w.tenant(first.name)
		t.busy, t.since, t.reading = true, first.since, t.asked
		w.applying++
		running.Go(func() {
			version, err := w.apply(ctx, first.name, t)
			w.ended(ctx, first.name, t, version, err)
		})
	}
	return nil, func() {}
}

// tenant returns what is known of a tenant; w.mu is held.
func (w *Worker) tenant(name string) *tenant {
	t := w.tenants[name]
	if t == nil {
		t = newTenant()
		w.tenants[name] = t
	}
	return t
}

func newTenant() *tenant { return &tenant{turn: make(chan struct{}, 1), more: make(chan struct{})} }

// take waits for the turn of a tenant. Call the result to end it.
func (t *tenant) take(ctx context.Context) (end func(), err error) {
	select {
	case t.turn <- struct{}{}:
		return func() { <-t.turn }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// changed notices a change of a tenant's documents.
func (w *Worker) changed(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.o.Clock.Now()
	if t := w.tenant(name); t.busy {
		if t.again.IsZero() {
			t.again = now
		}
		return
	}
	w.queue.add(name, w.o.Clock.Elapsed()+gatherFor, now)
	w.nudge()
}

// ended notes the result of an application, and when the next one of this tenant is due.
func (w *Worker) ended(ctx context.Context, name string, t *tenant, version uint64, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.applying--
	t.busy = false
	since, again := t.since, t.again
	t.since, t.again = time.Time{}, time.Time{}
	switch {
	case err == nil:
		t.failures, t.version, t.applied = 0, max(t.version, version), t.reading
		close(t.more)
		t.more = make(chan struct{})
		if !again.IsZero() {
			pause := gatherFor
			if t.applied < t.asked { // somebody waits
				pause = 0
			}
			w.queue.add(name, w.o.Clock.Elapsed()+pause, again)
		}
	case ctx.Err() == nil:
		t.failures++
		wait := min(firstRetry<<min(t.failures-1, 10), lastRetry)
		w.queue.add(name, w.o.Clock.Elapsed()+wait, since)
		w.o.Log.Warn("cannot apply the changed documents of a tenant: its former ones stay in use; trying again", "tenant", name, "err", err)
	}
	w.nudge()
}

// nudge wakes Run; w.mu is held.
func (w *Worker) nudge() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// apply reads and applies the documents of a tenant. It returns the newest version among them.
func (w *Worker) apply(ctx context.Context, name string, t *tenant) (version uint64, err error) {
	end, err := t.take(ctx)
	if err != nil {
		return 0, err
	}
	defer end()
	kept, err := w.read(ctx, name, t)
	if err != nil {
		return 0, err
	}
	for _, setting := range kept {
		version = max(version, setting.Version)
	}
	if t.failures == 0 && sameVersions(kept, t.kept) {
		return version, nil
	}
	if err := w.o.Apply(ctx, name, w.decode(name, kept)); err != nil {
		return 0, err
	}
	w.mu.Lock()
	t.kept = kept
	w.mu.Unlock()
	return version, nil
}

func sameVersions(a, b []state.Setting) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].Name != b[i].Name || a[i].Version != b[i].Version {
			return false
		}
	}
	return true
}

// each calls do for every number below n, up to most at once. It returns the first error, which ends the context of the others.
func each(ctx context.Context, n, most int, do func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	next := make(chan int)
	var workers sync.WaitGroup
	for range min(most, n) {
		workers.Go(func() {
			for i := range next {
				if err := do(ctx, i); err != nil {
					cancel(err)
				}
			}
		})
	}
	for i := range n {
		select {
		case next <- i:
			continue
		case <-ctx.Done():
		}
		break
	}
	close(next)
	workers.Wait()
	return context.Cause(ctx)
}
