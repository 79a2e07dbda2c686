package vault

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// Marks are settings that record which keys the store needs. `k2` says that k2 is in use, `k2/acme/token` that the settings of
// kind token of tenant acme may hold values that are sealed with it. Each holds a sealed probe, which tells a key from another
// one of the same id.
const (
	systemTenant = "*" // owns what belongs to the gateway itself
	kindMark     = "vault"
	fieldProbe   = "probe"
)

// mark is the value of a mark.
type mark struct {
	Probe string `json:"probe"`
}

// placeMark is the name of the mark of a key in one kind of settings of a tenant. None of the parts contains a slash.
func placeMark(id, tenant, kind string) string { return id + "/" + tenant + "/" + kind }

func markPlace(name string) place { return place{systemTenant, kindMark, name, fieldProbe} }

func (k *key) markValue(name string) ([]byte, error) {
	return json.Marshal(mark{k.seal(markPlace(name), nil)})
}

// mark stores a mark of a key, unless the store has it. It returns the version of the one it stored; 0 if there was one.
func (v *Vault) mark(ctx context.Context, k *key, name string) (version uint64, err error) {
	value, err := k.markValue(name)
	if err != nil {
		return 0, err
	}
	version, err = v.options.Store.Put(ctx, systemTenant, kindMark, name, value, 0)
	if errors.Is(err, state.ErrConflict) {
		return 0, nil
	}
	return version, err
}

// Remark records again which keys a setting's sealed values need, in a store that lost its marks. Keys that the vault does not
// have are left out: it cannot prove them.
func (v *Vault) Remark(ctx context.Context, tenant string, setting state.Setting) error {
	marked := map[string]bool{}
	for _, s := range sealedIn(setting.Value) {
		id := keyID(s.text)
		k := v.options.Keys.find(id)
		if k == nil || marked[id] {
			continue
		}
		marked[id] = true
		if _, err := v.mark(ctx, k, placeMark(id, tenant, setting.Kind)); err != nil {
			return fmt.Errorf("record that %s %s needs the key %s: %w", setting.Kind, setting.Name, id, err)
		}
	}
	return nil
}

// marked is what a mark says.
type marked struct {
	state.Setting
	id, tenant, kind string // tenant and kind are empty for a mark of the key alone
}

func marks(ctx context.Context, store state.Settings) ([]marked, error) {
	list, err := store.List(ctx, systemTenant, kindMark)
	if err != nil {
		return nil, fmt.Errorf("read which keys the store needs: %w", err)
	}
	all := make([]marked, len(list))
	for i, setting := range list {
		m := marked{Setting: setting}
		var rest string
		m.id, rest, _ = strings.Cut(setting.Name, "/")
		m.tenant, m.kind, _ = strings.Cut(rest, "/")
		all[i] = m
	}
	return all, nil
}

// Needed returns the ids of the keys that the store needs.
func Needed(ctx context.Context, store state.Settings) ([]string, error) {
	all, err := marks(ctx, store)
	if err != nil {
		return nil, err
	}
	return needed(all), nil
}

func needed(all []marked) []string {
	var ids []string
	for _, m := range all {
		if !slices.Contains(ids, m.id) {
			ids = append(ids, m.id)
		}
	}
	slices.Sort(ids)
	return ids
}

// LostKeyError reports that the store holds values which the gateway cannot open.
type LostKeyError struct {
	// ID is the key, which is missing, or differs from the one that the store was sealed with.
	ID      string
	Differs bool
	// Places names what is sealed with it, such as `token of tenant acme`, and how many more there are; empty where nothing is yet.
	Places []string
	remedy string
}

func (e *LostKeyError) Error() string {
	text := "the store needs the key " + e.ID + ", which this gateway does not have"
	if e.Differs {
		text = "the key " + e.ID + " is not the one that the store was sealed with"
	}
	if len(e.Places) > 0 {
		text += " (sealed with it: " + strings.Join(e.Places, ", ") + ")"
	}
	return text + ": " + e.remedy + ". If the key is lost for good, `surveygate run --lost-key " + e.ID + "` deletes what was sealed with it: " +
		"tokens are fetched again, refresh tokens that were stored with `surveygate token set` must be set again, and so must the secrets of tenants' documents"
}

