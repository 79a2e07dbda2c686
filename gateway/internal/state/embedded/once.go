package embedded

import (
	"context"
	"fmt"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

type reserving struct {
	tenant string
	keys   []state.OnceKey
	ttl    time.Duration
	owners []string
}

// Once reserves each key for its owner. In the log the reservation comes before the commit of its owner, so that a power cut
// loses both or only the commit: a committed delivery never lacks its reservation.
func (s *store) Once(ctx context.Context, tenant string, keys []state.OnceKey, ttl time.Duration) ([]string, error) {
	if len(keys) == 0 {
		return nil, s.check(ctx)
	}
	op := &reserving{tenant: tenant, keys: keys, ttl: ttl, owners: make([]string, len(keys))}
	if err := s.do(ctx, &call{op: op, size: 128 * len(keys)}); err != nil {
		return nil, fmt.Errorf("once: %w", err)
	}
	return op.owners, nil
}

func (op *reserving) stage(t *tx) error {
	for i, k := range op.keys {
		key := textKey(tabOnce, op.tenant, k.Key)
		if v := t.get(key); v != nil {
			owner, end, err := readOnce(v)
			must(err)
			if end > t.now {
				op.owners[i] = owner
				continue
			}
			if op.ttl > 0 {
				t.del(onceEndKey(end, op.tenant, k.Key))
			}
		}
		if op.ttl <= 0 {
			continue
		}
		end := t.now + int64(op.ttl)
		t.val = state.AppendText(appendInt(t.val[:0], end), k.Owner)
		t.put(key, t.val)
		t.set(onceEndKey(end, op.tenant, k.Key), nil)
		op.owners[i] = k.Owner
	}
	return nil
}

func readOnce(b []byte) (owner string, end int64, err error) {
	r := readerOf(b)
	end, owner = r.Int(), r.Text()
	return owner, end, r.Err()
}

func onceEndKey(end int64, tenant, key string) []byte {
	return appendText(appendText(appendTime([]byte{tabOnceEnd}, end), tenant), key)
}
