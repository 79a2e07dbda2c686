package embedded

import (
	"bytes"
	"errors"
	"math"
	"strings"

	"github.com/cockroachdb/pebble/v2"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// tenantUse is a tenant's usage of what all tenants share, and where its lists begin. It belongs to the writer, and is written
// in the batch that changes it.
type tenantUse struct {
	name              string
	bytes             int64 // of its events in tabEvent and in its share, which count for the bound in bytes
	share, shareBytes int64 // events in tabShare
	ids, idBytes      int64 // in tabGone

	shareFront, idFront front
	dirty               bool
}

// front is the first entry of a tenant's list, and when that event was received. Scans begin there, and not at removed
// entries before it.
type front struct {
	pos uint64
	at  int64
}

// noFront is the front of an empty list.
var noFront = front{pos: math.MaxUint64}

// add moves the front if a new entry comes before it.
func (f *front) add(pos uint64, at int64) {
	if pos < f.pos {
		*f = front{pos, at}
	}
}

// before reports whether the first entry is older than a time.
func (f front) before(at int64) bool { return f != noFront && f.at < at }

func (u *tenantUse) append(b []byte) []byte {
	for _, n := range [...]int64{u.bytes, u.share, u.shareBytes, u.ids, u.idBytes} {
		b = appendInt(b, n)
	}
	return b
}

func (u *tenantUse) read(b []byte) error {
	r := readerOf(b)
	for _, n := range [...]*int64{&u.bytes, &u.share, &u.shareBytes, &u.ids, &u.idBytes} {
		*n = r.Int()
	}
	return r.Err()
}

func (u *tenantUse) empty() bool { return u.bytes == 0 && u.share == 0 && u.ids == 0 }

// tenantUses has the usage of all tenants with any.
type tenantUses struct {
	byName  map[string]*tenantUse
	changed []*tenantUse // in this batch
	idBytes int64        // of all
}

func (us *tenantUses) tenant(tenant string) *tenantUse {
	u := us.byName[tenant]
	if u == nil {
		u = &tenantUse{name: strings.Clone(tenant), shareFront: noFront, idFront: noFront}
		us.byName[u.name] = u
	}
	return u
}

// use returns the usage of a tenant for a change.
func (t *tx) use(tenant string) *tenantUse {
	us := &t.s.w.tenants
	u := us.tenant(tenant)
	if !u.dirty {
		u.dirty = true
		us.changed = append(us.changed, u)
	}
	return u
}

// flush writes what changed.
func (us *tenantUses) flush(t *tx) {
	for _, u := range us.changed {
		u.dirty = false
		key := appendText(append(t.key[:0], tabTenant), u.name)
		if u.empty() {
			t.del(key)
			delete(us.byName, u.name)
			continue
		}
		t.val = u.append(t.val[:0])
		t.set(key, t.val)
	}
	clear(us.changed)
	us.changed = us.changed[:0]
}

// load reads the usage of all tenants, or counts it if a former version wrote last.
func (us *tenantUses) load(s *store, counted bool) error {
	us.byName = map[string]*tenantUse{}
	s.oldestID.Store(noTime)
	if !counted {
		if err := us.recount(s); err != nil {
			return err
		}
	} else if err := scan(s.db, []byte{tabTenant}, func(rest, value []byte) error {
		name, _, ok := cutText(rest)
		if !ok {
			return state.ErrCorrupt
		}
		return us.tenant(name).read(value)
	}); err != nil {
		return err
	}
	for _, u := range us.byName {
		us.idBytes += u.idBytes
		var err error
		if u.shareFront, err = frontOf(s.db, tabShare, u.name); err != nil {
			return err
		}
		if u.idFront, err = frontOf(s.db, tabRemovedID, u.name); err != nil {
			return err
		}
	}
	s.oldestID.Store(us.oldest())
	return nil
}

func frontOf(db *pebble.DB, table byte, tenant string) (front, error) {
	f := noFront
	err := scan(db, textKey(table, tenant), func(rest, value []byte) error {
		r := readerOf(value)
		f = front{keyPos(append([]byte{0}, rest...)), r.Int()}
		return errors.Join(r.Err(), errStop)
	})
	return f, ignoreStop(err)
}

// oldest is when the oldest event or id in the lists of tenants was received; noTime: they are empty.
func (us *tenantUses) oldest() int64 {
	oldest := int64(noTime)
	for _, u := range us.byName {
		for _, f := range [...]front{u.shareFront, u.idFront} {
			if f != noFront && (oldest == noTime || f.at < oldest) {
				oldest = f.at
			}
		}
	}
	return oldest
}

// recount counts the usage of all tenants, and writes it.
func (us *tenantUses) recount(s *store) (err error) {
	c := &s.w.counters
	b := s.db.NewBatch()
	defer func() { err = errors.Join(err, b.Close()) }()
	// A former version that ran after this one removed events from tabKept, and not from tabShare.
	if err := us.count(s.db, c.first, func(key []byte) error { return b.Delete(key, nil) }); err != nil {
		return err
	}
	if err := b.DeleteRange([]byte{tabTenant}, []byte{tabTenant + 1}, nil); err != nil {
		return err
	}
	c.share, c.shareBytes = 0, 0
	for _, u := range us.byName {
		c.share, c.shareBytes = c.share+u.share, c.shareBytes+u.shareBytes
		if err := b.Set(appendText([]byte{tabTenant}, u.name), u.append(nil), nil); err != nil {
			return err
		}
	}
	if err := b.Set(metaCounters, c.append(nil), nil); err != nil {
		return err
	}
	return b.Commit(pebble.Sync)
}

// count counts the usage of all tenants from the timeline, from the first event in tabEvent on, tabShare and tabRemovedID.
// Entries of tabShare without an event are passed to lost.
func (us *tenantUses) count(db *pebble.DB, first uint64, lost func(key []byte) error) error {
	if err := scan(db, []byte{tabShare}, func(rest, value []byte) error {
		tenant, at, ok := cutText(rest)
		if !ok || len(at) != 8 {
			return state.ErrCorrupt
		}
		sh, err := readShare(value)
		if err != nil {
			return err
		}
		_, closer, err := db.Get(append([]byte{tabKept}, at...))
		if isNotFound(err) {
			return lost(append([]byte{tabShare}, rest...))
		}
		if err != nil {
			return err
		}
		u := us.tenant(tenant)
		u.bytes, u.share, u.shareBytes = u.bytes+sh.size, u.share+1, u.shareBytes+sh.size
		return closer.Close()
	}); err != nil {
		return err
	}
	if err := scan(db, []byte{tabRemovedID}, func(rest, value []byte) error {
		tenant, _, ok := cutText(rest)
		if !ok {
			return state.ErrCorrupt
		}
		u := us.tenant(tenant)
		u.ids, u.idBytes = u.ids+1, u.idBytes+removedIDBytes(tenant, value)
		return nil
	}); err != nil {
		return err
	}
	return us.countEvents(db, first)
}

// countEvents counts each tenant's events from a position on.
func (us *tenantUses) countEvents(db *pebble.DB, first uint64) (err error) {
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: []byte{tabTimeline}, UpperBound: []byte{tabTimeline + 1}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for ok := it.First(); ok; {
		tenant, _, valid := cutText(it.Key()[1:])
		if !valid {
			return state.ErrCorrupt
		}
		prefix := textKey(tabTimeline, tenant)
		var bytesOf int64
		for ok = it.SeekGE(timelineKey(nil, tenant, first)); ok && bytes.HasPrefix(it.Key(), prefix); ok = it.Next() {
			v, err := it.ValueAndErr()
			if err != nil {
				return err
			}
			l, err := readTimeline(v)
			if err != nil {
				return err
			}
			bytesOf += int64(l.size)
		}
		if bytesOf > 0 {
			us.tenant(tenant).bytes += bytesOf
		}
	}
	return it.Error()
}
