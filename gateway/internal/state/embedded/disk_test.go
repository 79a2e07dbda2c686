package embedded

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// alone makes the test binary run one test whose goroutines outlive it.
const alone = "SURVEYGATE_STATE_TEST_ALONE"

// disk is a disk in memory that a test can make full or failing.
type disk struct {
	vfs.FS
	free     atomic.Uint64 // the result of GetDiskUsage
	full     atomic.Bool   // every write fails for lack of space while the ballast exists
	failing  atomic.Bool   // every write fails
	manifest atomic.Bool   // every write to the list of tables fails, which only background work writes
	ballast  string
}

func newDisk(t *testing.T) (d *disk, dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "data")
	mem := vfs.NewMem()
	d = &disk{ballast: filepath.Join(dir, "ballast")}
	d.free.Store(1 << 40)
	d.FS = errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() != errorfs.OpIsWrite || op.Kind == errorfs.OpRemove || strings.Contains(op.Path, "ballast") {
			return nil
		}
		if d.manifest.Load() && strings.Contains(op.Path, "MANIFEST") {
			return syscall.EIO
		}
		if d.failing.Load() {
			return syscall.EIO
		}
		if d.full.Load() {
			if _, err := mem.Stat(d.ballast); err == nil {
				return syscall.ENOSPC
			}
		}
		return nil
	}))
	if err := mem.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return d, dir
}

func (d *disk) GetDiskUsage(string) (vfs.DiskUsage, error) {
	return vfs.DiskUsage{AvailBytes: d.free.Load(), TotalBytes: 1 << 40}, nil
}

func (d *disk) Unwrap() vfs.FS { return d.FS }

func openOn(t *testing.T, d *disk, dir string) *store {
	t.Helper()
	s, err := open(Options{Dir: dir, fs: d})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil && !errors.Is(err, state.ErrUnavailable) {
			t.Error(err)
		}
	})
	return s
}

// TestNearlyFull: below the reserve no events are accepted, and accepted ones can be finished.
func TestNearlyFull(t *testing.T) {
	t.Parallel()
	d, dir := newDisk(t)
	s := openOn(t, d, dir)
	ctx := t.Context()
	events := benchEvents(t, 0, 3)
	if _, err := s.Append(ctx, events[:1]); err != nil {
		t.Fatal(err)
	}
	d.free.Store(defaultReserve - 1)
	s.space.ballastFreed.Store(true) // as after a full disk: the next call reads the free space
	if _, err := s.Append(ctx, events[1:2]); !errors.Is(err, state.ErrUnavailable) || !errors.Is(err, errFull) {
		t.Fatalf("append: %v", err)
	}
	if h := s.Health(ctx); !errors.Is(h.Err, errFull) {
		t.Fatalf("health: %v", h.Err)
	}
	claimed, err := s.Claim(ctx, 10, 0)
	if err != nil || len(claimed) != 1 {
		t.Fatalf("%d claimed, %v", len(claimed), err)
	}
	if _, err := s.Commit(ctx, &state.Commit{Events: []state.Outcome{benchOutcome(claimed[0], state.Waiting, time.Now())}}); err != nil {
		t.Fatalf("commit: %v", err)
	}
	due, _, err := s.ClaimDue(ctx, state.ClaimDue{Max: 1, Lease: time.Minute})
	if err != nil || len(due) != 1 {
		t.Fatalf("%d due, %v", len(due), err)
	}
	due[0].Delivery.State = state.Delivered
	if _, err := s.Commit(ctx, &state.Commit{Due: []state.Settled{{Delivery: due[0].Delivery, Lease: due[0].Lease}}}); err != nil {
		t.Fatalf("settle: %v", err)
	}
	if _, err := s.Trim(ctx, state.Retention{Events: state.Bound{Bytes: 1}}); err != nil {
		t.Fatalf("trim: %v", err)
	}
	d.free.Store(1 << 40)
	if _, err := s.Append(ctx, events[1:2]); err != nil {
		t.Fatalf("append with space again: %v", err)
	}
	if h := s.Health(ctx); h.Err != nil {
		t.Fatalf("health: %v", h.Err)
	}
}

// TestFull: a disk that fills up between two readings costs only the ballast.
func TestFull(t *testing.T) {
	t.Parallel()
	d, dir := newDisk(t)
	s := openOn(t, d, dir)
	ctx := t.Context()
	events := benchEvents(t, 0, 3)
	if _, err := s.Append(ctx, events[:1]); err != nil {
		t.Fatal(err)
	}
	s.space.makers.Wait()
	if _, err := d.Stat(d.ballast); err != nil {
		t.Fatalf("no ballast was made: %v", err)
	}
	d.full.Store(true)
	if _, err := s.Append(ctx, events[1:2]); err != nil {
		t.Fatalf("append: %v", err)
	}
	if h := s.Health(ctx); h.Err != nil || len(h.Warnings) != 1 {
		t.Fatalf("health: %v, %v", h.Err, h.Warnings)
	}
	d.full.Store(false)
	if _, err := s.Append(ctx, events[2:3]); err != nil {
		t.Fatalf("append: %v", err)
	}
	s.space.makers.Wait()
	if h := s.Health(ctx); h.Err != nil || len(h.Warnings) != 0 {
		t.Fatalf("health with the ballast made again: %v, %v", h.Err, h.Warnings)
	}
}

