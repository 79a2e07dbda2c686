package embedded

// deliveries copies the deliveries that their event's commit did not finish. If the outcome of the event is lost, the event
// is decided again, and so its deliveries are made again.
func (c *rebuilder) deliveries() error {
	last, tenant, there, decided := uint64(0), "", false, false
	return c.from.each(tabOwed, func(key, value []byte) error {
		if len(key) < 10 {
			return nil
		}
		pos, suffix := keyPos(key), string(key[9:])
		if pos != last {
			var err error
			if there, decided, err = c.decided(pos); err != nil {
				return err
			}
			last, tenant = pos, ""
			if there {
				if tenant, err = c.tenantOf(pos); err != nil {
					return err
				}
			}
		}
		value = append([]byte{}, value...)
		o, err := readOwed(tenant, pos, suffix, value)
		switch {
		case !there:
			c.leftOut("deliveries of events that cannot be read")
			return nil
		case !decided:
			c.leftOut("deliveries of events that are decided again")
			return nil
		case err != nil || tenant == "":
			c.leftOut("deliveries that cannot be decoded")
			return nil
		}
		c.report.Deliveries++
		return c.add(len(value), func(t *tx) {
			t.set(owedKey(t.key, pos, suffix), value)
			if o.State.Open() {
				t.list(t.s.due.find(o.Tenant, o.Destination), o, 1)
			}
		})
	})
}

// history copies the entries of history.
func (c *rebuilder) history(table byte) error {
	return c.from.each(table, func(key, value []byte) error {
		tenant, rest, ok := cutText(key[1:])
		name, rest, ok2 := cutText(rest)
		p, ok3 := cutSortKey(rest)
		if !ok || !ok2 || !ok3 {
			c.leftOut("entries of history that cannot be decoded")
			return nil
		}
		value = append([]byte{}, value...)
		e, err := readEntry(tenant, p, value)
		if err != nil {
			c.leftOut("entries of history that cannot be decoded")
			return nil
		}
		c.report.History++
		return c.add(len(value), func(t *tx) { t.enter(t.s.due.find(tenant, name), p, table, e.Origin.Name, value) })
	})
}

// once copies used keys of Once, and makes the list of their ends.
func (c *rebuilder) once() error {
	return c.from.each(tabOnce, func(key, value []byte) error {
		tenant, rest, ok := cutText(key[1:])
		name, _, ok2 := cutText(rest)
		_, end, err := readOnce(value)
		if !ok || !ok2 || err != nil {
			c.leftOut("keys of once: what they keep from being sent again may be sent again")
			return nil
		}
		value = append([]byte{}, value...)
		return c.add(len(value), func(t *tx) {
			t.set(textKey(tabOnce, tenant, name), value)
			t.set(onceEndKey(end, tenant, name), nil)
		})
	})
}
