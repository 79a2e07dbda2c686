// Package compare answers what a new configuration would change: in what is configured, in what events of the recent past would have
// led to, and in what becomes of deliveries that wait. It sends nothing and writes nothing: it has neither a sender nor the part of the
// store that changes.
//
// Both configurations, the running one and the new one, are compiled from their text alone (config.LoadBundle), so that no secret is read
// and equal references are equal values.
package compare

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/document"
	"github.com/surveygate/surveygate/gateway/internal/scan"
	"github.com/surveygate/surveygate/gateway/internal/settings"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/rules/event"
)

// The bounds of one comparison.
const (
	DefaultEvents = 100_000
	MaxEvents     = 1_000_000
	DefaultSince  = 7 * 24 * time.Hour
	// maxScan is how long events are compared, so that the answer comes before the request ends.
	maxScan = 8 * time.Minute
)

// RunningError means that the text of the running configuration cannot be compared.
type RunningError struct{ why string }

func (e *RunningError) Error() string {
	return "the running configuration cannot be compared: " + e.why
}

// Planner compares configurations. All fields but Quiet are required; it is safe for concurrent use.
type Planner struct {
	Store state.Reader
	Book  *settings.Book
	// Plan returns the running configuration.
	Plan func() *decide.Plan
	// Now is the time that delays count from; Clock measures the work.
	Now   func() time.Time
	Clock clock.Clock
	// Quiet is as in scan.Scanner.
	Quiet func() bool
}

// Ask is what is compared.
type Ask struct {
	// New is the new configuration, as config.LoadBundle compiles it.
	New   *config.Config
	Since time.Time
	Limit int
}

// side is one of the two configurations.
type side struct {
	plan  *decide.Plan // without stored documents
	items map[item]*config.Written
}

// item names what the files define.
type item struct{ kind, tenant, name string }

func newSide(c *config.Config) *side {
	s := &side{plan: decide.New(c), items: make(map[item]*config.Written, len(c.Written))}
	for i := range c.Written {
		w := &c.Written[i]
		s.items[item{w.Kind, w.Tenant, w.Name}] = w
	}
	return s
}

// comparison is one call of Compare.
type comparison struct {
	*Planner
	Ask
	now           time.Time
	running       *decide.Plan
	before, after *side
	differences   map[item]*difference
	scanner       scan.Scanner
	report        func(progress any) error

	tally tally
	out   view.Plan
}

// Compare compares the running configuration with a new one. Its errors are those of the store, of report and of ctx.
func (p *Planner) Compare(ctx context.Context, ask Ask, report func(progress any) error) (*view.Plan, error) {
	running := p.Plan()
	if running.Config.Bundle == nil {
		return nil, &RunningError{"its text is not known"}
	}
	before, err := config.LoadBundle(running.Config.Bundle)
	if err != nil {
		return nil, &RunningError{"without the values of its variables it has a fault: " + first(err)}
	}
	c := &comparison{
		Planner: p, Ask: ask, now: p.Now(), running: running, before: newSide(before), after: newSide(ask.New),
		scanner: scan.Scanner{Store: p.Store, Clock: p.Clock, Quiet: p.Quiet}, report: report, tally: newTally(),
	}
	c.differences = differences(c.before.items, c.after.items)
	c.configuration()
	if err := c.tenants(ctx); err != nil {
		return nil, err
	}
	c.finish()
	return &c.out, nil
}

// first returns the first fault of a configuration, without its excerpt.
func first(err error) string {
	if faults, ok := errors.AsType[document.Faults](err); ok && len(faults) > 0 {
		f := faults.Sorted()[0]
		return f.Position.String() + ": " + f.Message
	}
	return err.Error()
}

// finish makes the answer.
func (c *comparison) finish() {
	c.out.Since = view.Time{Time: c.Since}
	c.tally.view(&c.out)
	c.out.Changes = len(c.out.Configuration)+len(c.out.Sources)+len(c.out.Rules)+len(c.out.Waiting) > 0
}

