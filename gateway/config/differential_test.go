package config_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/rules/event"
)

// The generator writes configurations twice: as files alone, and as files with documents over them.

type settings = map[string]any

// hidden is a secret: ${NAME} in a file, and kept beside the text of a document.
type hidden string

// object is a document, or an item of a file.
type object struct {
	kind, name string
	set        settings
}

// generated is a configuration in both forms.
type generated struct {
	files     map[string]string
	env       map[string]string
	documents map[string][]config.Document // by tenant
}

type generator struct {
	*rand.Rand
	env map[string]string
}

func (g *generator) chance(percent int) bool { return g.IntN(100) < percent }

func pick[T any](g *generator, all ...T) T { return all[g.IntN(len(all))] }

func (g *generator) secret(prefix string) hidden {
	value := fmt.Sprintf("%s%016x%016x", prefix, g.Uint64(), g.Uint64())
	g.env[fmt.Sprintf("V%d", len(g.env))] = value
	return hidden(value)
}

// delivery sets some of the settings that connections and webhooks share.
func (g *generator) delivery(s settings) settings {
	for _, one := range []struct {
		name  string
		value any
	}{
		{"timeout", "3s"},
		{"concurrency", 3},
		{"rate", "7/s"},
		{"retry", pick[any](g, "standard", []string{"5s", "1m"})},
		{"capture", "all"},
		{"transport", pick(g, "std", "fast")},
		{"enabled", g.chance(80)},
	} {
		if g.chance(20) {
			s[one.name] = one.value
		}
	}
	return s
}

func (g *generator) connection(product string) settings {
	s := settings{}
	switch product {
	case "slack":
		if s["webhook"] = g.secret("https://hooks.slack.com/services/T/B/"); g.chance(50) {
			s["text"] = "NPS {{ nps_score }}"
		}
	case "hubspot":
		s["token"] = g.secret("pat-")
		if g.chance(50) {
			s["api_version"] = "2026-03"
		}
		if g.chance(50) {
			s["properties"] = settings{"last_nps": "nps_score", "source": "source", "n": 3}
		}
	}
	return g.delivery(settings{product: s})
}

func (g *generator) webhook() settings {
	s := g.delivery(settings{"url": "https://hook.example.com/" + fmt.Sprint(g.IntN(1000))})
	if g.chance(30) {
		s["url"] = g.secret("https://hook.example.com/")
	}
	if s["secrets"] = []any{g.secret("whsec_")}; g.chance(20) {
		s["secrets"] = []any{g.secret("whsec_"), g.secret("whsec_")}
	}
	if g.chance(30) {
		s["headers"] = settings{"X-Fixed": "{{ source }}", "X-Api-Key": g.secret("key-")}
	}
	if g.chance(30) {
		s["body"] = pick[any](g, "event", settings{"score": "nps_score", "who": "email"})
	}
	if g.chance(20) {
		s["delay"] = "2m"
	}
	if g.chance(20) {
		s["send_incomplete"] = true
		if g.chance(50) {
			s["incomplete_delay"] = "2m"
		}
	}
	if g.chance(60) {
		if s["events"] = pick(g, []string{"response.completed"}, []string{"*"}, []string{"SURVEY_COMPLETED", "survey.created"}, []string{"response.partial"}); g.chance(50) {
			s["when"] = g.condition()
		}
		if g.chance(20) && s["delay"] == nil {
			s["settle"] = g.settle()
		}
	}
	return s
}

func (g *generator) settle() any {
	return pick[any](g, "30s", "2m", settings{"for": "10m", "until": "has(email)"})
}

func (g *generator) condition() string {
	return pick(g, "nps_score <= 6", "survey.id == 's1'", "source == 'shop'", "email != ''", "nps_score > 8 and survey.id != 's2'", "tenant == 'acme'")
}

func (g *generator) rule(names []string) settings {
	s := settings{}
	var send []any
	for i, name := range g.Perm(len(names))[:1+g.IntN(len(names))] {
		send = append(send, g.step(names[name], i))
	}
	s["send"] = send
	if g.chance(70) {
		s["when"] = g.condition()
	}
	if g.chance(30) {
		s["events"] = pick(g, []string{"*"}, []string{"response.*"}, []string{"response.partial", "response.completed"})
	}
	if g.chance(20) && !strings.Contains(fmt.Sprint(send), "amend") {
		s["once"] = "response"
	}
	if g.chance(20) {
		s["delay"] = "90s"
	} else if g.chance(20) {
		s["settle"] = g.settle()
	}
	if g.chance(10) {
		s["quiet"] = settings{"from": "22:00", "to": "08:00", "timezone": "Europe/Istanbul"}
	}
	if g.chance(10) {
		s["at_most"] = settings{"per": "1h", "count": 20}
	}
	if g.chance(10) {
		s["contact_cap"] = settings{"per": "30d"}
	}
	if g.chance(10) {
		s["enabled"] = false
	}
	if g.chance(20) {
		s["tests"] = []any{settings{"given": settings{"nps_score": 3}, "expect": []string{}}}
	}
	return s
}

