package decide

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

// ofTenants are the overlays of two tenants that use the names of the base, and each other's, for different things.
func ofTenants(base *config.Config) (a, b *config.TenantConfig) {
	overlay := func(tenant, generation string) *config.TenantConfig {
		o := &config.TenantConfig{Tenant: tenant, Generation: generation, Builds: map[*config.Step]connectors.Connector{}}
		o.Sources = []*config.Source{{Item: config.Item{Tenant: tenant, Name: "forms"}}}
		o.Destinations = []*config.Destination{destination(tenant, "crm"), destination(tenant, "chat")}
		o.Rules = []*config.Rule{rule(tenant, "own", step("chat", "chat", tenant))}
		for _, r := range base.Rules {
			if r.Tenant != config.AnyTenant {
				continue
			}
			for _, s := range r.Steps {
				if s.Destination == "crm" || s.Destination == "chat" {
					o.Builds[s] = product{generation + "/" + s.Name}
				}
			}
		}
		return o
	}
	return overlay("a", "aa"), overlay("b", "bb")
}

func destination(tenant, name string) *config.Destination {
	return &config.Destination{Item: config.Item{Tenant: tenant, Name: name}, Product: tenant + "s", Enabled: true, Alone: product{tenant}}
}

// baseOf has a tenant c with the same names, and a rule of every tenant.
func baseOf() *config.Config {
	return &config.Config{
		Generation:   "base",
		Sources:      []*config.Source{{Item: config.Item{Tenant: "c", Name: "forms"}}},
		Destinations: []*config.Destination{destination("c", "crm"), destination("c", "chat"), destination("a", "file")},
		Rules: []*config.Rule{
			rule(config.AnyTenant, "everybody", step("crm", "crm", "c"), step("chat", "chat", "c"), step("mail", "mail")),
			rule("c", "own", step("crm", "crm", "c")),
			rule("a", "files", step("file", "file", "a")),
		},
	}
}

func owes(p *Plan, d Decision) []string {
	var all []string
	for _, o := range d.Owed {
		all = append(all, fmt.Sprintf("%s/%s → %s/%s by %v", o.Delivery.Origin.Name, o.Delivery.Step, o.Destination.Tenant, o.Destination.Name, o.Build))
	}
	return all
}

// TestTenantsAreNotMixed looks up every kind of name in two overlays and the base, which use the same names.
func TestTenantsAreNotMixed(t *testing.T) {
	t.Parallel()
	base := baseOf()
	a, b := ofTenants(base)
	p := New(base, a, b)
	cases := map[string]struct {
		generation                   string
		owed                         []string
		sources, destinations, rules []string
	}{
		"a": {
			"base+aa",
			[]string{
				"everybody/crm → a/crm by {aa/crm}", "everybody/chat → a/chat by {aa/chat}", "files/file → a/file by {a/file}",
				"own/chat → a/chat by {a/chat}",
			},
			[]string{"a/forms"},
			[]string{"a/file", "a/crm", "a/chat"},
			[]string{"*/everybody", "a/files", "a/own"},
		},
		"b": {
			"base+bb",
			[]string{"everybody/crm → b/crm by {bb/crm}", "everybody/chat → b/chat by {bb/chat}", "own/chat → b/chat by {b/chat}"},
			[]string{"b/forms"},
			[]string{"b/crm", "b/chat"},
			[]string{"*/everybody", "b/own"},
		},
		"c": {
			"base",
			[]string{"everybody/crm → c/crm by {c/crm}", "everybody/chat → c/chat by {c/chat}", "own/crm → c/crm by {c/crm}"},
			[]string{"c/forms"},
			[]string{"c/crm", "c/chat"},
			[]string{"*/everybody", "c/own"},
		},
		"nobody": {generation: "base", rules: []string{"*/everybody"}},
	}
	for tenant, want := range cases {
		t.Run(tenant, func(t *testing.T) {
			t.Parallel()
			ev := parse(t, tenant, completed)
			if got := p.Generation(tenant); got != want.generation {
				t.Errorf("generation %s, want %s", got, want.generation)
			}
			d := p.Decide(ev, now)
			same(t, "owed", want.owed, owes(p, d))
			for _, o := range d.Owed {
				today, ok := p.Today(o.Delivery, ev)
				if !ok || today.Destination != o.Destination || today.Build != o.Build || today.Delivery.Connector != o.Delivery.Connector {
					t.Errorf("today %s is another one: %+v", o.Delivery.Step, today)
				}
				if !p.HasStep(tenant, o.Delivery.Origin, o.Delivery.Step) || p.ReasonOf(&o.Delivery) != "" {
					t.Errorf("%s is not there", o.Delivery.Step)
				}
				test := AloneDelivery(ev, now)
				test.Origin.Name = o.Destination.Name
				if today, ok := p.Today(test, ev); !ok || today.Destination != o.Destination || today.Build != o.Destination.Alone {
					t.Errorf("the test of %s goes to %+v", o.Destination.Name, today.Destination)
				}
			}
			same(t, "sources", want.sources, names(p.Sources(tenant), func(s *config.Source) config.Item { return s.Item }))
			same(t, "destinations", want.destinations, names(p.DestinationsOf(tenant), func(d *config.Destination) config.Item { return d.Item }))
			same(t, "rules", want.rules, names(p.Rules(tenant), func(r *config.Rule) config.Item { return r.Item }))
			for _, s := range p.Sources(tenant) {
				if p.Source(tenant, s.Name) != s {
					t.Errorf("source %s is another one", s.Name)
				}
			}
			for _, d := range p.DestinationsOf(tenant) {
				if p.Destination(tenant, d.Name) != d || !slices.Contains(p.Destinations()[tenant], d.Name) {
					t.Errorf("destination %s is another one", d.Name)
				}
			}
			var explained []string
			for _, e := range p.Explain(ev) {
				if e.Configured.Match != e.Rule {
					t.Errorf("%s is explained as %s", e.Configured.Name, e.Rule.Name)
				}
				explained = append(explained, e.Rule.Tenant+"/"+e.Rule.Name)
			}
			same(t, "explained", want.rules, explained)
		})
	}
}

