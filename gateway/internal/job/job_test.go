package job_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/audit"
	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/job"
	"github.com/surveygate/surveygate/gateway/internal/leaktest"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/state/embedded"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

var by = audit.By{Name: "token:test"}

func open(t *testing.T, c clock.Clock) state.Store {
	t.Helper()
	s, err := embedded.Open(embedded.Options{Dir: t.TempDir(), Clock: c})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// process runs jobs until its end, or until it is killed: then nothing that it does reaches the store.
type process struct {
	state.Settings
	dead atomic.Bool
	jobs *job.Jobs
}

var errDead = fmt.Errorf("killed: %w", state.ErrUnavailable)

func (p *process) Put(ctx context.Context, tenant, kind, name string, value []byte, version uint64) (uint64, error) {
	if p.dead.Load() {
		return 0, errDead
	}
	return p.Settings.Put(ctx, tenant, kind, name, value, version)
}

func (p *process) Lease(ctx context.Context, name, holder string, ttl time.Duration) (uint64, error) {
	if p.dead.Load() {
		return 0, errDead
	}
	return p.Settings.Lease(ctx, name, holder, ttl)
}

func run(t *testing.T, s state.Settings, c clock.Clock, kinds map[string]job.Kind) *process {
	t.Helper()
	p := &process{Settings: s}
	p.jobs = job.New(job.Options{Store: p, Clock: c, Log: slog.New(slog.DiscardHandler), Kinds: kinds})
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { p.jobs.Run(ctx) })
	t.Cleanup(func() { stop(); running.Wait() })
	return p
}

func until(t *testing.T, what string, so func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !so(); runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatalf("not reached: %s", what)
		}
	}
}

// counter does ten units, each of which it saves before and counts after.
type counter struct {
	run  *job.Run
	p    struct{ Next int }
	unit func(ctx context.Context, n int) error
}

func counters(unit func(ctx context.Context, n int) error) job.Kind {
	return func(r *job.Run) (job.Work, error) {
		c := &counter{run: r, unit: unit}
		_, err := r.Resume(&c.p)
		return c, err
	}
}

func (c *counter) Step(ctx context.Context) (time.Duration, bool, error) {
	if c.p.Next == 10 {
		return 0, true, nil
	}
	if err := c.unit(ctx, c.p.Next); err != nil {
		return 0, false, err
	}
	c.p.Next++
	c.run.Done++
	if err := c.run.AddPage(ctx, []byte("page")); err != nil {
		return 0, false, err
	}
	return 0, false, c.run.Save(ctx, &c.p)
}

func ended(t *testing.T, j *job.Jobs, tenant, id string) (last *job.Job) {
	t.Helper()
	until(t, "the job ends", func() bool {
		var err error
		if last, err = j.Get(t.Context(), tenant, id); err != nil {
			t.Fatal(err)
		}
		return last.State.Ended()
	})
	return last
}

func create(t *testing.T, j *job.Jobs, tenant string) *job.Job {
	t.Helper()
	made, err := j.Create(t.Context(), tenant, "count", nil, by)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// A job whose process is killed goes on in another one, from what was saved, once the lease has ended.
func TestGoesOnElsewhere(t *testing.T) {
	t.Parallel()
	c := clock.NewManual(time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC))
	s := open(t, c)
	var first, second []int
	var killed atomic.Bool
	var a *process
	a = run(t, s, c, map[string]job.Kind{"count": counters(func(ctx context.Context, n int) error {
		if first = append(first, n); n == 4 {
			a.dead.Store(true)
			killed.Store(true)
			<-ctx.Done()
			return ctx.Err()
		}
		return nil
	})})
	made := create(t, a.jobs, "acme")
	until(t, "the first one dies", killed.Load)
	c.Advance(time.Minute) // its lease ends
	b := run(t, s, c, map[string]job.Kind{"count": counters(func(_ context.Context, n int) error {
		second = append(second, n)
		return nil
	})})
	last := ended(t, b.jobs, "acme", made.ID)
	if fmt.Sprint(first, second) != "[0 1 2 3 4] [4 5 6 7 8 9]" || last.State != job.Done || last.Done != 10 || last.By != by {
		t.Errorf("first did %v, second %v: %+v", first, second, last)
	}
	if pages, err := s.List(t.Context(), "acme", "job-page"); err != nil || len(pages) > 0 {
		t.Errorf("%d pages are left, %v", len(pages), err)
	}
	until(t, "it leaves the index", func() bool {
		active, err := s.List(t.Context(), "*", "job-active")
		return err == nil && len(active) == 0
	})
}

