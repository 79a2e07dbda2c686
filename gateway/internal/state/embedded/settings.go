package embedded

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

type putting struct {
	tenant, kind, name string
	value              []byte
	version            uint64
	remove             bool
}

// Put writes a value if version is the one that is kept. Versions rise over all settings, so that a setting that was deleted
// and made again never has a version of the old one.
func (s *store) Put(ctx context.Context, tenant, kind, name string, value []byte, version uint64) (uint64, error) {
	op := &putting{tenant: tenant, kind: kind, name: name, value: value, version: version}
	if err := s.do(ctx, &call{op: op, size: len(value) + 128, sync: true}); err != nil {
		return 0, fmt.Errorf("put %s %s: %w", kind, name, err)
	}
	return op.version, nil
}

// Delete removes a value if version is the one that is kept.
func (s *store) Delete(ctx context.Context, tenant, kind, name string, version uint64) error {
	op := &putting{tenant: tenant, kind: kind, name: name, version: version, remove: true}
	if err := s.do(ctx, &call{op: op, size: 128, sync: true}); err != nil {
		return fmt.Errorf("delete %s %s: %w", kind, name, err)
	}
	return nil
}

func (op *putting) stage(t *tx) error {
	key := textKey(tabSetting, op.tenant, op.kind, op.name)
	kept := keptVersion(t, key)
	switch {
	case op.remove && kept == 0:
		return state.ErrNotFound
	case kept != op.version:
		return state.ErrConflict
	}
	op.version = op.write(t, key)
	return nil
}

// keptVersion returns the version of the setting of a key; 0 if there is none.
func keptVersion(t *tx, key []byte) uint64 {
	if v := t.get(key); v != nil {
		return binary.BigEndian.Uint64(v)
	}
	return 0
}

// write writes or removes the setting, whatever is there, and returns the new version.
func (op *putting) write(t *tx, key []byte) uint64 {
	c := &t.s.w.counters
	c.version++
	t.s.w.dirty = true
	if op.remove {
		t.drop(key)
	} else {
		t.put(key, append(appendU64(nil, c.version), op.value...))
	}
	t.set(textKey(tabLastChange, op.kind, op.tenant), appendU64(nil, c.version))
	change := state.Change{Tenant: op.tenant, Kind: op.kind, Name: op.name}
	watchers := &t.s.watchers
	t.after = append(t.after, func() { watchers.Notify(change) })
	return c.version
}

// WriteAll writes settings and items of lists together.
func (s *store) WriteAll(ctx context.Context, b *state.Batch) ([]uint64, error) {
	if err := b.Check(); err != nil {
		return nil, err
	}
	op := &writingAll{batch: b, versions: make([]uint64, len(b.Writes))}
	size := 128
	for i := range b.Writes {
		size += len(b.Writes[i].Value) + 128
	}
	for i := range b.Items {
		size += len(b.Items[i].Head) + len(b.Items[i].Tail) + 128
	}
	if err := s.do(ctx, &call{op: op, size: size, sync: true}); err != nil {
		return nil, fmt.Errorf("write %d settings together: %w", len(b.Writes), err)
	}
	return op.versions, nil
}

type writingAll struct {
	batch    *state.Batch
	versions []uint64
}

func (op *writingAll) stage(t *tx) error {
	keys := make([][]byte, len(op.batch.Writes)) // nil: nothing is to be done
	for i := range op.batch.Writes {
		w := &op.batch.Writes[i]
		key := textKey(tabSetting, w.Tenant, w.Kind, w.Name)
		switch kept := keptVersion(t, key); {
		case w.Verb == state.Remove && kept == 0, w.Verb == state.Ensure && kept != 0:
		case kept != w.Version && w.Verb != state.Ensure:
			return fmt.Errorf("%s %s: %w", w.Kind, w.Name, state.ErrConflict)
		default:
			keys[i] = key
		}
	}
	for i := range op.batch.Writes {
		if w := &op.batch.Writes[i]; keys[i] != nil {
			p := putting{tenant: w.Tenant, kind: w.Kind, name: w.Name, value: w.Value, remove: w.Verb == state.Remove}
			if version := p.write(t, keys[i]); !p.remove {
				op.versions[i] = version
			}
		}
	}
	for i := range op.batch.Items {
		item := &op.batch.Items[i]
		(&keeping{item.Tenant, item.List, item.With(op.versions), item.Max, item.TTL}).add(t)
	}
	return nil
}

// Get returns a named value.
func (s *store) Get(ctx context.Context, tenant, kind, name string) (state.Setting, error) {
	if err := s.check(ctx); err != nil {
		return state.Setting{}, err
	}
	if err := s.enter(); err != nil {
		return state.Setting{}, err
	}
	defer s.leave()
	v, err := s.read(s.db, textKey(tabSetting, tenant, kind, name), nil)
	if err == nil && v == nil {
		err = state.ErrNotFound
	}
	if err != nil {
		return state.Setting{}, fmt.Errorf("%s %s: %w", kind, name, err)
	}
	return setting(kind, name, v), nil
}

func setting(kind, name string, v []byte) state.Setting {
	return state.Setting{Kind: kind, Name: name, Version: binary.BigEndian.Uint64(v), Value: v[8:]}
}