// lonely runs a test in a process of its own, because a failed store and Pebble's goroutines stay until the process ends. It
// reports whether this is that process.
func lonely(t *testing.T) bool {
	t.Helper()
	if os.Getenv(alone) != "" {
		return true
	}
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), binary, "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=5m")
	cmd.Env = append(os.Environ(), alone+"=1")
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Fatalf("%v\n%s", err, out)
	}
	return false
}

// TestManifestFailing: a fault in Pebble's own goroutines makes the store fail as well, and no caller waits for ever.
func TestManifestFailing(t *testing.T) {
	t.Parallel()
	if !lonely(t) {
		return
	}
	d, dir := newDisk(t)
	s := openOn(t, d, dir)
	events := benchEvents(t, 0, 200)
	if _, err := s.Append(t.Context(), events[:1]); err != nil {
		t.Fatal(err)
	}
	d.manifest.Store(true)
	if _, err := s.db.AsyncFlush(); err != nil {
		t.Fatal(err)
	}
	var err error
	accepted := int64(1)
	for i := 1; err == nil; i++ {
		var r []state.Appended
		if r, err = s.Append(t.Context(), events[i%len(events):i%len(events)+1]); err == nil && !r[0].Duplicate {
			accepted++
		}
	}
	if !errors.Is(err, state.ErrUnavailable) {
		t.Fatalf("append: %v", err)
	}
	if err := s.Close(); !errors.Is(err, state.ErrUnavailable) {
		t.Fatalf("close: %v", err)
	}
	d.manifest.Store(false)
	if n := openOn(t, d, dir).Health(t.Context()).Pending; n < accepted {
		t.Fatalf("%d were acknowledged, %d are there", accepted, n)
	}
}

// TestFailing: after a failed write no events are accepted, all callers get the error, and acknowledged events are there when
// the folder is opened again.
func TestFailing(t *testing.T) {
	t.Parallel()
	if !lonely(t) {
		return
	}
	d, dir := newDisk(t)
	s := openOn(t, d, dir)
	ctx := t.Context()
	events := benchEvents(t, 0, 40)
	if _, err := s.Append(ctx, events[:20]); err != nil {
		t.Fatal(err)
	}
	waiting := make(chan error, 1)
	if _, err := s.Claim(ctx, 20, 0); err != nil {
		t.Fatal(err)
	}
	go func() {
		_, err := s.Claim(context.Background(), 1, 0)
		waiting <- err
	}()
	d.failing.Store(true)
	if _, err := s.Append(ctx, events[20:30]); !errors.Is(err, state.ErrUnavailable) {
		t.Fatalf("append: %v", err)
	}
	if err := <-waiting; !errors.Is(err, state.ErrUnavailable) {
		t.Fatalf("a waiting claim: %v", err)
	}
	d.failing.Store(false) // the disk works again, but lacks what Pebble believes to have written
	for what, err := range map[string]error{
		"append": func() error { _, err := s.Append(ctx, events[30:31]); return err }(),
		"commit": func() error {
			_, err := s.Commit(ctx, &state.Commit{Events: []state.Outcome{{Position: 1}}})
			return err
		}(),
		"due":    func() error { _, _, err := s.ClaimDue(ctx, state.ClaimDue{Max: 1, Lease: time.Second}); return err }(),
		"hold":   s.Hold(ctx, "default", "crm", state.Hold{Kind: state.HoldPaused}, nil),
		"health": s.Health(ctx).Err,
	} {
		if !errors.Is(err, state.ErrUnavailable) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := s.Event(ctx, "default", events[3].ID); err != nil {
		t.Errorf("reading: %v", err)
	}
	if err := s.Close(); !errors.Is(err, state.ErrUnavailable) {
		t.Fatalf("close: %v", err)
	}
	again := openOn(t, d, dir)
	claimed, err := again.Claim(ctx, 100, 0)
	if err != nil {
		t.Fatal(err)
	}
	if len(claimed) < 20 {
		t.Fatalf("%d of 20 acknowledged events are there", len(claimed))
	}
	if _, err := again.Append(ctx, events[30:]); err != nil {
		t.Fatal(err)
	}
}
