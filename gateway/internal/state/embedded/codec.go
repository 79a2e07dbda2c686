package embedded

import (
	"encoding/binary"
	"errors"
	"time"
)

// errCorrupt: a record does not read as what it was written. Pebble checks sums, so this is a bug or another layout.
var errCorrupt = errors.New("record is corrupt")

// Records are a version byte and then fields in order: numbers as varints, text and bytes with their length.
// A reader of records stops at the first fault and reads zero values behind it; the fault is asked for once, at the end.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) fail() { r.bad, r.b = true, nil }

func (r *reader) err() error {
	if r.bad {
		return errCorrupt
	}
	return nil
}

func (r *reader) byte() byte {
	if len(r.b) == 0 {
		r.fail()
		return 0
	}
	c := r.b[0]
	r.b = r.b[1:]
	return c
}

func (r *reader) uint() uint64 {
	n, size := binary.Uvarint(r.b)
	if size <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[size:]
	return n
}

func (r *reader) int() int64 {
	n, size := binary.Varint(r.b)
	if size <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[size:]
	return n
}

// bytes shares memory with the record.
func (r *reader) bytes() []byte {
	n := r.uint()
	if n > uint64(len(r.b)) {
		r.fail()
		return nil
	}
	b := r.b[:n:n]
	r.b = r.b[n:]
	return b
}

func (r *reader) text() string { return string(r.bytes()) }

// count reads a length of a list whose items take at least a byte each, so that a corrupt one cannot ask for the moon.
func (r *reader) count() int {
	n := r.uint()
	if n > uint64(len(r.b)) {
		r.fail()
		return 0
	}
	return int(n)
}

func (r *reader) id() string {
	id, rest, ok := cutID(r.b)
	if !ok {
		r.fail()
		return ""
	}
	r.b = rest
	return id
}

func (r *reader) version(v byte) {
	if r.byte() != v {
		r.fail()
	}
}

func appendBytes[T string | []byte](b []byte, s T) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

func appendUint(b []byte, n uint64) []byte { return binary.AppendUvarint(b, n) }
func appendInt(b []byte, n int64) []byte   { return binary.AppendVarint(b, n) }

// noTime is how the zero time is kept; every other is nanoseconds since 1970, UTC.
const noTime = -1 << 63

func nanos(t time.Time) int64 {
	if t.IsZero() {
		return noTime
	}
	return t.UnixNano()
}

func fromNanos(ns int64) time.Time {
	if ns == noTime {
		return time.Time{}
	}
	return time.Unix(0, ns).UTC()
}

func (r *reader) code(set []string) string {
	c := int(r.byte())
	switch {
	case c == 0:
		return r.text()
	case c <= len(set):
		return set[c-1]
	}
	r.fail()
	return ""
}
