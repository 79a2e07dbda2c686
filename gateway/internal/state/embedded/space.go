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

// lookEvery is how many bytes may be written before the free space of the disk is read again.
const lookEvery = 4 << 20

// ballastSize is the size of the ballast, a file that is deleted when a write finds the disk full. Another process may fill
// the disk between two looks, and Pebble cannot go on after a failed write. After the deletion the write is retried.
const ballastSize = 32 << 20

// space watches the free space of the disk. Below the reserve no new events are accepted, so that commits can still be written.
type space struct {
	fs      vfs.FS // the disk itself, without guard
	dir     string
	ballast string
	reserve int64

	// Of the writer.
	since   int // bytes written since the last reading
	looked  bool
	lacking bool

	refused      atomic.Pointer[error] // why no events are accepted, for Health
	ballastFreed atomic.Bool           // the ballast was deleted
	making       atomic.Bool
	makers       sync.WaitGroup
}

func (p *space) init(fs vfs.FS, dir string, reserve int64) {
	p.fs, p.dir, p.reserve = fs, dir, reserve
	p.ballast = filepath.Join(dir, "ballast")
}

// guard deletes the ballast when a write finds the disk full.
func (p *space) guard(fs vfs.FS) vfs.FS {
	return vfs.OnDiskFull(fs, func() {
		p.ballastFreed.Store(true)
		_ = p.fs.Remove(p.ballast) // without a ballast the write fails
	})
}

func (p *space) wrote(n int) { p.since += n }

var errFull = errors.New("the disk is nearly full")

// refusal is why no new events can be accepted; nil: they can. Only the writer calls it. While space lacks, each call reads the
// free space.
func (p *space) refusal() error {
	if p.looked && !p.lacking && p.since < lookEvery && !p.ballastFreed.Load() {
		return nil
	}
	p.looked, p.since = true, 0
	usage, err := p.fs.GetDiskUsage(p.dir)
	if err != nil {
		p.lacking = false // unknown free space: a full disk makes writes fail by itself
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

// prepare makes the ballast in the background, if there is none and enough space for it.
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
			return // the next reading tries again
		}
		if p.fs.Rename(p.ballast+".new", p.ballast) == nil {
			p.ballastFreed.Store(false)
		}
	})
}

// fill makes a file of the size of the ballast. If the system supports it, blocks are allocated without being written.
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

// err is the last result of refusal, for Health.
func (p *space) err() error {
	if e := p.refused.Load(); e != nil {
		return *e
	}
	return nil
}

func (p *space) close() { p.makers.Wait() }
