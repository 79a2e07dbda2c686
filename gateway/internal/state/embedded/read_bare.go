package embedded

import (
	"encoding/binary"

	"github.com/cockroachdb/pebble/v2"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// bareReader reads the events of a page alone, from the newest down. Events of a page are near each other: a step of an iterator costs a
// fraction of a read by key.
type bareReader struct {
	store *store
	from  *pebble.Snapshot
	it    *pebble.Iterator // over tabEvent; nil before the first event
	key   []byte
}

// record returns an event without its outcome; nil: it is not kept, or it is another tenant's.
func (b *bareReader) record(_ pebble.Reader, tenant string, pos uint64) (*state.Record, error) {
	found, err := b.seek(pos)
	if err != nil {
		return nil, err
	}
	var text []byte
	if found {
		text, err = b.it.ValueAndErr()
	} else {
		text, err = b.store.read(b.from, posKey(nil, tabKept, pos), nil)
	}
	if text == nil || err != nil {
		return nil, err
	}
	ev, err := decodeEvent(text)
	if err != nil || ev.Tenant != tenant {
		return nil, err
	}
	return &state.Record{Event: ev, Position: pos, Size: len(text)}, nil
}

// seek moves the iterator to an event, and reports whether it is there.
func (b *bareReader) seek(pos uint64) (found bool, err error) {
	if b.it == nil {
		if b.it, err = b.from.NewIter(&pebble.IterOptions{LowerBound: []byte{tabEvent}, UpperBound: []byte{tabEvent + 1}}); err != nil {
			return false, err
		}
	}
	isAt := func() bool { return b.it.Valid() && binary.BigEndian.Uint64(b.it.Key()[1:]) == pos }
	if b.it.Valid() {
		if b.it.Prev(); isAt() {
			return true, nil
		}
	}
	b.key = posKey(b.key, tabEvent, pos)
	b.it.SeekGE(b.key)
	return isAt(), b.it.Error()
}

func (b *bareReader) close() error {
	if b.it == nil {
		return nil
	}
	return b.it.Close()
}
