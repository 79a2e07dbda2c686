// Package try answers what a draft of a tenant's documents, or the running configuration, would do with events, before anything is
// saved. It sends nothing and writes nothing: it has neither a sender nor the part of the store that changes.
package try

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/audit"
	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/explain"
	"github.com/surveygate/surveygate/gateway/internal/renormalise"
	"github.com/surveygate/surveygate/gateway/internal/settings"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/rules/event"
)

// The bounds of one trial, and of its answer.
const (
	// MaxEvents, maxBytes and maxWork are how many events it asks about, of how many bytes together, and for how long it computes.
	MaxEvents = 500
	maxBytes  = 16 << 20
	maxWork   = time.Second
	// maxSearches is how many pages of the store may end without having found what they search for.
	maxSearches = 10
	// pageSize bounds the memory of a page: an event has at most 1 MiB.
	pageSize = 16

	maxExplained      = 10
	maxExplainedBytes = 1 << 20
	maxRequests       = 20
	maxRequestText    = 64 << 10
	maxReasons        = 20
	maxSamples        = 3 // of each kind of change
)

// Why a trial stopped before it asked about all events.
const (
	stoppedBySize   = "size"
	stoppedByTime   = "time"
	stoppedBySearch = "search"
)

// Tryer tries drafts. All fields are required; it is safe for concurrent use.
type Tryer struct {
	Store state.Reader
	Book  *settings.Book
	// Plan returns the running configuration.
	Plan func() *decide.Plan
	// Now is the time that delays count from; Clock measures the work.
	Now   func() time.Time
	Clock clock.Clock
}

// Ask is what is tried.
type Ask struct {
	Tenant string
	By     audit.By
	// Draft are changes of documents; none asks what runs.
	Draft []settings.Change
	// Variables: the draft may have ${NAME}, whose value is unknown.
	Variables bool
	// Last is how many of the newest events, at most MaxEvents; Type and Source narrow them. IDs are those of stored events. Read
	// makes events of a body, with the configuration that is tried. One of the three selects the events.
	Last         int
	Type, Source string
	IDs          []string
	Read         func(plan *decide.Plan) ([]*event.Event, error)
	// What the answer has.
	Explain, Requests, Difference bool
}

// Try asks. Errors are those of settings.Book.Try, of the store and of Read.
func (t *Tryer) Try(ctx context.Context, ask Ask) (*view.Tried, error) {
	r := &trial{Ask: ask, clock: t.Clock, now: t.Now(), after: t.Plan()}
	if len(ask.Draft) > 0 {
		tried, err := t.Book.Try(ctx, ask.Tenant, ask.Draft, ask.By, ask.Variables)
		if err != nil {
			return nil, err
		}
		r.draft(tried)
	}
	if ask.Difference {
		r.difference = newDifference()
	}
	r.dry = func(ev *event.Event) (*explain.Explanation, error) {
		return explain.Dry(ctx, t.Store, r.after, ev, r.now)
	}
	if err := r.each(ctx, t.Store); err != nil {
		return nil, err
	}
	if r.failed != nil {
		return nil, r.failed
	}
	if r.difference != nil {
		r.out.Difference = r.difference.view()
	}
	return &r.out, nil
}

// trial is one call of Try.
type trial struct {
	Ask
	clock clock.Clock
	now   time.Time
	// before is nil without a draft.
	before, after *decide.Plan
	// origins, destinations and sources are those that the draft concerns.
	origins               map[state.Origin]bool
	destinations, sources map[string]bool

	bytes      int
	work       time.Duration
	since      time.Duration // when the present work began
	explained  int           // bytes
	difference *difference
	dry        func(ev *event.Event) (*explain.Explanation, error)
	failed     error // the first of dry
	out        view.Tried
}

// draft notes what a draft compiles to.
func (r *trial) draft(tried *settings.Tried) {
	running := r.after
	if running.Config != tried.Base { // the files were read again meanwhile
		running = decide.New(tried.Base)
	}
	r.before, r.after = running.With(tried.Before), running.With(tried.After)
	r.origins, r.destinations, r.sources = map[state.Origin]bool{}, map[string]bool{}, map[string]bool{}
	for i := range tried.Results {
		result := &tried.Results[i]
		d := view.TriedDocument{Name: result.Entry.Name, Would: string(result.Would), State: string(result.Entry.State)}
		for _, w := range result.Entry.Warnings {
			d.Warnings = append(d.Warnings, w.Message)
		}
		if rule := tried.Rules[i]; rule != nil {
			d.Tests = view.NewRuleTests(settings.Play(r.after, rule, r.now.UTC()))
		}
		r.out.Draft = append(r.out.Draft, d)
		switch title := settings.Title(d.Name); settings.Kind(d.Name) {
		case "rule":
			r.origins[state.Origin{Kind: state.Rule, Name: title}] = true
		case "webhook":
			r.origins[state.Origin{Kind: state.Webhook, Name: title}] = true
			r.destinations[title] = true
		case "connection":
			r.destinations[title] = true
		case "source":
			r.sources[title] = true
		}
	}
}

// concerns reports whether the draft may change a delivery of an event.
func (r *trial) concerns(d *state.Delivery, ev *event.Event) bool {
	return r.origins[d.Origin] || r.destinations[d.Destination] || r.sources[ev.Source]
}

// begin and end enclose work that counts.
func (r *trial) begin() { r.since = r.clock.Elapsed() }
func (r *trial) end()   { r.work, r.since = r.spent(), 0 }

func (r *trial) spent() time.Duration { return r.work + r.clock.Elapsed() - r.since }

