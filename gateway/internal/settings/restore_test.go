package settings

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

// A store that lost a webhook and the note of when its secret ends gets both back: the secret ends in time.
func TestRestoreOfAnOverlap(t *testing.T) {
	t.Parallel()
	store := local(t)
	b := newBook(t, store)
	if _, err := b.one(t, Change{Name: "webhook/a", Spec: []byte(someHook)}, byTest); err != nil {
		t.Fatal(err)
	}
	if _, err := b.AddSecret(t.Context(), "acme", "webhook/a", 1, nil, byTest); err != nil {
		t.Fatal(err)
	}
	worker := New(Options{
		Store: store, Vault: b.Writer.Vault, Clock: clock.System(), Log: slog.New(slog.DiscardHandler), Apply: newApplied(t).apply,
	})
	if _, err := worker.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	for tenant, kind := range map[string]string{"acme": state.KindDocument, systemTenant: kindEnding} {
		list, err := store.List(t.Context(), tenant, kind)
		if err != nil || len(list) != 1 {
			t.Fatalf("%v, %v", list, err)
		}
		if err := store.Delete(t.Context(), tenant, kind, list[0].Name, list[0].Version); err != nil {
			t.Fatal(err)
		}
	}
	identity, err := store.Get(t.Context(), systemTenant, kindStore, nameIdentity)
	if err == nil {
		err = store.Delete(t.Context(), systemTenant, kindStore, nameIdentity, identity.Version)
	}
	if err != nil {
		t.Fatal(err)
	}
	if done, err := worker.Restore(t.Context()); err != nil {
		t.Fatal(done, err)
	}
	if err := b.EndSecrets(t.Context()); err != nil {
		t.Fatal(err)
	}
	shown, err := b.Get(t.Context(), "acme", "webhook/a")
	if err != nil || strings.Count(string(shown.Spec), `"hint"`) != 1 {
		t.Errorf("%s, %v", shown.Spec, err)
	}
}