// concerned returns the tenants that something may change for: those whose own items differ and, where something of every tenant
// differs, all.
func (c *comparison) concerned() []string {
	all := map[string]bool{}
	everywhere := false
	for at := range c.differences {
		switch {
		case at.tenant == config.AnyTenant && at.kind == kindRule:
			everywhere = true
		case at.tenant != "" && at.tenant != config.AnyTenant && at.kind != kindToken:
			all[at.tenant] = true
		}
	}
	if everywhere {
		all[config.DefaultTenant] = true
		for _, plan := range []*decide.Plan{c.running, c.before.plan, c.after.plan} {
			for tenant := range plan.Tenants() {
				all[tenant] = true
			}
		}
	}
	return slices.SortedFunc(maps.Keys(all), func(a, b string) int {
		if (a == config.DefaultTenant) != (b == config.DefaultTenant) { // it gets what the others leave of the events
			if a == config.DefaultTenant {
				return 1
			}
			return -1
		}
		return strings.Compare(a, b)
	})
}

// tenants compares tenant by tenant, so that the documents of one are in memory at a time.
func (c *comparison) tenants(ctx context.Context) error {
	var behave []string
	waiting := &waitings{left: maxWaiting, counts: map[waitingKey]int{}}
	for _, tenant := range c.concerned() {
		t, err := c.tenant(ctx, tenant)
		if err != nil {
			return err
		}
		c.documents(t)
		if t.behaves() {
			behave = append(behave, tenant)
		}
		if t.steps {
			if err := waiting.look(ctx, c.Store, t); err != nil {
				return err
			}
		}
	}
	waiting.view(&c.out)
	began, left, budget := c.Clock.Elapsed(), c.Limit, time.Duration(maxScan)
	if deadline, has := ctx.Deadline(); has {
		budget = min(budget, wall.Now().Sub(deadline)*-8/10)
	}
	for i, tenant := range behave {
		t, err := c.tenant(ctx, tenant)
		if err != nil {
			return err
		}
		still := budget - (c.Clock.Elapsed() - began)
		if still <= 0 || left == 0 {
			c.stopped(map[bool]string{true: scan.StoppedByEvents, false: scan.StoppedByTime}[left == 0])
			c.note(fmt.Sprintf("the events of %d tenants were not compared: %s", len(behave)-i, strings.Join(behave[i:min(i+10, len(behave))], ", ")))
			break
		}
		n := len(behave) - i
		asked, err := c.scan(ctx, t, max(left/n, 1), still/time.Duration(n))
		if err != nil {
			return err
		}
		left -= asked
	}
	return nil
}

// wall is the clock of deadlines.
var wall = clock.System()

// stopped notes the first reason.
func (c *comparison) stopped(why string) {
	if c.out.Stopped == "" {
		c.out.Stopped = why
	}
}

// scan compares the events of a tenant.
func (c *comparison) scan(ctx context.Context, t *tenant, most int, within time.Duration) (asked int, err error) {
	before := c.out.Events
	q := scan.Query{Tenant: t.name, Source: t.onlySource(), Since: c.Since, Most: most, For: within}
	progress, err := c.scanner.Each(ctx, q, func(p scan.Progress) error {
		return c.report(view.PlanProgress{Events: before + p.Asked, Back: view.Time{Time: p.Back}, Tenant: t.name})
	}, func(ev *event.Event) error {
		c.event(t, ev)
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("compare events: %w", err)
	}
	c.out.Events += progress.Asked
	switch back := &c.out.SearchedBackTo.Time; {
	case progress.Stopped != "" && c.out.Stopped != "": // of those that were stopped, the latest: all events since then were compared
		if progress.Back.After(*back) {
			*back = progress.Back
		}
	case progress.Stopped != "":
		*back = progress.Back
	case c.out.Stopped == "" && progress.Asked > 0 && (back.IsZero() || progress.Back.Before(*back)):
		*back = progress.Back
	}
	if progress.Stopped != "" {
		c.stopped(progress.Stopped)
	}
	return progress.Asked, nil
}
