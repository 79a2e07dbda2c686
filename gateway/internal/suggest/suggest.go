// Package suggest looks at stored events for what the settings of a tenant lack: questions of sources that no role reads and that look
// like an e-mail address, a score, a consent, a phone number or a comment, and rules that match nothing, with the part of their
// condition that says no. It changes nothing.
package suggest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/scan"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/rules/event"
)

// The bounds of one request.
const (
	// maxOfEach is how many of the newest events are looked at for each source and each rule, and maxEvents for all together.
	maxOfEach = 1000
	maxEvents = 5000
	// maxWork is how long all scans of one request take together. That of the questions of one source ends after half of it.
	maxWork = 3 * time.Second
	// maxQuestions bounds the questions that are counted, of all sources together.
	maxQuestions = 2000
	// minAsked is how many events a rule must have been asked about before it is said to match nothing.
	minAsked = 50
	maxRules = 50
)

// Suggester looks for suggestions. All fields are required; it is safe for concurrent use.
type Suggester struct {
	Store state.Reader
	// Plan returns the running configuration.
	Plan func() *decide.Plan
	// Clock measures the work.
	Clock clock.Clock
	// Quiet is that of scan.Scanner.
	Quiet func() bool
}

// Ask is what is looked at.
type Ask struct {
	Tenant string
	// Source is the one source whose questions are looked at; nil: all sources of the tenant. Rules are always looked at over all sources.
	Source *config.Source
}

// Suggest looks at the newest events.
func (s *Suggester) Suggest(ctx context.Context, ask Ask) (*view.Suggestions, error) {
	l := &look{Ask: ask, plan: s.Plan(), scanner: scan.Scanner{Store: s.Store, Clock: s.Clock, Quiet: s.Quiet}, clock: s.Clock, began: s.Clock.Elapsed()}
	sources := l.plan.Sources(ask.Tenant)
	if ask.Source != nil {
		sources = []*config.Source{ask.Source}
	}
	l.out = &view.Suggestions{Sources: []view.SourceSuggestions{}, Rules: []view.SilentRule{}}
	of := map[string]*questions{}
	room := maxQuestions
	for _, source := range sources {
		of[source.Name] = newQuestions(source, &room)
	}
	if ask.Source != nil {
		q := of[ask.Source.Name]
		progress, err := l.each(ctx, ask.Source.Name, maxOfEach, maxWork/2, func(ev *event.Event) bool {
			q.add(ev)
			return true
		})
		if err != nil {
			return nil, err
		}
		q.back, q.stopped, of = progress.Back, progress.Stopped, nil
		l.out.Sources = append(l.out.Sources, q.suggestions())
	}
	rules := newSilence(l.plan, ask.Tenant)
	progress, err := l.each(ctx, "", maxEvents, l.left()*3/4, func(ev *event.Event) bool {
		rules.ask(ev)
		if q := of[ev.Source]; q != nil && q.events < maxOfEach {
			q.add(ev)
			q.back = ev.Received
		}
		return true
	})
	if err != nil {
		return nil, err
	}
	l.out.Events, l.out.Stopped = progress.Asked, progress.Stopped
	for _, source := range sources {
		if q := of[source.Name]; q != nil {
			if q.stopped = progress.Stopped; q.events >= maxOfEach {
				q.stopped = scan.StoppedByEvents
			}
			l.out.Sources = append(l.out.Sources, q.suggestions())
		}
	}
	slices.SortFunc(l.out.Sources, func(a, b view.SourceSuggestions) int { return strings.Compare(a.Source, b.Source) })
	if rules.silent() == 0 {
		return l.out, nil
	}
	if _, err := l.each(ctx, "", maxEvents, l.left(), rules.explain); err != nil {
		return nil, err
	}
	roles := map[string]bool{}
	for _, each := range l.out.Sources {
		for _, role := range each.Roles {
			roles[role.Field] = true
			if path := event.Shortcuts[role.Field]; path != "" {
				roles[path] = true
			}
		}
	}
	l.out.Rules, l.out.More = rules.views(roles)
	return l.out, nil
}

// look is one call of Suggest.
type look struct {
	Ask
	plan    *decide.Plan
	scanner scan.Scanner
	clock   clock.Clock
	began   time.Duration
	out     *view.Suggestions
}

// left is how much of the work is left, and never nothing, which would be no bound.
func (l *look) left() time.Duration {
	return max(maxWork-(l.clock.Elapsed()-l.began), time.Millisecond)
}

// errEnough ends a scan that nobody needs more events of.
var errEnough = errors.New("enough events were looked at")

// each calls look for the newest events, until it returns false.
func (l *look) each(ctx context.Context, source string, most int, span time.Duration, look func(ev *event.Event) bool) (scan.Progress, error) {
	q := scan.Query{Tenant: l.Tenant, Source: source, Most: most, For: span}
	progress, err := l.scanner.Each(ctx, q, nil, func(ev *event.Event) error {
		if !look(ev) {
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return progress, err
}
