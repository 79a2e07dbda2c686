package decide

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/rules"
	"github.com/surveygate/surveygate/rules/event"
)

type product struct{ name string }

func (product) Build(*event.Event) (*connectors.Request, error) { return nil, nil }

func rule(tenant, name string, steps ...*config.Step) *config.Rule {
	return &config.Rule{
		Item:  config.Item{Tenant: tenant, Name: name},
		Match: &rules.Rule{Kind: rules.RuleKind, Tenant: tenant, Name: name, Events: []string{event.TypeResponseCompleted}},
		Steps: steps,
	}
}

// step sends to a destination in each of the tenants named.
func step(name, destination string, tenants ...string) *config.Step {
	s := &config.Step{Name: name, Destination: destination, Build: map[string]connectors.Connector{}}
	for _, tenant := range tenants {
		s.Build[tenant] = product{tenant + "/" + name}
	}
	return s
}

func plan(destinations []string, all ...*config.Rule) *Plan {
	c := &config.Config{Generation: "g", Rules: all}
	for _, at := range destinations {
		tenant, name, _ := strings.Cut(at, "/")
		c.Destinations = append(c.Destinations, &config.Destination{Item: config.Item{Tenant: tenant, Name: name}, Product: "product"})
	}
	return New(c)
}

func parse(t *testing.T, tenant, body string) *event.Event {
	t.Helper()
	ev, err := event.ParseOne([]byte(body), event.Defaults{Tenant: tenant, Source: "api", Received: now, Verified: "token"})
	if err != nil {
		t.Fatal(err)
	}
	return ev
}

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

const completed = `{"type":"response.completed","id":"e1","response":{"id":"r1"}}`