func same(t *testing.T, what string, want, got []string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s: %s", what, diff)
	}
}

func names[T any](all []T, item func(T) config.Item) []string {
	var out []string
	for _, each := range all {
		out = append(out, item(each).Tenant+"/"+item(each).Name)
	}
	return out
}

// TestWith replaces, adds and ends overlays; each earlier plan stays as it was.
func TestWith(t *testing.T) {
	t.Parallel()
	base := baseOf()
	a, b := ofTenants(base)
	first := New(base, a)
	changed := *a
	changed.Generation, changed.Rules = "a2", nil
	second := first.With(b, &changed)
	third := second.With(&config.TenantConfig{Tenant: "a"})
	for i, c := range []struct {
		plan        *Plan
		a, b        *config.TenantConfig
		generations [2]string
		owed        [2]int
	}{
		{first, a, nil, [2]string{"base+aa", "base"}, [2]int{4, 0}},
		{second, &changed, b, [2]string{"base+a2", "base+bb"}, [2]int{3, 3}},
		{third, nil, b, [2]string{"base", "base+bb"}, [2]int{1, 3}},
	} {
		if c.plan.Overlay("a") != c.a || c.plan.Overlay("b") != c.b || c.plan.Config != base {
			t.Errorf("plan %d has other overlays", i)
		}
		for at, tenant := range []string{"a", "b"} {
			if got := c.plan.Generation(tenant); got != c.generations[at] {
				t.Errorf("plan %d: generation %s, want %s", i, got, c.generations[at])
			}
			if got := c.plan.Decide(parse(t, tenant, completed), now).Owed; len(got) != c.owed[at] {
				t.Errorf("plan %d owes %s %d deliveries, want %d", i, tenant, len(got), c.owed[at])
			}
		}
	}
	if len(a.Rules) != 1 || len(base.Rules) != 3 {
		t.Error("an overlay or the base was changed")
	}
}

// TestBroken: what is owed to a destination that does not compile waits, and goes to the destination once it compiles.
func TestBroken(t *testing.T) {
	t.Parallel()
	base := baseOf()
	a, _ := ofTenants(base)
	broken := *a
	broken.Builds = nil
	broken.Documents = []config.CompiledDocument{{Document: config.Document{Name: "rule/other"}, State: config.Broken}}
	chat := &config.Destination{Item: config.Item{Tenant: "a", Name: "chat"}, Broken: true, Enabled: true, Product: "slack"}
	crm := &config.Destination{Item: config.Item{Tenant: "a", Name: "crm"}, Broken: true, Enabled: true, Delay: time.Minute}
	broken.Destinations = []*config.Destination{crm, chat}
	broken.Rules = []*config.Rule{rule("a", "own", step("chat", "chat"))}
	p, whole := New(base, &broken), New(base, a)
	ev := parse(t, "a", completed)
	d := p.Decide(ev, now)
	same(t, "owed", []string{
		"everybody/crm → a/crm by <nil>", "everybody/chat → a/chat by <nil>", "files/file → a/file by {a/file}", "own/chat → a/chat by <nil>",
	}, owes(p, d))
	var reasons []string
	for i := range d.Owed {
		o := &d.Owed[i]
		reasons = append(reasons, o.Delivery.Reason)
		if today, ok := p.Today(o.Delivery, ev); !ok || today.Build != o.Build || today.Destination != o.Destination {
			t.Errorf("today %s is another one: %+v", o.Delivery.Step, today)
		}
		if today, ok := whole.Today(o.Delivery, ev); !ok || today.Build == nil || today.Delivery.ID != o.Delivery.ID {
			t.Errorf("%s does not go on: %+v", o.Delivery.Step, today)
		}
		if want := p.ReasonOf(&o.Delivery); (want == BrokenDestination) != o.Destination.Broken {
			t.Errorf("%s waits because %q", o.Delivery.Step, want)
		}
	}
	same(t, "reasons", []string{"delay", BrokenDestination, "", BrokenDestination}, reasons)
	test := AloneDelivery(ev, now)
	test.Origin.Name = "chat"
	if owed, ok := p.Today(test, ev); !ok || owed.Build != nil || owed.Destination != chat || p.ReasonOf(&test) != BrokenDestination {
		t.Errorf("the test of a broken destination: %+v", owed)
	}
	lost := state.Delivery{Tenant: "a", Origin: state.Origin{Kind: state.Rule, Name: "other"}, Step: "chat", State: state.Waiting}
	if got := p.ReasonOf(&lost); got != BrokenRule {
		t.Errorf("a step of a broken rule waits because %q", got)
	}
	if got := whole.ReasonOf(&lost); got != Absent {
		t.Errorf("a step of no rule waits because %q", got)
	}
}

// BenchmarkWith changes one tenant of many.
func BenchmarkWith(b *testing.B) {
	for _, tenants := range []int{1000, 10_000} {
		b.Run(fmt.Sprint(tenants), func(b *testing.B) {
			base := baseOf()
			var all []*config.TenantConfig
			for i := range tenants {
				o, _ := ofTenants(base)
				o.Tenant = fmt.Sprint("t", i)
				all = append(all, o)
			}
			p := New(base, all...)
			b.ReportAllocs()
			for b.Loop() {
				p.With(all[5])
			}
		})
	}
}
