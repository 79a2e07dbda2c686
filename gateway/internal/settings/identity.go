package settings

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// A document that is no longer in the store was deleted, unless the store lost its data (FLUSHALL, or a Redis that came back
// without its file). Two things follow for the latter, so that no tenant's destinations end by it: documents that are in use stay
// in use, and are written back as they were. The identity of the store tells the two cases apart. It is a random text among the
// settings, which is lost with the documents, and which is written again only after they are.

const (
	systemTenant = "*" // owns what belongs to the gateway itself
	kindStore    = "store"
	nameIdentity = "identity"
)

// identify reads the identity of the store, and gives it one if it has none.
func (w *Worker) identify(ctx context.Context) error {
	identity, err := w.readIdentity(ctx)
	if err != nil {
		return err
	}
	if identity == "" {
		identity = rand.Text()
		_, err = w.o.Store.Put(ctx, systemTenant, kindStore, nameIdentity, []byte(identity), 0)
		if errors.Is(err, state.ErrConflict) {
			identity, err = w.readIdentity(ctx)
		}
		if err != nil {
			return fmt.Errorf("keep the identity of the store: %w", err)
		}
	}
	w.mu.Lock()
	w.identity = identity
	w.mu.Unlock()
	return nil
}

// readIdentity returns the identity of the store; "" if it has none.
func (w *Worker) readIdentity(ctx context.Context) (string, error) {
	kept, err := w.o.Store.Get(ctx, systemTenant, kindStore, nameIdentity)
	if err != nil && !errors.Is(err, state.ErrNotFound) {
		return "", fmt.Errorf("find the identity of the store: %w", err)
	}
	return string(kept.Value), nil
}

// errEmptied is why documents that are missing from the store stay in use.
var errEmptied = errors.New("the store lost its documents; those in use stay, and are written back")

// read returns the documents of a tenant in the store. errEmptied: some that are in use are missing because the store lost them.
func (w *Worker) read(ctx context.Context, name string, t *tenant) ([]state.Setting, error) {
	kept, err := w.o.Store.List(ctx, name, state.KindDocument)
	if err != nil || !lacks(kept, t.kept) {
		return kept, err
	}
	identity, err := w.readIdentity(ctx)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	known := w.identity
	w.mu.Unlock()
	if identity == known {
		return kept, nil
	}
	restored, err := w.restore(ctx, name, t.kept)
	if err != nil {
		return nil, errors.Join(errEmptied, err)
	}
	if restored > 0 {
		w.o.Log.Error("the store lost documents of a tenant: they stay in use, and were written back", "tenant", name, "count", restored)
	}
	return w.o.Store.List(ctx, name, state.KindDocument)
}

// lacks reports whether a document of before is missing from now. Both are sorted by name.
func lacks(now, before []state.Setting) bool {
	i := 0
	for _, b := range before {
		for i < len(now) && now[i].Name < b.Name {
			i++
		}
		if i == len(now) || now[i].Name != b.Name {
			return true
		}
	}
	return false
}

// Restored counts what Restore wrote.
type Restored struct{ Tenants, Documents int }

// Restore writes the documents that are in use back into a store that lost them, and then gives the store a new identity. What
// the store has, also of another replica, stays. It may be called again after an error.
func (w *Worker) Restore(ctx context.Context) (Restored, error) {
	var done Restored
	w.mu.Lock()
	held := maps.Clone(w.tenants)
	w.mu.Unlock()
	for name, t := range held {
		n, err := w.restoreOne(ctx, name, t)
		if n > 0 {
			done.Tenants++
			done.Documents += n
		}
		if err != nil {
			return done, err
		}
	}
	return done, w.identify(ctx)
}

// restoreOne writes the documents of a tenant that are in use back, when nothing else works on them.
func (w *Worker) restoreOne(ctx context.Context, name string, t *tenant) (n int, err error) {
	end, err := t.take(ctx)
	if err != nil {
		return 0, err
	}
	defer end()
	w.mu.Lock()
	kept := t.kept
	w.mu.Unlock()
	return w.restore(ctx, name, kept)
}

// putBack writes a document that the store lost. One that was deleted since then, after another replica wrote it back, stays deleted.
func (w *Worker) putBack(ctx context.Context, tenant string, setting state.Setting) error {
	if s, ok := w.o.Store.(state.Emptier); ok {
		return s.PutBack(ctx, tenant, setting.Kind, setting.Name, setting.Value)
	}
	_, err := w.o.Store.Put(ctx, tenant, setting.Kind, setting.Name, setting.Value, 0)
	return err
}

// noteEndingAgain writes the note of when the secrets of a webhook end, which the store lost too. What another replica noted stays.
func (w *Worker) noteEndingAgain(ctx context.Context, tenant string, setting state.Setting) error {
	metas := metaOf(setting).Secrets
	if firstEnding(metas).IsZero() {
		return nil
	}
	_, err := w.o.Store.Get(ctx, systemTenant, kindEnding, tenant+"/"+Title(setting.Name))
	if errors.Is(err, state.ErrNotFound) {
		err = noteEnding(ctx, w.o.Store, tenant, setting.Name, metas)
	}
	return err
}

// restore writes those documents of a tenant that the store lost, and returns how many.
func (w *Worker) restore(ctx context.Context, name string, kept []state.Setting) (n int, err error) {
	for _, setting := range kept {
		// The mark of the key first, as when a value is sealed.
		if err := w.o.Vault.Remark(ctx, name, setting); err != nil {
			return n, err
		}
		if err := w.noteEndingAgain(ctx, name, setting); err != nil {
			return n, fmt.Errorf("note when the secrets of %s of tenant %s end: %w", setting.Name, name, err)
		}
		err := w.putBack(ctx, name, setting)
		switch {
		case err == nil:
			n++
		case !errors.Is(err, state.ErrConflict):
			return n, fmt.Errorf("write %s of tenant %s back: %w", setting.Name, name, err)
		}
	}
	return n, nil
}