// step is an entry of send, whose settings fit the product that a name has in every tenant.
func (g *generator) step(name string, i int) any {
	var s settings
	at := name
	switch {
	case strings.HasPrefix(name, "chat") && g.chance(50):
		s = settings{"text": "step {{ survey.id }}"}
	case strings.HasPrefix(name, "crm") && g.chance(30):
		at, s = name+".note", settings{"text": "note {{ nps_score }}"}
	case strings.HasPrefix(name, "crm") && g.chance(50):
		s = settings{"properties": settings{"step": "nps_score"}}
	case strings.HasPrefix(name, "hook") && g.chance(50):
		s = settings{"headers": settings{"X-Step": "{{ type }}"}}
	}
	switch {
	case strings.HasSuffix(at, ".note") && g.chance(30):
		return settings{at: s, "amend": true, "retract": g.chance(50)}
	case g.chance(30) && s != nil:
		return settings{at: s, "as": fmt.Sprintf("step-%d", i)}
	case s != nil:
		return settings{at: s}
	}
	return at
}

// names returns destinations: chat is Slack in every tenant, crm HubSpot, hook a webhook, and any has no fixed product.
func (g *generator) destination(name string) object {
	switch {
	case strings.HasPrefix(name, "chat"):
		return object{"connection", name, g.connection("slack")}
	case strings.HasPrefix(name, "crm"):
		return object{"connection", name, g.connection("hubspot")}
	case strings.HasPrefix(name, "hook"):
		return object{"webhook", name, g.webhook()}
	}
	return object{"connection", name, g.connection(pick(g, "slack", "hubspot"))}
}

// objects makes what one tenant has. has are destinations that it may use besides.
func (g *generator) objects(suffix string, has []string) []object {
	var all []object
	names := slices.Clone(has)
	for _, name := range []string{"chat", "crm", "hook", "any"} {
		for _, name := range []string{name + suffix, name + suffix + "-2"} {
			if g.chance(50) {
				names, all = append(names, name), append(all, g.destination(name))
			}
		}
	}
	if g.chance(70) {
		all = append(all, object{"source", "shop" + suffix, settings{"profile": "popsee", "secrets": []any{g.secret("popsee-")}, "enabled": g.chance(80)}})
	}
	for i := range g.IntN(5) {
		if len(names) > 0 {
			all = append(all, object{"rule", fmt.Sprintf("rule%s-%d", suffix, i), g.rule(names)})
		}
	}
	return all
}

// file writes objects as a file of a tenant.
func (g *generator) file(tenant string, all []object) string {
	f := settings{"tenant": tenant}
	add := func(section, name string, s settings) {
		if f[section] == nil {
			f[section] = settings{}
		}
		f[section].(settings)[name] = s
	}
	list := func(section, name string, s settings) {
		s = maps.Clone(s)
		s["name"] = name
		entries, _ := f[section].([]any)
		f[section] = append(entries, s)
	}
	for _, o := range all {
		switch o.kind {
		case "connection":
			add("connections", o.name, o.set)
		case "source":
			add("sources", o.name, o.set)
		case "webhook":
			list("webhooks", o.name, o.set)
		case "rule":
			list("rules", o.name, o.set)
		}
	}
	text, err := json.MarshalIndent(g.written(f), "", " ")
	if err != nil {
		panic(err)
	}
	return string(text)
}

// written replaces secrets by their variables.
func (g *generator) written(v any) any {
	switch v := v.(type) {
	case hidden:
		for name, value := range g.env {
			if value == string(v) {
				return "${" + name + "}"
			}
		}
	case settings:
		out := settings{}
		for key, value := range v {
			out[key] = g.written(value)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = g.written(item)
		}
		return out
	}
	return v
}

