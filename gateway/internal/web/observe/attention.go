package observe

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/stats"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/rules"
)

// maxReasons is how many groups of a destination's dead letters are told apart. Reasons may hold text that differs each time.
const maxReasons = 3

// urgency is the order of what needs attention within a severity: what loses or stops most comes first.
var urgency = []string{
	view.AttentionHold, view.AttentionDead, view.AttentionRejects, view.AttentionBroken, view.AttentionErrs, view.AttentionSilent,
	view.AttentionShadowed, view.AttentionWarning,
}

// moreUrgent orders what needs attention, worst first.
func moreUrgent(a, b view.Attention) int {
	// `bad` sorts before `warn`.
	return cmp.Or(
		cmp.Compare(a.Severity, b.Severity), cmp.Compare(slices.Index(urgency, a.Kind), slices.Index(urgency, b.Kind)), cmp.Compare(b.Count, a.Count),
		a.Since.Compare(b.Since.Time), cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.Of, b.Of),
	)
}

// deliveries is the link to some of a destination's deliveries.
func deliveries(destination string, query ...string) *view.AttentionLink {
	link := &view.AttentionLink{Page: "deliveries", Query: map[string]string{"destination": destination}}
	for i := 0; i < len(query); i += 2 {
		link.Query[query[i]] = query[i+1]
	}
	return link
}

// counted writes a number of things.
func counted(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.FormatInt(n, 10) + " " + many
}

// holdsOf are a tenant's destinations that are sent nothing.
func holdsOf(plan *decide.Plan, tenant string, standing []state.Standing) (found []view.Attention) {
	for i := range standing {
		if a, is := holdOf(plan, tenant, &standing[i]); is {
			found = append(found, a)
		}
	}
	return found
}

// holdOf tells of a destination on hold, or of one that is switched off although deliveries wait for it. A broken one is told of by its
// document.
func holdOf(plan *decide.Plan, tenant string, s *state.Standing) (a view.Attention, is bool) {
	d := plan.Destination(tenant, s.Destination)
	a = view.Attention{
		Kind: view.AttentionHold, Severity: view.SeverityWarn, Of: "destination/" + s.Destination, Code: string(s.Hold.Kind), Count: int64(s.Waiting),
		Since: view.Time{Time: s.Hold.Since}, Until: view.Time{Time: s.Hold.Until}, Action: view.ActionOpen,
		Link: &view.AttentionLink{Page: "destinations", Name: s.Destination},
	}
	why := ""
	if s.Hold.Reason != "" {
		why = ": " + s.Hold.Reason
	}
	switch s.Hold.Kind {
	case state.HoldPaused:
		a.Msg, a.Action = "paused by hand"+why, view.ActionResume
	case state.HoldRevoked:
		a.Msg, a.Action, a.Severity = "its credentials are refused"+why, view.ActionResume, view.SeverityBad
	case state.HoldGone:
		a.Msg, a.Action, a.Severity = "the receiver asked never to be called again"+why, view.ActionResume, view.SeverityBad
	case state.HoldCircuit:
		a.Msg = "nearly all of its last answers were failures" + why + "; it is asked again by itself"
		if s.Waiting > 0 {
			a.Severity = view.SeverityBad
		}
	case state.HoldRate:
		a.Msg = "it asked to be left alone" + why + "; it goes on by itself"
		if s.Waiting == 0 {
			return a, false // nothing is late
		}
	default:
		if d == nil || d.Enabled || d.Broken || s.Waiting == 0 {
			return a, false
		}
		a.Code, a.Msg = view.Disabled, "it is disabled"
		if document, is := view.DocumentOf(d); is {
			a.Action, a.Link = view.ActionEdit, documentLink(document)
		}
	}
	if s.Waiting > 0 {
		a.Msg += "; " + counted(int64(s.Waiting), "delivery waits", "deliveries wait")
		if age := plan.Config.Retention.Waiting.Age; age > 0 && !s.OldestWaiting.IsZero() {
			a.DeadFrom = view.Time{Time: s.OldestWaiting.Add(age)}
		}
	}
	return a, true
}

// deadGroup is what dead letters have in common.
type deadGroup struct{ destination, status, reason string }