// List returns the values of a kind, by name.
func (s *store) List(ctx context.Context, tenant, kind string) ([]state.Setting, error) {
	if err := s.check(ctx); err != nil {
		return nil, err
	}
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	var all []state.Setting
	err := scan(s.db, textKey(tabSetting, tenant, kind), func(rest, value []byte) error {
		name, _, ok := cutText(rest)
		if !ok || len(value) < 8 {
			return state.ErrCorrupt
		}
		all = append(all, setting(kind, name, append([]byte(nil), value...)))
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", kind, err)
	}
	return all, nil
}

// LastChanges returns the version of each tenant's last change of a kind.
func (s *store) LastChanges(ctx context.Context, kind string) ([]state.LastChange, error) {
	if err := s.check(ctx); err != nil {
		return nil, err
	}
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	var all []state.LastChange
	err := scan(s.db, textKey(tabLastChange, kind), func(rest, value []byte) error {
		tenant, _, ok := cutText(rest)
		if !ok || len(value) != 8 {
			return state.ErrCorrupt
		}
		all = append(all, state.LastChange{Tenant: tenant, Version: binary.BigEndian.Uint64(value)})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("last changes of %s: %w", kind, err)
	}
	return all, nil
}

// CompactSettings rewrites the files that contain a kind of settings.
func (s *store) CompactSettings(ctx context.Context, tenant, kind string) error {
	if err := s.check(ctx); err != nil {
		return err
	}
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	first := textKey(tabSetting, tenant, kind)
	if err := s.db.Compact(ctx, first, prefixEnd(first), false); err != nil {
		return fmt.Errorf("compact %s: %w", kind, err)
	}
	return nil
}

type keeping struct {
	tenant, list string
	item         []byte
	max          int
	ttl          time.Duration
}

// Keep adds an item to a capped list.
func (s *store) Keep(ctx context.Context, tenant, list string, item []byte, most int, ttl time.Duration) error {
	op := &keeping{tenant, list, item, most, ttl}
	if err := s.do(ctx, &call{op: op, size: len(item) + 128}); err != nil {
		return fmt.Errorf("keep in %s: %w", list, err)
	}
	return nil
}

func (op *keeping) stage(t *tx) error {
	op.add(t)
	return nil
}

// add numbers items consecutively, so that the length of the list is the difference of two numbers.
func (op *keeping) add(t *tx) {
	key := textKey(tabList, op.tenant, op.list)
	first, next := uint64(1), uint64(1)
	if v := t.get(key); v != nil {
		r := readerOf(v)
		first, next = r.Uint(), r.Uint()
		must(r.Err())
	}
	items := textKey(tabListItem, op.tenant, op.list)
	if op.max > 0 {
		t.set(appendU64(append([]byte(nil), items...), next), append(appendTime(nil, t.now+int64(op.ttl)), op.item...))
		next++
	}
	for next-first > uint64(max(op.max, 0)) {
		t.del(appendU64(append([]byte(nil), items...), first))
		first++
	}
	t.put(key, appendUint(appendUint(nil, first), next))
}

// Kept returns items of a list, newest first.
func (s *store) Kept(ctx context.Context, tenant, list string, skip, n int) ([][]byte, error) {
	if err := s.check(ctx); err != nil {
		return nil, err
	}
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	if n == 0 {
		return nil, nil
	}
	var all [][]byte
	now := s.clock.look().now
	err := backwards(s.db, textKey(tabListItem, tenant, list), func(value []byte) error {
		switch {
		case len(value) < 8:
			return state.ErrCorrupt
		case keyTime(value) <= now: // it has expired
		case skip > 0:
			skip--
		default:
			all = append(all, append([]byte{}, value[8:]...))
			if len(all) == n {
				return errStop
			}
		}
		return nil
	})
	if err := ignoreStop(err); err != nil {
		return nil, fmt.Errorf("list %s: %w", list, err)
	}
	return all, nil
}

type leasing struct {
	name, holder string
	ttl          time.Duration
	fence        uint64
}

// Lease gives a name to one holder. It does not wait for the disk: a lease that is lost has ended with the process that had it, and what
// its holder writes afterwards is never on disk without it.
func (s *store) Lease(ctx context.Context, name, holder string, ttl time.Duration) (uint64, error) {
	op := &leasing{name: name, holder: holder, ttl: ttl}
	if err := s.do(ctx, &call{op: op, size: 128}); err != nil {
		return 0, fmt.Errorf("lease %s: %w", name, err)
	}
	return op.fence, nil
}

func (op *leasing) stage(t *tx) error {
	key := textKey(tabLease, op.name)
	var holder string
	var end int64
	if v := t.get(key); v != nil {
		r := readerOf(v)
		op.fence, end, holder = r.Uint(), r.Int(), r.Text()
		must(r.Err())
	}
	live := end > t.now
	if live && holder != op.holder {
		return state.ErrConflict
	}
	if !live || holder != op.holder {
		op.fence++ // also for the same holder, if its lease had ended
	}
	t.put(key, state.AppendText(appendInt(appendUint(nil, op.fence), t.now+int64(op.ttl)), op.holder))
	return nil
}

// Watch returns a channel that receives the kind and name of every change.
func (s *store) Watch(ctx context.Context, tenant string) (<-chan state.Change, error) {
	if err := s.check(ctx); err != nil {
		return nil, err
	}
	return s.watchers.Watch(ctx, tenant)
}