func TestCancel(t *testing.T) {
	t.Parallel()
	c := clock.System()
	s := open(t, c)
	began := make(chan struct{}, 100)
	p := run(t, s, c, map[string]job.Kind{"count": func(r *job.Run) (job.Work, error) {
		return stepFunc(func(context.Context) (time.Duration, bool, error) {
			began <- struct{}{}
			return time.Hour, false, nil
		}), nil
	}})
	var ids []string
	for range 4 { // the last one waits for a slot
		ids = append(ids, create(t, p.jobs, "acme").ID)
	}
	for range 3 {
		<-began
	}
	for _, id := range ids {
		if _, err := p.jobs.Cancel(t.Context(), "other", id); !errors.Is(err, job.ErrNoJob) {
			t.Errorf("another tenant cancels it: %v", err)
		}
	}
	for _, id := range []string{ids[3], ids[0]} {
		if _, err := p.jobs.Cancel(t.Context(), "acme", id); err != nil {
			t.Fatal(err)
		}
		if j := ended(t, p.jobs, "acme", id); j.State != job.Cancelled {
			t.Errorf("%s is %s", id, j.State)
		}
		if _, err := p.jobs.Cancel(t.Context(), "acme", id); !errors.Is(err, job.ErrEnded) {
			t.Errorf("cancelled twice: %v", err)
		}
	}
}

type stepFunc func(ctx context.Context) (time.Duration, bool, error)

func (f stepFunc) Step(ctx context.Context) (time.Duration, bool, error) { return f(ctx) }

// One tenant with many jobs leaves place for the others, and each of them has its bound.
func TestTenantsTakeTurns(t *testing.T) {
	t.Parallel()
	c := clock.System()
	s := open(t, c)
	var mu sync.Mutex
	runs := map[string]int{}
	p := run(t, s, c, map[string]job.Kind{"count": func(r *job.Run) (job.Work, error) {
		mu.Lock()
		runs[r.Tenant]++
		mu.Unlock()
		return stepFunc(func(context.Context) (time.Duration, bool, error) { return time.Hour, false, nil }), nil
	}})
	for range job.MaxActive {
		create(t, p.jobs, "big")
	}
	if _, err := p.jobs.Create(t.Context(), "big", "count", nil, by); !errors.Is(err, job.ErrTooMany) {
		t.Errorf("one more: %v", err)
	}
	create(t, p.jobs, "small")
	until(t, "both run", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return runs["small"] == 1 && runs["big"] == 3
	})
}

func TestFailures(t *testing.T) {
	t.Parallel()
	c := clock.System()
	s := open(t, c)
	p := run(t, s, c, map[string]job.Kind{
		"count": func(*job.Run) (job.Work, error) { return nil, errors.New("this version cannot read it") },
		"fails": func(*job.Run) (job.Work, error) {
			return stepFunc(func(context.Context) (time.Duration, bool, error) { return 0, false, &job.Failure{Reason: "too many"} }), nil
		},
	})
	if j := ended(t, p.jobs, "acme", create(t, p.jobs, "acme").ID); j.State != job.Failed || j.Fault != "this version cannot read it" {
		t.Errorf("%+v", j)
	}
	made, err := p.jobs.Create(t.Context(), "acme", "fails", nil, by)
	if err != nil {
		t.Fatal(err)
	}
	if j := ended(t, p.jobs, "acme", made.ID); j.State != job.Failed || j.Fault != "too many" {
		t.Errorf("%+v", j)
	}
	if _, err := p.jobs.Create(t.Context(), "acme", "none", nil, by); !errors.Is(err, state.ErrInvalid) {
		t.Errorf("of no kind: %v", err)
	}
	// One that killed every process that began it is given up.
	const poison = `{"id":"job_x","kind":"fails","tenant":"acme","state":"running","starts":10}`
	if _, err := s.Put(t.Context(), "acme", "job", "job_x", []byte(poison), 0); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Put(t.Context(), "*", "job-active", "acme/job_x", nil, 0); err != nil {
		t.Fatal(err)
	}
	if j := ended(t, p.jobs, "acme", "job_x"); j.State != job.Failed || j.Fault != "it was begun 10 times without making progress" {
		t.Errorf("%+v", j)
	}
}

