package access

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// mirror holds all settings of one kind of the gateway itself in memory, so that a request reads nothing from the store. What this
// process writes is there at once; what others write is there after the next sweep.
//
// A setting that is no longer in the store was deleted, unless the store lost its data; the identity of the store tells the two
// cases apart (see package settings). What was lost stays in use, and is written back.
//
// The store may also go back to an older state, such as after a failover that lost the last writes. Versions tell: they never fall
// otherwise. Then what is known here counts: newer values are written back, and what was deleted is deleted again, so that no revoked
// token counts once more.
type mirror[T any] struct {
	store state.Settings
	kind  string
	parse func(state.Setting) (T, error)

	turn     sync.Mutex // of writes and sweeps; it guards version and identity
	version  uint64     // of the last change that is known; 0: none
	identity string     // of the store that the settings were read from
	ended    ended      // what was deleted
	mended   int        // how many settings the store had in an older state since takeMended

	mu   sync.RWMutex
	kept map[string]mirrored[T]

	told broadcast // of changes
}

type mirrored[T any] struct {
	state.Setting
	value T
	ok    bool // it could be read
}

// ended has the versions of deleted settings by their names: the last maxEnded of them, oldest first in order.
type ended struct {
	versions map[string]uint64
	order    []string
	// once is set if no name is given a second time: then whatever has the name of a deleted setting was deleted.
	once bool
}

// maxEnded is how many deleted settings of a kind are remembered: 64 bytes of a name and its version for each.
const maxEnded = 10_000

func (e *ended) add(name string, version uint64) {
	if _, has := e.versions[name]; !has {
		if len(e.order) == maxEnded {
			delete(e.versions, e.order[0])
			e.order = e.order[1:]
		}
		e.order = append(e.order, name)
	}
	e.versions[name] = max(version, e.versions[name])
}

// has reports whether a setting of this version was deleted.
func (e *ended) has(s state.Setting) bool {
	version, has := e.versions[s.Name]
	return has && (e.once || s.Version <= version)
}

// ofGateway is the tenant of settings that belong to no tenant.
const ofGateway = "*"

