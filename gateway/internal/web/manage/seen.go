package manage

import (
	"net/url"
	"time"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/settings"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/stats"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/route"
	"github.com/surveygate/surveygate/rules"
)

// addSeen adds how a source or rule that is in use is used.
func (m *Management) addSeen(c *route.Call, v shown) error {
	plan := m.Plan()
	name := v.Common().Name
	switch v := v.(type) {
	case *view.Source:
		if plan.Source(c.Tenant, name) == nil {
			return nil
		}
		if err := m.addSeenToAll(c, sources, []shown{v}); err != nil {
			return err
		}
		sum, last, err := m.lastDay(c, state.SourceStats, name, stats.Sent)
		if err != nil {
			return err
		}
		sum.At = time.Time{}
		v.LastSeen, v.Last24h, v.Refused24h = last, view.NewSourceStat(sum), stats.Refused(sum)
	case *view.Rule:
		sum, last, err := m.lastDay(c, state.RuleStats, name, matched)
		if err != nil {
			return err
		}
		v.RuleSeen = view.NewRuleSeen(sum, last)
		m.addTests(c, []shown{v})
	}
	return nil
}

// addTests plays the own tests of rules.
func (m *Management) addTests(c *route.Call, all []shown) {
	plan, now := m.Plan(), m.Clock.Now().UTC()
	tested := map[string]*config.Rule{}
	for _, r := range plan.Rules(c.Tenant) {
		if r.Match.Kind == rules.RuleKind && len(r.Tests) > 0 {
			tested[r.Name] = r
		}
	}
	for _, each := range all {
		if v, ok := each.(*view.Rule); ok && tested[v.Name] != nil {
			v.Tests = view.NewRuleTests(settings.Play(plan, tested[v.Name], now))
		}
	}
}

// matched returns how many events a rule matched.
func matched(c *state.Count) int64 { return c.Counts[state.RuleMatched] }

// addSeenToAll adds how the sources or rules of a page are used, with one read, and another one for those that were not used lately.
func (m *Management) addSeenToAll(c *route.Call, k kind, all []shown) error {
	now, plan := m.Clock.Now(), m.Plan()
	from := view.TrendFrom(now)
	of, since, used := state.RuleStats, from, matched
	if k == sources {
		of, since, used = state.SourceStats, state.ByHour.Start(now.Add(-stats.UsualWithin)), stats.Sent
	}
	names := make([]string, len(all))
	for i, v := range all {
		names[i] = v.Common().Name
	}
	hours, err := m.countsByName(c, of, names, state.ByHour, since)
	if err != nil {
		return err
	}
	last := map[string]*view.Time{}
	lastOf := func(names []string, counts map[string][]state.Count) (unused []string) {
		for _, name := range names {
			for i := range counts[name] { // oldest first
				if used(&counts[name][i]) > 0 {
					last[name] = &view.Time{Time: counts[name][i].At}
				}
			}
			if last[name] == nil {
				unused = append(unused, name)
			}
		}
		return unused
	}
	if unused := lastOf(names, hours); len(unused) > 0 {
		days, err := m.countsByName(c, of, unused, state.ByDay, time.Time{})
		if err != nil {
			return err
		}
		lastOf(unused, days)
	}
	secrets, err := showSecrets(c)
	if err != nil {
		return err
	}
	for i, v := range all {
		counts := hours[names[i]]
		first := 0
		for first < len(counts) && counts[first].At.Before(from) {
			first++
		}
		sum := view.Sum(counts[first:])
		switch v := v.(type) {
		case *view.Source:
			s := plan.Source(c.Tenant, names[i])
			if s == nil { // a document that is not in use
				continue
			}
			usual, silent := stats.Silence(counts, now)
			v.SourceSeen = &view.SourceSeen{
				URLs: []string{}, Asks: s.Receiver.Asks(), LastSeen: last[names[i]], Last24h: view.NewSourceStat(&sum), Refused24h: stats.Refused(&sum),
				Hourly: view.Hourly(counts, from, func(c *state.Count) int64 { return c.Counts[state.EventsAccepted] }), UsualGapS: usual.Round(time.Second).Seconds(),
			}
			if v.Enabled {
				v.SilentSince = view.Time{Time: silent}
			}
			if address := s.URL(m.publicURL(c), secrets); address != "" {
				v.URLs = append(v.URLs, address)
			}
		case *view.Rule:
			v.RuleSeen = view.NewRuleSeen(&sum, last[names[i]])
		}
	}
	return nil
}

// countsByName reads what was counted since a time, without what is of a former tenant of the name.
func (m *Management) countsByName(c *route.Call, kind state.StatKind, names []string, step state.StatStep, since time.Time) (map[string][]state.Count, error) {
	if own := m.Tenants.Since(c.Tenant); own.After(since) {
		since = step.Start(own).Add(step.Length())
	}
	by := map[string][]state.Count{}
	counts, err := m.Store.Counts(c.Base, c.Tenant, state.CountQuery{Kind: kind, Names: names, Step: step, Since: since})
	for i := range counts {
		by[counts[i].Name] = append(by[counts[i].Name], counts[i])
	}
	return by, err
}

// lastDay returns the sum of what was counted of a name in the last 24 hours, and the start of the last minute or day in which n was
// not 0; nil if there is none.
func (m *Management) lastDay(c *route.Call, kind state.StatKind, name string, n func(*state.Count) int64) (sum *state.Count, last *view.Time, err error) {
	now := m.Clock.Now()
	q := state.CountQuery{Kind: kind, Names: []string{name}, Step: state.ByMinute, Since: now.Add(-24 * time.Hour)}
	sum = &state.Count{}
	for _, step := range []state.StatStep{state.ByMinute, state.ByDay} {
		if q.Step = step; step == state.ByDay {
			q.Since = time.Time{}
		}
		if own := m.Tenants.Since(c.Tenant); own.After(q.Since) { // what is before is of a former tenant of the name
			q.Since = own.Truncate(step.Length()).Add(step.Length())
		}
		counts, err := m.Store.Counts(c.Base, c.Tenant, q)
		if err != nil {
			return nil, nil, err
		}
		for i := range counts { // oldest first
			if step == state.ByMinute {
				sum.Add(&counts[i])
			}
			if n(&counts[i]) > 0 {
				last = &view.Time{Time: counts[i].At}
			}
		}
		if last != nil {
			break
		}
	}
	return sum, last, nil
}

// publicURL returns what URLs of sources begin with: as configured, else as the caller reached the gateway, or over the socket and
// at the console's own address its listen address.
func (m *Management) publicURL(c *route.Call) string {
	configured := m.Plan().Config
	switch {
	case configured.PublicURL != "":
		return configured.PublicURL
	case !c.Open && !c.Apart:
		caller := url.URL{Scheme: c.Protocol(), Host: string(c.Request().Host())}
		if text := caller.String(); config.CheckPublicURL(text) == nil {
			return text
		}
	}
	if own, err := onThisMachine(m.Address()); err == nil {
		return own
	}
	return "http://" + configured.Listen
}
