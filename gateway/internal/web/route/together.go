package route

import (
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
)

// Together calls functions side by side, and returns the errors of all in their order. A panic of one is raised again in the goroutine
// that calls, where it ends one request and not the process.
func Together(some ...func() error) error {
	errs, panics := make([]error, len(some)), make([]any, len(some))
	var running sync.WaitGroup
	for i, each := range some {
		running.Go(func() {
			defer func() {
				if raised := recover(); raised != nil {
					panics[i] = fmt.Sprintf("%v\n%s", raised, debug.Stack())
				}
			}()
			errs[i] = each()
		})
	}
	running.Wait()
	for _, raised := range panics {
		if raised != nil {
			panic(raised)
		}
	}
	return errors.Join(errs...)
}
