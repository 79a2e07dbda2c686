// Package backtest answers what rules would have done with stored events, had they been live: how many they would match and when, what
// would be sent, skipped or rejected, and why. It sends nothing and writes nothing: it has neither a sender nor the part of the store that
// changes.
package backtest

import (
	"context"
	"fmt"
	"hash/maphash"
	"time"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/audit"
	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/explain"
	"github.com/surveygate/surveygate/gateway/internal/scan"
	"github.com/surveygate/surveygate/gateway/internal/settings"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/rules/event"
)

// The bounds of one backtest, and of its answer.
const (
	// MaxRules is how many rules it asks about.
	MaxRules = 10
	// DefaultLimit and MaxLimit are how many events it asks about.
	DefaultLimit = 100_000
	MaxLimit     = 1_000_000
	// DefaultSince is how far it goes back.
	DefaultSince = 30 * 24 * time.Hour
	// maxFor is for how long it asks. It is less than the time that the API gives a request, so that there is an answer.
	maxFor = 9 * time.Minute

	maxNamed       = 1000 // names of rules, before it is known which are the same
	maxDays        = 400
	maxNames       = 100
	maxReasons     = 20
	maxSamples     = 3 // of each result
	maxRequestText = 16 << 10
	maxOnce        = 1_000_000
	maxWhole       = 10_000
)