// withheld removes secrets, and collects them by their paths.
func withheld(v any, path string, secrets map[string]connectors.Secret) any {
	switch v := v.(type) {
	case hidden:
		secrets[path] = connectors.NewSecret(string(v))
		return nil
	case settings:
		out := settings{}
		for key, value := range v {
			if value = withheld(value, strings.TrimPrefix(path+"."+key, "."), secrets); value != nil {
				out[key] = value
			}
		}
		return out
	case []any:
		var out []any
		for i, item := range v {
			if item = withheld(item, fmt.Sprintf("%s.%d", path, i), secrets); item != nil {
				out = append(out, item)
			}
		}
		if out == nil {
			return nil
		}
		return out
	}
	return v
}

func (g *generator) document(o object, version int) config.Document {
	d := config.Document{Name: o.kind + "/" + o.name, Secrets: map[string]connectors.Secret{}, Version: uint64(version)}
	text, err := json.Marshal(withheld(o.set, "", d.Secrets))
	if err != nil {
		panic(err)
	}
	d.Spec = text
	return d
}

var overlayTenants = []string{"acme", "beta", "gamma"}

func generate(seed uint64) generated {
	g := &generator{Rand: rand.New(rand.NewPCG(seed, 7)), env: map[string]string{}}
	out := generated{files: map[string]string{}, env: g.env, documents: map[string][]config.Document{}}
	// The default tenant has every destination that the rules of every tenant name, as a configuration of files needs.
	star := []object{g.destination("chat"), g.destination("crm"), g.destination("hook"), g.destination("any")}
	for i := range 1 + g.IntN(3) {
		r := object{"rule", fmt.Sprintf("everywhere-%d", i), g.rule([]string{"chat", "crm", "hook", "any"})}
		r.set["tenant"] = "*"
		star = append(star, r)
	}
	out.files["base.yaml"] = g.file("default", star)
	for _, tenant := range overlayTenants {
		own := g.objects("-f", nil)
		out.files[tenant+"-1.yaml"] = g.file(tenant, own)
		var has []string
		for _, o := range own {
			if o.kind == "connection" || o.kind == "webhook" {
				has = append(has, o.name)
			}
		}
		stored := g.objects("", has)
		out.files[tenant+"-2.yaml"] = g.file(tenant, stored)
		for i, o := range stored {
			out.documents[tenant] = append(out.documents[tenant], g.document(o, i+1))
		}
	}
	return out
}

