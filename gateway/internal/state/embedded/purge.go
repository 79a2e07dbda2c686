package embedded

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// Erased content is still in tables that were not compacted since, and in logs. Pebble does not delete a log that it needs no more,
// but writes a later one over it, so that old bytes stay behind the new ones.

// logs is the file system below Pebble. It knows when Pebble reuses a log.
type logs struct {
	vfs.FS
	folder string

	mu    sync.Mutex // held while a log is reused or emptied
	clean bool       // a log that is reused is emptied first
}

func (l *logs) Unwrap() vfs.FS { return l.FS }

// ReuseForWrite makes a file of an old one.
func (l *logs) ReuseForWrite(old, name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.clean {
		return l.FS.ReuseForWrite(old, name, category)
	}
	if err := l.Remove(old); err != nil {
		return nil, err
	}
	return l.Create(name, category)
}

func (l *logs) setClean(clean bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.clean = clean
}

// numbers returns the numbers of the logs in the folder, in order. The caller holds mu, or knows that no log is reused.
func (l *logs) numbers() ([]uint64, error) {
	names, err := l.List(l.folder)
	if err != nil {
		return nil, err
	}
	var all []uint64
	for _, name := range names {
		if text, ok := strings.CutSuffix(name, ".log"); ok {
			if n, err := strconv.ParseUint(text, 10, 64); err == nil {
				all = append(all, n)
			}
		}
	}
	slices.Sort(all)
	return all, nil
}

// empty empties the logs up to a number, which Pebble keeps only to reuse them.
func (l *logs) empty(upto uint64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	all, err := l.numbers()
	if err != nil {
		return err
	}
	for _, n := range all {
		if n > upto {
			break
		}
		path := filepath.Join(l.folder, fmt.Sprintf("%06d.log", n))
		if info, err := l.Stat(path); err != nil || info.Size() == 0 {
			continue // Pebble has deleted it meanwhile
		}
		f, err := l.Create(path, vfs.WriteCategoryUnspecified)
		if err != nil {
			return err
		}
		if err := f.Close(); err != nil {
			return err
		}
	}
	return nil
}

// touching is an operation that only makes the writer write, so that there is something to flush.
type touching struct{}

func (touching) stage(t *tx) error {
	t.s.w.dirty = true
	return nil
}

// emptyLogs writes everything into tables, and empties the logs that are needed no more.
func (s *store) emptyLogs(ctx context.Context) error {
	s.logs.setClean(true)
	defer s.logs.setClean(false)
	all, err := s.logs.numbers()
	if err != nil {
		return err
	}
	if err := s.do(ctx, &call{op: touching{}, size: 64, sync: true}); err != nil {
		return err
	}
	if err := s.db.Flush(); err != nil {
		return err
	}
	if err := s.broken(); err != nil || len(all) == 0 {
		return err // a write of a log would wait for ever
	}
	// What was in the logs so far is in tables now, so that even a crash needs none of them.
	return s.logs.empty(all[len(all)-1])
}

const (
	// compactTogether is how far positions may be apart whose events are compacted in one go.
	compactTogether = 1000
	// tablesGone bounds the wait until tables that were replaced are deleted. Readers delay it.
	tablesGone = 30 * time.Second
	tablesLook = 20 * time.Millisecond
)

// CompactErased rewrites the files that held the content of erased events and removed items of lists.
func (s *store) CompactErased(ctx context.Context, tenant string, ids, lists []string) error {
	if err := s.compactErased(ctx, tenant, ids, lists); err != nil {
		return fmt.Errorf("compact what was erased: %w", err)
	}
	return nil
}

func (s *store) compactErased(ctx context.Context, tenant string, ids, lists []string) error {
	if err := s.check(ctx); err != nil {
		return err
	}
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	if err := s.emptyLogs(ctx); err != nil {
		return err
	}
	var at []uint64
	for _, id := range ids {
		if pos, err := s.position(s.db, tenant, id); err == nil {
			at = append(at, pos)
		}
	}
	slices.Sort(at)
	for len(at) > 0 {
		n := 1
		for n < len(at) && at[n]-at[n-1] < compactTogether {
			n++
		}
		for _, table := range [...]byte{tabEvent, tabKept, tabOutcome, tabOwed} {
			if err := s.db.Compact(ctx, posKey(nil, table, at[0]), posKey(nil, table, at[n-1]+1), false); err != nil {
				return err
			}
		}
		at = at[n:]
	}
	var prefixes [][]byte
	if len(ids) > 0 {
		prefixes = append(prefixes, textKey(tabHistory, tenant), textKey(tabFailures, tenant), textKey(tabDead, tenant))
	}
	for _, prefix := range prefixes {
		if err := s.db.Compact(ctx, prefix, prefixEnd(prefix), false); err != nil {
			return err
		}
	}
	// Lists whose names begin alike are beside each other.
	lists = slices.Sorted(slices.Values(lists))
	for len(lists) > 0 {
		kind, _, _ := strings.Cut(lists[0], "/")
		n := 1
		for n < len(lists) && strings.HasPrefix(lists[n], kind+"/") {
			n++
		}
		if err := s.db.Compact(ctx, textKey(tabListItem, tenant, lists[0]), prefixEnd(textKey(tabListItem, tenant, lists[n-1])), false); err != nil {
			return err
		}
		lists = lists[n:]
	}
	return s.tablesDeleted(ctx)
}

// tablesDeleted waits until the tables that were replaced are deleted.
func (s *store) tablesDeleted(ctx context.Context) error {
	for began := s.clock.clock.Elapsed(); ; {
		m := s.db.Metrics()
		if m.Table.ObsoleteCount == 0 && m.Table.ZombieCount == 0 {
			return nil
		}
		if s.clock.clock.Elapsed()-began > tablesGone {
			return fmt.Errorf("%w: files are still being read", state.ErrConflict)
		}
		after := time.NewTimer(tablesLook)
		select {
		case <-after.C:
		case <-ctx.Done():
			after.Stop()
			return ctx.Err()
		case <-s.stopped:
			after.Stop()
			return s.stopReason()
		}
	}
}
