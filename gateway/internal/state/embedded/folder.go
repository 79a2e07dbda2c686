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

// dataFolder is the folder of the database as it was opened. After the folder is deleted, writes to its open files still
// succeed, but their data is lost when the process ends. So after each write, before its callers return, the store checks
// that the lock file, which lives as long as the folder, is still the same.
type dataFolder struct {
	dir    string
	lock   string
	opened os.FileInfo // nil on a test's disk, which has no file identities
}

var errRemoved = errors.New("was removed or replaced while the gateway ran: what was accepted since then is not kept; " +
	"put the folder back, or start the gateway again with an empty one")

// init notes the identity of the opened folder.
func (p *dataFolder) init(dir, folder string, real bool) (err error) {
	p.dir, p.lock = dir, filepath.Join(folder, "LOCK")
	if real {
		p.opened, err = os.Stat(p.lock)
	}
	return err
}

// check returns an error if the folder is no longer the one that was opened.
func (p *dataFolder) check() error {
	if p.opened == nil {
		return nil
	}
	now, err := os.Stat(p.lock)
	if err == nil && os.SameFile(now, p.opened) || err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil // an error of another kind does not mean that the folder was replaced
	}
	return fmt.Errorf("%w: the data folder %s %w", state.ErrUnavailable, p.dir, errRemoved)
}
