package embedded

import (
	"cmp"
	"math"
	"slices"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// What all tenants share is shed by those who have most of it (state.Level). Events leave in the order of positions, so one
// that stands before them and belongs to somebody else is put aside into its tenant's share: it is in tabKept, where every
// reader finds it, and in tabShare, where its tenant's oldest is found when the tenant has most itself, or it is too old.

// sliceTurn is how much of a slice one tenant has before the next has its turn.
const sliceTurn = 64

// shedding is who loses in one Trim: the tenants that have more than a level.
type shedding struct {
	level  int64
	left   int // tenants that have more
	queue  []string
	queued bool
}

// plan finds the level of what is over a bound.
func (p *shedding) plan(t *tx, bound, total int64, of func(*tenantUse) int64) {
	p.level, p.left = math.MaxInt64, 0
	if bound <= 0 || total <= bound {
		return
	}
	var used []int64
	for _, u := range t.s.w.tenants.byName {
		used = append(used, of(u))
	}
	slices.SortFunc(used, func(a, b int64) int { return cmp.Compare(b, a) })
	p.level, _ = state.Level(used, total-bound)
	p.left, _ = slices.BinarySearchFunc(used, p.level, func(n, level int64) int {
		if n > level {
			return -1
		}
		return 1
	})
}

// lost notes that a tenant has less than it had.
func (p *shedding) noteLoss(before, after int64) {
	if before > p.level && after <= p.level {
		p.left--
	}
}

// rounds gives tenants turns, those that have most first, until a slice is full.
func (p *shedding) rounds(t *tx, s *slice, of func(*tenantUse) int64, wants func(*tenantUse) bool, turn func(u *tenantUse, most int) (n int, more bool)) {
	us := &t.s.w.tenants
	if !p.queued {
		p.queued = true
		var some []*tenantUse
		for _, u := range us.byName {
			if wants(u) {
				some = append(some, u)
			}
		}
		slices.SortFunc(some, func(a, b *tenantUse) int { return cmp.Or(cmp.Compare(of(b), of(a)), cmp.Compare(a.name, b.name)) })
		for _, u := range some {
			p.queue = append(p.queue, u.name)
		}
	}
	for n := 0; len(p.queue) > 0 && n < sliceEvents; {
		name := p.queue[0]
		p.queue = p.queue[1:]
		u := us.byName[name]
		if u == nil {
			continue
		}
		took, more := turn(u, min(sliceTurn, sliceEvents-n))
		n += took
		if more {
			p.queue = append(p.queue, name)
		}
	}
	s.more = len(p.queue) > 0
}

func eventsUsed(u *tenantUse) int64 { return u.bytes }

func (p *shedding) planEvents(t *tx, s *slice) {
	c := &t.s.w.counters
	p.plan(t, s.r.Events.Bytes, c.bytes+c.shareBytes, eventsUsed)
}

// over says whether events must leave for their bytes.
func (p *shedding) exceeded(t *tx, s *slice) bool {
	c := &t.s.w.counters
	return p.left > 0 && c.bytes+c.shareBytes > s.r.Events.Bytes
}

// shared is an entry of tabShare.
type shareEntry struct{ received, size int64 }

func appendShare(b []byte, sh shareEntry) []byte {
	return appendInt(appendInt(b, sh.received), sh.size)
}

func readShare(b []byte) (sh shareEntry, err error) {
	r := readerOf(b)
	sh.received, sh.size = r.Int(), r.Int()
	return sh, r.Err()
}

// putAside moves an event from tabEvent, whose front passes it, into its tenant's share.
func (t *tx) moveToShare(u *tenantUse, e *terms, pos uint64, record []byte) {
	c, size := &t.s.w.counters, int64(len(record))
	t.del(posKey(t.key, tabEvent, pos))
	t.put(posKey(t.key, tabKept, pos), record)
	t.val = appendShare(t.val[:0], shareEntry{e.received, size})
	t.put(tenantKey(t.key, tabShare, e.tenant, pos), t.val)
	c.kept, c.keptBytes = c.kept+1, c.keptBytes+size
	c.share, c.shareBytes = c.share+1, c.shareBytes+size
	u.share, u.shareBytes = u.share+1, u.shareBytes+size
	u.shareFront.add(pos, e.received)
}

// trimShares ends what tenants have aside: what is too old, and the oldest of those who have most.
func (p *shedding) trimShares(t *tx, s *slice) {
	before, aged := s.before(s.r.Events.Age)
	old := func(at int64) bool { return aged && at < before }
	p.rounds(t, s, eventsUsed, func(u *tenantUse) bool {
		return u.share > 0 && (u.bytes > p.level || aged && u.shareFront.before(before))
	}, func(u *tenantUse, most int) (n int, more bool) {
		refs := references{t: t, referenced: map[uint64]bool{}}
		next := noFront
		must(ignoreStop(scanFrom(t, tabShare, u.name, u.shareFront.pos, func(pos uint64, value []byte) error {
			sh, err := readShare(value)
			if err != nil {
				return err
			}
			ends := old(sh.received) || u.bytes > p.level && p.exceeded(t, s)
			if more = ends && n == most; more || !ends {
				next = front{pos, sh.received}
				return errStop
			}
			n++
			t.removeFromShare(p, pos, sh, u.name)
			if refs.has(pos) {
				s.done.Kept++
				return nil
			}
			t.removeKept(pos, s)
			return nil
		})))
		u.shareFront = next
		return n, more
	})
}

// leaveShare takes an event out of its tenant's share. It is still in tabKept.
func (t *tx) removeFromShare(p *shedding, pos uint64, sh shareEntry, tenant string) {
	c, u := &t.s.w.counters, t.use(tenant)
	t.drop(tenantKey(t.key, tabShare, tenant, pos))
	c.share, c.shareBytes = c.share-1, c.shareBytes-sh.size
	u.share, u.shareBytes = u.share-1, u.shareBytes-sh.size
	u.bytes -= sh.size
	p.noteLoss(u.bytes+sh.size, u.bytes)
	t.s.w.dirty = true
}

// scanFrom goes through a tenant's part of a table from a position on, as it was before this batch.
func scanFrom(t *tx, table byte, tenant string, from uint64, each func(pos uint64, value []byte) error) error {
	return between(t.s.db, tenantKey(nil, table, tenant, from), prefixEnd(textKey(table, tenant)), func(key, value []byte) error {
		return each(keyPos(key[len(key)-9:]), value)
	})
}

// showOldest lets Health see how far back tenants' lists go.
func showOldest(t *tx, _ *slice) { t.s.oldestID.Store(t.s.w.tenants.oldest()) }
