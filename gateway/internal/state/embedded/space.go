package embedded

import (
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// lookEvery is how many bytes may be written before the disk's free space is looked at again.
const lookEvery = 4 << 20

// ballastSize is what a file holds that is there to be given up: another process may fill the disk faster than we
// look, and Pebble cannot go on after a write that failed. With it gone the failed write is tried again and passes.
const ballastSize = 32 << 20

// space watches the disk. Below the reserve nothing new is accepted, so that commits can still be written.
type space struct {
	fs      vfs.FS // the disk itself, without guard
	dir     string
	ballast string
	reserve int64

	// The writer's.
	since   int // bytes written since the last look
	looked  bool
	lacking bool

	refused      atomic.Pointer[error] // why nothing is accepted, for Health
	ballastFreed atomic.Bool           // the ballast was given up
	making       atomic.Bool
	makers       sync.WaitGroup
}

func (p *space) init(fs vfs.FS, dir string, reserve int64) {
	p.fs, p.dir, p.reserve = fs, dir, reserve
	p.ballast = filepath.Join(dir, "ballast")
}

// guard gives the ballast up when a write finds the disk full.
func (p *space) guard(fs vfs.FS) vfs.FS {
	return vfs.OnDiskFull(fs, func() {
		p.ballastFreed.Store(true)
		_ = p.fs.Remove(p.ballast) // where there is none, the write fails as it would have
	})
}

func (p *space) wrote(n int) { p.since += n }

var errFull = errors.New("the disk is nearly full")

// refuses says why nothing new can be accepted; nil: it can. Only the writer asks. While space lacks, each asking looks.
func (p *space) refusal() error {
	if p.looked && !p.lacking && p.since < lookEvery && !p.ballastFreed.Load() {
		return nil
	}
	p.looked, p.since = true, 0
	usage, err := p.fs.GetDiskUsage(p.dir)
	if err != nil {
		p.lacking = false // a disk that cannot be asked says by itself when it is full
		return nil
	}
	if p.lacking = usage.AvailBytes < uint64(p.reserve); !p.lacking {
		p.refused.Store(nil)
		p.prepare(usage.AvailBytes)
		return nil
	}
	err = fmt.Errorf("%w: %w: %d MiB free, %d MiB are kept in reserve", state.ErrUnavailable, errFull, usage.AvailBytes>>20, p.reserve>>20)
	p.refused.Store(&err)
	return err
}

// prepare makes the ballast, aside and without anybody waiting, where there is none and room enough for it.
func (p *space) prepare(free uint64) {
	if free < uint64(p.reserve)+2*ballastSize || !p.making.CompareAndSwap(false, true) {
		return
	}
	p.makers.Go(func() {
		defer p.making.Store(false)
		if _, err := p.fs.Stat(p.ballast); err == nil {
			p.ballastFreed.Store(false)
			return
		}
		if err := p.fill(p.ballast + ".new"); err != nil {
			_ = p.fs.Remove(p.ballast + ".new")
			return // the reserve still stands; the next look tries again
		}
		if p.fs.Rename(p.ballast+".new", p.ballast) == nil {
			p.ballastFreed.Store(false)
		}
	})
}

// fill makes a file of the ballast's size. Where the system can, its blocks are taken without being written.
func (p *space) fill(name string) error {
	f, err := p.fs.Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	err = f.Preallocate(0, ballastSize)
	if info, statErr := f.Stat(); err == nil && (statErr != nil || info.Size() < ballastSize) {
		block := make([]byte, 1<<20)
		for n := 0; n < ballastSize && err == nil; n += len(block) {
			_, err = f.Write(block)
		}
	}
	return errors.Join(err, f.Sync(), f.Close())
}

// says is what refuses last said, for Health.
func (p *space) err() error {
	if e := p.refused.Load(); e != nil {
		return *e
	}
	return nil
}

func (p *space) close() { p.makers.Wait() }
