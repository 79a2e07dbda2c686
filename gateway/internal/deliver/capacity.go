package deliver

import (
	"context"
	"sync"
)

// capacity is the number and the bytes of events that may still be claimed. One goroutine takes from it, many give back.
type capacity struct {
	mu     sync.Mutex // guards events and bytes, which are what is left
	events int
	bytes  int
	freed  chan struct{}
}

func (c *capacity) init(events, bytes int) {
	c.events, c.bytes = events, bytes
	c.freed = make(chan struct{}, 1)
}

// wait returns when at least one more event fits; false when ctx ended first.
func (c *capacity) wait(ctx context.Context) bool {
	for {
		if events, bytes := c.free(); events > 0 && bytes > 0 {
			return ctx.Err() == nil
		}
		select {
		case <-c.freed:
		case <-ctx.Done():
			return false
		}
	}
}

func (c *capacity) free() (events, bytes int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.events, c.bytes
}

// take reduces the capacity, possibly below zero: the store returns the first event of a claim whatever its size.
func (c *capacity) take(events, bytes int) {
	c.mu.Lock()
	c.events -= events
	c.bytes -= bytes
	c.mu.Unlock()
}

func (c *capacity) give(events, bytes int) {
	c.take(-events, -bytes)
	select {
	case c.freed <- struct{}{}:
	default:
	}
}