// ask asks about one event. It returns false when the work is used up; the event then does not count.
func (r *trial) ask(ev *event.Event) bool {
	r.begin()
	defer r.end()
	now := ev
	if r.before != nil && r.sources[ev.Source] && ev.Raw.Body != nil {
		if again, err := renormalise.Today(r.after, ev); err == nil { // else the event stays as it was read
			now = again
		}
	}
	decision := r.after.Decide(now, r.now)
	if r.difference != nil && !r.compare(ev, now, &decision) {
		return false
	}
	if r.Requests {
		r.requests(now, &decision)
	}
	if r.Explain {
		r.explain(now)
	}
	r.out.Asked++
	return r.spent() < maxWork
}

// requests adds the requests that an event leads to.
func (r *trial) requests(ev *event.Event, decision *decide.Decision) {
	for _, owed := range decision.Owed {
		if len(r.out.Requests) == maxRequests || r.spent() >= maxWork {
			return
		}
		d := &owed.Delivery
		if r.before != nil && !r.concerns(d, ev) {
			continue
		}
		built := explain.Build(owed, ev, r.now)
		text, cut := clip(built.Text())
		r.out.Requests = append(r.out.Requests, view.TriedRequest{
			Event: ev.ID, Kind: string(d.Origin.Kind), Rule: d.Origin.Name, Step: d.Step, Destination: d.Destination,
			Note: built.Note, Text: text, Cut: cut,
		})
	}
}

func (r *trial) explain(ev *event.Event) {
	if len(r.out.Explain) == maxExplained || r.explained >= maxExplainedBytes {
		return
	}
	dry, err := r.dry(ev)
	if err != nil {
		r.failed = cmp.Or(r.failed, err)
		return
	}
	x := dry.Explanation
	for i := range x.Rules {
		for j := range x.Rules[i].Steps {
			s := &x.Rules[i].Steps[j]
			if s.Request, _ = clip(s.Request); !r.Requests {
				s.Request = ""
			}
		}
	}
	text, err := event.Marshal(x)
	if err != nil || len(r.out.Explain) > 0 && r.explained+len(text) > maxExplainedBytes {
		r.explained = maxExplainedBytes
		return
	}
	r.explained += len(text)
	r.out.Explain = append(r.out.Explain, x)
}

func clip(text string) (clipped string, cut bool) {
	if len(text) <= maxRequestText {
		return text, false
	}
	return strings.ToValidUTF8(text[:maxRequestText], ""), true
}

// each asks about the selected events.
func (r *trial) each(ctx context.Context, store state.Reader) error {
	switch {
	case r.Read != nil:
		events, err := r.Read(r.after)
		if err != nil {
			return err
		}
		for _, ev := range events {
			if !r.ask(ev) {
				r.stop(stoppedByTime, r.out.Asked < len(events))
				return nil
			}
		}
		return nil
	case len(r.IDs) > 0:
		return r.eachID(ctx, store)
	}
	return r.newest(ctx, store)
}

func (r *trial) stop(why string, early bool) {
	if early {
		r.out.Stopped = why
	}
}

func (r *trial) eachID(ctx context.Context, store state.Reader) error {
	for _, id := range r.IDs {
		record, err := store.Event(ctx, r.Tenant, state.EventID(id))
		if isNotFound(err) || err == nil && !decide.IsAsked(record.Event) {
			r.out.NotFound = append(r.out.NotFound, id)
			continue
		}
		if err != nil {
			return fmt.Errorf("read event: %w", err)
		}
		if !r.fits(record) {
			r.stop(stoppedBySize, true)
			return nil
		}
		if !r.ask(record.Event) {
			r.stop(stoppedByTime, r.out.Asked+len(r.out.NotFound) < len(r.IDs))
			return nil
		}
	}
	return nil
}

// fits counts the size of an event, and reports whether it is still within the bound.
func (r *trial) fits(record *state.Record) bool {
	if r.bytes+record.Size > maxBytes && r.out.Asked > 0 {
		return false
	}
	r.bytes += record.Size
	return true
}

func (r *trial) newest(ctx context.Context, store state.Reader) error {
	q := state.EventQuery{Type: r.Type, Source: r.Source, Limit: pageSize}
	for searches := 0; ; {
		page, err := store.Events(ctx, r.Tenant, q)
		if err != nil {
			return fmt.Errorf("read events: %w", err)
		}
		for _, record := range page.Items {
			if !decide.IsAsked(record.Event) {
				continue
			}
			if !r.fits(record) {
				r.stop(stoppedBySize, true)
				return nil
			}
			asked := r.out.Asked
			goOn := r.ask(record.Event)
			if at := record.Event.Received; r.out.Asked > asked && (r.out.SearchedBackTo.IsZero() || at.Before(r.out.SearchedBackTo.Time)) {
				r.out.SearchedBackTo = view.Time{Time: at}
			}
			if r.out.Asked == r.Last {
				return nil
			}
			if !goOn {
				r.stop(stoppedByTime, true)
				return nil
			}
		}
		if page.Next == "" {
			return nil
		}
		if q.Cursor = page.Next; len(page.Items) < pageSize {
			if searches++; searches == maxSearches {
				r.out.SearchedBackTo = view.Time{Time: page.SearchedBackTo}
				r.stop(stoppedBySearch, true)
				return nil
			}
		}
	}
}

// sortedReasons returns reasons, most frequent first.
func sortedReasons(counts map[string]int) []view.ReasonCount {
	all := make([]view.ReasonCount, 0, len(counts))
	for reason, n := range counts {
		all = append(all, view.ReasonCount{Reason: reason, Count: n})
	}
	slices.SortFunc(all, func(a, b view.ReasonCount) int {
		if a.Count != b.Count {
			return b.Count - a.Count
		}
		return strings.Compare(a.Reason, b.Reason)
	})
	return all
}
