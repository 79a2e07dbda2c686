package job

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/audit"
	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

// The kinds of settings that jobs consist of: the job, the pages of its work, and, under the tenant "*", the index of all jobs that
// have not ended, by TENANT/ID.
const (
	kindJob    = "job"
	kindPage   = "job-page"
	kindActive = "job-active"
	everyone   = "*"
)

// maxActiveAll bounds the jobs of all tenants that wait or run: each replica reads their index at every look.
const maxActiveAll = 1000

// orphanAfter is the age of an entry of the index whose job is missing, from which on it is not a job that is just being created.
const orphanAfter = time.Minute

// Options are the dependencies of Jobs; all but Holder are required.
type Options struct {
	Store state.Settings
	Clock clock.Clock
	Log   *slog.Logger
	// Kinds begin and resume the jobs of each kind.
	Kinds map[string]Kind
	// Holder holds the leases of this process; empty makes one up. The only process of a store gives the same at each start, so that
	// it resumes its jobs at once.
	Holder string
}

// Jobs are the jobs of all tenants. Make them with New, and let Run work on them; everything else is safe for concurrent use.
type Jobs struct {
	Options
	nudge chan struct{} // there may be something to run

	mu      sync.Mutex
	running map[slot]string          // ids of the jobs that this process runs
	ran     map[string]time.Duration // by tenant: when it was last given a turn
	waiting bool                     // a job found no place in this process at the last look
}

// slot is one of the places of a tenant, of which each has one lease.
type slot struct {
	tenant string
	n      int
}

// New returns Jobs that do not run yet.
func New(o Options) *Jobs {
	o.Holder = cmp.Or(o.Holder, rand.Text())
	return &Jobs{
		Options: o, nudge: make(chan struct{}, 1), running: map[slot]string{}, ran: map[string]time.Duration{},
	}
}

// Create stores a job, which begins as soon as a replica has a place for it. ErrTooMany: too many wait already.
func (j *Jobs) Create(ctx context.Context, tenant, kind string, spec any, by audit.By) (*Job, error) {
	if j.Kinds[kind] == nil {
		return nil, fmt.Errorf("%w: there is no kind of job %q", state.ErrInvalid, kind)
	}
	text, err := json.Marshal(spec)
	if err != nil {
		return nil, fmt.Errorf("write a job: %w", err)
	}
	active, err := j.active(ctx)
	if err != nil {
		return nil, err
	}
	if own := active[tenant]; len(own) >= MaxActive || count(active) >= maxActiveAll {
		return nil, ErrTooMany
	}
	job := &Job{
		ID: "job_" + strings.ToLower(rand.Text()), Kind: kind, Tenant: tenant, State: Queued, Spec: text, By: by, Created: j.Clock.Now().UTC(),
	}
	// The index comes first: a job that is not in it would never run.
	since, err := job.Created.MarshalText()
	if err == nil {
		_, err = j.Store.Put(ctx, everyone, kindActive, indexName(tenant, job.ID), since, 0)
	}
	if err == nil {
		err = j.put(ctx, job)
	}
	if err != nil {
		return nil, fmt.Errorf("create a job: %w", err)
	}
	j.look()
	return job, nil
}

func indexName(tenant, id string) string { return tenant + "/" + id }

func count(active map[string][]string) (n int) {
	for _, ids := range active {
		n += len(ids)
	}
	return n
}

// active returns the ids of all jobs in the index by tenant.
func (j *Jobs) active(ctx context.Context) (map[string][]string, error) {
	list, err := j.Store.List(ctx, everyone, kindActive)
	if err != nil {
		return nil, fmt.Errorf("list jobs that have not ended: %w", err)
	}
	active := map[string][]string{}
	for _, entry := range list {
		if tenant, id, ok := strings.Cut(entry.Name, "/"); ok {
			active[tenant] = append(active[tenant], id)
		}
	}
	return active, nil
}

// Get returns a job of a tenant. ErrNoJob: there is none.
func (j *Jobs) Get(ctx context.Context, tenant, id string) (*Job, error) {
	setting, err := j.Store.Get(ctx, tenant, kindJob, id)
	if errors.Is(err, state.ErrNotFound) {
		return nil, ErrNoJob
	}
	if err != nil {
		return nil, fmt.Errorf("read job %s: %w", id, err)
	}
	return decode(setting)
}

func decode(setting state.Setting) (*Job, error) {
	job := &Job{}
	if err := json.Unmarshal(setting.Value, job); err != nil {
		return nil, fmt.Errorf("read job %s: %w", setting.Name, err)
	}
	job.version = setting.Version
	return job, nil
}

