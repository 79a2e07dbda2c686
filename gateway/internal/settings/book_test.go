package settings

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/audit"
	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/state"

	_ "github.com/surveygate/surveygate/connectors/all"
)

func newBook(t testing.TB, store state.Store) *Book {
	t.Helper()
	base := &config.Config{}
	return &Book{BookOptions{
		Writer: *newWriter(t, store), Masks: Masks{Key: func() []byte { return []byte("0123456789abcdef0123456789abcdef") }},
		Audit: &audit.Log{Store: store, Clock: clock.System()}, Base: func() *config.Config { return base },
		Overlay: func(string) *config.TenantConfig { return nil },
		Limits: func(_ context.Context, _, kind string) (int, error) {
			if kind == "webhook" {
				return 2, nil
			}
			return -1, nil
		},
	}}
}

var byTest = How{By: audit.By{Name: "token:ci"}, Provenance: "api"}

// book applies one change to the tenant acme.
func (b *Book) one(t testing.TB, c Change, how How) (Result, error) {
	t.Helper()
	results, err := b.Apply(t.Context(), "acme", []Change{c}, how)
	if err != nil {
		return Result{}, err
	}
	return results[0], nil
}

const someHook = `{"url": "https://a.example.com/", "events": ["response.completed"], "secrets": ["whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="], "headers": {"X-Key": "abcdef"}}`

// A document is created, shown with masks, sent back, patched and deleted; each step is in the audit, without a secret.
func TestBook(t *testing.T) {
	t.Parallel()
	store := local(t)
	b := newBook(t, store)
	made, err := b.one(t, Change{Name: "webhook/a", Spec: []byte(someHook)}, byTest)
	if err != nil || made.Would != WouldCreate || made.Entry.Version == 0 {
		t.Fatalf("%+v, %v", made, err)
	}
	shown, err := b.Get(t.Context(), "acme", "webhook/a")
	if err != nil || shown.State != config.Active || strings.Contains(string(shown.Spec), "abcdef") || strings.Count(string(shown.Spec), dots+"-") != 1 {
		t.Fatalf("%+v %s, %v", shown, shown.Spec, err)
	}
	again, err := b.one(t, Change{Name: "webhook/a", Spec: shown.Spec, If: &shown.Version}, byTest)
	if err != nil || again.Would != WouldNothing || again.Entry.Version != shown.Version {
		t.Errorf("sent back: %+v, %v", again, err)
	}
	dry := byTest
	dry.DryRun = true
	if r, err := b.one(t, Change{Name: "webhook/a", Patch: true, Spec: []byte(`{"timeout": "5s"}`)}, dry); err != nil || r.Would != WouldUpdate || r.Entry.Version != 0 {
		t.Errorf("dry run: %+v, %v", r, err)
	}
	patched, err := b.one(t, Change{Name: "webhook/a", Patch: true, Spec: []byte(`{"timeout": "5s", "headers": {"X-New": "ghijkl"}}`)}, byTest)
	if err != nil || patched.Would != WouldUpdate {
		t.Fatalf("%+v, %v", patched, err)
	}
	all, err := b.documents(t.Context(), "acme")
	if got := all["webhook/a"].Secrets; err != nil || got["headers.X-Key"].Expose() != "abcdef" || got["headers.X-New"].Expose() != "ghijkl" || len(got) != 3 {
		t.Errorf("secrets %v, %v", got, err)
	}
	var version *VersionError
	if _, err := b.one(t, Change{Name: "webhook/a", Delete: true, If: &shown.Version}, byTest); !errors.As(err, &version) || version.By != "token:ci" {
		t.Errorf("an old version: %v", err)
	}
	if _, err := b.one(t, Change{Name: "webhook/a", Delete: true}, byTest); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Get(t.Context(), "acme", "webhook/a"); !errors.Is(err, ErrNoDocument) {
		t.Errorf("after the deletion: %v", err)
	}
	lines, err := b.Audit.Lines(t.Context(), "acme", 0, -1)
	if err != nil || len(lines) != 3 || lines[1].Did != "webhook.update" || strings.Join(lines[1].Changed, " ") != "headers.X-New timeout" {
		t.Errorf("%+v, %v", lines, err)
	}
	for _, l := range lines {
		if text := string(l.Before) + string(l.After); strings.Contains(text, "abcdef") || strings.Contains(text, "ghijkl") || strings.Contains(text, "MDEyMzQ1") {
			t.Errorf("a secret is in the audit: %s", text)
		}
	}
}

