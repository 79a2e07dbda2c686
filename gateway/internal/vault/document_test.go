package vault

import (
	"slices"
	"testing"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// keepDocument stores a document with one sealed value, and returns its setting.
func keepDocument(t *testing.T, v *Vault, name string) state.Setting {
	t.Helper()
	sealed, err := v.Seal("acme", state.KindDocument, name, "headers.X-Api-Key", []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	value := []byte(`{"v":1,"doc":{"url":"https://example.com"},"sealed":{"headers.X-Api-Key":"` + sealed + `"}}`)
	version, err := v.options.Store.Put(t.Context(), "acme", state.KindDocument, name, value, 0)
	if err != nil {
		t.Fatal(err)
	}
	return state.Setting{Kind: state.KindDocument, Name: name, Value: value, Version: version}
}

// When a key is lost for good, what only repeats elsewhere is deleted, but no document: its secrets are set again.
func TestForgetKeepsDocuments(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, store state.Store) {
		old := newVault(t, store, "k1:"+one)
		if err := old.Prove(t.Context()); err != nil {
			t.Fatal(err)
		}
		keepRecord(t, old, "acme", "token")
		document := keepDocument(t, old, "webhook/crm")
		deleted, err := Forget(t.Context(), store, keys(t, "k2:"+two), "k1")
		if err != nil || deleted != 1 {
			t.Errorf("%d deleted, %v", deleted, err)
		}
		kept, err := store.Get(t.Context(), "acme", state.KindDocument, document.Name)
		if err != nil || kept.Version != document.Version {
			t.Errorf("the document has version %d, %v", kept.Version, err)
		}
		if err := newVault(t, store, "k2:"+two).Prove(t.Context()); err != nil {
			t.Errorf("a start without the lost key: %v", err)
		}
	})
}

// In a store that lost its marks, a setting that is written back is known to need its key again.
func TestRemark(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, store state.Store) {
		v := newVault(t, store, "k1:"+one)
		document := keepDocument(t, v, "webhook/crm")
		all, err := store.List(t.Context(), systemTenant, kindMark)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range all {
			if err := store.Delete(t.Context(), systemTenant, kindMark, m.Name, m.Version); err != nil {
				t.Fatal(err)
			}
		}
		if ids := neededKeys(t, store); len(ids) != 0 {
			t.Fatalf("the store needs %v", ids)
		}
		// A vault with another key can prove nothing, and leaves it.
		for _, at := range []struct {
			vault *Vault
			want  []string
		}{{newVault(t, store, "k2:"+two), nil}, {newVault(t, store, "k2:"+two+",k1:"+one), []string{"k1"}}} {
			for range 2 {
				if err := at.vault.Remark(t.Context(), "acme", document); err != nil {
					t.Fatal(err)
				}
			}
			if ids := neededKeys(t, store); !slices.Equal(ids, at.want) {
				t.Errorf("the store needs %v, want %v", ids, at.want)
			}
		}
		if err := v.Remark(t.Context(), "acme", state.Setting{Kind: state.KindDocument, Name: "rule/a", Value: []byte(`{"v":1`)}); err != nil {
			t.Errorf("a setting without sealed values: %v", err)
		}
	})
}
