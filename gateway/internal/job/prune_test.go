package job_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/job"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

// keep stores a job that ended n seconds after noon, with a spec of some bytes.
func keep(t *testing.T, s state.Settings, tenant string, n, bytes int) *job.Job {
	t.Helper()
	at := time.Date(2026, 1, 2, 12, 0, n, 0, time.UTC)
	j := &job.Job{
		ID: fmt.Sprintf("job_%04d", n), Kind: "count", Tenant: tenant, State: job.Done, Created: at, Ended: at,
		Spec: json.RawMessage(`"` + strings.Repeat("x", bytes) + `"`),
	}
	text, err := json.Marshal(j)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Put(t.Context(), tenant, "job", j.ID, text, 0); err != nil {
		t.Fatal(err)
	}
	return j
}

// Jobs that have ended are bounded in bytes too: the largest replay names a thousand events.
func TestLargeJobsGo(t *testing.T) {
	t.Parallel()
	c := clock.NewManual(time.Date(2026, 1, 2, 13, 0, 0, 0, time.UTC))
	s := open(t, c)
	const each = 512 << 10
	for n := range 10 {
		keep(t, s, "acme", n, each)
	}
	p := run(t, s, c, map[string]job.Kind{"count": counters(func(context.Context, int) error { return nil })})
	made := create(t, p.jobs, "acme")
	ended(t, p.jobs, "acme", made.ID)
	until(t, "the oldest ones are gone", func() bool {
		kept, err := s.List(t.Context(), "acme", "job")
		return err == nil && len(kept) == 1+job.MaxKeptBytes/each-1
	})
	if _, err := p.jobs.Get(t.Context(), "acme", "job_0009"); err != nil {
		t.Errorf("the newest: %v", err)
	}
}

// A page goes on where the last one ended, also when jobs began or were removed meanwhile.
func TestPages(t *testing.T) {
	t.Parallel()
	c := clock.NewManual(time.Date(2026, 1, 2, 13, 0, 0, 0, time.UTC))
	s := open(t, c)
	for n := range 7 {
		keep(t, s, "acme", n, 1)
	}
	jobs := job.New(job.Options{Store: s, Clock: c})
	var got []string
	next := ""
	for page := 0; page == 0 || next != ""; page++ {
		all, err := jobs.List(t.Context(), "acme", "count")
		if err != nil {
			t.Fatal(err)
		}
		var some []*job.Job
		if some, next, err = job.Page(all, next, 3); err != nil {
			t.Fatal(err)
		}
		for _, j := range some {
			got = append(got, j.ID)
		}
		if page == 0 { // the last one of the page goes, and another one begins
			last, err := s.Get(t.Context(), "acme", "job", "job_0004")
			if err == nil {
				err = s.Delete(t.Context(), "acme", "job", last.Name, last.Version)
			}
			if err != nil {
				t.Fatal(err)
			}
			keep(t, s, "acme", 20, 1)
		}
	}
	if want := []string{"job_0006", "job_0005", "job_0004", "job_0003", "job_0002", "job_0001", "job_0000"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	for _, wrong := range []string{"job_0004", "12", "x-job_0004", "12-"} {
		if _, _, err := job.Page(nil, wrong, 3); !errors.Is(err, state.ErrCursor) {
			t.Errorf("%q: %v", wrong, err)
		}
	}
}

// A deleted tenant's jobs are removed when all of them have ended; those of others stay.
func TestClear(t *testing.T) {
	t.Parallel()
	c := clock.System()
	s := open(t, c)
	keep(t, s, "acme", 1, 1)
	keep(t, s, "other", 2, 1)
	jobs := job.New(job.Options{Store: s, Clock: c, Kinds: map[string]job.Kind{"count": counters(func(context.Context, int) error { return nil })}})
	made := create(t, jobs, "acme")
	if err := jobs.Clear(t.Context(), "acme"); !errors.Is(err, job.ErrRuns) {
		t.Errorf("while one has not ended: %v", err)
	}
	if _, err := jobs.Cancel(t.Context(), "acme", made.ID); err != nil {
		t.Fatal(err)
	}
	if err := jobs.Clear(t.Context(), "acme"); err != nil {
		t.Fatal(err)
	}
	for tenant, want := range map[string]int{"acme": 0, "other": 1} {
		if kept, err := s.List(t.Context(), tenant, "job"); err != nil || len(kept) != want {
			t.Errorf("%s has %d jobs, %v", tenant, len(kept), err)
		}
	}
}
