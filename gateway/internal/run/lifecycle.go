package run

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// stopWithin bounds each step of a stop.
const stopWithin = 20 * time.Second

// part is one thing that a gateway consists of. Functions that it does not need are nil.
type part struct {
	name string
	// run works until its context ends. An error ends the gateway.
	run func(ctx context.Context) error
	// drain refuses new work. It is called on every part before any part stops.
	drain func()
	// close releases what the part holds, after run has returned, or where it was never called.
	close func(ctx context.Context) error
}

// lifecycle starts the parts of a gateway, stage after stage, and stops them in the reverse order:
//
//	add … → start → (a part fails, or somebody stops it) → stop: drain all, then for each stage: end run, wait, close
//
// A part may use the parts of the stages before its own for as long as it runs. Parts of one stage end side by side.
// It is used by one goroutine. Make it with newLifecycle.
type lifecycle struct {
	stages  []*stage
	started bool

	failOnce sync.Once
	failing  chan struct{}
	mu       sync.Mutex
	errs     []error

	stopOnce sync.Once
	stopped  error
}

type stage struct {
	parts   []part
	end     context.CancelFunc // of the contexts of run; nil before the start
	running sync.WaitGroup
}

func newLifecycle() *lifecycle { return &lifecycle{failing: make(chan struct{})} }

// add adds a stage. What is added after the start is not run, but closed.
func (l *lifecycle) add(parts ...part) { l.stages = append(l.stages, &stage{parts: parts}) }

// start runs every part. The end of ctx stops nothing: stop does. A second call, and one after stop, does nothing.
func (l *lifecycle) start(ctx context.Context) {
	if l.started {
		return
	}
	l.started = true
	for _, s := range l.stages {
		running, end := context.WithCancel(context.WithoutCancel(ctx))
		s.end = end
		for _, p := range s.parts {
			if p.run != nil {
				s.running.Go(func() { l.failed(p, p.run(running)) })
			}
		}
	}
}

// failed records why a part cannot go on.
func (l *lifecycle) failed(p part, err error) {
	if err == nil {
		return
	}
	l.mu.Lock()
	l.errs = append(l.errs, fmt.Errorf("%s: %w", p.name, err))
	l.mu.Unlock()
	l.failOnce.Do(func() { close(l.failing) })
}

// failure is closed when a part cannot go on.
func (l *lifecycle) failure() <-chan struct{} { return l.failing }

// stop stops every part and returns all that failed since the start. Each further call returns the same. Each close has its
// own time, however long those before it took and whatever became of ctx.
func (l *lifecycle) stop(ctx context.Context) error {
	l.stopOnce.Do(func() {
		l.started = true // too late for a start
		backwards := slices.Backward(l.stages)
		for _, s := range backwards {
			for _, p := range s.parts {
				if p.drain != nil {
					p.drain()
				}
			}
		}
		for _, s := range backwards {
			if s.end != nil {
				s.end()
				s.running.Wait()
			}
			for _, p := range s.parts {
				if p.close != nil {
					l.failed(p, within(ctx, p.close))
				}
			}
		}
		l.stopped = errors.Join(l.errs...)
	})
	return l.stopped
}

// within calls do with a context that ends after stopWithin, and not with ctx.
func within(ctx context.Context, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWithin)
	defer cancel()
	return do(ctx)
}