// A value that looks like a variable of the files is a text here: it is kept as it is written, and its mask can be sent back.
func TestBookKeepsLiterals(t *testing.T) {
	t.Parallel()
	b := newBook(t, local(t))
	made, err := b.one(t, Change{Name: "webhook/a", Spec: []byte(`{"url": "https://a.example.com/", "title": "Costs $${AMOUNT}", "signature": "none", "headers": {"X-Key": "pa$${s}"}}`)}, byTest)
	if err != nil {
		t.Fatal(err)
	}
	shown, err := b.Get(t.Context(), "acme", "webhook/a")
	if err != nil || shown.State != config.Active || !strings.Contains(string(shown.Spec), "Costs $${AMOUNT}") {
		t.Fatalf("%+v %s, %v", shown, shown.Spec, err)
	}
	for what, c := range map[string]Change{"sent back": {Name: "webhook/a", Spec: shown.Spec}, "patched with nothing": {Name: "webhook/a", Patch: true, Spec: []byte("{}")}} {
		if r, err := b.one(t, c, byTest); err != nil || r.Would != WouldNothing || r.Entry.Version != made.Entry.Version {
			t.Errorf("%s: %+v, %v", what, r, err)
		}
	}
	if all, err := b.documents(t.Context(), "acme"); err != nil || all["webhook/a"].Secrets["headers.X-Key"].Expose() != "pa${s}" {
		t.Errorf("%v, %v", all, err)
	}
}

