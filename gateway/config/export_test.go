package config_test

import (
	"encoding/json"
	"maps"
	"math/rand/v2"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/audit"
	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	stored "github.com/surveygate/surveygate/gateway/internal/settings"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/state/embedded"
	"github.com/surveygate/surveygate/gateway/internal/vault"
)

// newBook returns a book over a store of its own.
func newBook(t *testing.T, base *config.Config) *stored.Book {
	t.Helper()
	store, err := embedded.Open(embedded.Options{Dir: t.TempDir(), Clock: clock.System()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	keys, err := vault.ParseKeys("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=", "SURVEYGATE_KEY")
	if err != nil {
		t.Fatal(err)
	}
	return &stored.Book{BookOptions: stored.BookOptions{
		Writer: stored.Writer{Store: store, Vault: vault.New(vault.Options{Keys: keys, Store: store}), Clock: clock.System()},
		Masks:  stored.Masks{Key: func() []byte { return []byte("0123456789abcdef0123456789abcdef") }},
		Audit:  &audit.Log{Store: store, Clock: clock.System()},
		Base:   func() *config.Config { return base }, Overlay: func(string) *config.TenantConfig { return nil },
	}}
}

// toSet matches a line of an export that says what to set a variable to.
var toSet = regexp.MustCompile(`(?m)^#   ([A-Z0-9_]+): (\S+) of ([^;\s]+)(?:;.*)?$`)

// variables returns the values of the variables of an export.
func variables(t *testing.T, export string, documents []config.Document) map[string]string {
	t.Helper()
	values := map[string]string{}
	for _, line := range toSet.FindAllStringSubmatch(export, -1) {
		var secret connectors.Secret
		for _, d := range documents {
			if d.Name == line[3] {
				secret = d.Secrets[line[2]]
			}
		}
		if _, twice := values[line[1]]; twice || secret.IsZero() {
			t.Errorf("%s is there twice, or of no secret:\n%s", line[1], export)
		}
		values[line[1]] = secret.Expose()
	}
	if n := strings.Count(export, "${"); n != len(values) {
		t.Errorf("%d variables, of which %d are listed:\n%s", n, len(values), export)
	}
	return values
}

func exported(t *testing.T, book *stored.Book, tenant string) string {
	t.Helper()
	text, err := book.Export(t.Context(), tenant, false)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), "Left out") {
		t.Fatalf("%s", text)
	}
	return string(text)
}

func documentsOf(t *testing.T, book *stored.Book, tenant string) []config.Document {
	t.Helper()
	kept, err := book.Writer.Store.List(t.Context(), tenant, state.KindDocument)
	if err != nil {
		t.Fatal(err)
	}
	var all []config.Document
	for _, setting := range kept {
		all = append(all, stored.Decode(book.Writer.Vault, tenant, setting))
	}
	compiled := config.Overlay(book.Base(), tenant, all).Documents
	for i, d := range all { // a draft may hold what is a secret in its tenant only; an export takes it out
		at := slices.IndexFunc(compiled, func(c config.CompiledDocument) bool { return c.Name == d.Name })
		if spec, secrets, ok := config.Split(d, compiled[at].Clear); ok && len(compiled[at].Clear) > 0 {
			maps.Copy(secrets, d.Secrets)
			all[i].Spec, all[i].Secrets = spec, secrets
		}
	}
	return all
}

// An export, as a file of the configuration, decides as the documents do, and so do they when it was imported into another store. The
// export of that is equal.
func TestExportDecidesLikeDocuments(t *testing.T) {
	t.Parallel()
	configurations, events := few(6, 1), 150
	owed := 0
	for seed := range uint64(configurations) {
		g := generate(seed)
		base := g.load(t, func(name string) bool { return !strings.HasSuffix(name, "-2.yaml") })
		var overlays []*config.TenantConfig
		for _, tenant := range overlayTenants {
			book := newBook(t, base)
			for _, d := range g.documents[tenant] {
				draft := stored.Draft{Name: d.Name, Spec: json.RawMessage(d.Spec), Secrets: d.Secrets}
				if _, err := book.Writer.Put(t.Context(), tenant, draft, 0); err != nil {
					t.Fatal(err)
				}
			}
			export := exported(t, book, tenant)
			for range 2 {
				other := newBook(t, base)
				values := variables(t, export, documentsOf(t, book, tenant))
				expanded := export
				for name, value := range values {
					g.env[name] = value
					expanded = strings.ReplaceAll(expanded, "${"+name+"}", value)
				}
				bundle, faults := stored.ReadBundle([]byte(expanded), tenant, true)
				if faults != nil {
					t.Fatalf("seed %d: %s", seed, faults)
				}
				if _, err := other.Apply(t.Context(), tenant, bundle.Tenants[0].Changes, stored.How{Provenance: "import", Owner: "ci", Replace: true, Untested: true}); err != nil {
					t.Fatalf("seed %d: %s\n%s", seed, err, expanded)
				}
				again := exported(t, other, tenant)
				if g.files[tenant+"-2.yaml"] == export && again != export {
					t.Errorf("seed %d: another export: %s", seed, cmp.Diff(export, again))
				}
				// The drafts had secrets where the import finds some by the types of settings.
				book, export = other, again
				g.files[tenant+"-2.yaml"] = export
			}
			for name, value := range variables(t, export, documentsOf(t, book, tenant)) {
				if g.env[name] = value; strings.Contains(value, "{{") { // a file fills what stands in it, as the export says
					g.files[tenant+"-2.yaml"] = strings.ReplaceAll(g.files[tenant+"-2.yaml"], "${"+name+"}", value)
				}
			}
			overlays = append(overlays, config.Overlay(base, tenant, documentsOf(t, book, tenant)))
		}
		whole, over := decide.New(g.load(t, func(string) bool { return true })), decide.New(base, overlays...)
		r := rand.New(rand.NewPCG(seed, 8))
		now := time.Unix(1767323045, 0).UTC()
		for i := range events {
			ev := randomEvent(t, r, overlayTenants, i)
			a, b := describe(t, whole, ev, now), describe(t, over, ev, now)
			if diff := cmp.Diff(a.owed, b.owed) + cmp.Diff(a.rules, b.rules) + cmp.Diff(a.explained, b.explained); diff != "" {
				t.Fatalf("seed %d, event %s: %s", seed, ev.ID, diff)
			}
			for id, request := range a.requests {
				if !reflect.DeepEqual(request, b.requests[id]) {
					t.Fatalf("seed %d, event %s: the requests of %s differ:\n%+v\n%+v", seed, ev.ID, id, request, b.requests[id])
				}
			}
			owed += len(a.owed)
		}
	}
	if owed < configurations*events/2 {
		t.Errorf("only %d deliveries were compared", owed)
	}
}