// A running job of a kind that only a newer version knows is left to the replicas of that version, and takes no slot from others.
func TestKindOfAnotherVersion(t *testing.T) {
	t.Parallel()
	s := open(t, clock.System())
	const newer = `{"id":"job_x","kind":"newer","tenant":"acme","state":"running"}`
	if _, err := s.Put(t.Context(), "acme", "job", "job_x", []byte(newer), 0); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Put(t.Context(), "*", "job-active", "acme/job_x", nil, 0); err != nil {
		t.Fatal(err)
	}
	p := run(t, s, clock.System(), map[string]job.Kind{"count": counters(func(context.Context, int) error { return nil })})
	if j := ended(t, p.jobs, "acme", create(t, p.jobs, "acme").ID); j.State != job.Done {
		t.Errorf("%+v", j)
	}
	if kept, err := s.Get(t.Context(), "acme", "job", "job_x"); err != nil || string(kept.Value) != newer {
		t.Errorf("the other one is %s, %v", kept.Value, err)
	}
}

// Ended jobs are shown for a month, and at most a thousand of a tenant are kept.
func TestOldJobsGo(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	c := clock.NewManual(at)
	s := open(t, c)
	var puts sync.WaitGroup
	for n := range job.MaxKept + 5 {
		puts.Go(func() {
			ended, _ := at.Add(time.Duration(n) * time.Second).MarshalText()
			text := fmt.Sprintf(`{"id":"job_%04d","kind":"count","tenant":"acme","state":"done","created":%q,"ended":%q}`, n, ended, ended)
			if _, err := s.Put(context.Background(), "acme", "job", fmt.Sprintf("job_%04d", n), []byte(text), 0); err != nil {
				t.Error(err)
			}
		})
	}
	puts.Wait()
	c.Advance(time.Hour)
	p := run(t, s, c, map[string]job.Kind{"count": counters(func(context.Context, int) error { return nil })})
	made := create(t, p.jobs, "acme")
	ended(t, p.jobs, "acme", made.ID)
	until(t, "the oldest ones are gone", func() bool {
		kept, err := s.List(t.Context(), "acme", "job")
		return err == nil && len(kept) == job.MaxKept
	})
	if _, err := p.jobs.Get(t.Context(), "acme", "job_0000"); !errors.Is(err, job.ErrNoJob) {
		t.Errorf("the oldest: %v", err)
	}
	c.Advance(job.KeptFor - time.Minute)
	if all, err := p.jobs.List(t.Context(), "acme", "count"); err != nil || len(all) != 1 || all[0].ID != made.ID {
		t.Errorf("%d jobs, %v", len(all), err)
	}
	c.Advance(2 * time.Hour)
	until(t, "all are gone", func() bool {
		c.Advance(time.Second)
		kept, err := s.List(t.Context(), "acme", "job")
		return err == nil && len(kept) == 0
	})
}

// A job that was begun beside another one goes on in another process, also when that one has ended meanwhile.
func TestGoesOnWhenTheOneBesideItHasEnded(t *testing.T) {
	t.Parallel()
	s := open(t, clock.System())
	var ends, stopped atomic.Bool
	firstID, begun := atomic.Value{}, make(chan string, 2)
	kind := func(r *job.Run) (job.Work, error) {
		id := r.ID
		begun <- id
		return stepper(func(ctx context.Context) (time.Duration, bool, error) {
			if stopped.Load() || ends.Load() && id == firstID.Load() {
				return 0, true, nil
			}
			return time.Millisecond, false, nil
		}), nil
	}
	ctx, stop := context.WithCancel(t.Context())
	o := job.Options{Store: s, Clock: clock.System(), Log: slog.New(slog.DiscardHandler), Kinds: map[string]job.Kind{"count": kind}, Holder: "one"}
	jobs := job.New(o)
	var running sync.WaitGroup
	running.Go(func() { jobs.Run(ctx) })
	first := create(t, jobs, "acme")
	firstID.Store(first.ID)
	<-begun
	second := create(t, jobs, "acme")
	<-begun
	ends.Store(true)
	ended(t, jobs, "acme", first.ID)
	stop()
	running.Wait()
	stopped.Store(true)
	if j, err := jobs.Get(t.Context(), "acme", second.ID); err != nil || j.State != job.Running || j.Slot != 1 {
		t.Fatalf("it was stopped as %+v, %v", j, err)
	}
	ctx, stop = context.WithCancel(t.Context())
	jobs = job.New(o)
	running.Go(func() { jobs.Run(ctx) })
	defer func() { stop(); running.Wait() }()
	ended(t, jobs, "acme", second.ID)
}

type stepper func(ctx context.Context) (time.Duration, bool, error)

func (s stepper) Step(ctx context.Context) (time.Duration, bool, error) { return s(ctx) }