func TestDecide(t *testing.T) {
	t.Parallel()
	slow := rule("acme", "slow", step("late", "late", "acme"))
	slow.Delay = time.Minute
	hook := rule("acme", "hook", step("hook", "hook", "acme"))
	hook.Match.Kind = rules.WebhookKind
	off := rule("acme", "off", step("crm", "crm", "acme"))
	off.Match.Disabled = true
	p := plan([]string{"acme/crm", "acme/hook", "acme/late", "other/crm"},
		rule("acme", "two", step("crm", "crm", "acme"), step("vip", "crm", "acme")),
		slow, hook, off,
		rule("other", "foreign", step("crm", "crm", "other")),
		rule("*", "everybody", step("crm", "crm", "acme", "other"), step("chat", "chat", "third")),
	)
	p.Destination("acme", "late").Delay = time.Second
	cases := []struct {
		tenant string
		want   []string // origin/step → destination, after its delay
	}{
		{"acme", []string{
			"rule two/crm → acme/crm after 0s", "rule two/vip → acme/crm after 0s", "rule slow/late → acme/late after 1m1s",
			"webhook hook/hook → acme/hook after 0s", "rule everybody/crm → acme/crm after 0s",
		}},
		{"other", []string{"rule foreign/crm → other/crm after 0s", "rule everybody/crm → other/crm after 0s"}},
		{"third", nil}, // its steps name nothing that is there
	}
	for _, c := range cases {
		t.Run(c.tenant, func(t *testing.T) {
			t.Parallel()
			ev := parse(t, c.tenant, completed)
			d := p.Decide(ev, now)
			var got []string
			ids := map[string]bool{}
			for _, o := range d.Owed {
				x := o.Delivery
				got = append(got, string(x.Origin.Kind)+" "+x.Origin.Name+"/"+x.Step+" → "+o.Destination.Tenant+"/"+o.Destination.Name+" after "+x.Due.Sub(now).String())
				if x.State != state.Waiting || x.Tenant != c.tenant || x.EventID != ev.ID || ids[x.ID] {
					t.Errorf("delivery %+v", x)
				}
				ids[x.ID] = true
				again, ok := p.Today(x, ev)
				if !ok || again.Build != o.Build || again.Destination != o.Destination {
					t.Errorf("today %s is another one: %+v", x.Step, again)
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(d, p.Decide(ev, now), cmp.Comparer(func(a, b *config.Destination) bool { return a == b }),
				cmp.Comparer(func(a, b connectors.Connector) bool { return a == b }), cmp.Comparer(func(a, b *config.Step) bool { return a == b })); diff != "" {
				t.Errorf("decided again: %s", diff)
			}
		})
	}
}

// A step that is gone, or whose destination is, has no build today; one that moved goes to its new destination.
// TestRuleOfEveryTenant: what a rule of every tenant owes goes by the destination of the event's own tenant, its product
// and its delay too.
func TestRuleOfEveryTenant(t *testing.T) {
	t.Parallel()
	crm := step("crm.note", "crm", "acme", "other")
	crm.Action = "note"
	p := plan([]string{"acme/crm", "other/crm"}, rule("*", "everybody", crm))
	acme, other := p.Destination("acme", "crm"), p.Destination("other", "crm")
	acme.Product, acme.Delay = "first", time.Minute
	other.Product = "second"
	for tenant, want := range map[string]string{"acme": "first.note after 1m0s", "other": "second.note after 0s"} {
		owed := p.Decide(parse(t, tenant, completed), now).Owed
		if len(owed) != 1 {
			t.Fatalf("%s: %d deliveries", tenant, len(owed))
		}
		d := owed[0].Delivery
		if got := fmt.Sprintf("%s after %v", d.Connector, d.Due.Sub(now)); got != want {
			t.Errorf("%s: %s, want %s", tenant, got, want)
		}
		if again, ok := p.Today(d, parse(t, tenant, completed)); !ok || again.Delivery.Connector != d.Connector {
			t.Errorf("%s: today it is %q", tenant, again.Delivery.Connector)
		}
	}
}

func TestToday(t *testing.T) {
	t.Parallel()
	ev := parse(t, "acme", completed)
	before := plan([]string{"acme/crm"}, rule("acme", "r", step("note", "crm", "acme")))
	owed := before.Decide(ev, now).Owed[0].Delivery
	cases := []struct {
		name string
		plan *Plan
		to   string // empty: no longer configured
	}{
		{"as it was", before, "crm"},
		{"rule gone", plan([]string{"acme/crm"}), ""},
		{"step gone", plan([]string{"acme/crm"}, rule("acme", "r", step("other", "crm", "acme"))), ""},
		{"destination gone", plan(nil, rule("acme", "r", step("note", "crm", "acme"))), ""},
		{"moved", plan([]string{"acme/new"}, rule("acme", "r", step("note", "new", "acme"))), "new"},
		{"for everybody now", plan([]string{"acme/crm"}, rule("*", "r", step("note", "crm", "acme"))), "crm"},
		{"another tenant's", plan([]string{"acme/crm", "b/crm"}, rule("b", "r", step("note", "crm", "b"))), ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, ok := c.plan.Today(owed, ev)
			if ok != (c.to != "") || got.Delivery.Destination != c.to || ok && got.Delivery.ID != owed.ID {
				t.Errorf("%t, %+v", ok, got.Delivery)
			}
		})
	}
}

// Once is for one response, one rule and one step; without a response there is nothing to tell apart by.
func TestOnceKey(t *testing.T) {
	t.Parallel()
	r := rule("acme", "r", step("a", "crm", "acme"), step("b", "crm", "acme"))
	r.Once = true
	p := plan([]string{"acme/crm"}, r)
	seen := map[string]string{} // what a key is for
	for name, same := range map[string][]string{
		"r1":                     {completed, `{"type":"response.completed","id":"e2","response":{"id":"r1"}}`},
		"r2":                     {`{"type":"response.completed","id":"e3","response":{"id":"r2"}}`},
		"r1 of a survey":         {`{"type":"response.completed","id":"e4","survey":{"id":"s1"},"response":{"id":"r1"}}`},
		"r1 of another survey":   {`{"type":"response.completed","id":"e5","survey":{"id":"s2"},"response":{"id":"r1"}}`},
		"r1 of another platform": {`{"type":"response.completed","id":"e6","source":"wufoo","survey":{"id":"s1"},"response":{"id":"r1"}}`},
	} {
		keys := map[string]bool{}
		for _, body := range same {
			owed := p.Decide(parse(t, "acme", body), now).Owed
			if len(owed) != 2 {
				t.Fatalf("%s: %d deliveries", name, len(owed))
			}
			for _, o := range owed {
				keys[o.Once] = true
				if to, ok := seen[o.Once]; ok && to != name+o.Delivery.Step {
					t.Errorf("%s has the key of %s", name+o.Delivery.Step, to)
				}
				seen[o.Once] = name + o.Delivery.Step
			}
		}
		if len(keys) != 2 {
			t.Errorf("%s: %d keys, want one for each step: %v", name, len(keys), keys)
		}
	}
	for _, o := range p.Decide(parse(t, "acme", `{"type":"response.completed","id":"e7"}`), now).Owed {
		if o.Once != "" {
			t.Errorf("without a response the key is %q", o.Once)
		}
	}
}
