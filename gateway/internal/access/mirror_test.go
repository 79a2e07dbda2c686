package access

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

// emptied is a store that lost its data, and into which another replica writes a setting back between a read and a write of this one.
type emptied struct {
	state.Store
	version uint64
	list    []state.Setting
	back    *state.Setting // what the other replica wrote; nil: somebody deleted it since then
}

func (e *emptied) LastChanges(context.Context, string) ([]state.LastChange, error) {
	return []state.LastChange{{Tenant: ofGateway, Version: e.version}}, nil
}

func (e *emptied) List(context.Context, string, string) ([]state.Setting, error) { return e.list, nil }

func (e *emptied) Get(_ context.Context, _, kind, _ string) (state.Setting, error) {
	if kind == KindTenant && e.back != nil {
		return *e.back, nil
	}
	return state.Setting{}, state.ErrNotFound
}

func (e *emptied) Emptied() <-chan struct{} { return nil }

func (e *emptied) PutBack(context.Context, string, string, string, []byte) error {
	return state.ErrConflict
}

func (e *emptied) Delete(_ context.Context, _, _, _ string, version uint64) error {
	if version != e.list[0].Version {
		return state.ErrConflict
	}
	return nil
}

func (e *emptied) Put(_ context.Context, _, _, _ string, _ []byte, version uint64) (uint64, error) {
	if version != e.list[0].Version {
		return 0, state.ErrConflict
	}
	return version + 1, nil
}

// What was written back under another version can be deleted before the version is known.
func TestDeleteWhatWasWrittenBack(t *testing.T) {
	t.Parallel()
	e := &emptied{version: 3, list: []state.Setting{{Kind: KindTenant, Name: "acme", Value: []byte(`{"title":"Acme"}`), Version: 3}}}
	tenants := NewTenants(TenantsOptions{Store: e})
	tokens := NewTokens(e, clock.System(), slog.New(slog.DiscardHandler))
	if err := tenants.records.sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	e.version, e.list[0].Version = 5, 5
	if err := tenants.Delete(t.Context(), "acme", "token:test", time.Now()); err != nil {
		t.Errorf("tenant: %v", err)
	}
	e.list[0] = state.Setting{Kind: settingKind, Name: "hash", Value: []byte(`{"name":"ci","tenant":"acme"}`), Version: 6}
	e.version = 6
	if err := tokens.all.sweep(t.Context()); err != nil || tokens.Named("acme", "ci") == nil {
		t.Fatal(err)
	}
	e.version, e.list[0].Version = 7, 7
	if err := tokens.Delete(t.Context(), "acme", "ci"); err != nil {
		t.Errorf("token: %v", err)
	}
}

// What another replica wrote back stays in use from moment to moment; what was deleted since then ends.
func TestWrittenBackByAnother(t *testing.T) {
	t.Parallel()
	acme := state.Setting{Kind: KindTenant, Name: "acme", Value: []byte(`{"title":"Acme"}`), Version: 3}
	for _, back := range []*state.Setting{{Kind: KindTenant, Name: "acme", Value: acme.Value, Version: 1}, nil} {
		e := &emptied{version: 3, list: []state.Setting{acme}}
		m := newMirror(e, KindTenant, parseTenant)
		if err := m.sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		e.version, e.list, e.back = 0, nil, back
		if err := m.sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		record, ok := m.get("acme")
		if ok != (back != nil) || ok && (record.Version != 1 || record.Title != "Acme") {
			t.Errorf("with %v it has %v %v", back, record, ok)
		}
	}
}

// together takes only writes that are made together.
type together struct {
	emptied
	batch *state.Batch
	fails error
}

func (t *together) WriteAll(_ context.Context, b *state.Batch) ([]uint64, error) {
	t.batch = b
	return []uint64{9}, t.fails
}

func (t *together) Delete(context.Context, string, string, string, uint64) error {
	return errors.New("a write of its own")
}

// A token and the line of the audit about it are written together: where that fails, neither is there, and the token counts as before.
func TestTokensAreAuditedTogether(t *testing.T) {
	t.Parallel()
	s := &together{emptied: emptied{version: 3, list: []state.Setting{{Kind: settingKind, Name: "hash", Value: []byte(`{"name":"ci","tenant":"acme"}`), Version: 3}}}}
	tokens := NewTokens(s, clock.System(), slog.New(slog.DiscardHandler))
	if err := tokens.all.sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	line := state.Item{Tenant: "acme", List: "audit", Head: []byte("{}")}
	s.fails = state.ErrUnavailable
	if err := tokens.Delete(t.Context(), "acme", "ci", line); !errors.Is(err, s.fails) || tokens.Named("acme", "ci") == nil {
		t.Errorf("a deletion that failed: %v", err)
	}
	if _, _, err := tokens.Make(t.Context(), Token{Name: "new", Tenant: "acme"}, -1, line); !errors.Is(err, s.fails) || tokens.Named("acme", "new") != nil {
		t.Errorf("a token that was not made: %v", err)
	}
	s.fails = nil
	if err := tokens.Delete(t.Context(), "acme", "ci", line); err != nil || tokens.Named("acme", "ci") != nil {
		t.Error(err)
	}
	if w, items := s.batch.Writes, s.batch.Items; len(w) != 1 || w[0].Verb != state.Remove || w[0].Name != "hash" || w[0].Version != 3 || len(items) != 1 || items[0].List != "audit" {
		t.Errorf("written together: %+v", s.batch)
	}
}