// put writes a job in place of the version that it was read as.
func (j *Jobs) put(ctx context.Context, job *Job) error {
	text, err := json.Marshal(job)
	if err != nil {
		return fmt.Errorf("write job %s: %w", job.ID, err)
	}
	version, err := j.Store.Put(ctx, job.Tenant, kindJob, job.ID, text, job.version)
	if err == nil {
		job.version = version
	}
	return err
}

// List returns the jobs of a tenant of some kinds, newest first.
func (j *Jobs) List(ctx context.Context, tenant string, kinds ...string) ([]*Job, error) {
	all, _, err := j.all(ctx, tenant)
	if err != nil {
		return nil, err
	}
	oldest := j.Clock.Now().Add(-KeptFor)
	return slices.DeleteFunc(all, func(job *Job) bool {
		return !slices.Contains(kinds, job.Kind) || job.State.Ended() && job.Ended.Before(oldest)
	}), nil
}

// all returns all jobs of a tenant, newest first, and how many bytes each takes in the store, by id.
func (j *Jobs) all(ctx context.Context, tenant string) (all []*Job, bytes map[string]int, err error) {
	list, err := j.Store.List(ctx, tenant, kindJob)
	if err != nil {
		return nil, nil, fmt.Errorf("list jobs: %w", err)
	}
	bytes = make(map[string]int, len(list))
	for _, setting := range list {
		if job, err := decode(setting); err == nil {
			all, bytes[job.ID] = append(all, job), len(setting.Value)
		}
	}
	slices.SortFunc(all, compare)
	return all, bytes, nil
}

// compare orders jobs: newest first.
func compare(a, b *Job) int {
	return cmp.Or(b.Created.Compare(a.Created), strings.Compare(a.ID, b.ID))
}

// Page returns the first jobs of a list behind a cursor, and the cursor of the next page; it is empty where nothing is left. Jobs that
// begin or go meanwhile move no other ones. state.ErrCursor: that is no cursor.
func Page(all []*Job, cursor string, limit int) (page []*Job, next string, err error) {
	if cursor != "" {
		at, id, _ := strings.Cut(cursor, "-")
		nanos, err := strconv.ParseInt(at, 10, 64)
		if err != nil || id == "" {
			return nil, "", state.ErrCursor
		}
		last := &Job{ID: id, Created: time.Unix(0, nanos)}
		all = all[slices.IndexFunc(append(slices.Clone(all), nil), func(job *Job) bool { return job == nil || compare(job, last) > 0 }):]
	}
	if len(all) <= limit {
		return all, "", nil
	}
	last := all[limit-1]
	return all[:limit], fmt.Sprintf("%d-%s", last.Created.UnixNano(), last.ID), nil
}

// Cancel ends a job: one that waits at once, one that runs with its next step. What it did stays done. ErrNoJob, ErrEnded.
func (j *Jobs) Cancel(ctx context.Context, tenant, id string) (*Job, error) {
	for {
		job, err := j.Get(ctx, tenant, id)
		if err != nil {
			return nil, err
		}
		switch {
		case job.State.Ended():
			return job, ErrEnded
		case job.Cancel:
			return job, nil
		case job.State == Queued:
			job.State, job.Ended = Cancelled, j.Clock.Now().UTC()
		}
		job.Cancel = true
		err = j.put(ctx, job)
		if errors.Is(err, state.ErrConflict) {
			continue // it came further meanwhile
		}
		if err != nil {
			return nil, fmt.Errorf("cancel job %s: %w", id, err)
		}
		if job.State.Ended() {
			return job, j.forget(ctx, tenant, id)
		}
		j.look()
		return job, nil
	}
}

// forget takes a job that has ended out of the index.
func (j *Jobs) forget(ctx context.Context, tenant, id string) error {
	entry, err := j.Store.Get(ctx, everyone, kindActive, indexName(tenant, id))
	if err == nil {
		err = j.Store.Delete(ctx, everyone, kindActive, entry.Name, entry.Version)
	}
	if err != nil && !errors.Is(err, state.ErrNotFound) {
		return fmt.Errorf("take job %s out of the index: %w", id, err)
	}
	return nil
}

// orphan takes an entry out of the index whose job does not exist, unless the job may just be being created.
func (j *Jobs) orphan(ctx context.Context, tenant, id string) error {
	entry, err := j.Store.Get(ctx, everyone, kindActive, indexName(tenant, id))
	if errors.Is(err, state.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	var since time.Time
	if since.UnmarshalText(entry.Value) == nil && j.Clock.Now().Sub(since) < orphanAfter {
		return nil
	}
	return j.forget(ctx, tenant, id)
}

// look makes Run look for jobs at once.
func (j *Jobs) look() {
	select {
	case j.nudge <- struct{}{}:
	default:
	}
}
