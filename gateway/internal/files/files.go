// Package files reads the files of a configuration and remembers a stamp of each, so that a change in any of them is
// noticed.
//
// A configuration reads everything through a Reader: its own files, profiles, secrets in files, certificates. A Reader also
// remembers paths that were missing. It follows links and compares the files behind them: Kubernetes replaces a mounted
// folder by changing one link, which makes every path below it another file.
package files

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/clock"
)

// Reader reads files and remembers them. The zero value is ready to use; it is safe for concurrent use.
type Reader struct {
	mu   sync.Mutex
	seen map[string]*look
}

// look is one path with its stamp at the first read.
type look struct {
	keep func(name string) bool // of a folder: the names that count
	was  stamp
}

// small is the size up to which content is compared as well. A secret that is replaced by one of the same length may keep
// its modification time: file systems have a coarse clock, and some tools set the time.
const small = 16 << 10

// stamp is what is compared to find a change.
type stamp struct {
	fault string // why it cannot be read
	info  fs.FileInfo
	sum   [sha256.Size]byte // of a small file's content
	names string            // of a folder's files
}

// ReadFile reads a file, and remembers it whether it can be read or not.
func (r *Reader) ReadFile(path string) ([]byte, error) {
	s := stat(path) // before it is read, so that a change in between shows
	text, err := readFile(path)
	s.read(text, err)
	r.remember(path, &look{was: s})
	return text, err
}

const (
	// MaxBytes is the size up to which a file is read: a device or a file of the wrong kind must not fill the memory.
	MaxBytes = 8 << 20
	// pipeFor bounds the reading of a pipe: its writer has to begin and to close it in that time.
	pipeFor = 2 * time.Second
	// askPipe is the interval at which a pipe without a writer is read again.
	askPipe = 10 * time.Millisecond
)

// readFile reads a file in bounded time: a reload that waits for a pipe would delay every later change, and a stop.
func readFile(path string) (_ []byte, err error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	_ = f.SetReadDeadline(clock.System().Now().Add(pipeFor)) // of pipes; regular files have none, and do not wait
	var b bytes.Buffer
	for {
		_, err = b.ReadFrom(io.LimitReader(f, MaxBytes+1))
		if err != nil || b.Len() > 0 || info.Mode()&fs.ModeNamedPipe == 0 {
			break
		}
		time.Sleep(askPipe) // opened without waiting, a pipe is at its end until a writer comes
	}
	if err != nil {
		if errors.Is(err, os.ErrDeadlineExceeded) {
			err = &fs.PathError{Op: "read", Path: path, Err: fmt.Errorf("it is a pipe, and nobody wrote and closed it within %s", pipeFor)}
		}
		return nil, err
	}
	if b.Len() > MaxBytes {
		return nil, &fs.PathError{Op: "read", Path: path, Err: fmt.Errorf("it is larger than %d MiB", MaxBytes>>20)}
	}
	return b.Bytes(), nil
}

// Folder lists the files of a folder, and links to files, for whose names keep returns true, sorted. For a path that is not a
// folder isFolder is false, and the path is not remembered: ReadFile does that.
func (r *Reader) Folder(path string, keep func(name string) bool) (names []string, isFolder bool, err error) {
	s := stat(path)
	if s.info == nil || !s.info.IsDir() {
		if s.fault != "" {
			r.remember(path, &look{was: s})
			_, err = os.Stat(path)
		}
		return nil, false, err
	}
	names, err = list(path, keep)
	s.list(names, err)
	r.remember(path, &look{keep: keep, was: s})
	return names, true, err
}

func list(path string, keep func(name string) bool) ([]string, error) {
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, entry := range entries {
		if !keep(entry.Name()) {
			continue
		}
		if info, err := os.Stat(filepath.Join(path, entry.Name())); err == nil && !info.IsDir() { // follows links
			names = append(names, entry.Name())
		}
	}
	return names, nil
}

func (r *Reader) remember(path string, l *look) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.seen == nil {
		r.seen = map[string]*look{}
	}
	if r.seen[path] == nil { // a change between two reads must show, so the first stamp stays
		r.seen[path] = l
	}
}

// Paths lists every path that was read or looked for.
func (r *Reader) Paths() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	paths := make([]string, 0, len(r.seen))
	for path := range r.seen {
		paths = append(paths, path)
	}
	slices.Sort(paths)
	return paths
}

// Changed returns a path that changed since it was read, or "".
func (r *Reader) Changed() string {
	for _, path := range r.Paths() {
		r.mu.Lock()
		l := r.seen[path]
		r.mu.Unlock()
		if now := l.current(path); !l.was.same(&now) {
			return path
		}
	}
	return ""
}

func (l *look) current(path string) stamp {
	s := stat(path)
	switch {
	case l.keep != nil && s.info != nil && s.info.IsDir():
		s.list(list(path, l.keep))
	case l.keep == nil && s.small():
		s.read(readFile(path))
	}
	return s
}

// stat follows links.
func stat(path string) stamp {
	info, err := os.Stat(path)
	if err != nil {
		return stamp{fault: reason(err)}
	}
	return stamp{info: info}
}

// small reports whether the content is compared. Only regular files are read again: reading a pipe would block.
func (s *stamp) small() bool {
	return s.info != nil && s.info.Mode().IsRegular() && s.info.Size() <= small
}

func (s *stamp) read(text []byte, err error) {
	switch {
	case err != nil:
		s.fault = reason(err)
	case s.small():
		s.sum = sha256.Sum256(text)
	}
}

func (s *stamp) list(names []string, err error) {
	if s.names = strings.Join(names, "/"); err != nil {
		s.fault = reason(err)
	}
}

// reason returns an error's text without its path.
func reason(err error) string {
	if inner, ok := errors.AsType[*fs.PathError](err); ok {
		return inner.Err.Error()
	}
	return err.Error()
}

// same reports whether two stamps are equal.
func (s *stamp) same(o *stamp) bool {
	if s.fault != o.fault || s.names != o.names || s.sum != o.sum || (s.info == nil) != (o.info == nil) {
		return false
	}
	if s.info == nil || !s.info.Mode().IsRegular() && s.info.Mode().Type() == o.info.Mode().Type() {
		return true // a folder is compared by its names; a pipe has nothing to compare
	}
	return os.SameFile(s.info, o.info) && s.info.Size() == o.info.Size() && s.info.ModTime().Equal(o.info.ModTime())
}
