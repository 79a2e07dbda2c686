// Package clock is the gateway's only access to the time, so that tests can pass a manual clock.
package clock

import (
	"sync"
	"time"
)

// Clock tells the time and waits for it. Implementations are safe for concurrent use.
type Clock interface {
	Now() time.Time
	// Elapsed returns the time since a fixed moment. It is not affected by setting the clock.
	Elapsed() time.Duration
	// After sends once when d has passed; stop releases the timer early.
	After(d time.Duration) (c <-chan time.Time, stop func())
}

// System returns the machine's clock.
func System() Clock { return system{} }

type system struct{}

var began = time.Now()

func (system) Elapsed() time.Duration { return time.Since(began) }

func (system) Now() time.Time { return time.Now() }

func (system) After(d time.Duration) (<-chan time.Time, func()) {
	t := time.NewTimer(d)
	return t.C, func() { t.Stop() }
}

// Manual is a clock for tests that moves only by Advance and Step. Create it with NewManual.
type Manual struct {
	mu     sync.Mutex
	now    time.Time
	passed time.Duration
	alarms []*alarm
	set    chan struct{} // receives whenever a timer is started
}

type alarm struct {
	at time.Time
	c  chan time.Time
}

// NewManual returns a manual clock that is set to a time.
func NewManual(at time.Time) *Manual {
	return &Manual{now: at, set: make(chan struct{}, 1)}
}

// Now returns the current time of the clock.
func (m *Manual) Now() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.now
}

// Elapsed returns how far the clock has been advanced.
func (m *Manual) Elapsed() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.passed
}

// Step changes the time by d without any time passing, as a person or NTP does. Timers still fire after the same duration.
func (m *Manual) Step(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.now = m.now.Add(d)
	for _, a := range m.alarms {
		a.at = a.at.Add(d)
	}
}

// After sends when the clock has been advanced by d.
func (m *Manual) After(d time.Duration) (<-chan time.Time, func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	a := &alarm{at: m.now.Add(d), c: make(chan time.Time, 1)}
	if d <= 0 {
		a.c <- m.now
		return a.c, func() {}
	}
	m.alarms = append(m.alarms, a)
	select {
	case m.set <- struct{}{}:
	default:
	}
	return a.c, func() { m.remove(a) }
}

// Set receives whenever a caller has started a timer.
func (m *Manual) Set() <-chan struct{} { return m.set }

// Advance moves the time forward and fires all timers that are due.
func (m *Manual) Advance(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.now, m.passed = m.now.Add(d), m.passed+d
	rest := m.alarms[:0]
	for _, a := range m.alarms {
		if a.at.After(m.now) {
			rest = append(rest, a)
			continue
		}
		a.c <- m.now
	}
	m.alarms = rest
}

func (m *Manual) remove(stopped *alarm) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, a := range m.alarms {
		if a == stopped {
			m.alarms = append(m.alarms[:i], m.alarms[i+1:]...)
			return
		}
	}
}
