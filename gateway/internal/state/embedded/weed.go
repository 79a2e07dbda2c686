package embedded

import (
	"bytes"
	"context"
	"fmt"
)

// weeding is the operation of Weed.
type weeding struct {
	keys, items [][]byte
	n           int
}

// Weed removes items of a list. They are selected before the writer has its turn.
func (s *store) Weed(ctx context.Context, tenant, list string, drop func(item []byte) bool) (int, error) {
	op := &weeding{}
	err := func() error {
		if err := s.check(ctx); err != nil {
			return err
		}
		if err := s.enter(); err != nil {
			return err
		}
		defer s.leave()
		return between(s.db, textKey(tabListItem, tenant, list), prefixEnd(textKey(tabListItem, tenant, list)), func(key, value []byte) error {
			if len(value) >= 8 && drop(value[8:]) {
				op.keys, op.items = append(op.keys, bytes.Clone(key)), append(op.items, bytes.Clone(value))
			}
			return ctx.Err()
		})
	}()
	if err == nil && len(op.keys) > 0 {
		err = s.do(ctx, &call{op: op, size: 64 * len(op.keys), sync: true})
	}
	if err != nil {
		return 0, fmt.Errorf("weed %s: %w", list, err)
	}
	return op.n, nil
}

func (op *weeding) stage(t *tx) error {
	for i, key := range op.keys {
		if bytes.Equal(t.get(key), op.items[i]) { // the number may be that of another item by now
			t.drop(key)
			op.n++
		}
	}
	return nil
}
