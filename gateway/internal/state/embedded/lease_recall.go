package embedded

import (
	"context"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// A delivery whose attempt still runs at the commit of its event waits with a lease: it is due when the lease ends. The
// holder is always this process. A process that starts holds nothing, so what was leased before is due at once.

func leasedKey(b []byte, pos uint64, suffix string) []byte {
	return append(posKey(b, tabLeased, pos), suffix...)
}

// expireFormerLeases makes deliveries due that a former process had leased. It is called once, before the store is used.
func (s *store) expireFormerLeases() error {
	some := false
	err := scan(s.db, []byte{tabLeased}, func(_, _ []byte) error {
		some = true
		return errStop
	})
	if err = ignoreStop(err); err != nil || !some {
		return err
	}
	return s.do(context.Background(), &call{op: expireLeases{}, alone: true})
}

type expireLeases struct{}

func (expireLeases) stage(t *tx) error {
	must(between(t.s.db, []byte{tabLeased}, []byte{tabLeased + 1}, func(key, tenant []byte) error {
		if len(key) < 9 {
			return state.ErrCorrupt
		}
		pos, suffix := keyPos(key), string(key[9:])
		o := t.owed(string(tenant), pos, suffix)
		if o == nil || o.State != state.Waiting || !o.Leased {
			t.del(leasedKey(t.key, pos, suffix))
			return nil
		}
		d := t.s.due.find(o.Tenant, o.Destination)
		t.list(d, o, -1)
		o.Due, o.Leased = fromNanos(nanos(t.wall)), false
		t.addOwed(d, o)
		return nil
	}))
	return nil
}