// deadOf tells why there are dead letters: it groups the newest, and counts the others.
func deadOf(plan *decide.Plan, newest []state.Delivery, standing []state.Standing) (found []view.Attention) {
	groups, at := map[string][]view.Attention{}, map[deadGroup]int{}
	seen := map[string]int{}
	for i := range newest {
		d := &newest[i]
		g := deadGroup{destination: d.Destination, reason: plan.ReasonOf(d)}
		if len(d.Log) > 0 {
			g.status = strconv.Itoa(d.Log[len(d.Log)-1].Status)
		}
		seen[d.Destination]++
		n, known := at[g]
		if !known {
			n = len(groups[d.Destination])
			at[g] = n
			link := deliveries(g.destination, "state", string(state.Dead))
			if g.status != "" {
				link.Query["status"] = g.status
			}
			groups[d.Destination] = append(groups[d.Destination], view.Attention{
				Kind: view.AttentionDead, Severity: view.SeverityBad, Of: "destination/" + g.destination, Code: g.status, Msg: g.reason,
				Action: view.ActionReplay, Link: link,
			})
		}
		a := &groups[d.Destination][n]
		if a.Count++; a.Since.IsZero() || d.Updated.Before(a.Since.Time) {
			a.Since = view.Time{Time: d.Updated}
		}
	}
	for destination := range groups {
		found = append(found, fewReasons(groups[destination])...)
	}
	for i := range standing {
		s := &standing[i]
		if older := s.Dead - seen[s.Destination]; older > 0 {
			found = append(found, view.Attention{
				Kind: view.AttentionDead, Severity: view.SeverityBad, Of: "destination/" + s.Destination, Count: int64(older),
				Msg: counted(int64(older), "older dead letter", "older dead letters"), Action: view.ActionReplay,
				Link: deliveries(s.Destination, "state", string(state.Dead)),
			})
		}
	}
	return found
}

// fewReasons completes the sentences of a destination's groups, and joins all but the largest.
func fewReasons(groups []view.Attention) []view.Attention {
	slices.SortStableFunc(groups, func(a, b view.Attention) int { return cmp.Compare(b.Count, a.Count) })
	for i := range groups {
		g := &groups[i]
		g.Msg = strings.TrimSuffix(counted(g.Count, "dead letter: ", "dead letters: ")+g.Msg, ": ")
	}
	if len(groups) <= maxReasons {
		return groups
	}
	rest := groups[maxReasons-1]
	for _, g := range groups[maxReasons:] {
		if rest.Count += g.Count; g.Since.Before(rest.Since.Time) {
			rest.Since = g.Since
		}
	}
	rest.Code = ""
	rest.Msg = counted(rest.Count, "dead letter", "dead letters") + ", for " + counted(int64(len(groups)-maxReasons+1), "other reason", "other reasons")
	rest.Link = deliveries(rest.Link.Query["destination"], "state", string(state.Dead))
	return append(groups[:maxReasons-1:maxReasons-1], rest)
}

// rulesOf tells of rules and webhooks whose condition fails; counts are by name and hour. Those that are no longer configured are left out.
func rulesOf(plan *decide.Plan, tenant string, counts []state.Count) (found []view.Attention) {
	var kinds map[string]rules.Kind // by name
	for _, hours := range byName(counts) {
		sum := view.Sum(hours)
		erred, name := sum.Counts[state.RuleErred], hours[0].Name
		if erred == 0 || name == state.OtherName {
			continue
		}
		if kinds == nil {
			kinds = kindsOf(plan.Rules(tenant))
		}
		kind, is := kinds[name]
		if !is {
			continue
		}
		of, link := "rule/"+name, &view.AttentionLink{Page: "rules", Name: name}
		if kind == rules.WebhookKind {
			of, link = "webhook/"+name, &view.AttentionLink{Page: "destinations", Name: name}
		}
		first := slices.IndexFunc(hours, func(c state.Count) bool { return c.Counts[state.RuleErred] > 0 })
		found = append(found, view.Attention{
			Kind: view.AttentionErrs, Severity: view.SeverityWarn, Of: of, Count: erred, Since: view.Time{Time: hours[first].At},
			Msg:    fmt.Sprintf("its condition could not be evaluated for %d of %s in 24 hours", erred, counted(stats.Asked(&sum), "event", "events")),
			Action: view.ActionOpen, Link: link,
		})
	}
	return found
}

// kindsOf returns by name whether it is that of a rule or of a webhook; of both, whose figures are counted together, it is the rule's.
func kindsOf(all []*config.Rule) map[string]rules.Kind {
	kinds := make(map[string]rules.Kind, len(all))
	for _, r := range all {
		if kind, is := kinds[r.Match.Name]; !is || kind != rules.RuleKind {
			kinds[r.Match.Name] = r.Match.Kind
		}
	}
	return kinds
}

