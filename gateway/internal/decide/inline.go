package decide

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/rules"
	"github.com/surveygate/surveygate/rules/event"
)

// Given returns the events of an inline test that is in surveygate's own format: one, or those of a list, received one second after
// the other, the last of them now. Events of a list belong to one response, unless they name their own.
func Given(r *config.Rule, t config.Test, now time.Time) ([]*event.Event, error) {
	var bodies []json.RawMessage // which must not be those of the test when they are decoded: decoding writes over them
	if given := bytes.TrimSpace(t.Given); len(given) == 0 || given[0] != '[' {
		bodies = append(bodies, t.Given)
	} else if err := json.Unmarshal(given, &bodies); err != nil {
		return nil, fmt.Errorf("given: %w", err)
	}
	events := make([]*event.Event, len(bodies))
	for i, body := range bodies {
		body, err := asEvent(body, r, len(bodies) > 1)
		if err != nil {
			return nil, err
		}
		at := now.Add(time.Duration(i+1-len(bodies)) * time.Second)
		events[i], err = event.ParseOne(body, event.Defaults{Tenant: TestTenant(r), Source: event.DefaultSource, Received: at, Verified: "token", Notices: true})
		if err != nil {
			return nil, fmt.Errorf("given: %w", err)
		}
	}
	return events, nil
}

// asEvent adds the type to an event that has none: the type that the rule subscribes to. One of a list gets a response id too.
func asEvent(given []byte, r *config.Rule, listed bool) ([]byte, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(given, &members); err != nil {
		return nil, fmt.Errorf("given: %w", err)
	}
	body := bytes.TrimSpace(given)
	if _, found := members["type"]; !found {
		kind := event.TypeResponseCompleted
		if events := r.Match.Events; len(events) > 0 && !slices.Contains(events, kind) && event.IsCanonical(events[0]) {
			kind = events[0]
		}
		body = withMember(body, `"type":`+strconv.Quote(kind))
	}
	if !listed {
		return body, nil
	}
	response, found := members["response"]
	if !found {
		return withMember(body, `"response":{"id":"test"}`), nil
	}
	var own map[string]json.RawMessage
	if json.Unmarshal(response, &own) == nil && own != nil && own["id"] == nil {
		if err := json.Unmarshal(body, &members); err != nil {
			return nil, fmt.Errorf("given: %w", err)
		}
		members["response"] = withMember(bytes.TrimSpace(response), `"id":"test"`)
		return json.Marshal(members)
	}
	return body, nil
}

// withMember returns an object with one more member, which comes first.
func withMember(object []byte, member string) []byte {
	rest := bytes.TrimSpace(object[1:])
	if len(rest) > 1 {
		member += ","
	}
	return append([]byte("{"+member), rest...)
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

// Play returns the steps that a rule sends for events of one response, in the order in which they are received, each step once for
// each time it is sent. A rule that is asked of the response as a whole is asked after the last of them. notSent says why others are
// not sent; it takes as long as an explanation of every rule of the tenant.
func (p *Plan) Play(r *config.Rule, events ...*event.Event) (sent []string, notSent func() []string) {
	whys := make([]func() []string, 0, len(events))
	told := map[string]bool{}
	for i, ev := range events {
		one, why := p.playOne(r, ev, events[:i], events[i+1:], told)
		sent = append(sent, one...)
		whys = append(whys, why)
	}
	return sent, func() (all []string) {
		for i, why := range whys {
			for _, text := range why() {
				if len(events) > 1 {
					text = fmt.Sprintf("event %d: %s", i+1, text)
				}
				all = append(all, text)
			}
		}
		return all
	}
}

// playOne plays one of several events of a response. told are the keys of `once` that were reserved.
func (p *Plan) playOne(r *config.Rule, ev *event.Event, before, after []*event.Event, told map[string]bool) (sent []string, notSent func() []string) {
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
		look := Look{Event: ev}
		if owed.AtDue != nil {
			var err error
			if look, err = p.playWhole(&owed, ev, before, after); err != nil {
				look.Skip = err.Error()
			}
		}
		if told[owed.Once] && look.Skip == "" {
			look.Skip = "once: an earlier event of this response came first"
		}
		if look.Dead != "" {
			why = append(why, owed.Delivery.Step+" is not sent: "+look.Dead)
			continue
		}
		if look.Skip != "" {
			why = append(why, owed.Delivery.Step+" is skipped: "+look.Skip)
			continue
		}
		whole := look.Event
		_, err := owed.Build.Build(whole.WithBudget(nil))
		var skip *connectors.Skipped
		switch {
		case errors.As(err, &skip):
			why = append(why, owed.Delivery.Step+" is skipped: "+skip.Reason)
		case err != nil:
			why = append(why, owed.Delivery.Step+" cannot be built: "+err.Error())
		default:
			sent = append(sent, owed.Delivery.Step)
			if owed.Once != "" {
				told[owed.Once] = true
			}
		}
	}
	return sent, func() []string { return why }
}

// playWhole looks at the response for a deferred rule: at once, for one that need not wait, and else when all events have come and
// every wait is over. Guardrails keep nothing back: what they do depends on the time of day, and on what was sent before.
func (p *Plan) playWhole(owed *Owed, ev *event.Event, before, after []*event.Event) (Look, error) {
	owed = owed.unguarded()
	var all []Known
	known := func(events ...*event.Event) {
		for _, e := range events {
			if e != ev && e.ResponseKey() != ev.ResponseKey() {
				continue
			}
			o := &state.Outcome{}
			for _, other := range p.Decide(e, e.Received).Owed {
				o.Deliveries = append(o.Deliveries, other.Delivery)
			}
			all = append(all, Known{e, o})
		}
	}
	known(before...)
	known(ev)
	if !owed.AtDue.Settle.Until.IsZero() {
		if look, err := owed.Look(ev, all, false, ev.Received); err != nil || look.Wait.IsZero() {
			return look, err
		}
	}
	known(after...)
	return owed.Look(ev, all, false, all[len(all)-1].Event.Received.Add(config.MaxSettle+time.Second))
}

// unguarded returns a delivery without the guardrails of its rule.
func (o *Owed) unguarded() *Owed {
	owed, rule := *o, *o.AtDue
	rule.Guard = config.Guard{}
	owed.AtDue = &rule
	return &owed
}
