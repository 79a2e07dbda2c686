package job

import (
	"context"
	"errors"
	"fmt"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// prune removes the jobs of a tenant that ended too long ago, or that are too many or too large together.
func (j *Jobs) prune(ctx context.Context, tenant string) error {
	all, bytes, err := j.all(ctx, tenant)
	if err != nil {
		return err
	}
	oldest, kept, size := j.Clock.Now().Add(-KeptFor), 0, 0
	for _, job := range all {
		if !job.State.Ended() {
			continue
		}
		kept++
		size += bytes[job.ID]
		// The newest one stays, whatever its size: somebody may wait for its end.
		if kept <= MaxKept && (size <= MaxKeptBytes || kept == 1) && !job.Ended.Before(oldest) {
			continue
		}
		if err := j.remove(ctx, job); err != nil {
			return err
		}
	}
	return nil
}

// remove removes a job that has ended.
func (j *Jobs) remove(ctx context.Context, job *Job) error {
	err := j.Store.Delete(ctx, job.Tenant, kindJob, job.ID, job.version)
	if err != nil && !errors.Is(err, state.ErrNotFound) && !errors.Is(err, state.ErrConflict) {
		return fmt.Errorf("remove job %s: %w", job.ID, err)
	}
	return nil
}

// pruneAll is prune for every tenant that has jobs.
func (j *Jobs) pruneAll(ctx context.Context) error {
	last, err := j.Store.LastChanges(ctx, kindJob)
	if err != nil {
		return err
	}
	for _, l := range last {
		if err := j.prune(ctx, l.Tenant); err != nil {
			return err
		}
	}
	return nil
}

// Clear removes all jobs of a tenant that is deleted, so that a later one of the same id does not see them. ErrRuns: one has not ended
// yet; it was cancelled before, and the caller asks again.
func (j *Jobs) Clear(ctx context.Context, tenant string) error {
	all, _, err := j.all(ctx, tenant)
	if err != nil {
		return err
	}
	for _, job := range all {
		if !job.State.Ended() {
			return fmt.Errorf("remove job %s: %w", job.ID, ErrRuns)
		}
		if err := j.remove(ctx, job); err != nil {
			return err
		}
	}
	return nil
}