// documentsOf tells of a tenant's documents that are not in use although they are enabled.
func documentsOf(plan *decide.Plan, tenant string) (found []view.Attention) {
	over := plan.Overlay(tenant)
	if over == nil {
		return nil
	}
	for i := range over.Documents {
		d := &over.Documents[i]
		a := view.Attention{Of: d.Name, Action: view.ActionEdit, Link: documentLink(d.Name)}
		switch d.State {
		case config.Broken:
			a.Kind, a.Severity, a.Msg = view.AttentionBroken, view.SeverityBad, "it is not in use: it has a fault"
		case config.Shadowed:
			a.Kind, a.Severity, a.Msg = view.AttentionShadowed, view.SeverityWarn, "it is not in use: a file has its name"
		default:
			continue
		}
		if len(d.Faults) > 0 {
			a.Msg = "it is not in use: " + d.Faults[0].Message
		}
		found = append(found, a)
	}
	return found
}

// documentLink is the place of a document, by its name KIND/NAME.
func documentLink(document string) *view.AttentionLink {
	kind, name, _ := strings.Cut(document, "/")
	return &view.AttentionLink{Page: kind + "s", Name: name}
}

func warningsOf(texts []string) (found []view.Attention) {
	for _, text := range texts {
		found = append(found, view.Attention{Kind: view.AttentionWarning, Severity: view.SeverityWarn, Msg: text, Action: view.ActionNone})
	}
	return found
}

// sourcesOf tells of sources that refuse requests, and of those that have become silent.
func sourcesOf(plan *decide.Plan, tenant string, f *figures) (found []view.Attention) {
	for _, hours := range byName(f.sources) {
		name := hours[0].Name
		s := plan.Source(tenant, name)
		if s == nil || !s.Enabled {
			continue
		}
		link := &view.AttentionLink{Page: "sources", Name: name}
		if a, is := rejects(hours, f.from); is {
			a.Of, a.Link = "source/"+name, link
			found = append(found, a)
		}
		if usual, since := stats.Silence(hours, f.now); !since.IsZero() {
			found = append(found, view.Attention{
				Kind: view.AttentionSilent, Severity: view.SeverityWarn, Of: "source/" + name, Since: view.Time{Time: since}, Action: view.ActionOpen, Link: link,
				Msg: fmt.Sprintf("silent for %s, usually every %s", spanText(f.now.Sub(since)), spanText(usual)),
			})
		}
	}
	return found
}

// rejects tells of the requests that a source has refused since a time, by the reason of most of them. If no event was accepted since the
// first of them, it refuses everything.
func rejects(hours []state.Count, from time.Time) (a view.Attention, is bool) {
	var refused [len(state.RefusalReasons)]int64
	first := -1
	for i := range hours {
		if hours[i].At.Before(from) {
			continue
		}
		for reason := range refused {
			if n := hours[i].Counts[state.RequestsRefused+reason]; n > 0 {
				refused[reason] += n
				if a.Count += n; first < 0 {
					first = i
				}
			}
		}
	}
	if first < 0 {
		return a, false
	}
	most := 0
	for reason := range refused {
		if refused[reason] > refused[most] {
			most = reason
		}
	}
	a.Kind, a.Code, a.Action, a.Since = view.AttentionRejects, state.RefusalReasons[most], view.ActionRejected, view.Time{Time: hours[first].At}
	why := a.Code
	if refused[most] < a.Count {
		why += " and other reasons"
	}
	since := view.Sum(hours[first:])
	if stats.Sent(&since) == 0 {
		a.Severity, a.Msg = view.SeverityBad, "it refuses everything: "+counted(a.Count, "request", "requests")+", "+why
	} else {
		a.Severity, a.Msg = view.SeverityWarn, "it refused "+counted(a.Count, "request", "requests")+" in 24 hours: "+why
	}
	return a, true
}

// spanText writes a duration in its largest unit, as people say it.
func spanText(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return strconv.Itoa(int(d/(24*time.Hour))) + " days"
	case d >= 2*time.Hour:
		return strconv.Itoa(int(d/time.Hour)) + " h"
	case d >= time.Minute:
		return strconv.Itoa(int(d/time.Minute)) + " min"
	default:
		return strconv.Itoa(max(int(d/time.Second), 1)) + " s"
	}
}
