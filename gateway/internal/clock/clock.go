// Package clock is the gateway's only reading of the time, so that a test can pass its own.
package clock

import (
	"sync"
	"time"
)

// Clock tells the time and waits for it. Implementations are safe for concurrent use.
type Clock interface {
	Now() time.Time
	// Elapsed is how much time has passed since some moment, whatever the clock was set to meanwhile.
	Elapsed() time.Duration
	// After delivers once when d has passed; stop releases it early.
	After(d time.Duration) (c <-chan time.Time, stop func())
}

// System is the machine's clock.
func System() Clock { return system{} }

type system struct{}

var began = time.Now()

func (system) Elapsed() time.Duration { return time.Since(began) }

func (system) Now() time.Time { return time.Now() }

func (system) After(d time.Duration) (<-chan time.Time, func()) {
	t := time.NewTimer(d)
	return t.C, func() { t.Stop() }
}

// Manual is a clock that moves only when it is told to. Make it with NewManual.
type Manual struct {
	mu     sync.Mutex
	now    time.Time
	passed time.Duration
	alarms []*alarm
	set    chan struct{} // receives whenever an alarm is set
}

type alarm struct {
	at time.Time
	c  chan time.Time
}

// NewManual starts a manual clock at the given time.
func NewManual(at time.Time) *Manual {
	return &Manual{now: at, set: make(chan struct{}, 1)}
}

// Now is the time last set.
func (m *Manual) Now() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.now
}

// Elapsed is how far it was advanced.
func (m *Manual) Elapsed() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.passed
}

// Step sets the clock by d while no time passes, as a person or NTP does. Alarms ring after as long as before.
func (m *Manual) Step(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.now = m.now.Add(d)
	for _, a := range m.alarms {
		a.at = a.at.Add(d)
	}
}

// After rings when Advance passes d from now.
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

// Set receives whenever somebody began to wait.
func (m *Manual) Set() <-chan struct{} { return m.set }

// Advance moves the time and rings every alarm that is due.
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

func (m *Manual) remove(gone *alarm) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, a := range m.alarms {
		if a == gone {
			m.alarms = append(m.alarms[:i], m.alarms[i+1:]...)
			return
		}
	}
}
