package embedded

import (
	"cmp"
	"math"
	"slices"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// If a common bound is exceeded, the largest tenants lose their oldest (state.Level). Events leave tabEvent in the order of
// positions. An event of another tenant that comes before them moves into its tenant's share: it is then in tabKept, where all
// readers find it, and listed in tabShare, from which it is removed when its tenant is one of the largest, or it is too old.

// sliceTurn is how many entries of a slice one tenant gets before the next tenant's turn.
const sliceTurn = 64

// shedding is the plan of one Trim for a common bound: tenants above a level lose entries.
type shedding struct {
	level  int64
	left   int // tenants above it
	queue  []string
	queued bool
}

// plan computes the level for a bound.
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

// noteLoss counts a tenant that falls to the level.
func (p *shedding) noteLoss(before, after int64) {
	if before > p.level && after <= p.level {
		p.left--
	}
}

// rounds gives tenants turns, the largest first, until a slice is full.
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

// exceeded reports whether events still exceed the bound in bytes.
func (p *shedding) exceeded(t *tx, s *slice) bool {
	c := &t.s.w.counters
	return p.left > 0 && c.bytes+c.shareBytes > s.r.Events.Bytes
}

// shareEntry is an entry of tabShare.
type shareEntry struct{ received, size int64 }

func appendShare(b []byte, sh shareEntry) []byte {
	return appendInt(appendInt(b, sh.received), sh.size)
}

func readShare(b []byte) (sh shareEntry, err error) {
	r := readerOf(b)
	sh.received, sh.size = r.Int(), r.Int()
	return sh, r.Err()
}

// moveToShare moves an event from tabEvent into its tenant's share.
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

// trimShares removes events from shares: those that are too old, and the oldest ones of the largest tenants.
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

// removeFromShare removes an event from its tenant's share. It is still in tabKept.
func (t *tx) removeFromShare(p *shedding, pos uint64, sh shareEntry, tenant string) {
	c, u := &t.s.w.counters, t.use(tenant)
	t.drop(tenantKey(t.key, tabShare, tenant, pos))
	c.share, c.shareBytes = c.share-1, c.shareBytes-sh.size
	u.share, u.shareBytes = u.share-1, u.shareBytes-sh.size
	u.bytes -= sh.size
	p.noteLoss(u.bytes+sh.size, u.bytes)
	t.s.w.dirty = true
}

// scanFrom calls each for a tenant's entries of a table from a position on, as they were before this batch.
func scanFrom(t *tx, table byte, tenant string, from uint64, each func(pos uint64, value []byte) error) error {
	return between(t.s.db, tenantKey(nil, table, tenant, from), prefixEnd(textKey(table, tenant)), func(key, value []byte) error {
		return each(keyPos(key[len(key)-9:]), value)
	})
}

// showOldest publishes for Health how far back the lists of tenants go.
func showOldest(t *tx, _ *slice) { t.s.oldestID.Store(t.s.w.tenants.oldest()) }
