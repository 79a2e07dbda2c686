package run

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"weak"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/client"
	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/settings"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/redistest"
)

// run opens and serves the gateway of a site until the returned function or the test ends it.
func (s *site) run() (g *gateway, stop func()) {
	s.t.Helper()
	g, err := open(s.t.Context(), s.options)
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- g.serve(ctx) }()
	if s.client, err = client.Dial(client.Options{Data: s.options.Data}); err != nil {
		s.t.Fatal(err)
	}
	stop = sync.OnceFunc(func() {
		s.client.Close()
		cancel()
		if err := <-ended; err != nil {
			s.t.Error(err)
		}
	})
	s.t.Cleanup(stop)
	return g, stop
}

// writer writes documents through a gateway's store, as its API does.
func (g *gateway) writer() *settings.Writer {
	return &settings.Writer{Store: g.store, Vault: g.vault, Clock: g.clock}
}

// putDocument writes a document, whichever version it has.
func putDocument(t testing.TB, g *gateway, tenant, name, spec string, secrets map[string]connectors.Secret) {
	t.Helper()
	kept, err := g.store.Get(t.Context(), tenant, state.KindDocument, name)
	if err != nil && !errors.Is(err, state.ErrNotFound) {
		t.Fatal(err)
	}
	d := settings.Draft{Name: name, Spec: json.RawMessage(spec), Secrets: secrets}
	if _, err := g.writer().Put(t.Context(), tenant, d, kept.Version); err != nil {
		t.Fatal(err)
	}
}

