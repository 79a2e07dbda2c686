package embedded

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

var errInUse = errors.New("a gateway has it open, stop it first")

// lockFolder locks the folder of the database; errInUse: a gateway, of this process or of another, has locked it.
func lockFolder(folder string, disk vfs.FS) (*pebble.Lock, error) {
	lock, err := pebble.LockDirectory(folder, disk)
	if _, file := errors.AsType[*os.PathError](err); err == nil || file { // the lock's file cannot be made
		return lock, err
	}
	if errno, ok := errors.AsType[syscall.Errno](err); ok && errno != syscall.EAGAIN && errno != syscall.EACCES {
		return nil, err // the disk knows no locks
	}
	return nil, errInUse
}

// storePlace is the folder of the database as it was opened. A folder that is removed takes its name away and nothing else:
// writes into its open files go on to succeed, and everything they say is gone with the process. So the store looks for
// the lock file, which lives as long as the folder, after each write and before its callers are answered.
type dataFolder struct {
	dir    string
	lock   string
	opened os.FileInfo // nil on a test's disk, which has no identities
}

var errRemoved = errors.New("was removed or replaced while the gateway ran: what was accepted since then is not kept; " +
	"put the folder back, or start the gateway again with an empty one")

// init takes down which folder was opened.
func (p *dataFolder) init(dir, folder string, real bool) (err error) {
	p.dir, p.lock = dir, filepath.Join(folder, "LOCK")
	if real {
		p.opened, err = os.Stat(p.lock)
	}
	return err
}

// check says that the folder is no longer the one that was opened; nil where it is.
func (p *dataFolder) check() error {
	if p.opened == nil {
		return nil
	}
	now, err := os.Stat(p.lock)
	if err == nil && os.SameFile(now, p.opened) || err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil // a path that cannot be looked at says nothing about the folder
	}
	return fmt.Errorf("%w: the data folder %s %w", state.ErrUnavailable, p.dir, errRemoved)
}
