package settings

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/leaktest"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/state/embedded"
	"github.com/surveygate/surveygate/gateway/internal/vault"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

const (
	one = "k1:CzBVep/E6RM4XYKnzPEbQGWKr9T5I0htkrfcBitQdZo="
	two = "k2:BzxxptsVSn+06SNYjcL3MWab0Ao/dKneGE2Ct+wmW5A="
)

func local(t testing.TB) state.Store {
	t.Helper()
	store, err := embedded.Open(embedded.Options{Dir: t.TempDir(), Clock: clock.System()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return store
}

func newVault(t testing.TB, store state.Settings, keys string) *vault.Vault {
	t.Helper()
	o := vault.Options{Store: store}
	if keys != "" {
		k, err := vault.ParseKeys(keys, "SURVEYGATE_KEY")
		if err != nil {
			t.Fatal(err)
		}
		o.Keys = k
	}
	return vault.New(o)
}

func newWriter(t testing.TB, store state.Settings) *Writer {
	t.Helper()
	return &Writer{Store: store, Vault: newVault(t, store, one), Clock: clock.System()}
}

// hook is a draft of a webhook.
func hook(name, spec string) Draft {
	return Draft{Name: "webhook/" + name, Spec: json.RawMessage(spec), Meta: Meta{Provenance: "api", Created: time.Unix(1, 0)}}
}

func TestStoredForm(t *testing.T) {
	t.Parallel()
	store := local(t)
	w := newWriter(t, store)
	d := hook("crm", `{ "url": "https://example.com/?a=1&b=<2>", "headers": {"X-A": "1"} }`)
	d.Secrets = map[string]connectors.Secret{"headers.X-Api-Key": connectors.NewSecret("s3cret"), "secrets.0": connectors.NewSecret("whsec")}
	version, err := w.Put(t.Context(), "acme", d, 0)
	if err != nil {
		t.Fatal(err)
	}
	setting, err := store.Get(t.Context(), "acme", state.KindDocument, d.Name)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(setting.Value), "s3cret") || strings.Contains(string(setting.Value), "whsec") {
		t.Errorf("a secret is in clear: %s", setting.Value)
	}
	read := Decode(w.Vault, "acme", setting)
	if len(read.Faults) > 0 || read.Name != d.Name || read.Version != version ||
		string(read.Spec) != `{"url":"https://example.com/?a=1&b=<2>","headers":{"X-A":"1"}}` {
		t.Errorf("read %+v, spec %s", read, read.Spec)
	}
	if diff := cmp.Diff(d.Secrets, read.Secrets, cmp.Comparer(func(a, b connectors.Secret) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
	var meta struct{ Meta Meta }
	if err := json.Unmarshal(setting.Value, &meta); err != nil || meta.Meta.Provenance != "api" || !meta.Meta.Created.Equal(time.Unix(1, 0)) {
		t.Errorf("meta %+v, %v", meta, err)
	}

	// What cannot be opened is a fault of the document: without the key, with another key, in another tenant, by another name.
	elsewhere := setting
	elsewhere.Name = "webhook/other"
	for what, got := range map[string]struct {
		vault   *vault.Vault
		tenant  string
		setting state.Setting
		want    string
	}{
		"no key":         {newVault(t, store, ""), "acme", setting, "start the gateway with the key"},
		"another key":    {newVault(t, store, two), "acme", setting, "start the gateway with the key"},
		"another tenant": {w.Vault, "zeta", setting, "set the secret again"},
		"another name":   {w.Vault, "acme", elsewhere, "set the secret again"},
	} {
		d := Decode(got.vault, got.tenant, got.setting)
		if len(d.Faults) != 2 || len(d.Secrets) != 0 || len(d.Spec) == 0 || !strings.Contains(d.Faults[0].Remedy, got.want) ||
			d.Faults[0].File != "store:"+got.setting.Name || !strings.Contains(d.Faults[0].Message, "`headers.X-Api-Key`") {
			t.Errorf("%s: %+v", what, d)
		}
	}
}

// Whatever a setting holds is read as a document with faults, and one of a newer version says so.
func TestDecodeFaults(t *testing.T) {
	t.Parallel()
	v := newVault(t, local(t), one)
	for value, want := range map[string]string{
		``:                            "not in the form",
		`null`:                        "not in the form",
		`[]`:                          "not in the form",
		`{"doc":{}}`:                  "not in the form",
		`{"v":1}`:                     "not in the form",
		`{"v":1,"doc":{},`:            "not in the form",
		`{"v":"1","doc":{}}`:          "not in the form",
		`{"v":1,"doc":1,"sealed":[]}`: "not in the form",
		`{"v":2,"document":"any"}`:    "form 2, which a newer version",
		`{"v":1,"doc":{},"sealed":{"a":"clear"}}`:                               "`a` cannot be opened",
		`{"v":1,"doc":{"a":"` + strings.Repeat("x", config.MaxDocument) + `"}}`: "at most 65536",
	} {
		d := Decode(v, "acme", state.Setting{Name: "webhook/a", Value: []byte(value), Version: 7})
		if len(d.Faults) != 1 || !strings.Contains(d.Faults[0].Message, want) || d.Faults[0].Remedy == "" || d.Version != 7 {
			t.Errorf("%.40s: %+v", value, d.Faults)
		}
	}
}

func TestBounds(t *testing.T) {
	t.Parallel()
	store := local(t)
	w := newWriter(t, store)
	if _, err := w.Put(t.Context(), "acme", hook("a", `{"a":"`+strings.Repeat("x", config.MaxDocument)+`"}`), 0); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a large one: %v", err)
	}
	if _, err := w.Put(t.Context(), "acme", hook("a", `{`), 0); err == nil {
		t.Error("what is not JSON is written")
	}
	spec := `{"a":"` + strings.Repeat("x", config.MaxDocument-200) + `"}`
	var version uint64
	names := 0
	for ; ; names++ {
		v, err := w.Put(t.Context(), "acme", hook(strings.Repeat("n", names+1), spec), 0)
		if errors.Is(err, ErrTooLarge) {
			break
		}
		if err != nil || names > config.MaxDocuments {
			t.Fatal(names, err)
		}
		if names == 0 {
			version = v
		}
	}
	if names < config.MaxDocumentBytes/config.MaxDocument || names > config.MaxDocumentBytes/config.MaxDocument+1 {
		t.Errorf("%d large documents fit", names)
	}
	// In place of the present one there is room, and in another tenant.
	if _, err := w.Put(t.Context(), "acme", hook("n", spec), version); err != nil {
		t.Error(err)
	}
	if _, err := w.Put(t.Context(), "zeta", hook("n", spec), 0); err != nil {
		t.Error(err)
	}
}

// Writers of one tenant take turns, those of another do not wait, and one that waits too long is told.
func TestWritersTakeTurns(t *testing.T) {
	t.Parallel()
	store := local(t)
	a, b := newWriter(t, store), newWriter(t, store)
	inside, leave, done := make(chan bool), make(chan bool), make(chan error, 2)
	go func() {
		done <- a.Alone(t.Context(), "acme", func(context.Context) error {
			inside <- true
			<-leave
			return nil
		})
	}()
	<-inside
	if _, err := b.Put(t.Context(), "zeta", hook("a", `{}`), 0); err != nil {
		t.Error(err)
	}
	if _, err := b.Put(t.Context(), "acme", hook("a", `{}`), 0); !errors.Is(err, state.ErrConflict) {
		t.Errorf("beside another writer: %v", err)
	}
	go func() {
		_, err := b.Put(t.Context(), "acme", hook("a", `{}`), 0)
		done <- err
	}()
	leave <- true
	if err := errors.Join(<-done, <-done); err != nil {
		t.Error(err)
	}
	if err := b.Delete(t.Context(), "acme", "webhook/a", 1); !errors.Is(err, state.ErrConflict) {
		t.Errorf("deleted by another version: %v", err)
	}
	setting, err := store.Get(t.Context(), "acme", state.KindDocument, "webhook/a")
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Delete(t.Context(), "acme", "webhook/a", setting.Version); err != nil {
		t.Error(err)
	}
	if err := b.Delete(t.Context(), "acme", "webhook/a", setting.Version); !errors.Is(err, state.ErrNotFound) {
		t.Errorf("deleted twice: %v", err)
	}
}
