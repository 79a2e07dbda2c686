package embedded

import (
	"context"
	"fmt"
	"runtime"

	"github.com/cockroachdb/pebble/v2"
)

const (
	maxGroup      = 512     // calls in one batch
	maxGroupBytes = 4 << 20 // of what callers prepared
)

// op is an operation of the writer. stage reads and writes through the tx. An error goes only to the caller of the operation,
// while the batch is written nevertheless, so stage must not return one after its first write.
type op interface{ stage(t *tx) error }

// call is an op that is queued for the writer.
type call struct {
	op
	size  int  // about how many bytes it writes
	sync  bool // it returns only when it is on disk
	grows bool // refused if the disk is nearly full
	alone bool // it reads the database with iterators, so earlier ops are written first
	err   error
	done  chan error // nil: no caller waits
}

// do passes a call to the writer and waits for its result. If ctx ends first, the result is unknown.
func (s *store) do(ctx context.Context, c *call) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	c.done = make(chan error, 1)
	select {
	case <-s.stopped:
		return s.stopReason()
	default:
	}
	select {
	case s.calls <- c:
	case <-s.stopped:
		return s.stopReason()
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-c.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-s.stopped:
		select {
		case err := <-c.done: // it was done before the end
			return err
		default:
			return s.stopReason()
		}
	}
}

// writer is the state that belongs to the writing goroutine alone.
type writer struct {
	counters counters
	tenants  tenantUses
	dirty    bool // counters changed in this group
	tx       tx
	unsynced unsynced
	group    []*call
	staged   []*call

	unreferenced []uint64 // kept events that may have lost their last reference
	keptAt       uint64   // where overdueKept continues
	deadFrom     []byte   // where overdueEvents continues; nil: from the beginning
	listsFrom    []byte   // where trimLists continues; nil: from the beginning
	onceFrom     []byte   // lower bound of the keys in tabOnceEnd
}

// write is the writing goroutine. It ends when the store is closed or broken.
func (s *store) write() {
	defer s.stop.Do(func() { close(s.stopped) })
	defer func() {
		// Pebble ends this goroutine from inside when a write fails. Callers notice by s.stopped.
		if r := recover(); r != nil {
			s.breakWith(fault(r))
		}
	}()
	for {
		select {
		case c := <-s.calls:
			s.group(c)
			s.w.unsynced.arm()
		case <-s.w.unsynced.alarm:
			if s.w.unsynced.due() {
				s.commit(&call{op: syncLog{}, sync: true})
			}
			s.w.unsynced.arm()
		case <-s.closing:
			s.w.unsynced.disarm()
			for {
				select {
				case c := <-s.calls:
					s.group(c)
					continue
				default:
				}
				s.commit(&call{op: releaseClaims{}, sync: true})
				return
			}
		}
	}
}

func fault(r any) error {
	if err, ok := r.(error); ok {
		return err
	}
	return fmt.Errorf("writer: %v", r)
}

// group commits a call together with all calls that wait now.
func (s *store) group(c *call) {
	w := &s.w
	w.group = append(w.group[:0], c)
	for size := c.size; len(w.group) < maxGroup && size < maxGroupBytes; {
		select {
		case c := <-s.calls:
			w.group = append(w.group, c)
			size += c.size
			continue
		default:
		}
		break
	}
	s.commit(w.group...)
	if s.opts.Grouped != nil {
		s.opts.Grouped(len(w.group))
	}
	clear(w.group)
	if len(w.unreferenced) > 0 {
		op := &sweeping{w.unreferenced}
		w.unreferenced = nil
		s.commit(&call{op: op, alone: true})
	}
}

func (s *store) commit(calls ...*call) {
	w := &s.w
	refuse := s.space.refusal()
	w.staged = w.staged[:0]
	for _, c := range calls {
		if c.grows && refuse != nil {
			c.answer(refuse)
			continue
		}
		if c.alone && len(w.staged) > 0 {
			s.flush()
		}
		if !w.tx.open {
			w.tx.begin(s)
		}
		w.staged = append(w.staged, c)
		if c.err = c.stage(&w.tx); c.err == nil {
			w.tx.sync = w.tx.sync || c.sync
		}
		if c.alone {
			s.flush()
		}
	}
	if len(w.staged) > 0 {
		s.flush()
	}
}

// flush writes the batch, then publishes it.
func (s *store) flush() {
	w := &s.w
	t := &w.tx
	if t.open {
		t.finish()
		if !t.b.Empty() {
			if err := s.broken(); err != nil {
				panic(err)
			}
			s.space.wrote(t.b.Len())
			options := pebble.NoSync
			if t.sync {
				options = pebble.Sync
			}
			if err := t.b.Commit(options); err != nil {
				panic(err)
			}
			if err := s.folder.check(); err != nil {
				panic(err)
			}
			if err := s.broken(); err != nil { // an unsynced write failed in the background
				panic(err)
			}
			w.unsynced.wrote(t.sync)
			if t.sync {
				s.window.synced(&w.counters)
			}
		}
		t.end()
	}
	for i, c := range w.staged {
		c.answer(c.err)
		w.staged[i] = nil
	}
	w.staged = w.staged[:0]
}

func (c *call) answer(err error) {
	if c.done != nil {
		c.done <- err
	}
}

func (c *destCounts) add(d *destCounts) {
	c.waiting += d.waiting
	c.waitingBytes += d.waitingBytes
	c.dead += d.dead
	c.deadBytes += d.deadBytes
	c.history += d.history
	c.failures += d.failures
}

// releaseClaims is the last operation: claims that are open now did not end by a crash.
type releaseClaims struct{}

func (releaseClaims) stage(t *tx) error {
	t.s.window.release(&t.s.w.counters, t)
	t.s.w.dirty = true
	return nil
}

// panicOrExit ends a goroutine of Pebble that cannot go on. Its deferred functions unlock its mutexes.
func panicOrExit() { runtime.Goexit() }
