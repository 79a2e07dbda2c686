package decide

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/rules"
	"github.com/surveygate/surveygate/rules/event"
)

// Given returns the event of an inline test that is in surveygate's own format, received now.
func Given(r *config.Rule, t config.Test, now time.Time) (*event.Event, error) {
	body, err := withType(t.Given, r)
	if err != nil {
		return nil, err
	}
	ev, err := event.ParseOne(body, event.Defaults{Tenant: TestTenant(r), Source: event.DefaultSource, Received: now, Verified: "token", Notices: true})
	if err != nil {
		return nil, fmt.Errorf("given: %w", err)
	}
	return ev, nil
}

// withType adds the type to an event that has none: the type that the rule subscribes to.
func withType(given []byte, r *config.Rule) ([]byte, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(given, &members); err != nil {
		return nil, fmt.Errorf("given: %w", err)
	}
	if _, found := members["type"]; found {
		return given, nil
	}
	kind := event.TypeResponseCompleted
	if events := r.Match.Events; len(events) > 0 && !slices.Contains(events, kind) && event.IsCanonical(events[0]) {
		kind = events[0]
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, `{"type":%q`, kind)
	if len(members) > 0 {
		b.WriteByte(',')
	}
	b.Write(bytes.TrimPrefix(bytes.TrimSpace(given), []byte("{")))
	return b.Bytes(), nil
}

// TestTenant returns the tenant that the tests of a rule run in: its own; of a rule of all tenants the first in which it sends, by name.
func TestTenant(r *config.Rule) string {
	if r.Tenant != rules.AllTenants {
		return r.Tenant
	}
	var all []string
	for _, s := range r.Steps {
		all = slices.AppendSeq(all, maps.Keys(s.Build))
	}
	if len(all) == 0 {
		return config.DefaultTenant
	}
	return slices.Min(all)
}

// SameSteps reports whether two lists have the same steps, in any order.
func SameSteps(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

// Play returns the steps that a rule sends for an event. notSent says why others are not sent; it takes as long as an explanation of
// every rule of the tenant.
func (p *Plan) Play(r *config.Rule, ev *event.Event) (sent []string, notSent func() []string) {
	d := p.Decide(ev, ev.Received)
	matched := false
	var why []string
	for _, o := range d.Rules {
		if o.Origin.Name == r.Name && o.Origin.Kind == OriginOf(r).Kind {
			matched = o.Err == ""
			if o.Err != "" {
				why = append(why, "the rule failed: "+o.Err)
			}
		}
	}
	if !matched {
		return nil, func() []string {
			for _, e := range p.Explain(ev) {
				if e.Rule == r.Match {
					return append(slices.Clip(why), "no match: "+e.Why)
				}
			}
			return why
		}
	}
	for _, owed := range d.Owed {
		if owed.Delivery.Origin != OriginOf(r) {
			continue
		}
		if owed.Build == nil {
			why = append(why, owed.Delivery.Step+" cannot be built: its destination has a fault")
			continue
		}
		_, err := owed.Build.Build(ev.WithBudget(nil))
		var skip *connectors.Skipped
		switch {
		case errors.As(err, &skip):
			why = append(why, owed.Delivery.Step+" is skipped: "+skip.Reason)
		case err != nil:
			why = append(why, owed.Delivery.Step+" cannot be built: "+err.Error())
		default:
			sent = append(sent, owed.Delivery.Step)
		}
	}
	return sent, func() []string { return why }
}
