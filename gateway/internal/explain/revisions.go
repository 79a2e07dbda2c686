package explain

import (
	"fmt"
	"slices"
	"strings"

	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/renormalise"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/rules/event"
)

// former adds the revisions before the newest.
func (x *Explanation) former(record *state.Record) {
	for i := range record.Former {
		f := &record.Former[i]
		next := record.Event
		if i+1 < len(record.Former) {
			next = record.Former[i+1].Event
		}
		told := view.ExplainedRevision{
			Revision: f.Event.Revision, DecidedAt: f.At, Generation: f.Generation, Dead: f.Dead, Matched: []string{},
			Differences: event.Differences(f.Event, next),
		}
		for _, r := range f.Rules {
			if r.Err == "" {
				told.Matched = append(told.Matched, string(r.Origin.Kind)+" "+r.Origin.Name)
			}
		}
		x.Former = append(x.Former, told)
	}
}

// read adds how today's profile and roles read the raw body, if that differs. A body that they cannot read is left out here: a
// request to normalise it reports the error.
func (x *Explanation) read(today *decide.Plan, ev *event.Event) {
	next, err := renormalise.Today(today, ev)
	if err != nil {
		return
	}
	if differences := event.Differences(ev, next); len(differences) > 0 {
		x.Today = &view.Reading{Differences: differences, Command: "surveygate replay --normalise " + ev.ID + ofTenant(ev.Tenant)}
	}
}

func ofTenant(tenant string) string {
	if tenant == event.DefaultTenant {
		return ""
	}
	return " --tenant " + tenant
}

// newestFirst puts the deliveries of newer revisions before those of older ones.
func newestFirst(deliveries []state.Delivery) []state.Delivery {
	slices.SortStableFunc(deliveries, func(a, b state.Delivery) int { return b.Revision - a.Revision })
	return deliveries
}

// numbered returns the name of a revision for a person.
func numbered(revision int) string {
	if revision == 0 {
		return "as it came"
	}
	return fmt.Sprintf("revision %d", revision)
}

func (p *printer) revisions(x *Explanation) {
	if x.Event.Revision == 0 {
		return
	}
	p.line("  revision %d: its raw body was read again %s, decided by configuration %s", x.Event.Revision, p.when(x.DecidedAt), shortGeneration(x.Generation))
	for i := range x.Former {
		f := &x.Former[i]
		matched := "nothing matched"
		if len(f.Matched) > 0 {
			matched = strings.Join(f.Matched, ", ") + " matched"
		}
		p.line("    %s: %s, decided %s; read otherwise since: %s", numbered(f.Revision), matched, p.when(f.DecidedAt), strings.Join(f.Differences, ", "))
	}
}

func (p *printer) reading(x *Explanation) {
	if x.Today == nil {
		return
	}
	p.line("")
	p.line("Its source reads the raw body otherwise today: %s.", strings.Join(x.Today.Differences, ", "))
	p.line("To read it again and deliver what is corrected: %s", x.Today.Command)
}
