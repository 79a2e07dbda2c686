package main

import (
	"sync/atomic"
	"testing"
	"time"
)

// lateness watches how late this machine gives a process its turn, and says how much later than promised things may come
// here: nothing to speak of on a machine that is idle, and more on one that is busy with other things.
func lateness(t *testing.T) func() time.Duration {
	t.Helper()
	const period, steps = 5 * time.Millisecond, 10 // a thing goes through several hands, each of which waits for its turn
	var worst atomic.Int64
	tick, last := time.NewTicker(period), time.Now()
	ended := make(chan struct{})
	go func() {
		for {
			select {
			case <-tick.C:
			case <-ended:
				return
			}
			now := time.Now()
			worst.Store(max(worst.Load(), int64(now.Sub(last)-period)))
			last = now
		}
	}()
	t.Cleanup(func() { tick.Stop(); close(ended) })
	return func() time.Duration { return steps * time.Duration(worst.Load()) }
}
