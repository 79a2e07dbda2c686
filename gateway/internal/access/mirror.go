package access

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// mirror holds all settings of one kind of the gateway itself in memory, so that a request reads nothing from the store. What this
// process writes is there at once; what others write is there after the next sweep.
//
// A setting that is no longer in the store was deleted, unless the store lost its data; the identity of the store tells the two
// cases apart (see package settings). What was lost stays in use, and is written back.
type mirror[T any] struct {
	store state.Settings
	kind  string
	parse func(state.Setting) (T, error)

	turn     sync.Mutex // of writes and sweeps; it guards version and identity
	version  uint64     // of the last change that is known; 0: none
	identity string     // of the store that the settings were read from

	mu   sync.RWMutex
	kept map[string]mirrored[T]

	told broadcast // of changes
}

type mirrored[T any] struct {
	state.Setting
	value T
	ok    bool // it could be read
}

// ofGateway is the tenant of settings that belong to no tenant.
const ofGateway = "*"

func newMirror[T any](store state.Settings, kind string, parse func(state.Setting) (T, error)) *mirror[T] {
	return &mirror[T]{store: store, kind: kind, parse: parse, kept: map[string]mirrored[T]{}}
}

// get returns a value by the name of its setting.
func (m *mirror[T]) get(name string) (value T, ok bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	s := m.kept[name]
	return s.value, s.ok
}

// each calls do for all values, in no order, until it returns false. do must not change the mirror.
func (m *mirror[T]) each(do func(T) bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	for _, s := range m.kept {
		if s.ok && !do(s.value) {
			return
		}
	}
}

func (m *mirror[T]) len() int {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return len(m.kept)
}

func (m *mirror[T]) mirrored(s state.Setting) mirrored[T] {
	value, err := m.parse(s)
	return mirrored[T]{s, value, err == nil}
}

// put writes a setting if version is its present one, and knows it at once. state.ErrConflict: it has another version.
func (m *mirror[T]) put(ctx context.Context, name string, value []byte, version uint64) (T, error) {
	m.turn.Lock()
	defer m.turn.Unlock()
	var none T
	next, err := m.store.Put(ctx, ofGateway, m.kind, name, value, version)
	if err != nil {
		return none, err
	}
	s := m.mirrored(state.Setting{Kind: m.kind, Name: name, Value: value, Version: next})
	m.mu.Lock()
	m.kept[name] = s
	m.mu.Unlock()
	m.told.tell()
	return s.value, nil
}

// remove deletes a setting. Its errors are those of state.Settings.
func (m *mirror[T]) remove(ctx context.Context, name string, version uint64) error {
	m.turn.Lock()
	defer m.turn.Unlock()
	if err := m.store.Delete(ctx, ofGateway, m.kind, name, version); err != nil {
		return err
	}
	m.mu.Lock()
	delete(m.kept, name)
	m.mu.Unlock()
	m.told.tell()
	return nil
}

// sweep reads all settings if one of them changed since the last sweep.
func (m *mirror[T]) sweep(ctx context.Context) error {
	m.turn.Lock()
	defer m.turn.Unlock()
	last, err := m.store.LastChanges(ctx, m.kind)
	if err != nil {
		return fmt.Errorf("look for changes of a %s: %w", m.kind, err)
	}
	var version uint64
	for _, l := range last {
		if l.Tenant == ofGateway {
			version = l.Version
		}
	}
	if version == m.version {
		return nil
	}
	// A List from here on includes this change.
	list, err := m.store.List(ctx, ofGateway, m.kind)
	if err != nil {
		return fmt.Errorf("read each %s: %w", m.kind, err)
	}
	now := make(map[string]mirrored[T], len(list))
	m.mu.RLock()
	for _, s := range list {
		if was, had := m.kept[s.Name]; had && was.Version == s.Version {
			now[s.Name] = was
		} else {
			now[s.Name] = m.mirrored(s)
		}
	}
	var missing []mirrored[T]
	for name, s := range m.kept {
		if _, there := now[name]; !there {
			missing = append(missing, s)
		}
	}
	m.mu.RUnlock()
	whole, err := m.judge(ctx, now, missing)
	m.mu.Lock()
	m.kept = now
	m.mu.Unlock()
	m.told.tell()
	if whole {
		m.version = version
	}
	return err
}

// judge adds to now what is missing because the store lost it, and writes it back. It is false if the store must be read again.
func (m *mirror[T]) judge(ctx context.Context, now map[string]mirrored[T], missing []mirrored[T]) (whole bool, err error) {
	emptier, can := m.store.(state.Emptier)
	if !can {
		return true, nil
	}
	identity, err := readIdentity(ctx, m.store)
	if err != nil || len(missing) == 0 || identity == m.identity && identity != "" {
		if err == nil && identity != "" {
			m.identity = identity
		}
		for _, s := range missing {
			if err != nil { // nobody knows whether they were deleted
				now[s.Name] = s
			}
		}
		return err == nil, err
	}
	for i, s := range missing {
		err := emptier.PutBack(ctx, ofGateway, m.kind, s.Name, s.Value)
		if errors.Is(err, state.ErrConflict) { // another replica wrote it back, or it was deleted since then
			var there state.Setting
			switch there, err = m.store.Get(ctx, ofGateway, m.kind, s.Name); {
			case err == nil:
				now[s.Name] = m.mirrored(there)
				continue
			case errors.Is(err, state.ErrNotFound):
				continue
			}
		}
		if err != nil {
			for _, s := range missing[i:] {
				now[s.Name] = s
			}
			return false, fmt.Errorf("write a %s back that the store lost: %w", m.kind, err)
		}
		now[s.Name] = s
	}
	// An identity of the emptied store is written after its documents: until then the store still counts as emptied.
	if identity != "" {
		m.identity = identity
	}
	return false, nil
}

// The identity of the store is a setting that package settings writes.
func readIdentity(ctx context.Context, store state.Settings) (string, error) {
	s, err := store.Get(ctx, ofGateway, "store", "identity")
	if err != nil && !errors.Is(err, state.ErrNotFound) {
		return "", fmt.Errorf("find the identity of the store: %w", err)
	}
	return string(s.Value), nil
}