// What does not fit is refused, and nothing is written.
func TestBookRefuses(t *testing.T) {
	t.Parallel()
	b := newBook(t, local(t))
	for _, c := range []Change{
		{Name: "webhook/a", Spec: []byte(someHook)},
		{Name: "connection/crm", Spec: []byte(`{"hubspot": {"token": "pat-na1-0123456789"}}`)},
		{Name: "rule/r", Spec: []byte("when: nps_score <= 6\nsend: [crm]\n")},
	} {
		if _, err := b.one(t, c, byTest); err != nil {
			t.Fatal(err)
		}
	}
	zero := uint64(0)
	mask := b.Masks.Mask(connectors.NewSecret("abcdef"))
	for what, tt := range map[string]struct {
		c    Change
		want any
	}{
		"a fault":              {Change{Name: "rule/x", Spec: []byte(`{"when": "nps_scor <= 6", "send": ["crm"]}`)}, new(*FaultsError)},
		"needed by a rule":     {Change{Name: "connection/crm", Delete: true}, new(*NeededError)},
		"there is one":         {Change{Name: "webhook/a", Spec: []byte(someHook), If: &zero}, new(*VersionError)},
		"a moved mask":         {Change{Name: "webhook/a", Patch: true, Spec: []byte(`{"headers": {"X-Other": "` + mask + `"}}`)}, new(*MaskError)},
		"a mask in the URL":    {Change{Name: "webhook/a", Patch: true, Spec: []byte(`{"url": "https://a.example.com/` + mask + `"}`)}, new(*MaskError)},
		"a mask of a stranger": {Change{Name: "webhook/b", Spec: []byte(strings.Replace(someHook, "abcdef", mask, 1))}, new(*MaskError)},
	} {
		if _, err := b.one(t, tt.c, byTest); err == nil || !errors.As(err, tt.want) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := b.one(t, Change{Name: "webhook/b", Spec: []byte(strings.Replace(someHook, "a.example", "b.example", 1))}, byTest); err != nil {
		t.Fatal(err)
	}
	var limit *LimitError
	if _, err := b.one(t, Change{Name: "webhook/c", Spec: []byte(someHook)}, byTest); !errors.As(err, &limit) || limit.Error() != "this plan has 2 webhooks, and 2 are there" {
		t.Errorf("over the limit: %v", err)
	}
	// Together they pass: the rule leaves with what it needs.
	results, err := b.Apply(t.Context(), "acme", []Change{{Name: "connection/crm", Delete: true}, {Name: "rule/r", Delete: true}}, byTest)
	if err != nil || len(results) != 2 {
		t.Errorf("%+v, %v", results, err)
	}
}

// An address that is itself a credential is shown as a mask, which stands for it when it is sent back.
func TestCredentialAddressIsMasked(t *testing.T) {
	t.Parallel()
	b := newBook(t, local(t))
	const address = "https://hooks.zapier.com/hooks/catch/1/abcdef"
	if _, err := b.one(t, Change{Name: "webhook/a", Spec: []byte(`{"url": "` + address + `", "signature": "none", "events": ["response.completed"]}`)}, byTest); err != nil {
		t.Fatal(err)
	}
	shown, err := b.Get(t.Context(), "acme", "webhook/a")
	if err != nil || strings.Contains(string(shown.Spec), "abcdef") || !strings.Contains(string(shown.Spec), dots) {
		t.Fatalf("%s, %v", shown.Spec, err)
	}
	if again, err := b.one(t, Change{Name: "webhook/a", Spec: shown.Spec}, byTest); err != nil || again.Would != WouldNothing {
		t.Errorf("%+v, %v", again, err)
	}
	patched, err := b.one(t, Change{Name: "webhook/a", Patch: true, Spec: []byte(`{"timeout": "5s"}`)}, byTest)
	if err != nil || patched.Would != WouldUpdate {
		t.Fatalf("%+v, %v", patched, err)
	}
	all, err := b.documents(t.Context(), "acme")
	if err != nil || all["webhook/a"].Secrets["url"].Expose() != address {
		t.Errorf("%s, %v", all["webhook/a"].Spec, err)
	}
	lines, err := b.Audit.Lines(t.Context(), "acme", 0, -1)
	if err != nil || len(lines) != 2 || strings.Contains(string(lines[0].After)+string(lines[1].After), "abcdef") {
		t.Errorf("%+v, %v", lines, err)
	}
}

// resealing is a store in which another process writes a document anew, with the same contents, right before its next change.
type resealing struct {
	state.Store
	next bool
}

func (r *resealing) reseal(ctx context.Context, tenant, kind, name string) error {
	if !r.next || kind != state.KindDocument {
		return nil
	}
	r.next = false
	kept, err := r.Get(ctx, tenant, kind, name)
	if err != nil {
		return err
	}
	_, err = r.Store.Put(ctx, tenant, kind, name, kept.Value, kept.Version)
	return err
}

func (r *resealing) Put(ctx context.Context, tenant, kind, name string, value []byte, version uint64) (uint64, error) {
	if err := r.reseal(ctx, tenant, kind, name); err != nil {
		return 0, err
	}
	return r.Store.Put(ctx, tenant, kind, name, value, version)
}

func (r *resealing) Delete(ctx context.Context, tenant, kind, name string, version uint64) error {
	if err := r.reseal(ctx, tenant, kind, name); err != nil {
		return err
	}
	return r.Store.Delete(ctx, tenant, kind, name, version)
}

// A rotation of the key writes documents anew while they are changed. The changes are made all the same.
func TestBookDuringReseal(t *testing.T) {
	t.Parallel()
	store := &resealing{Store: local(t)}
	b := newBook(t, store)
	if _, err := b.one(t, Change{Name: "webhook/a", Spec: []byte(someHook)}, byTest); err != nil {
		t.Fatal(err)
	}
	store.next = true
	if r, err := b.one(t, Change{Name: "webhook/a", Patch: true, Spec: []byte(`{"timeout": "5s"}`)}, byTest); err != nil || r.Would != WouldUpdate {
		t.Errorf("%+v, %v", r, err)
	}
	if now, err := b.Get(t.Context(), "acme", "webhook/a"); err != nil || !strings.Contains(string(now.Spec), `"5s"`) {
		t.Errorf("%+v, %v", now, err)
	}
	store.next = true
	if _, err := b.one(t, Change{Name: "webhook/a", Delete: true}, byTest); err != nil {
		t.Error(err)
	}
	if _, err := b.Get(t.Context(), "acme", "webhook/a"); !errors.Is(err, ErrNoDocument) || store.next {
		t.Errorf("after the deletion: %v", err)
	}
}
