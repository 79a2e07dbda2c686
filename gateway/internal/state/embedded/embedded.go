// Package embedded keeps the gateway's state in a local folder, with Pebble: the engine for a laptop and for one server.
//
// One goroutine writes. All calls that wait for it go into one batch and share one fsync, so that a thousand callers cost
// little more than one, and a single call does not wait for others. No call returns before its batch is written, and
// accepted events and scheduled deliveries are on disk before their call returns. Claims and leases are in memory: a process
// that dies holds nothing, so after a crash all unfinished work can be claimed again.
//
// Due times, leases and holds are measured by a clock of the store that never goes back (storeClock).
package embedded

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

// Options are where and how to keep the state. Dir is required.
type Options struct {
	// Dir is the data folder. It is created, with mode 0700, if it does not exist. Only one process at a time can open it.
	Dir    string
	Clock  clock.Clock
	Logger *slog.Logger
	// Reserve is how many bytes of the disk stay free: below it no new events are accepted, so that accepted ones can still
	// be finished. Zero means 256 MiB.
	Reserve int64
	// Memory is how many bytes of new events are kept in memory for Claim. Zero means 32 MiB.
	Memory int

	// Files is how many files may be open at once. Zero means 512; Pebble needs at least 74.
	Files int

	// Grouped, if set, is called with the number of calls that shared a write. It must be quick.
	Grouped func(calls int)

	fs vfs.FS // a failing or crashing disk in tests
}

const (
	memTableSize   = 64 << 20
	blockCache     = 192 << 20 // includes Pebble's memtables: less leaves no cache under load
	defaultMemory  = 32 << 20
	defaultReserve = 256 << 20
	stopWritesAt   = 64 // tables in L0: beyond it writes wait for compaction
	slowDisk       = 5 * time.Second
)

// store implements state.Store.
type store struct {
	opts   Options
	db     *pebble.DB
	lock   *pebble.Lock
	watch  io.Closer // of slow writes; nil on a test's disk
	clock  storeClock
	log    *slog.Logger
	people *state.People
	// respondentsSince is since when people uses its current key, in nanoseconds; 0: for all kept events.
	respondentsSince int64
	keyMade          bool // this start made the key of people

	calls   chan *call
	closing chan struct{}
	stopped chan struct{} // closed when the writer has ended, for whatever reason
	stop    sync.Once     // closes it
	once    sync.Once     // of Close
	closed  error
	broke   chan struct{}         // closed when the store failed
	fault   atomic.Pointer[error] // why the store failed; nothing is written after it
	gate    gate                  // entered by readers of db, shut by Close

	lastTidy     atomic.Int64
	tidying      atomic.Bool              // trimLists is not at its end
	trimmedDest  atomic.Pointer[destName] // where the last Trim ended; nil: none yet in this process
	trimBudget   int                      // slices of one Trim: sliceBudget, less in tests
	oldestID     atomic.Int64             // when the oldest entry of the tenants' lists was received; noTime: none
	countBytes   atomic.Int64             // of statistics, changed by the writer
	unreadCounts atomic.Int64             // cells of statistics that could not be read

	w           writer
	window      window
	due         dueQueue
	reads       reads
	generations generations
	watchers    state.Watchers
	space       space
	folder      dataFolder
	logs        *logs
}

// reads are how many lists pages of deliveries opened, and how many entries they read, for tests.
type reads struct{ lists, entries atomic.Int64 }

var (
	_ state.Store     = (*store)(nil)
	_ state.Breaker   = (*store)(nil)
	_ state.Compacter = (*store)(nil)
)

// Open opens the store in a folder; the first start creates it.
func Open(opts Options) (state.Store, error) {
	s, err := open(opts)
	if err != nil {
		return nil, err
	}
	return s, nil
}

func open(opts Options) (s *store, err error) {
	if opts.Dir == "" {
		return nil, errors.New("open store: no folder is named")
	}
	if opts.Clock == nil {
		opts.Clock = clock.System()
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Reserve == 0 {
		opts.Reserve = defaultReserve
	}
	if opts.Memory == 0 {
		opts.Memory = defaultMemory
	}
	disk := opts.fs
	var watch io.Closer
	if disk == nil {
		disk, watch = vfs.WithDiskHealthChecks(vfs.Default, slowDisk, nil, func(info vfs.DiskSlowInfo) {
			opts.Logger.Warn("the disk is slow", "took", info.Duration, "path", info.Path)
		})
	}
	defer func() {
		if err != nil && watch != nil {
			err = errors.Join(err, watch.Close())
		}
	}()
	if err := checkUnfinished(opts.Dir); err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	if err := os.MkdirAll(opts.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	s = &store{
		opts: opts, trimBudget: sliceBudget, log: opts.Logger, clock: storeClock{clock: opts.Clock, log: opts.Logger},
		watch: watch, calls: make(chan *call, maxGroup), closing: make(chan struct{}), stopped: make(chan struct{}), broke: make(chan struct{}),
	}
	s.clock.moved = s.due.shift
	_, err = os.Stat(filepath.Join(opts.Dir, "respondents.key"))
	s.keyMade = errors.Is(err, os.ErrNotExist)
	key, err := respondentKey(opts.Dir)
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	s.people = state.NewPeople(key)
	folder := filepath.Join(opts.Dir, "events")
	s.space.init(disk, opts.Dir, opts.Reserve)
	// After a fault nothing may reach the disk any more, not even from Pebble's own goroutines: the next process may have the
	// folder open by then.
	var fs vfs.FS = errorfs.Wrap(s.space.guard(disk), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if s.fault.Load() != nil && op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
			if strings.HasSuffix(op.Path, ".log") {
				// An error while Pebble changes logs would end the whole process, because Pebble unlocks a mutex twice.
				// Blocking this goroutine is harmless: Close does not wait for it.
				select {}
			}
			return errBroken
		}
		return nil
	}))
	s.logs = &logs{FS: fs, folder: folder}
	fs = s.logs
	if err := fs.MkdirAll(folder, 0o700); err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	// After a power cut a folder whose name was not synced is lost with everything in it.
	for _, dir := range []string{opts.Dir, filepath.Dir(opts.Dir)} {
		if err := syncDir(fs, dir); err != nil {
			return nil, fmt.Errorf("open store: %w", err)
		}
	}
	if s.lock, err = lockFolder(folder, fs); errors.Is(err, errInUse) {
		return nil, fmt.Errorf("open store %s: another gateway runs with this data folder: stop it first, or give this one a folder of its own (--data)", opts.Dir)
	} else if err != nil {
		return nil, fmt.Errorf("open store %s: %w", opts.Dir, err)
	}
	if err := s.folder.init(opts.Dir, folder, opts.fs == nil); err != nil {
		return nil, errors.Join(fmt.Errorf("open store %s: %w", opts.Dir, err), s.lock.Close())
	}
	if s.db, err = pebble.Open(folder, s.pebbleOptions(fs)); err != nil {
		if pebble.IsCorruptionError(err) {
			err = damaged(opts.Dir, err)
		}
		return nil, errors.Join(fmt.Errorf("open store %s: %w", opts.Dir, err), s.lock.Close())
	}
	if err := errors.Join(s.load(), s.loadRespondents(key)); err != nil {
		return nil, errors.Join(fmt.Errorf("open store %s: %w", opts.Dir, err), s.db.Close(), s.lock.Close())
	}
	go s.write()
	if err := s.expireFormerLeases(); err != nil {
		return nil, errors.Join(fmt.Errorf("open store %s: %w", opts.Dir, err), s.Close())
	}
	return s, nil
}

