package notice

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/surveygate/surveygate/rules/event"
)

// transition is a change of what is true of a destination or a source.
type transition struct {
	name    string
	is, was Condition
	since   time.Time
	reason  string
	count   int // of what waits, or of refused requests
	silent  string
}

// typeOf returns the type of the notice about a transition; empty: it is not told.
func (t *transition) typeOf(ofSource bool) string {
	switch t.is {
	case Unhealthy:
		return event.TypeDestinationUnhealthy
	case Disabled:
		return event.TypeDestinationDisabled
	case Silent:
		return event.TypeSourceSilent
	case Rejecting:
		return event.TypeSourceRejecting
	}
	if ofSource {
		return "" // the events themselves say so
	}
	return event.TypeDestinationRecovered
}

// summary is a transition as a sentence.
func (t *transition) summary() string {
	switch t.is {
	case Unhealthy:
		return fmt.Sprintf("Destination %s is unhealthy since %s: %s; %s", t.name, moment(t.since), cmp.Or(clip(t.reason), "it fails"), waiting(t.count))
	case Disabled:
		return fmt.Sprintf("Destination %s is disabled since %s: its receiver wants nothing any more (%s); %s", t.name, moment(t.since), cmp.Or(clip(t.reason), "410"), waiting(t.count))
	case Silent:
		return fmt.Sprintf("Source %s is silent since %s: %s", t.name, moment(t.since), t.silent)
	case Rejecting:
		return fmt.Sprintf("Source %s has refused all %s since %s: %s", t.name, plural(t.count, "request"), moment(t.since), t.reason)
	}
	return fmt.Sprintf("Destination %s has recovered; it was %s since %s; %s", t.name, t.was, moment(t.since), waiting(t.count))
}

func waiting(n int) string {
	if n == 1 {
		return "1 delivery waits"
	}
	return fmt.Sprintf("%d deliveries wait", n)
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// tellAll tells a tenant of transitions, and stores that it did. More than maxEach of one type are one notice.
func (n *Notifier) tellAll(ctx context.Context, tenant string, r *record, ofSource bool, all []transition, hears heard) error {
	if len(all) == 0 {
		return nil
	}
	slices.SortFunc(all, func(a, b transition) int { return cmp.Compare(a.name, b.name) })
	all = all[:min(len(all), maxTransitions)] // the rest in the next round
	byType := map[string][]transition{}
	for _, t := range all {
		if of := t.typeOf(ofSource); of != "" && hears.hears(t.is) {
			byType[of] = append(byType[of], t)
		}
	}
	for of, some := range byType {
		if len(some) > maxEach {
			if err := n.tellMany(ctx, tenant, of, r.version, some); err != nil {
				return err
			}
			continue
		}
		for _, t := range some {
			data := event.Notice{Summary: t.summary(), Reason: t.reason, Count: number(t.count), Since: moment(t.since)}
			if data.Destination = t.name; ofSource {
				data.Destination, data.Source = "", t.name
			}
			// Each change of the record has another version, so a transition is one event, and the same one later is another.
			key := fmt.Sprintf("%s/%d", t.name, r.version)
			if r.version == 0 {
				key = fmt.Sprintf("%s/%d", t.name, t.since.UnixMilli())
			}
			if _, err := n.tell(ctx, tenant, of, key, data); err != nil {
				return err
			}
		}
	}
	now, list := n.Clock.Now(), r.Destinations
	if ofSource {
		list = r.Sources
	}
	for _, t := range all {
		list[t.name] = told{Is: t.is, Since: t.since, At: now}
	}
	return n.keep(ctx, tenant, r)
}

// tellMany makes one notice of many transitions.
func (n *Notifier) tellMany(ctx context.Context, tenant, of string, version uint64, some []transition) error {
	names, since, count := make([]string, len(some)), some[0].since, 0
	for i, t := range some {
		names[i] = t.name
		count += t.count
		if t.since.Before(since) {
			since = t.since
		}
	}
	what := map[string]string{
		event.TypeDestinationUnhealthy: "destinations are unhealthy", event.TypeDestinationDisabled: "destinations are disabled",
		event.TypeDestinationRecovered: "destinations have recovered", event.TypeSourceSilent: "sources are silent",
		event.TypeSourceRejecting: "sources refuse every request",
	}[of]
	key := fmt.Sprintf("many/%d", version)
	if version == 0 {
		key = fmt.Sprintf("many/since/%d", since.UnixMilli())
	}
	_, err := n.tell(ctx, tenant, of, key, event.Notice{
		Summary: fmt.Sprintf("%d %s: %s", len(some), what, few(names)), Count: number(count), Since: moment(since),
	})
	return err
}