// load loads the files whose names pass keep.
func (g generated) load(t testing.TB, keep func(name string) bool) *config.Config {
	t.Helper()
	folder := t.TempDir()
	for name, text := range g.files {
		if keep(name) {
			if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	c, err := config.Load(config.Options{Path: folder, Env: func(name string) (string, bool) { v, ok := g.env[name]; return v, ok }})
	if err != nil {
		t.Fatalf("%v\n%s", err, g.files)
	}
	return c
}

// decisions describes what an event owes, in a stable order.
type decisions struct {
	rules, owed, explained []string
	requests               map[string]*connectors.Request
}

func describe(t *testing.T, p *decide.Plan, ev *event.Event, now time.Time) decisions {
	t.Helper()
	d := p.Decide(ev, now)
	out := decisions{requests: map[string]*connectors.Request{}}
	for _, r := range d.Rules {
		out.rules = append(out.rules, fmt.Sprintf("%+v", r))
	}
	for _, o := range d.Owed {
		to := o.Destination
		out.owed = append(out.owed, fmt.Sprintf("%+v sets %q once %q to %s/%s %s %t %v %s %d %v %v %s %t %s", o.Delivery, o.Sets, o.Once,
			to.Tenant, to.Name, to.Product, to.Enabled, to.Retry, to.Timeout, to.Concurrency, to.Rate, to.Batch, to.Delay, to.CaptureAll, to.Transport))
		again, ok := p.Today(o.Delivery, ev)
		if !ok || again.Build != o.Build || again.Destination != o.Destination {
			t.Errorf("today %s is another one", o.Delivery.ID)
		}
		if request, err := o.Build.Build(ev); err != nil {
			out.owed = append(out.owed, err.Error())
		} else {
			out.requests[o.Delivery.ID] = request
		}
	}
	for _, e := range p.Explain(ev) {
		out.explained = append(out.explained, fmt.Sprintf("%s %s/%s %t %s %q %v %v %+v", e.Rule.Kind, e.Rule.Tenant, e.Rule.Name, e.Matched, e.Why, e.Missing, e.Faults, e.Err, e.Parts))
	}
	slices.Sort(out.rules)
	slices.Sort(out.owed)
	slices.Sort(out.explained)
	return out
}

// few is n, or with -short few: these tests compare what one goroutine makes, which the race detector makes slow.
func few(n, few int) int {
	if testing.Short() {
		return few
	}
	return n
}

// TestOverlayDecidesLikeFiles compares a configuration of files with the same configuration in which the half of each tenant's objects
// are documents, on 10,000 events. The requests are compared too.
func TestOverlayDecidesLikeFiles(t *testing.T) {
	t.Parallel()
	configurations, events := few(40, 3), 250
	owed := 0
	for seed := range uint64(configurations) {
		g := generate(seed)
		whole := decide.New(g.load(t, func(string) bool { return true }))
		base := g.load(t, func(name string) bool { return !strings.HasSuffix(name, "-2.yaml") })
		var overlays []*config.TenantConfig
		kept := map[string]*decide.Plan{"default": loadKept(t, base, nil, "default")}
		for _, tenant := range overlayTenants {
			o := config.Overlay(base, tenant, g.documents[tenant])
			for _, d := range o.Documents {
				if d.State != config.Active && d.State != config.Disabled {
					t.Fatalf("seed %d: %s is %s: %v\n%s", seed, d.Name, d.State, d.Faults, g.files[tenant+"-2.yaml"])
				}
			}
			overlays = append(overlays, o)
			kept[tenant] = loadKept(t, base, o, tenant)
			shuffled := slices.Clone(g.documents[tenant])
			rand.New(rand.NewPCG(seed, 9)).Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
			if again := config.Overlay(base, tenant, shuffled); !bytes.Equal(again.Kept, o.Kept) || again.Generation != o.Generation {
				t.Errorf("seed %d: the order of documents matters:\n%s\n%s", seed, o.Kept, again.Kept)
			}
		}
		over := decide.New(base, overlays...)
		r := rand.New(rand.NewPCG(seed, 8))
		now := time.Unix(1767323045, 0).UTC()
		for i := range events {
			ev := randomEvent(t, r, append([]string{"default"}, overlayTenants...), i)
			a, b := describe(t, whole, ev, now), describe(t, over, ev, now)
			if diff := cmp.Diff(a.owed, b.owed); diff != "" {
				t.Fatalf("seed %d, event %s: %s", seed, ev.ID, diff)
			}
			if diff := cmp.Diff(a.rules, b.rules); diff != "" {
				t.Fatalf("seed %d, event %s: %s", seed, ev.ID, diff)
			}
			if diff := cmp.Diff(a.explained, b.explained); diff != "" {
				t.Fatalf("seed %d, event %s: %s", seed, ev.ID, diff)
			}
			if diff := cmp.Diff(outlines(whole.Decide(ev, now)), outlines(kept[ev.Tenant].Decide(ev, now))); diff != "" {
				t.Fatalf("seed %d, event %s, by what is kept: %s", seed, ev.ID, diff)
			}
			for id, request := range a.requests {
				if !reflect.DeepEqual(request, b.requests[id]) {
					t.Fatalf("seed %d, event %s: the requests of %s differ:\n%+v\n%+v", seed, ev.ID, id, request, b.requests[id])
				}
			}
			owed += len(a.owed)
		}
	}
	if owed < configurations*events {
		t.Errorf("only %d deliveries were compared", owed)
	}
}

// loadKept returns the plan of what is kept of a tenant's configuration.
func loadKept(t *testing.T, base *config.Config, o *config.TenantConfig, tenant string) *decide.Plan {
	t.Helper()
	c, err := config.LoadKept(base.Kept, tenant)
	if o != nil && o.Generation != "" {
		c, err = config.LoadKeptOver(base.Kept, o.Kept, tenant)
	}
	if err != nil {
		t.Fatal(err)
	}
	return decide.New(c)
}

// outlines describes a decision without what the kept form leaves out: delays, once and connectors.
func outlines(d decide.Decision) []string {
	var all []string
	for _, r := range d.Rules {
		all = append(all, fmt.Sprintf("%+v", r))
	}
	for _, o := range d.Owed {
		all = append(all, o.Delivery.ID+" "+o.Delivery.Step+" "+o.Delivery.Destination+" "+o.Delivery.Connector)
	}
	slices.Sort(all)
	return all
}

func randomEvent(t *testing.T, r *rand.Rand, tenants []string, i int) *event.Event {
	t.Helper()
	body := settings{
		"type": event.Types[r.IntN(len(event.Types))], "id": fmt.Sprintf("e%d", i), "survey": settings{"id": fmt.Sprintf("s%d", r.IntN(3))},
		"response": settings{"id": fmt.Sprintf("r%d", r.IntN(9))},
	}
	if r.IntN(2) == 0 {
		body["type"] = event.TypeResponseCompleted
	}
	if r.IntN(4) > 0 {
		body["nps_score"] = r.IntN(11)
	}
	if r.IntN(4) > 0 {
		body["email"] = "jo@example.com"
	}
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	ev, err := event.ParseOne(text, event.Defaults{
		Tenant: tenants[r.IntN(len(tenants))], Source: []string{"api", "shop", "shop-f"}[r.IntN(3)], Received: time.Unix(1767323045, 0).UTC(), Verified: "token",
	})
	if err != nil {
		t.Fatal(err)
	}
	return ev
}

// TestBrokenDocumentsStandAlone breaks each document of many configurations in turn: the others keep their states, and only what the
// document itself defines, or what is built with it, changes.
func TestBrokenDocumentsStandAlone(t *testing.T) {
	t.Parallel()
	for seed := range uint64(few(15, 2)) {
		g := generate(seed)
		base := g.load(t, func(name string) bool { return !strings.HasSuffix(name, "-2.yaml") })
		for _, tenant := range overlayTenants {
			sound := config.Overlay(base, tenant, g.documents[tenant])
			for i, d := range g.documents[tenant] {
				for name, spec := range map[string]string{"setting": strings.Replace(string(d.Spec), "{", `{"no_such_setting": {"a": 1}, `, 1), "text": "{", "list": "[]"} {
					changed := slices.Clone(g.documents[tenant])
					changed[i].Spec = []byte(strings.Replace(spec, ", }", "}", 1))
					broken := config.Overlay(base, tenant, changed)
					what := fmt.Sprintf("seed %d, %s of %s with a broken %s", seed, d.Name, tenant, name)
					if diff := cmp.Diff(statesBut(sound, d.Name), statesBut(broken, d.Name)); diff != "" {
						t.Errorf("%s: %s", what, diff)
					}
					if diff := cmp.Diff(builtBut(sound, d.Name), builtBut(broken, d.Name)); diff != "" {
						t.Errorf("%s: %s", what, diff)
					}
					if len(broken.Destinations) != len(sound.Destinations) {
						t.Errorf("%s: %d destinations, not %d", what, len(broken.Destinations), len(sound.Destinations))
					}
					if broken.Generation == sound.Generation {
						t.Errorf("%s: the generation is the same", what)
					}
				}
			}
		}
	}
}

// statesBut lists the states of all documents but one.
func statesBut(o *config.TenantConfig, name string) []string {
	var all []string
	for _, d := range o.Documents {
		if d.Name != name {
			all = append(all, fmt.Sprintf("%s %s %v", d.Name, d.State, d.Faults))
		}
	}
	return all
}

// builtBut lists the steps of all documents but one, and whether they are built, except for steps to the destination that it defines.
func builtBut(o *config.TenantConfig, name string) []string {
	var all []string
	_, own, _ := strings.Cut(name, "/")
	for _, r := range o.Rules {
		if r.At.File == config.StorePrefix+name {
			continue
		}
		for _, s := range r.Steps {
			c, owed := s.Build[o.Tenant]
			all = append(all, fmt.Sprintf("%s/%s → %s, owed %t, built %t", r.Name, s.Name, s.Destination, owed, c != nil || s.Destination == own))
		}
	}
	for s, c := range o.Builds {
		all = append(all, fmt.Sprintf("* %s %s → %s, built %t", s.At, s.Name, s.Destination, c != nil || s.Destination == own))
	}
	slices.Sort(all)
	return all
}

// TestGenerationOfOverlays shows what the generation of an overlay depends on.
func TestGenerationOfOverlays(t *testing.T) {
	t.Parallel()
	base := loadText(t, overlayBase)
	of := func(spec string) string {
		return config.Overlay(base, "acme", documents(doc("webhook/x", spec))).Generation
	}
	one := of(`{"url": "https://hook.example.com", "signature": "none", "rate": "5/s", "headers": {"X-A": "1", "X-B": "2"}}`)
	if one != of("signature: none\nheaders: {X-B: '2', X-A: '1'}\nurl: https://hook.example.com\nrate: 5/s") {
		t.Error("the generation depends on how a document is written")
	}
	if one == of(`{"url": "https://hook.example.com", "signature": "none", "rate": "6/s", "headers": {"X-A": "1", "X-B": "2"}}`) {
		t.Error("the generation does not depend on a setting")
	}
	if g := config.Overlay(base, "acme", nil); g.Generation != "" || g.Kept != nil {
		t.Errorf("the generation of nothing is %q", g.Generation)
	}
	if g := config.Overlay(base, "acme", documents(doc("rule/own", "{}"))); g.Generation != "" {
		t.Errorf("the generation of a shadowed document alone is %q", g.Generation)
	}
}
