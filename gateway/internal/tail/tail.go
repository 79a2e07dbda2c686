// Package tail tells those who watch a tenant what this process decides and attempts, as it happens.
//
// While nobody watches a tenant, nothing is kept of it. A watcher that reads too slowly misses lines, and is told how many: what is
// decided and delivered never waits for it.
package tail

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/rules/event"
)

const (
	// queue is how many lines of a watcher may wait.
	queue = 512
	// kept is how many lines of a tenant are kept for a watcher that comes back, for keptFor after the last one left.
	kept    = 256
	keptFor = 30 * time.Second
	// maxNames bounds the rules that a line names.
	maxNames = 50
)

// Filter selects lines; zero fields select all.
type Filter struct {
	// Rule is the name of a rule or webhook, Destination that of a connection or webhook, Source that of a source.
	Rule, Destination, Source string
	// Failed selects attempts that failed, dead letters, and rules whose condition could not be evaluated.
	Failed bool
}

// Hub passes on lines. Make it with New; it is safe for concurrent use.
type Hub struct {
	clock   clock.Clock
	watched atomic.Int32 // tenants with a feed; 0: nothing is done
	mu      sync.Mutex
	feeds   map[string]*feed
}

// New returns a hub that nobody watches.
func New(c clock.Clock) *Hub { return &Hub{clock: c, feeds: map[string]*feed{}} }

// feed is what happens in one tenant.
type feed struct {
	first    uint64 // the number before that of the first line
	last     uint64 // the number of the last line
	recent   []*view.TailLine
	watchers map[*Watcher]struct{}
	left     time.Duration // when the last watcher left, by Clock.Elapsed
}

// Watcher receives the lines of a tenant that its filter selects.
type Watcher struct {
	// Lines has the lines, in their order. It is never closed.
	Lines <-chan *view.TailLine
	// From is the number of the line behind which it begins, for a watcher that comes back before it had any.
	From uint64

	lines  chan *view.TailLine
	hub    *Hub
	tenant string
	filter Filter
	missed int // since the last line that had room
}

// Watch begins to watch a tenant. after is the number of the last line that the caller had before, to continue behind it as far as lines
// are still kept; 0 begins now. Call Close at the end.
func (h *Hub) Watch(tenant string, f Filter, after uint64) *Watcher {
	lines := make(chan *view.TailLine, queue)
	w := &Watcher{Lines: lines, lines: lines, hub: h, tenant: tenant, filter: f}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.forget()
	at := h.feeds[tenant]
	if at == nil {
		now := uint64(h.clock.Now().UnixMicro()) // above the numbers of earlier feeds
		at = &feed{watchers: map[*Watcher]struct{}{}, first: now, last: now}
		h.feeds[tenant] = at
		h.watched.Store(int32(len(h.feeds)))
	}
	at.watchers[w] = struct{}{}
	w.From = at.last
	switch {
	case after == 0:
	case after < at.first || after > at.last: // it had lines of an earlier feed, such as that of the process before a restart
		w.From = at.first
		w.send(&view.TailLine{N: at.first, Kind: view.TailMissed, At: view.Time{Time: h.clock.Now()}})
		for _, line := range at.recent {
			w.offer(line)
		}
	default:
		w.From = after
		behind := at.last - after
		if most := uint64(len(at.recent)); behind > most {
			w.missed = int(behind - most)
			behind = most
		}
		for _, line := range at.recent[len(at.recent)-int(behind):] {
			w.offer(line)
		}
	}
	return w
}

// Close ends a watcher.
func (w *Watcher) Close() {
	h := w.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	if at := h.feeds[w.tenant]; at != nil {
		delete(at.watchers, w)
		at.left = h.clock.Elapsed()
	}
	h.forget()
}

// forget removes the feeds that nobody has watched for a while; h.mu is held.
func (h *Hub) forget() {
	now := h.clock.Elapsed()
	for tenant, at := range h.feeds {
		if len(at.watchers) == 0 && now-at.left > keptFor {
			delete(h.feeds, tenant)
		}
	}
	h.watched.Store(int32(len(h.feeds)))
}

