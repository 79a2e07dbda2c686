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
	fs      vfs.FS
	dir     string
	ballast string
	reserve int64

	since   int // bytes written since the last look; the writer's
	looked  bool
	lacking bool // the writer's: the last look found too little

	given  atomic.Bool // the ballast was given up
	said   atomic.Pointer[error]
	making sync.WaitGroup
}

func (p *space) init(fs vfs.FS, dir string, reserve int64) {
	p.fs, p.dir, p.reserve = fs, dir, reserve
	p.ballast = filepath.Join(dir, "ballast")
}

// guard gives the ballast up when a write finds the disk full.
func (p *space) guard(fs vfs.FS) vfs.FS {
	return vfs.OnDiskFull(fs, func() {
		p.given.Store(true)
		_ = p.fs.Remove(p.ballast)
	})
}

func (p *space) wrote(n int) { p.since += n }

var errFull = errors.New("the disk is nearly full")

// refuses says why nothing new can be accepted; nil: it can. Only the writer asks. While space lacks, each asking looks.
func (p *space) refuses() error {
	if p.looked && !p.lacking && p.since < lookEvery {
		return nil
	}
	p.looked, p.since = true, 0
	usage, err := p.fs.GetDiskUsage(p.dir)
	if err != nil {
		p.lacking = false // a disk that cannot be asked (in memory) says by itself when it is full
		if p.given.Load() {
			p.lacking = true
		}
	} else {
		p.lacking = usage.AvailBytes < uint64(p.reserve)
	}
	if !p.lacking {
		p.said.Store(nil)
		return nil
	}
	err = fmt.Errorf("%w: %w: %d MiB free, %d MiB are kept in reserve", state.ErrUnavailable, errFull, usage.AvailBytes>>20, p.reserve>>20)
	p.said.Store(&err)
	return err
}

// says is what refuses last said, for Health.
func (p *space) says() error {
	if e := p.said.Load(); e != nil {
		return *e
	}
	return nil
}

func (p *space) close() { p.making.Wait() }
