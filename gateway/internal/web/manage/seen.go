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
		s := plan.Source(c.Tenant, name)
		if s == nil {
			return nil
		}
		secrets, err := showSecrets(c)
		if err != nil {
			return err
		}
		sum, last, err := m.lastDay(c, state.SourceStats, name, func(n *state.Count) int64 {
			return n.Counts[state.EventsAccepted] + n.Counts[state.EventsDuplicate]
		})
		if err != nil {
			return err
		}
		sum.At = time.Time{}
		v.SourceSeen = &view.SourceSeen{URLs: []string{}, Asks: s.Receiver.Asks(), LastSeen: last, Last24h: view.NewSourceStat(sum)}
		if address := s.URL(m.publicURL(c), secrets); address != "" {
			v.URLs = append(v.URLs, address)
		}
	case *view.Rule:
		sum, last, err := m.lastDay(c, state.RuleStats, name, func(n *state.Count) int64 { return n.Counts[state.RuleMatched] })
		if err != nil {
			return err
		}
		v.RuleSeen = &view.RuleSeen{
			Hits24h: sum.Counts[state.RuleMatched], Errors24h: sum.Counts[state.RuleErred], Asked24h: stats.Asked(sum), LastMatch: last,
		}
		for _, r := range plan.Rules(c.Tenant) {
			if r.Name == name && r.Match.Kind == rules.RuleKind {
				v.Tests = view.NewRuleTests(settings.Play(plan, r, m.Clock.Now().UTC()))
			}
		}
	}
	return nil
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

// publicURL returns what URLs of sources begin with: as configured, else as the caller reached the gateway, or over the socket its
// listen address.
func (m *Management) publicURL(c *route.Call) string {
	configured := m.Plan().Config
	switch {
	case configured.PublicURL != "":
		return configured.PublicURL
	case !c.Open:
		caller := url.URL{Scheme: c.Protocol(), Host: string(c.Request().Host())}
		if text := caller.String(); config.CheckPublicURL(text) == nil {
			return text
		}
	}
	return "http://" + configured.Listen
}