func newMirror[T any](store state.Settings, kind string, parse func(state.Setting) (T, error)) *mirror[T] {
	return &mirror[T]{store: store, kind: kind, parse: parse, kept: map[string]mirrored[T]{}, ended: ended{versions: map[string]uint64{}}}
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

// put writes a setting if version is its present one, together with items of lists, and knows it at once. state.ErrConflict: it has
// another version.
func (m *mirror[T]) put(ctx context.Context, name string, value []byte, version uint64, with ...state.Item) (T, error) {
	m.turn.Lock()
	defer m.turn.Unlock()
	var none T
	next, err := m.write(ctx, state.Write{Name: name, Verb: state.Replace, Value: value, Version: version}, with)
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

// write makes one write of a setting. With items it is a batch, of which all is kept or nothing.
func (m *mirror[T]) write(ctx context.Context, w state.Write, with []state.Item) (version uint64, err error) {
	switch w.Tenant, w.Kind = ofGateway, m.kind; {
	case len(with) > 0:
		versions, err := m.store.WriteAll(ctx, &state.Batch{Writes: []state.Write{w}, Items: with})
		if err != nil {
			return 0, err
		}
		return versions[0], nil
	case w.Verb == state.Remove:
		return 0, m.store.Delete(ctx, w.Tenant, w.Kind, w.Name, w.Version)
	default:
		return m.store.Put(ctx, w.Tenant, w.Kind, w.Name, w.Value, w.Version)
	}
}

// remove deletes a setting, together with writing items of lists. Its errors are those of state.Settings.
func (m *mirror[T]) remove(ctx context.Context, name string, version uint64, with ...state.Item) error {
	m.turn.Lock()
	defer m.turn.Unlock()
	if _, err := m.write(ctx, state.Write{Name: name, Verb: state.Remove, Version: version}, with); err != nil {
		return err
	}
	m.ended.add(name, version)
	m.mu.Lock()
	delete(m.kept, name)
	m.mu.Unlock()
	m.told.tell()
	return nil
}

// takeMended returns how many settings the store had in an older state since the last call.
func (m *mirror[T]) takeMended() int {
	m.turn.Lock()
	defer m.turn.Unlock()
	n := m.mended
	m.mended = 0
	return n
}

// sweep reads all settings if one of them changed since the last sweep.
func (m *mirror[T]) sweep(ctx context.Context) error {
	m.turn.Lock()
	defer m.turn.Unlock()
	version, err := m.lastChange(ctx)
	if err != nil || version == m.version {
		return err
	}
	// A List from here on includes this change.
	list, err := m.store.List(ctx, ofGateway, m.kind)
	if err != nil {
		return fmt.Errorf("read each %s: %w", m.kind, err)
	}
	now := make(map[string]mirrored[T], len(list))
	var older []state.Setting
	m.mu.RLock()
	for _, s := range list {
		was, had := m.kept[s.Name]
		switch {
		case had && was.Version == s.Version:
			now[s.Name] = was
		case had && s.Version < was.Version && !bytes.Equal(s.Value, was.Value):
			now[s.Name] = was
			older = append(older, s)
		case !had && m.ended.has(s):
			older = append(older, s)
		default:
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
	whole, err := m.judge(ctx, version, now, missing)
	if err == nil && len(older) > 0 {
		whole, err = false, m.mend(ctx, now, older)
	}
	m.mu.Lock()
	m.kept = now
	m.mu.Unlock()
	m.told.tell()
	if whole {
		m.version = version
	}
	return err
}

// lastChange returns the version of the last change in the store; 0: there is none.
func (m *mirror[T]) lastChange(ctx context.Context) (uint64, error) {
	last, err := m.store.LastChanges(ctx, m.kind)
	if err != nil {
		return 0, fmt.Errorf("look for changes of a %s: %w", m.kind, err)
	}
	for _, l := range last {
		if l.Tenant == ofGateway {
			return l.Version, nil
		}
	}
	return 0, nil
}

// mend writes into the store what it has in an older state than is known here, which is in now, and deletes what was deleted. What
// another replica wrote meanwhile stays, and is read by the next sweep.
func (m *mirror[T]) mend(ctx context.Context, now map[string]mirrored[T], older []state.Setting) error {
	for _, s := range older {
		var err error
		if was, known := now[s.Name]; known {
			var version uint64
			if version, err = m.store.Put(ctx, ofGateway, m.kind, s.Name, was.Value, s.Version); err == nil {
				now[s.Name] = m.mirrored(state.Setting{Kind: m.kind, Name: s.Name, Value: was.Value, Version: version})
			}
		} else if err = m.store.Delete(ctx, ofGateway, m.kind, s.Name, s.Version); errors.Is(err, state.ErrNotFound) {
			err = nil
		}
		if err != nil && !errors.Is(err, state.ErrConflict) {
			return fmt.Errorf("mend a %s of which the store has an older state: %w", m.kind, err)
		}
		m.mended++
	}
	return nil
}

// judge adds to now what is missing because the store lost it, and writes it back. version is the store's last one. It is false if
// the store must be read again.
func (m *mirror[T]) judge(ctx context.Context, version uint64, now map[string]mirrored[T], missing []mirrored[T]) (whole bool, err error) {
	emptier, can := m.store.(state.Emptier)
	if !can {
		m.end(missing)
		return true, nil
	}
	identity, err := readIdentity(ctx, m.store)
	if err == nil && len(missing) > 0 { // the store may have gone back between the two reads
		var again uint64
		again, err = m.lastChange(ctx)
		version = min(version, again)
	}
	if err != nil {
		for _, s := range missing { // nobody knows whether they were deleted
			now[s.Name] = s
		}
		return false, err
	}
	if len(missing) == 0 || identity == m.identity && identity != "" {
		if identity != "" {
			m.identity = identity
		}
		// What is newer than the store's last change was not deleted: the store has an older state.
		lost := slices.DeleteFunc(slices.Clone(missing), func(s mirrored[T]) bool { return s.Version <= version })
		m.end(slices.DeleteFunc(missing, func(s mirrored[T]) bool { return s.Version > version }))
		if len(lost) == 0 {
			return true, nil
		}
		m.mended += len(lost)
		missing = lost
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

// end remembers that settings were deleted.
func (m *mirror[T]) end(missing []mirrored[T]) {
	for _, s := range missing {
		m.ended.add(s.Name, s.Version)
	}
}

// The identity of the store is a setting that package settings writes.
func readIdentity(ctx context.Context, store state.Settings) (string, error) {
	s, err := store.Get(ctx, ofGateway, "store", "identity")
	if err != nil && !errors.Is(err, state.ErrNotFound) {
		return "", fmt.Errorf("find the identity of the store: %w", err)
	}
	return string(s.Value), nil
}