func syncDir(fs vfs.FS, path string) error {
	dir, err := fs.OpenDir(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

func (s *store) pebbleOptions(fs vfs.FS) *pebble.Options {
	logger := pebbleLogger{s}
	o := &pebble.Options{
		FS: fs, Lock: s.lock, Logger: logger,
		CacheSize:                   blockCache,
		MemTableSize:                memTableSize, // grown to, from 256 KiB
		MemTableStopWritesThreshold: 4,
		L0CompactionThreshold:       8,
		LBaseMaxBytes:               512 << 20,
		L0StopWritesThreshold:       stopWritesAt,
		MaxOpenFiles:                cmp.Or(s.opts.Files, 512),
		FormatMajorVersion:          pebble.FormatNewest,
		EventListener: &pebble.EventListener{
			BackgroundError: func(err error) { logger.Errorf("background: %v", err) },
			DataCorruption: func(info pebble.DataCorruptionInfo) {
				s.log.Error("the store is damaged", "err", info.Details, "path", info.Path)
			},
		},
	}
	for i := range o.Levels {
		o.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
		o.Levels[i].BlockSize = 16 << 10
	}
	return o
}

// pebbleLogger passes Pebble's errors to the log. Pebble calls Fatalf when it cannot go on, for instance because the disk is
// full or gone, and Fatalf must not return. Pebble's default ends the process. Here the store fails, all its callers get the
// error, and the goroutine ends.
type pebbleLogger struct{ s *store }

func (l pebbleLogger) Infof(string, ...any) {}

func (l pebbleLogger) Errorf(format string, args ...any) {
	l.s.log.Error("store", "err", fmt.Sprintf(format, args...))
}

func (l pebbleLogger) Fatalf(format string, args ...any) {
	l.s.breakWith(fmt.Errorf(format, args...))
	panicOrExit()
}

// Close releases all claims without counting them, and makes everything durable.
func (s *store) Close() error {
	s.once.Do(func() {
		close(s.closing)
		<-s.stopped
		s.watchers.Close()
		s.space.close()
		s.gate.shut()
		if err := s.broken(); err != nil {
			// Pebble is not closed: that would wait for goroutines which may hold its locks for ever. Its writes cannot reach
			// the disk any more, so the folder may be opened again.
			s.closed = errors.Join(err, s.lock.Close(), s.lock.Close()) // Pebble's reference to the lock, and ours
		} else {
			s.closed = errors.Join(s.db.Close(), s.lock.Close())
		}
		if s.watch != nil {
			s.closed = errors.Join(s.closed, s.watch.Close())
		}
	})
	return s.closed
}

var errBroken = errors.New("the disk failed; the gateway must be started again")

// breakWith makes the store fail: all writing ends. The first fault is the one that is reported.
func (s *store) breakWith(err error) {
	if !errors.Is(err, errRemoved) {
		err = fmt.Errorf("%w: %w: %w", state.ErrUnavailable, errBroken, err)
	}
	if s.fault.CompareAndSwap(nil, &err) {
		s.log.Error("store is broken", "err", err)
		close(s.broke)
	}
	// The writer may block inside Pebble for ever, so nobody waits for it.
	s.stop.Do(func() { close(s.stopped) })
}

// Broken is closed when the store has failed.
func (s *store) Broken() <-chan struct{} { return s.broke }

func (s *store) broken() error {
	if p := s.fault.Load(); p != nil {
		return *p
	}
	return nil
}

// stopReason is why the writer has ended.
func (s *store) stopReason() error {
	if err := s.broken(); err != nil {
		return err
	}
	return state.ErrClosed
}

// read returns a copy of a value, in the memory of into; nil without error: there is none.
func (s *store) read(from pebble.Reader, key, into []byte) ([]byte, error) {
	v, closer, err := from.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	into = append(into[:0], v...)
	if into == nil {
		into = []byte{}
	}
	return into, closer.Close()
}

func (s *store) check(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return nil
}
