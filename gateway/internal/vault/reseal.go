package vault

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// Resealed is the result of Reseal.
type Resealed struct {
	// Current is the id of the key that everything is sealed with now.
	Current string
	// Values is how many were sealed anew, Unopened how many do not open and so were left.
	Values, Unopened int
	// Needed are the older keys that the store still needs, Unneeded those that can be removed.
	Needed, Unneeded []string
}

// Reseal seals with the current key what is sealed with an older one. It may run while the gateway does, be stopped half-way,
// and be repeated. Every replica must have the current key before, and seal with it: a key that one of them still seals with
// does not become unneeded.
func (v *Vault) Reseal(ctx context.Context) (*Resealed, error) {
	current := v.options.Keys.current()
	if current == nil {
		return nil, fmt.Errorf("%w: nothing can be sealed; %s", ErrNoKey, v.options.Keys.remedy())
	}
	all, err := marks(ctx, v.options.Store)
	if err != nil {
		return nil, err
	}
	r := &Resealed{Current: current.id}
	kept := map[string]bool{} // ids of keys that are still needed somewhere
	for _, m := range all {
		if m.id == current.id || m.kind == "" {
			continue
		}
		left, err := v.resealPlace(ctx, m, r)
		if err != nil {
			return r, err
		}
		r.Unopened += left
		if left == 0 {
			left, err = v.retire(ctx, m)
			if err != nil {
				return r, err
			}
		}
		kept[m.id] = kept[m.id] || left > 0
	}
	for _, id := range needed(all) {
		switch {
		case id == current.id:
		case kept[id]:
			r.Needed = append(r.Needed, id)
		default:
			if i := slices.IndexFunc(all, func(m marked) bool { return m.Name == id }); i >= 0 {
				if err := v.unmark(ctx, all[i]); err != nil {
					return r, err
				}
			}
			r.Unneeded = append(r.Unneeded, id)
		}
	}
	return r, nil
}

// retire deletes a key's mark for a place, and returns how many values are sealed with it nevertheless: a replica that still
// has it as its current key wrote them meanwhile. Then the mark is stored again.
func (v *Vault) retire(ctx context.Context, m marked) (left int, err error) {
	if err := v.unmark(ctx, m); err != nil {
		return 0, err
	}
	list, err := v.options.Store.List(ctx, m.tenant, m.kind)
	if err != nil {
		return 0, err
	}
	for _, setting := range list {
		for _, s := range sealedIn(setting.Value) {
			if keyID(s.text) == m.id {
				left++
			}
		}
	}
	if k := v.options.Keys.find(m.id); left > 0 && k != nil {
		_, err = v.mark(ctx, k, m.Name)
	}
	return left, err
}

func (v *Vault) unmark(ctx context.Context, m marked) error {
	err := v.options.Store.Delete(ctx, systemTenant, kindMark, m.Name, m.Version)
	if err == nil || errors.Is(err, state.ErrNotFound) { // not found: another Reseal was faster
		return nil
	}
	return fmt.Errorf("forget the key %s: %w", m.id, err)
}

// maxTries bounds how often a setting is read again because somebody else writes it.
const maxTries = 100

// resealPlace re-seals the values of a mark's key in the mark's place, and returns how many do not open.
func (v *Vault) resealPlace(ctx context.Context, m marked, r *Resealed) (left int, err error) {
	current := v.options.Keys.current()
	// The marks of the current key come first, as Seal stores them.
	if _, err := v.mark(ctx, current, placeMark(current.id, m.tenant, m.kind)); err != nil {
		return 0, err
	}
	list, err := v.options.Store.List(ctx, m.tenant, m.kind)
	if err != nil {
		return 0, err
	}
	for _, setting := range list {
		n, err := v.resealSetting(ctx, m, setting, r)
		if err != nil {
			return left, fmt.Errorf("seal %s %s of tenant %s anew: %w", m.kind, setting.Name, m.tenant, err)
		}
		left += n
	}
	return left, nil
}

// resealSetting re-seals the values of one setting. If somebody else changes it meanwhile, it begins again with the new value.
func (v *Vault) resealSetting(ctx context.Context, m marked, setting state.Setting, r *Resealed) (left int, err error) {
	current := v.options.Keys.current()
	for range maxTries {
		value, changed := setting.Value, 0
		left = 0
		for _, s := range sealedIn(setting.Value) {
			if keyID(s.text) != m.id {
				continue
			}
			at := place{m.tenant, m.kind, setting.Name, s.field}
			plain, err := v.open(at, s.text)
			old := []byte(`"` + s.text + `"`)
			if err != nil || !bytes.Contains(value, old) {
				left++
				continue
			}
			value = bytes.Replace(value, old, []byte(`"`+current.seal(at, plain)+`"`), 1)
			clear(plain)
			changed++
		}
		if changed == 0 {
			return left, nil
		}
		_, err := v.options.Store.Put(ctx, m.tenant, m.kind, setting.Name, value, setting.Version)
		if err == nil {
			r.Values += changed
			return left, nil
		}
		if !errors.Is(err, state.ErrConflict) {
			return left, err
		}
		if setting, err = v.options.Store.Get(ctx, m.tenant, m.kind, setting.Name); err != nil {
			if errors.Is(err, state.ErrNotFound) {
				return 0, nil
			}
			return 0, err
		}
	}
	return left, errors.New("it is written all the time")
}
