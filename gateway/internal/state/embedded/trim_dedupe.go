package embedded

// removedID is the id of a removed event, which is still deduplicated.
type removedID struct {
	id string
	at int64
}

func appendRemovedID(b []byte, id string, at int64) []byte { return appendID(appendInt(b, at), id) }

func readRemovedID(b []byte) (g removedID, err error) {
	r := readerOf(b)
	g.at, g.id = r.Int(), r.id()
	return g, r.Err()
}

// removedIDBytes is how many bytes an id takes: its record, and that in tabID.
func removedIDBytes(tenant string, value []byte) int64 { return 2*int64(len(value)+len(tenant)+1) + 16 }

// formerID is the same as former versions stored it: in one list of all tenants, by position.
type formerID struct {
	tenant string
	removedID
}

func readFormerID(b []byte) (f formerID, err error) {
	r := readerOf(b)
	f.at, f.tenant, f.id = r.Int(), r.Text(), r.id()
	return f, r.Err()
}

func formerBytes(value []byte) int64 { return 2*int64(len(value)) + 16 }

// keepRemovedID keeps deduplicating the id of an event that is removed.
func (t *tx) keepRemovedID(tenant, id string, pos uint64, at int64) {
	t.val = appendRemovedID(t.val[:0], id, at)
	t.set(tenantKey(t.key, tabRemovedID, tenant, pos), t.val)
	u, size := t.use(tenant), removedIDBytes(tenant, t.val)
	u.ids, u.idBytes = u.ids+1, u.idBytes+size
	t.s.w.tenants.idBytes += size
	u.idFront.add(pos, at)
	if oldest := t.s.oldestID.Load(); oldest == noTime || at < oldest {
		t.s.oldestID.Store(at)
	}
}

// splitFormerIDs moves the ids of the list that former versions kept for all tenants to the lists of their tenants, or
// removes them.
func splitFormerIDs(t *tx, s *slice) {
	c := &t.s.w.counters
	if c.dedupeCount == 0 {
		return
	}
	before, aged := s.before(s.r.Dedupe.Age)
	from, n := c.dedupe, 0
	must(ignoreStop(between(t.s.db, posKey(nil, tabDedupe, from), []byte{tabDedupe + 1}, func(key, value []byte) error {
		f, err := readFormerID(value)
		if err != nil {
			return err
		}
		if aged && f.at < before {
			t.drop(idKey(t.key, f.tenant, f.id))
			s.done.Dedupe++
		} else {
			t.keepRemovedID(f.tenant, f.id, keyPos(key), f.at)
			s.done.Moved++
		}
		c.dedupe = keyPos(key) + 1
		c.dedupeCount--
		c.dedupeBytes -= formerBytes(value)
		if n++; n == sliceList {
			s.more = true
			return errStop
		}
		return nil
	})))
	if n > 0 {
		must(t.b.DeleteRange(posKey(nil, tabDedupe, from), posKey(nil, tabDedupe, c.dedupe), nil))
	} else {
		c.dedupeCount, c.dedupeBytes = 0, 0
	}
	t.s.w.dirty = true
}

func idsUsed(u *tenantUse) int64 { return u.idBytes }

// planDedupe plans no loss by bytes while some ids are not yet counted by tenant.
func (p *shedding) planDedupe(t *tx, s *slice) {
	bound := s.r.Dedupe.Bytes
	if t.s.w.counters.dedupeCount > 0 {
		bound = 0
	}
	p.plan(t, bound, t.s.w.tenants.idBytes, idsUsed)
}

// trimDedupe removes ids of removed events: those that are too old, and the oldest ones of the largest tenants.
func (p *shedding) trimDedupe(t *tx, s *slice) {
	before, aged := s.before(s.r.Dedupe.Age)
	old := func(at int64) bool { return aged && at < before }
	all := &t.s.w.tenants
	p.rounds(t, s, idsUsed, func(u *tenantUse) bool {
		return u.ids > 0 && (u.idBytes > p.level || aged && u.idFront.before(before))
	}, func(u *tenantUse, most int) (n int, more bool) {
		from, next := u.idFront.pos, noFront
		must(ignoreStop(scanFrom(t, tabRemovedID, u.name, from, func(pos uint64, value []byte) error {
			g, err := readRemovedID(value)
			if err != nil {
				return err
			}
			ends := old(g.at) || u.idBytes > p.level && p.left > 0 && all.idBytes > s.r.Dedupe.Bytes
			if more = ends && n == most; more || !ends {
				next = front{pos, g.at}
				return errStop
			}
			n++
			t.drop(idKey(t.key, u.name, g.id))
			size := removedIDBytes(u.name, value)
			t.use(u.name).ids--
			u.idBytes -= size
			all.idBytes -= size
			p.noteLoss(u.idBytes+size, u.idBytes)
			return nil
		})))
		if n > 0 {
			to := prefixEnd(textKey(tabRemovedID, u.name))
			if next != noFront {
				to = tenantKey(nil, tabRemovedID, u.name, next.pos)
			}
			must(t.b.DeleteRange(tenantKey(nil, tabRemovedID, u.name, from), to, nil))
			s.done.Dedupe += n
		}
		u.idFront = next
		return n, more
	})
}
