package decide

import (
	"slices"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/rules/event"
)

// TestAsking: a plan that asks only some rules asks them as if they were enabled, and sends where the whole plan sends to.
func TestAsking(t *testing.T) {
	t.Parallel()
	c, err := config.LoadText([]byte(`
connections:
  alarms: {slack: {webhook: "https://hooks.slack.com/services/T/B/X"}}
  own: {tenant: other, slack: {webhook: "https://hooks.slack.com/services/T/B/Z"}}
webhooks:
  - {name: crm, url: "https://example.com/crm", events: ["response.*"], signature: none}
rules:
  - {name: low, when: nps_score <= 6, send: [alarms]}
  - {name: all, enabled: false, send: [alarms]}
  - {name: shared, tenant: "*", send: [own]}
`))
	if err != nil {
		t.Fatal(err)
	}
	own := config.Overlay(c, "default", []config.Document{
		{Name: "connection/own", Version: 1, Spec: []byte(`{"slack": {"webhook": "https://hooks.slack.com/services/T/B/Y"}}`)},
		{Name: "rule/stored", Version: 2, Spec: []byte(`{"send": ["own", "alarms"]}`)},
	})
	plan := New(c, own)
	ev, err := event.ParseOne([]byte(`{"type":"response.completed","id":"e","nps_score":3}`), event.Defaults{Tenant: "default", Source: "api", Verified: "token", Received: time.Unix(1767323045, 0)})
	if err != nil {
		t.Fatal(err)
	}
	owed := func(p *Plan) (all []string) {
		for _, o := range p.Decide(ev, ev.Received).Owed {
			if o.Build == nil {
				t.Errorf("%s has no connector", o.Delivery.ID)
			}
			all = append(all, o.Delivery.Origin.Name+" "+o.Delivery.Destination)
		}
		return all
	}
	named := map[string]*config.Rule{}
	for _, r := range plan.Rules("default") {
		named[r.Name] = r
	}
	for _, test := range []struct{ rules, want []string }{
		{[]string{"low"}, []string{"low alarms"}},
		{[]string{"all"}, []string{"all alarms"}},
		{[]string{"shared", "stored"}, []string{"shared own", "stored own", "stored alarms"}},
		{[]string{"crm"}, []string{"crm crm"}},
		{nil, nil},
	} {
		var only []*config.Rule
		for _, name := range test.rules {
			only = append(only, named[name])
		}
		asking := plan.Asking("default", only...)
		if got := owed(asking); !slices.Equal(got, test.want) {
			t.Errorf("asking %v: %v owed, want %v", test.rules, got, test.want)
		}
		if got := len(asking.Rules("default")); got != len(only) {
			t.Errorf("asking %v: %d rules", test.rules, got)
		}
	}
	if got := owed(plan); !slices.Equal(got, []string{"low alarms", "shared own", "crm crm", "stored own", "stored alarms"}) {
		t.Errorf("the whole plan has changed: %v", got)
	}
}