func deleteDocument(t testing.TB, g *gateway, tenant, name string) {
	t.Helper()
	kept, err := g.store.Get(t.Context(), tenant, state.KindDocument, name)
	if err == nil {
		err = g.writer().Delete(t.Context(), tenant, name, kept.Version)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// stateOf returns the state of a document in the running plan; "" if the plan does not have it.
func stateOf(g *gateway, tenant, name string) config.DocumentState {
	if o := g.plan.Load().Overlay(tenant); o != nil {
		for _, d := range o.Documents {
			if d.Name == name {
				return d.State
			}
		}
	}
	return ""
}

// documentHook is a webhook that takes scores up to most. Requests to the address are never answered.
func documentHook(most int) string {
	return fmt.Sprintf(`{"url": "https://receiver.example.com/", "events": ["response.completed"], "when": "nps_score <= %d", "delay": "1h"}`, most)
}

var hookSecrets = map[string]connectors.Secret{"secrets.0": connectors.NewSecret(hookSecret)}

// matched returns whether a webhook or rule matched an event, as its explanation says.
func (s *site) matched(id, rule string) (matched, known bool) {
	s.t.Helper()
	x := s.decided(id)
	for _, r := range x.Rules {
		if r.Name == rule {
			return r.Matched, !x.Unknown
		}
	}
	return false, !x.Unknown
}

// Documents are in use when they were written, and from the first moment of a start. Events that they decided are explained with
// what they were then, after a change, after a deletion and after a restart.
func TestDocumentsDecide(t *testing.T) {
	t.Parallel()
	for _, engine := range []config.Engine{config.EngineEmbedded, config.EngineRedis} {
		t.Run(string(engine), func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			if engine == config.EngineRedis {
				s.options.Redis = redistest.Start(t).URL()
			}
			s.withKeys(keyOne)
			g, stop := s.run()
			before := s.publish("before", 3)
			putDocument(t, g, "default", "webhook/late", documentHook(6), hookSecrets)
			s.until("the document is in use", func() bool { return stateOf(g, "default", "webhook/late") == config.Active })
			with := s.publish("with", 3)
			matched, known := s.matched(with, "late")
			if !matched || !known {
				t.Fatalf("decided with the document: matched %t, known %t", matched, known)
			}
			if matched, known := s.matched(before, "late"); matched || !known {
				t.Errorf("decided before the document: matched %t, known %t", matched, known)
			}
			generation := g.plan.Load().Generation("default")
			putDocument(t, g, "default", "webhook/late", documentHook(2), hookSecrets)
			s.until("the change is in use", func() bool { return g.plan.Load().Generation("default") != generation })
			changed := s.publish("changed", 3)
			if matched, _ := s.matched(changed, "late"); matched {
				t.Error("decided with the former document")
			}
			check := func(when string) {
				t.Helper()
				if matched, known := s.matched(with, "late"); !matched || !known {
					t.Errorf("%s: what was decided with the document: matched %t, known %t", when, matched, known)
				}
			}
			check("after the change")
			stop()
			g, _ = s.run()
			if stateOf(g, "default", "webhook/late") != config.Active {
				t.Fatal("the first plan lacks the document")
			}
			check("after the restart")
			deleteDocument(t, g, "default", "webhook/late")
			s.until("the document is gone", func() bool { return g.plan.Load().Overlay("default") == nil })
			s.write(7)
			s.until("the base is replaced", func() bool { return strings.HasPrefix(generation, g.plan.Load().Config.Generation) == false })
			check("after the deletion and a reload")
			if x := s.explained(with); x.Unknown {
				t.Error("the generation is unknown")
			}
		})
	}
}

// A document that does not compile stands alone, and a file may take its name: both are said, in counts where all may read it, and
// the documents come back by themselves.
func TestDocumentsNotInUse(t *testing.T) {
	t.Parallel()
	said := &lines{}
	s := newSite(t)
	s.options.Log = slog.New(slog.NewTextHandler(said, nil))
	g, _ := s.run()
	putDocument(t, g, "default", "webhook/late", documentHook(6), hookSecrets)
	putDocument(t, g, "default", "rule/odd", `{"when": "nps_score <=", "send": ["late"]}`, nil)
	putDocument(t, g, "zeta", "rule/odd", `{"when": "true", "send": ["nothing"]}`, nil)
	s.until("the documents were compiled", func() bool {
		return stateOf(g, "default", "rule/odd") == config.Broken && stateOf(g, "zeta", "rule/odd") == config.Broken && stateOf(g, "default", "webhook/late") == config.Active
	})
	warned := func(want string) func() bool {
		return func() bool { return strings.Contains(s.readyWarnings(), want) }
	}
	s.until("readiness counts them", warned("documents of 2 tenants are not in use: 2 do not compile;"))
	if all := s.readyWarnings(); strings.Contains(all, "zeta") || strings.Contains(all, "odd") {
		t.Errorf("readiness names a tenant or a document: %s", all)
	}
	s.until("the log names one", func() bool {
		return strings.Contains(said.String(), "tenant=zeta") && strings.Contains(said.String(), "store:rule/odd:1:24: there is no connection")
	})

	// A file takes the name of the webhook, in the same tenant.
	text, err := os.ReadFile(s.options.Config)
	if err != nil {
		t.Fatal(err)
	}
	taken := strings.Replace(string(text), "rules:", "  - {name: late, url: \"https://receiver.example.com/file\", secrets: [\"${HOOK_SECRET}\"]}\nrules:", 1)
	s.writeText(taken)
	s.until("the file's webhook is in use", func() bool { return stateOf(g, "default", "webhook/late") == config.Shadowed })
	if d := g.plan.Load().Destination("default", "late"); d.At.File != s.options.Config {
		t.Errorf("the webhook in use is that of %s", d.At)
	}
	s.until("it is said", func() bool { return strings.Contains(said.String(), "shadowed=webhook/late") })
	s.until("readiness counts it", warned("2 do not compile, 1 have a name that a file has too"))
	s.writeText(string(text))
	s.until("the document is in use again", func() bool { return stateOf(g, "default", "webhook/late") == config.Active })
	deleteDocument(t, g, "zeta", "rule/odd")
	deleteDocument(t, g, "default", "rule/odd")
	s.until("readiness warns no more", func() bool { return !warned("documents of")() })
}

// A change through one replica is in use on the other, also while messages between them are lost, and on one that starts later.
func TestReplicasFollowDocuments(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	sites := []*site{newSite(t), newSite(t), newSite(t)}
	for _, s := range sites {
		s.options.Redis, s.options.Config = server.URL(), sites[0].options.Config
		s.withKeys(keyOne)
	}
	a, _ := sites[0].run()
	b, _ := sites[1].run()
	for n := range 5 {
		if n > 0 {
			server.Do("CLIENT", "KILL", "TYPE", "pubsub")
		}
		name := fmt.Sprint("webhook/n", n)
		putDocument(t, a, "default", name, documentHook(6), hookSecrets)
		// Either replica may decide an event, whichever received it.
		for i, g := range []*gateway{a, b} {
			sites[i].until("both replicas have it", func() bool { return stateOf(g, "default", name) == config.Active })
		}
		id := sites[1].publish(fmt.Sprint("e", n), 3)
		if matched, known := sites[1].matched(id, fmt.Sprint("n", n)); !matched || !known {
			t.Errorf("received by the other replica: matched %t, known %t", matched, known)
		}
	}
	c, _ := sites[2].run()
	if o := c.plan.Load().Overlay("default"); o == nil || len(o.Documents) != 5 || o.Generation != b.plan.Load().Overlay("default").Generation {
		t.Errorf("the replica that started later has %+v", o)
	}
	deleteDocument(t, c, "default", "webhook/n0")
	for i, g := range []*gateway{a, b, c} {
		sites[i].until("it is deleted everywhere", func() bool { return stateOf(g, "default", "webhook/n0") == "" })
	}
}

// A document that was deleted after one replica had written it back stays deleted when another one, which was away, writes back too.
func TestEmptiedRedisKeepsDeletions(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := newSite(t)
	s.options.Redis = server.URL()
	s.withKeys(keyOne)
	g, _ := s.run()
	for _, name := range []string{"webhook/kept", "webhook/deleted"} {
		putDocument(t, g, "acme", name, documentHook(6), hookSecrets)
	}
	s.until("the documents are in use", func() bool { return stateOf(g, "acme", "webhook/deleted") == config.Active })
	late := settings.New(settings.Options{Store: g.store, Vault: g.vault, Clock: g.clock, Log: g.log, Apply: g.applyDocuments})
	if _, err := late.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	server.Do("FLUSHALL")
	names := func() string {
		kept, err := g.store.List(t.Context(), "acme", state.KindDocument)
		if err != nil {
			t.Fatal(err)
		}
		var all []string
		for _, k := range kept {
			all = append(all, k.Name)
		}
		return strings.Join(all, " ")
	}
	s.until("they are written back", func() bool { return names() == "webhook/deleted webhook/kept" })
	deleteDocument(t, g, "acme", "webhook/deleted")
	if _, err := late.Restore(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := names(); got != "webhook/kept" {
		t.Errorf("the store has %s", got)
	}
	s.until("the deletion is in use", func() bool { return stateOf(g, "acme", "webhook/deleted") == "" })
}

// A Redis that is emptied takes no tenant's destinations away: documents stay in use on every replica the whole time, and are
// written back, with secrets that still open.
func TestEmptiedRedisKeepsDocuments(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	said := &lines{}
	sites := []*site{newSite(t), newSite(t)}
	var all []*gateway
	var stops []func()
	for _, s := range sites {
		s.options.Redis, s.options.Config = server.URL(), sites[0].options.Config
		s.options.Log = slog.New(slog.NewTextHandler(said, nil))
		s.withKeys(keyOne)
		g, stop := s.run()
		all, stops = append(all, g), append(stops, stop)
	}
	const tenants, each = 5, 10
	for i := range tenants {
		for j := range each {
			putDocument(t, all[0], fmt.Sprint("t", i), fmt.Sprint("webhook/n", j), documentHook(6), hookSecrets)
		}
	}
	whole := func(g *gateway) bool {
		for i := range tenants {
			o := g.plan.Load().Overlay(fmt.Sprint("t", i))
			if o == nil || len(o.Destinations) != each {
				return false
			}
		}
		return true
	}
	for _, g := range all {
		sites[0].until("the documents are in use", func() bool { return whole(g) })
	}
	done, lost := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(lost)
		for {
			select {
			case <-done:
				return
			default:
			}
			for _, g := range all {
				if !whole(g) {
					t.Error("a replica lost documents")
					return
				}
			}
		}
	}()
	server.Do("FLUSHALL")
	// A document that is written in the meantime must not make its tenant's others look deleted.
	_, err := all[0].writer().Put(t.Context(), "t0", settings.Draft{Name: "rule/new", Spec: json.RawMessage(`{"when": "true", "send": ["n1"]}`)}, 0)
	if err != nil {
		t.Fatal(err)
	}
	for i, g := range all {
		sites[i].until("the new one is in use", func() bool { return stateOf(g, "t0", "rule/new") == config.Active })
	}
	for i := range tenants {
		sites[0].until("the documents are in the store again", func() bool {
			kept, err := all[0].store.List(t.Context(), fmt.Sprint("t", i), state.KindDocument)
			return err == nil && len(kept) >= each
		})
	}
	sites[0].until("both have written back", func() bool {
		return strings.Count(said.String(), "cannot") == 0 && all[0].settings.Standing() == settings.Standing{} && all[1].settings.Standing() == settings.Standing{}
	})
	sites[0].until("it is said", func() bool { return strings.Contains(said.String(), "the emptied store lost the documents of tenants") })
	close(done)
	<-lost
	for _, stop := range stops {
		stop()
	}
	g, _ := sites[0].run()
	if !whole(g) || stateOf(g, "t0", "webhook/n3") != config.Active {
		t.Error("a later start does not have them, or cannot open their secrets")
	}
	deleteDocument(t, g, "t1", "webhook/n0")
	sites[0].until("a deletion is applied again", func() bool { return stateOf(g, "t1", "webhook/n0") == "" })
}

// Changes and reloads at once lose neither: in the end the last of each is in use.
func TestDocumentsAndReloads(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	g, _ := s.run()
	const tenants, changes = 4, 10
	var writing sync.WaitGroup
	for i := range tenants {
		writing.Go(func() {
			for j := range changes {
				putDocument(t, g, fmt.Sprint("t", i), "webhook/n", documentHook(j), hookSecrets)
			}
		})
	}
	for n := range 10 {
		s.write(n)
		s.reload("")
	}
	writing.Wait()
	loaded, err := s.options.load()
	if err != nil {
		t.Fatal(err)
	}
	s.until("everything is in use", func() bool {
		p := g.plan.Load()
		for i := range tenants {
			o := p.Overlay(fmt.Sprint("t", i))
			if o == nil || len(o.Rules) != 1 || o.Rules[0].Match.When.String() != fmt.Sprint("nps_score <= ", changes-1) {
				return false
			}
		}
		return p.Config.Generation == loaded.Generation
	})
}

// A thousand changes in a row leave nothing of the former overlays.
func TestChangesLetGo(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	g, _ := s.run()
	documents := func(n int) (all []config.Document) {
		for i := range 10 {
			all = append(all, config.Document{Name: fmt.Sprint("webhook/n", i), Spec: []byte(documentHook(n%11 - i)), Version: uint64(n + 1)})
		}
		return append(all, config.Document{Name: "source/s", Spec: []byte(`{"profile": "pollqr", "unverified": true}`), Version: uint64(n + 1)})
	}
	var former []weak.Pointer[config.TenantConfig]
	for n := range 1000 {
		if err := g.applyDocuments(t.Context(), "default", documents(n)); err != nil {
			t.Fatal(err)
		}
		former = append(former, weak.Make(g.plan.Load().Overlay("default")))
		if n%100 == 0 {
			s.decided(s.publish(fmt.Sprint("e", n), 3))
		}
	}
	s.decided(s.publish("last", 3))
	s.until("the former overlays are let go", func() bool { runtime.GC(); return alive(former) == 1 })
	if n := len(g.stored.fresh); n > 2 {
		t.Errorf("%d generations are noted as marked, of one base and one overlay", n)
	}
}

// A change of another document, and a reload, do not restart the time in which a source of a document accepts tests.
func TestDocumentsGoOnAcceptingTests(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	g, _ := s.run()
	source := config.Document{Name: "source/s", Version: 1, Spec: []byte(`{"profile": "pollqr", "unverified": true, "accept_test": "1m"}`)}
	apply := func(others ...config.Document) {
		t.Helper()
		if err := g.applyDocuments(t.Context(), "acme", append([]config.Document{source}, others...)); err != nil {
			t.Fatal(err)
		}
	}
	apply()
	first := g.plan.Load().Source("acme", "s").Receiver
	check := func(when string) {
		t.Helper()
		if now := g.plan.Load().Source("acme", "s").Receiver; now == first || !now.Loaded.Equal(first.Loaded) {
			t.Errorf("%s: it accepts tests since %v, before since %v", when, now.Loaded, first.Loaded)
		}
	}
	apply(config.Document{Name: "webhook/w", Version: 2, Spec: []byte(documentHook(1)), Secrets: hookSecrets})
	check("another document")
	s.write(9)
	if r := s.reload(""); r.Status != view.ReloadLoaded {
		t.Fatalf("%+v", r)
	}
	check("a reload")
}