// publish passes on a line. make is called only if the tenant is watched.
func (h *Hub) publish(tenant string, make func() *view.TailLine) {
	if h.watched.Load() == 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	at := h.feeds[tenant]
	if at == nil {
		return
	}
	if len(at.watchers) == 0 && h.clock.Elapsed()-at.left > keptFor {
		h.forget()
		return
	}
	line := make()
	at.last++
	line.N = at.last
	if len(at.recent) == kept {
		at.recent = append(at.recent[:0], at.recent[1:]...)
	}
	at.recent = append(at.recent, line)
	for w := range at.watchers {
		w.offer(line)
	}
}

// offer sends a line that the filter selects, or counts it as missed; the hub's mu is held.
func (w *Watcher) offer(line *view.TailLine) {
	if !w.filter.selects(line) {
		return
	}
	if w.missed > 0 {
		if !w.send(&view.TailLine{N: line.N - 1, Kind: view.TailMissed, At: line.At, Missed: w.missed}) {
			w.missed++
			return
		}
		w.missed = 0
	}
	if !w.send(line) {
		w.missed++
	}
}

func (w *Watcher) send(line *view.TailLine) bool {
	select {
	case w.lines <- line:
		return true
	default:
		return false
	}
}

func (f *Filter) selects(line *view.TailLine) bool {
	if f.Source != "" && line.Source != f.Source {
		return false
	}
	named := func(of []view.TailRule) bool {
		return f.Rule == "" || slices.ContainsFunc(of, func(r view.TailRule) bool { return r.Rule == f.Rule })
	}
	if line.Kind == view.TailEvent {
		switch {
		case f.Destination != "":
			return false // what is owed to it follows as attempts
		case f.Failed:
			return len(line.Faulty) > 0 && named(line.Faulty)
		}
		return named(line.Matched) || named(line.Unknown) || named(line.Faulty)
	}
	return (f.Rule == "" || line.Rule == f.Rule) && (f.Destination == "" || line.Destination == f.Destination) && (!f.Failed || line.Failed())
}

// Decided tells of the first decision of an event: the rules that matched or failed, and the names of those that are unknown.
func (h *Hub) Decided(ev *event.Event, outcomes []state.RuleOutcome, unknown []string, at time.Time) {
	h.publish(ev.Tenant, func() *view.TailLine {
		line := &view.TailLine{Kind: view.TailEvent, At: view.Time{Time: at}, Event: ev.ID, Type: ev.Type, Source: ev.Source, Survey: ev.SurveyID}
		for _, r := range outcomes {
			of := view.TailRule{Kind: string(r.Origin.Kind), Rule: r.Origin.Name, Fault: r.Err}
			if to := &line.Matched; r.Err == "" && len(*to) < maxNames {
				*to = append(*to, of)
			} else if r.Err != "" && len(line.Faulty) < maxNames {
				line.Faulty = append(line.Faulty, of)
			}
		}
		for _, name := range unknown {
			if len(line.Unknown) < maxNames {
				line.Unknown = append(line.Unknown, view.TailRule{Rule: name})
			}
		}
		return line
	})
}

// Ended tells of a delivery that ended, unless its last attempt did.
func (h *Hub) Ended(d *state.Delivery) {
	if len(d.Log) > 0 {
		return
	}
	h.publish(d.Tenant, func() *view.TailLine { return lineOf(view.TailEnded, d, d.Updated) })
}

// Attempted tells of an attempt, with the delivery as it is after it. status 0: there was no answer.
func (h *Hub) Attempted(d *state.Delivery, ev *event.Event, verdict connectors.Kind, status int, took time.Duration) {
	if len(d.Log) == 0 && d.State != state.Waiting {
		return // nothing was sent: Ended tells of it
	}
	h.publish(d.Tenant, func() *view.TailLine {
		line := lineOf(view.TailAttempt, d, d.Updated)
		line.Verdict, line.Status, line.TookMS = string(verdict), status, took.Milliseconds()
		if ev != nil {
			line.Type, line.Source, line.Survey = ev.Type, ev.Source, ev.SurveyID
		}
		if d.State == state.Waiting {
			line.Due = view.Time{Time: d.Due}
		}
		return line
	})
}

func lineOf(kind view.TailKind, d *state.Delivery, at time.Time) *view.TailLine {
	return &view.TailLine{
		Kind: kind, At: view.Time{Time: at}, Event: d.EventID, Delivery: d.ID, RuleKind: string(d.Origin.Kind), Rule: d.Origin.Name, Step: d.Step,
		Destination: d.Destination, Connector: d.Connector, Attempt: d.Attempts, State: string(d.State), Reason: d.Reason,
	}
}
