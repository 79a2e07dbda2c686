package embedded

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/leaktest"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/state/statetest"
)

func TestMain(m *testing.M) {
	if child() {
		return
	}
	if os.Getenv(alone) != "" {
		os.Exit(m.Run())
	}
	leaktest.Main(m)
}

// harness is the engine on a disk in memory that simulates power cuts.
type harness struct {
	t     *testing.T
	dir   string
	disk  *vfs.MemFS
	clock *clock.Manual
	opts  statetest.Options
	store *store
}

func (h *harness) Store() state.Store  { return h.store }
func (h *harness) Second() state.Store { return h.store }
func (h *harness) Now() time.Time      { return h.clock.Now() }

func (h *harness) Work() statetest.Work {
	return statetest.Work{Lists: h.store.reads.lists.Load(), Entries: h.store.reads.entries.Load()}
}

func (h *harness) Advance(d time.Duration) { h.clock.Advance(d) }

func (h *harness) open() {
	h.t.Helper()
	opts := Options{Dir: h.dir, Clock: h.clock, fs: h.disk}
	if h.opts.Small {
		opts.Memory = 1
	}
	s, err := open(opts)
	if err != nil {
		h.t.Fatal(err)
	}
	if h.opts.ShortTrims {
		s.trimBudget = 32
	}
	h.store = s
}

// Step changes the clock, and makes the store read it, as every call does.
func (h *harness) Step(d time.Duration) {
	h.store.clock.look()
	h.clock.Step(d)
	h.store.clock.look()
}

func (h *harness) Reopen() { h.t.Helper(); h.ReopenStepped(0) }

func (h *harness) ReopenStepped(d time.Duration) {
	h.t.Helper()
	counted(h.t, h.store)
	if err := h.store.Close(); err != nil {
		h.t.Fatal(err)
	}
	h.clock.Step(d)
	h.open()
}

// Crash discards everything that was not synced; in every second round only a part of it.
func (h *harness) Crash() {
	h.t.Helper()
	lost := h.disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rand.IntN(2) * 50, RNG: rand.New(rand.NewPCG(1, 2))})
	if err := h.store.Close(); err != nil { // it writes to a discarded disk
		h.t.Fatal(err)
	}
	h.disk = lost
	h.open()
}

func TestConformance(t *testing.T) {
	t.Parallel()
	statetest.Run(t, func(t *testing.T, opts statetest.Options) statetest.Harness {
		h := &harness{t: t, dir: filepath.Join(t.TempDir(), "data"), disk: vfs.NewCrashableMem(), clock: clock.NewManual(opts.Start), opts: opts}
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
			counted(t, h.store)
			if err := h.store.Close(); err != nil {
				t.Error(err)
			}
		})
		return h
	})
}