// Prove checks that the vault has every key that the store needs, and records the current one. The error is a *LostKeyError
// where a key is missing or differs, for example because a replica was started with another one.
func (v *Vault) Prove(ctx context.Context) error {
	if err := v.prove(ctx); err != nil {
		return err
	}
	current := v.options.Keys.current()
	if current == nil {
		return nil
	}
	version, err := v.mark(ctx, current, current.id)
	if err != nil {
		return fmt.Errorf("record the key %s: %w", current.id, err)
	}
	// Another replica may have recorded another key meanwhile.
	err = v.prove(ctx)
	if err != nil && version != 0 {
		err = errors.Join(err, v.unmark(ctx, marked{id: current.id, Setting: state.Setting{Name: current.id, Version: version}}))
	}
	return err
}

func (v *Vault) prove(ctx context.Context) error {
	all, err := marks(ctx, v.options.Store)
	if err != nil {
		return err
	}
	for _, m := range all {
		switch k := v.options.Keys.find(m.id); {
		case k == nil:
			return &LostKeyError{ID: m.id, Places: placesOf(all, m.id), remedy: v.options.Keys.addRemedy(m.id)}
		case !k.opensMark(m):
			return &LostKeyError{ID: m.id, Differs: true, Places: placesOf(all, m.id), remedy: "set the key that the other replicas and the last start had, or give a new one another id"}
		}
	}
	return nil
}

func (k *key) opensMark(m marked) bool {
	var value mark
	if err := json.Unmarshal(m.Value, &value); err != nil {
		return false
	}
	_, err := k.open(markPlace(m.Name), value.Probe)
	return err == nil
}

// maxPlaces is how many places an error names.
const maxPlaces = 10

func placesOf(all []marked, id string) []string {
	var places []string
	for _, m := range all {
		if m.id == id && m.kind != "" {
			places = append(places, m.kind+" of tenant "+m.tenant)
		}
	}
	if len(places) > maxPlaces {
		return append(places[:maxPlaces], fmt.Sprintf("and %d more", len(places)-maxPlaces))
	}
	return places
}

// Forget deletes the settings that hold values sealed with a key that is lost, and its marks. It returns how many settings it
// deleted. Values that open stay, so that nothing is lost where the key is there after all. Documents of tenants stay too: they
// are more than the secrets in them, and are broken until those are set again.
func Forget(ctx context.Context, store state.Settings, keys Keys, id string) (int, error) {
	all, err := marks(ctx, store)
	if err != nil {
		return 0, err
	}
	v, deleted := New(Options{Keys: keys, Store: store}), 0
	for _, m := range all {
		if m.id != id || m.kind == "" || m.kind == state.KindDocument {
			continue
		}
		list, err := store.List(ctx, m.tenant, m.kind)
		if err != nil {
			return deleted, err
		}
		for _, setting := range list {
			lost := slices.ContainsFunc(sealedIn(setting.Value), func(s sealed) bool {
				_, err := v.open(place{m.tenant, m.kind, setting.Name, s.field}, s.text)
				return keyID(s.text) == id && err != nil
			})
			if !lost {
				continue
			}
			if err := store.Delete(ctx, m.tenant, m.kind, setting.Name, setting.Version); err != nil {
				return deleted, fmt.Errorf("delete what was sealed with %s: %w", id, err)
			}
			deleted++
		}
	}
	for _, m := range all {
		if k := keys.find(id); m.id != id || k != nil && k.opensMark(m) {
			continue
		}
		if err := store.Delete(ctx, systemTenant, kindMark, m.Name, m.Version); err != nil && !errors.Is(err, state.ErrNotFound) {
			return deleted, fmt.Errorf("forget the key %s: %w", id, err)
		}
	}
	return deleted, nil
}

// sealed is a sealed text in a setting, and the key of the JSON object that holds it.
type sealed struct{ field, text string }

// sealedIn returns the sealed texts of a setting in JSON; nil for any other value.
func sealedIn(value []byte) []sealed {
	var found []sealed
	decoder := json.NewDecoder(bytes.NewReader(value))
	decoder.UseNumber()
	if findSealed(decoder, "", &found) != nil {
		return nil
	}
	return found
}

// findSealed reads one value, which is under the key field.
func findSealed(decoder *json.Decoder, field string, found *[]sealed) error {
	token, err := decoder.Token()
	if err != nil {
		return err
	}
	switch t := token.(type) {
	case string:
		if keyID(t) != "" {
			*found = append(*found, sealed{field, t})
		}
	case json.Delim:
		for decoder.More() {
			under := field
			if t == '{' {
				name, err := decoder.Token()
				if err != nil {
					return err
				}
				under, _ = name.(string)
			}
			if err := findSealed(decoder, under, found); err != nil {
				return err
			}
		}
		_, err = decoder.Token() // the end of the object or list
	}
	return err
}
