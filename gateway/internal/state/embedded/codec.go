package embedded

import (
	"encoding/binary"
	"slices"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// reader reads a record.
type reader struct{ state.RecordReader[[]byte] }

func readerOf(b []byte) reader { return reader{state.RecordReader[[]byte]{Rest: b}} }

// bytes shares memory with the record; appending to it leaves the record alone.
func (r *reader) bytes() []byte { return slices.Clip(r.Bytes()) }

func (r *reader) id() string {
	id, rest, ok := cutID(r.Rest)
	if !ok {
		r.Fail()
		return ""
	}
	r.Rest = rest
	return id
}

func appendUint(b []byte, n uint64) []byte { return binary.AppendUvarint(b, n) }
func appendInt(b []byte, n int64) []byte   { return binary.AppendVarint(b, n) }

// noTime stands for the zero time in records. All other times are nanoseconds since 1970, UTC.
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
