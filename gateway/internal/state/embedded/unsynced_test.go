package embedded

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/state/statetest"
)

// crashable is a store on a disk in memory.
func crashable(t *testing.T) *harness {
	t.Helper()
	h := &harness{t: t, dir: filepath.Join(t.TempDir(), "data"), disk: vfs.NewCrashableMem(), clock: clock.NewManual(time.Unix(1e9, 0)), opts: statetest.Options{}}
	if err := h.disk.MkdirAll(h.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for dir := filepath.Dir(h.dir); ; dir = filepath.Dir(dir) {
		if err := syncDir(h.disk, dir); err != nil {
			t.Fatal(err)
		}
		if dir == filepath.Dir(dir) {
			break
		}
	}
	h.open()
	t.Cleanup(func() {
		if err := h.store.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}

// pendingAfterCrash is how many events would be pending after a power cut now.
func (h *harness) pendingAfterCrash() int64 {
	h.t.Helper()
	s, err := open(Options{Dir: h.dir, Clock: h.clock, fs: h.disk.CrashClone(vfs.CrashCloneCfg{})})
	if err != nil {
		h.t.Fatal(err)
	}
	n := s.Health(h.t.Context()).Pending
	if err := s.Close(); err != nil {
		h.t.Fatal(err)
	}
	return n
}

// ends commits claimed events as delivered, which does not wait for a sync.
func ends(ctx context.Context, t *testing.T, s *store, n int) {
	t.Helper()
	for n > 0 {
		claimed, err := s.Claim(ctx, n, 0)
		if err != nil {
			t.Error(err)
			return
		}
		for _, c := range claimed {
			if _, err := s.Commit(ctx, &state.Commit{Events: []state.Outcome{benchOutcome(c, state.Delivered, time.Now())}}); err != nil {
				t.Error(err)
				return
			}
		}
		n -= len(claimed)
	}
}

// Unsynced ends are on disk soon after the last of them, so that an idle process that is killed makes no delivery again.
func TestEndsAreSyncedAtRest(t *testing.T) {
	t.Parallel()
	h := crashable(t)
	if _, err := h.store.Append(t.Context(), benchEvents(t, 0, 20)); err != nil {
		t.Fatal(err)
	}
	ends(t.Context(), t, h.store, 20)
	await(t, "all ends are on disk", func() bool { return h.pendingAfterCrash() == 0 })
}

// They are also synced while more of them keep coming.
func TestEndsAreSyncedUnderLoad(t *testing.T) {
	t.Parallel()
	h := crashable(t)
	all := statetest.Few(2_000, 1_000)
	for from := 0; from < all; from += 1000 {
		if _, err := h.store.Append(t.Context(), benchEvents(t, from, 1000)); err != nil {
			t.Fatal(err)
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for ctx.Err() == nil {
			ends(t.Context(), t, h.store, 1)
			wallPause(ctx, syncIdle/4)
		}
	}()
	await(t, "some ends are on disk", func() bool { return h.pendingAfterCrash() < int64(all) })
	stop()
	<-ended
}

// wallPause waits for a while, or until ctx ends.
func wallPause(ctx context.Context, d time.Duration) {
	after, stop := wall.After(d)
	defer stop()
	select {
	case <-after:
	case <-ctx.Done():
	}
}

// await polls until a condition is true.
func await(t *testing.T, what string, so func() bool) {
	t.Helper()
	for end := time.After(time.Minute); !so(); {
		select {
		case <-end:
			t.Fatalf("not reached: %s", what)
		case <-time.After(10 * time.Millisecond):
		}
	}
}