// Backtester asks rules about stored events. All fields are required; it is safe for concurrent use.
type Backtester struct {
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

// Ask is what is asked.
type Ask struct {
	Tenant string
	By     audit.By
	// Rules are the names of rules or webhooks; none: all rules of Draft.
	Rules []string
	// Draft are changes of documents; none asks rules that run. Deletions are ignored.
	Draft []settings.Change
	// Variables: the draft may have ${NAME}, whose value is unknown.
	Variables bool
	// Since and Until are of the receipt; Limit is how many events are asked about.
	Since, Until         time.Time
	Type, Source, Survey string
	Limit                int
}

// Run is a backtest that was checked. It is used once.
type Run struct {
	ask     Ask
	store   state.Reader
	scanner scan.Scanner
	now     time.Time
	// plan asks the rules of tallies alone.
	plan    *decide.Plan
	tallies []*tally
	notes   []string

	asked int // the events so far
	types map[string]int
	seed  maphash.Seed
	once  onceKeys
	whole wholes
}

// Do asks. report (may be nil) is told how far it has come; its error ends the backtest.
func (r *Run) Do(ctx context.Context, report func(view.BacktestProgress) error) (*view.Backtested, error) {
	q := scan.Query{
		Tenant: r.ask.Tenant, Type: r.ask.Type, Source: r.ask.Source, Survey: r.ask.Survey,
		Since: r.ask.Since, Until: r.ask.Until, Most: r.ask.Limit, For: maxFor,
	}
	var tell func(scan.Progress) error
	if report != nil {
		tell = func(p scan.Progress) error {
			return report(view.BacktestProgress{
				Asked: p.Asked, BackTo: view.Time{Time: p.Back}, Since: view.Time{Time: r.ask.Since}, Until: view.Time{Time: r.ask.Until}, Limit: r.ask.Limit,
			})
		}
	}
	end, err := r.scanner.Each(ctx, q, tell, func(ev *event.Event) error { return r.event(ctx, ev) })
	if err != nil {
		return nil, err
	}
	out := &view.Backtested{
		Kind: view.BacktestKind, At: view.Time{Time: r.now}, Since: view.Time{Time: r.ask.Since}, Until: view.Time{Time: r.ask.Until},
		Type: r.ask.Type, Source: r.ask.Source, Survey: r.ask.Survey,
		Asked: end.Asked, BackTo: view.Time{Time: end.Back}, Stopped: end.Stopped, Rules: make([]view.BacktestedRule, len(r.tallies)),
	}
	for i, t := range r.tallies {
		out.Rules[i] = t.view(r.types)
	}
	out.Notes = r.allNotes()
	return out, nil
}

// event asks all rules about one event.
func (r *Run) event(ctx context.Context, ev *event.Event) error {
	r.asked++
	r.types[ev.Type]++
	d := r.plan.Decide(ev, r.now)
	for _, name := range d.Unknown {
		if t := r.named(name, ev); t != nil {
			t.unknown++
		}
	}
	for i := range d.Rules {
		switch t := r.of(d.Rules[i].Origin); {
		case t == nil:
		case d.Rules[i].Err != "":
			t.failed.add(d.Rules[i].Err)
		case !t.rule.Match.Defers(ev.Type): // else its condition is asked of the response
			t.match(ev)
		}
	}
	for i := range d.Owed {
		if err := r.owed(ctx, &d.Owed[i], ev); err != nil {
			return err
		}
	}
	return nil
}

// of returns the tally of a rule or webhook.
func (r *Run) of(origin state.Origin) *tally {
	for _, t := range r.tallies {
		if t.origin == origin {
			return t
		}
	}
	return nil
}

// named returns the tally of a rule or webhook whose condition is unknown, of which the decision has the name alone.
func (r *Run) named(name string, ev *event.Event) *tally {
	for _, t := range r.tallies {
		if t.origin.Name == name && t.rule.Match.AcceptsType(ev.Type) {
			return t
		}
	}
	return nil
}

// reasonOnce is why a delivery is skipped because of `once: response`.
const reasonOnce = "once: another event of its response is told"

// owed counts one delivery that an event owes.
func (r *Run) owed(ctx context.Context, o *decide.Owed, ev *event.Event) error {
	t := r.of(o.Delivery.Origin)
	if t == nil {
		return nil
	}
	found := delivery{owed: o, own: ev, told: ev}
	if o.AtDue != nil && t.rule.Match.Defers(ev.Type) {
		goOn, err := r.look(ctx, t, &found)
		if err != nil || !goOn {
			return err
		}
	}
	key := uint64(0)
	if o.Once != "" {
		if key = maphash.String(r.seed, o.Once); r.once.has(key) {
			t.step(o).Skipped++
			t.skipped.add(reasonOnce)
			t.sample(r.plan, &found, view.BacktestSkipped, "would be skipped: "+reasonOnce, nil)
			return nil
		}
	}
	built := explain.Build(*o, found.told, r.now)
	if built.Request != nil && o.Once != "" {
		r.once.add(key)
	}
	t.count(r.plan, &found, &built)
	return nil
}

// onceKeys are hashes of the keys of `once` that were told.
type onceKeys struct {
	told map[uint64]struct{}
	most int
	full bool
}

func (k *onceKeys) has(key uint64) bool {
	_, told := k.told[key]
	return told
}

func (k *onceKeys) add(key uint64) {
	if len(k.told) >= k.most {
		k.full = true
		return
	}
	k.told[key] = struct{}{}
}

// allNotes says in what the result differs from what would have happened.
func (r *Run) allNotes() []string {
	notes := r.notes
	for _, t := range r.tallies {
		rule := t.rule
		if rule.Guard != (config.Guard{}) {
			notes = append(notes, fmt.Sprintf("%s %s: quiet hours, at_most and contact_cap are not applied", t.origin.Kind, t.written))
		}
		if t.whole {
			notes = append(notes, fmt.Sprintf("%s %s: it is asked once of each response, as it stands now, on the day of its newest event", t.origin.Kind, t.written))
		}
	}
	if r.once.full {
		notes = append(notes, fmt.Sprintf("once: %d deliveries are remembered; of older events, a response may be counted more than once", r.once.most))
	}
	if r.whole.left > 0 {
		notes = append(notes, fmt.Sprintf("%d responses were asked as a whole; %d events of others were not asked about", r.whole.most, r.whole.left))
	}
	return notes
}
