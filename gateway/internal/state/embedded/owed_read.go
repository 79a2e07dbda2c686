package embedded

import (
	"slices"

	"github.com/cockroachdb/pebble/v2"
)

// deliveriesOf returns all deliveries of an event as they are now, newest change first.
func (s *store) deliveriesOf(from pebble.Reader, tenant, eventID string, pos uint64) ([]*owed, error) {
	var all []*owed
	v, err := s.read(from, posKey(nil, tabOutcome, pos), nil)
	if err != nil {
		return nil, err
	}
	if v != nil {
		out, err := readOutcome(tenant, eventID, pos, v)
		if err != nil {
			return nil, err
		}
		for _, suffix := range out.suffixes {
			all = append(all, out.delivery(pos, suffix))
		}
	}
	err = scan(from, posKey(nil, tabOwed, pos), func(rest, value []byte) error {
		o, err := readOwed(tenant, pos, string(rest), value)
		if err != nil {
			return err
		}
		if i := slices.IndexFunc(all, func(d *owed) bool { return d.suffix == o.suffix }); i >= 0 {
			all[i] = o
		} else {
			all = append(all, o)
		}
		return nil
	})
	slices.SortFunc(all, func(a, b *owed) int {
		p, q := sortKey{nanos(a.Updated), pos, a.suffix}, sortKey{nanos(b.Updated), pos, b.suffix}
		switch {
		case q.less(p):
			return -1
		case p.less(q):
			return 1
		}
		return 0
	})
	return all, err
}
