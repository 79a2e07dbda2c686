package decide

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/surveygate/surveygate/gateway/config"
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
	kind := event.TypeResponseCompleted
	if events := r.Match.Events; len(events) > 0 && !slices.Contains(events, kind) && event.IsCanonical(events[0]) {
		kind = events[0]
	}
	events := make([]*event.Event, len(bodies))
	for i, body := range bodies {
		at := now.Add(time.Duration(i+1-len(bodies)) * time.Second)
		var err error
		if events[i], err = GivenEvent(body, kind, TestTenant(r), len(bodies) > 1, at); err != nil {
			return nil, fmt.Errorf("given: %w", err)
		}
	}
	return events, nil
}

// GivenEvent returns an event of a test that is in surveygate's own format. It is of a type unless it has its own. One of several belongs
// to the same response as the others unless it has a response's id.
func GivenEvent(body []byte, kind, tenant string, several bool, received time.Time) (*event.Event, error) {
	body, err := asEvent(body, kind, several)
	if err != nil {
		return nil, err
	}
	return event.ParseOne(body, event.Defaults{Tenant: tenant, Source: event.DefaultSource, Received: received, Verified: "token", Notices: true})
}

// asEvent adds the type to an event that has none. One of several gets a response id too.
func asEvent(given []byte, kind string, several bool) ([]byte, error) {
	var members map[string]json.RawMessage
	body := bytes.TrimSpace(given)
	if err := json.Unmarshal(body, &members); err != nil || members == nil {
		return body, nil // which is no event: its parser says why
	}
	if _, found := members["type"]; !found {
		body = withMember(body, `"type":`+strconv.Quote(kind))
	}
	if !several {
		return body, nil
	}
	response, found := members["response"]
	if !found {
		return withMember(body, `"response":{"id":"test"}`), nil
	}
	var own map[string]json.RawMessage
	if json.Unmarshal(response, &own) == nil && own != nil && own["id"] == nil {
		if err := json.Unmarshal(body, &members); err != nil {
			return nil, err
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
