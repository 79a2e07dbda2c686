package redis

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

var errCorrupt = state.ErrCorrupt

// reader reads a record; what scripts write has further forms of numbers and texts.
type reader struct{ state.RecordReader[string] }

func readerOf(b string) reader { return reader{state.RecordReader[string]{Rest: b}} }

// zero reads a text that ends with NUL, as scripts write it.
func (r *reader) zero() string {
	i := strings.IndexByte(r.Rest, 0)
	if i < 0 {
		r.Fail()
		return ""
	}
	v := r.Take(i)
	r.Take(1)
	return v
}

// big reads a big-endian number of size bytes, as scripts write it.
func (r *reader) big(size int) (n uint64) {
	for _, c := range []byte(r.Take(size)) {
		n = n<<8 | uint64(c)
	}
	return n
}

func appendUint(b []byte, n uint64) []byte { return binary.AppendUvarint(b, n) }
func appendInt(b []byte, n int64) []byte   { return binary.AppendVarint(b, n) }

func appendBig(b []byte, n uint64, size int) []byte {
	for i := size - 1; i >= 0; i-- {
		b = append(b, byte(n>>(8*i)))
	}
	return b
}

// appendID writes an event's ID; one of 32 hex digits takes half its bytes.
func appendID(b []byte, id string) []byte {
	if len(id) == 32 && strings.ToLower(id) == id {
		if raw, err := hex.DecodeString(id); err == nil {
			return append(append(b, 1), raw...)
		}
	}
	return state.AppendText(append(b, 2), id)
}

func (r *reader) id() string {
	if r.Byte() == 1 {
		return hex.EncodeToString([]byte(r.Take(16)))
	}
	return r.Text()
}

// Times are microseconds since 1970, as in the clock of Redis; a Lua number holds them exactly. 0 is the zero time.
func unixMicro(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func fromMicro(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

func micros(t time.Time) string { return strconv.FormatInt(unixMicro(t), 10) }

func span(d time.Duration) string { return strconv.FormatInt(d.Microseconds(), 10) }

// Replies.

func asText(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case int64:
		return strconv.FormatInt(v, 10)
	case nil:
		return ""
	}
	return fmt.Sprint(v)
}

func asInt(v any) int64 {
	switch v := v.(type) {
	case int64:
		return v
	case string:
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil {
			if f, err := strconv.ParseFloat(v, 64); err == nil {
				return int64(f)
			}
		}
		return n
	}
	return 0
}

func asList(v any) []any {
	all, _ := v.([]any)
	return all
}
