// Package scan asks about many stored events of a tenant, newest first, for answers that need thousands of them: what a rule would have
// done, or what a new configuration changes.
//
// It reads small pages of events without their outcomes, keeps one of them in memory, and gives way to live traffic: while there is some,
// it takes a tenth of one processor.
package scan

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/rules/event"
)

const (
	// turn is how long a scan computes before it rests, while there is traffic: a request that came meanwhile waits that long at most.
	// A rest, and not runtime.Gosched: a processor that has always something to run looks at the network every 10 ms only. It is as long
	// as BenchmarkScanBesideTraffic of package run asks for.
	turn = 250 * time.Microsecond
	rest = 3 * time.Millisecond
	// A page takes no more than a turn to read while there is traffic, because a scan does not rest within it. Without traffic, pages
	// are larger, because each costs about 100 µs of its own.
	smallPage, largePage = 24, 500
	// reportEvery is the time between two reports.
	reportEvery = 200 * time.Millisecond
)

// Why a scan ended before the oldest event that was selected.
const (
	StoppedByEvents = "events" // Query.Most were asked about
	StoppedByTime   = "time"   // Query.For is over
)

// Query selects events of one tenant.
type Query struct {
	Tenant string
	// Type, Source and Survey narrow them; empty selects all.
	Type, Source, Survey string
	// Since and Until bound when they were received; zero is no bound.
	Since, Until time.Time
	// Most is how many events are asked about; it is required.
	Most int
	// For is how long the scan goes on; 0: until its context ends.
	For time.Duration
}

// Progress is how far a scan has come.
type Progress struct {
	// Asked is how many events were asked about.
	Asked int
	// Back is when the last of them was received: all events since then were asked about, but for those that arrived out of order
	// (state.MaxDisorder). It is zero before the first.
	Back time.Time
	// Stopped is StoppedByEvents or StoppedByTime, where there may be older events; else empty.
	Stopped string
}

// Scanner scans. Store and Clock are required; it is safe for concurrent use.
type Scanner struct {
	Store state.Reader
	Clock clock.Clock
	// Quiet reports that the gateway handles no traffic, so that a scan need not rest; nil: it always rests. It may be left out.
	Quiet func() bool
}

func (s *Scanner) isQuiet() bool { return s.Quiet != nil && s.Quiet() }

// Each calls each for the events that a query selects and that rules are asked about, newest first. report, which may be nil, is called
// a few times in a second. A deadline of ctx bounds the time as For does: the scan ends a little before it. Both are called by the goroutine of the caller; an error of either ends the scan and is returned, as is that of
// ctx. Events that are stored meanwhile are not among them.
func (s *Scanner) Each(ctx context.Context, q Query, report func(Progress) error, each func(ev *event.Event) error) (Progress, error) {
	w := walk{scanner: s, query: q, report: report, each: each, began: s.Clock.Elapsed()}
	w.turned, w.reported = w.began, w.began
	if deadline, has := ctx.Deadline(); has {
		if left := max(deadline.Sub(wall.Now())*9/10, time.Nanosecond); q.For == 0 || left < q.For {
			w.query.For = left
		}
	}
	err := w.pages(ctx)
	if errors.Is(err, errStop) {
		err = nil
	}
	return w.progress, err
}

// wall is the clock of deadlines and of rests.
var wall = clock.System()

// errStop ends a scan that has reached a bound.
var errStop = errors.New("the scan has reached its bound")

// walk is one call of Each.
type walk struct {
	scanner  *Scanner
	query    Query
	report   func(Progress) error
	each     func(ev *event.Event) error
	progress Progress

	began, turned, reported time.Duration
}

func (w *walk) pages(ctx context.Context) error {
	q := state.EventQuery{
		Type: w.query.Type, Source: w.query.Source, Survey: w.query.Survey, Since: w.query.Since, Until: w.query.Until,
		Bare: true,
	}
	for {
		if q.Limit = smallPage; w.scanner.isQuiet() {
			q.Limit = largePage
		}
		page, err := w.scanner.Store.Events(ctx, w.query.Tenant, q)
		if err != nil {
			return fmt.Errorf("read events: %w", err)
		}
		for i, record := range page.Items {
			page.Items[i] = nil // so that its memory is free when it was asked about
			if err := w.one(ctx, record.Event); err != nil {
				return err
			}
		}
		if page.Next == "" {
			return nil
		}
		if q.Cursor = page.Next; !page.SearchedBackTo.IsZero() {
			w.progress.Back = page.SearchedBackTo
		}
		if err := w.giveWay(ctx); err != nil {
			return err
		}
	}
}

// one asks about one event.
func (w *walk) one(ctx context.Context, ev *event.Event) error {
	if !decide.IsAsked(ev) {
		return nil
	}
	if w.progress.Asked >= w.query.Most {
		w.progress.Stopped = StoppedByEvents
		return errStop
	}
	if err := w.each(ev); err != nil {
		return err
	}
	w.progress.Asked++
	w.progress.Back = ev.Received
	return w.giveWay(ctx)
}

// giveWay rests when the processor was used for a turn, reports, and ends the scan when its time is over.
func (w *walk) giveWay(ctx context.Context) error {
	now := w.scanner.Clock.Elapsed()
	if now-w.turned < turn {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if w.report != nil && now-w.reported >= reportEvery {
		w.reported = now
		if err := w.report(w.progress); err != nil {
			return err
		}
	}
	if w.query.For > 0 && now-w.began >= w.query.For {
		w.progress.Stopped = StoppedByTime
		return errStop
	}
	if !w.scanner.isQuiet() {
		rested, stop := wall.After(rest)
		select {
		case <-rested:
		case <-ctx.Done():
			stop()
			return ctx.Err()
		}
	}
	w.turned = w.scanner.Clock.Elapsed()
	return nil
}
