package redis

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// errCorrupt means that a record cannot be decoded.
var errCorrupt = errors.New("record is corrupt")

// reader decodes a record: numbers are varints, texts and bytes follow their length. After the first fault it returns zero
// values, so callers ask for the error once, at the end.
type reader struct {
	b   string
	bad bool
}

func (r *reader) fail() { r.bad, r.b = true, "" }

func (r *reader) err() error {
	if r.bad {
		return errCorrupt
	}
	return nil
}

func (r *reader) take(n int) string {
	if n < 0 || n > len(r.b) {
		r.fail()
		return ""
	}
	v := r.b[:n]
	r.b = r.b[n:]
	return v
}

func (r *reader) byte() byte {
	v := r.take(1)
	if v == "" {
		return 0
	}
	return v[0]
}

func (r *reader) uint() (n uint64) {
	for shift := uint(0); shift < 64; shift += 7 {
		c := r.byte()
		n |= uint64(c&0x7f) << shift
		if c < 0x80 {
			return n
		}
	}
	r.fail()
	return 0
}

func (r *reader) int() int64 {
	n := r.uint()
	return int64(n>>1) ^ -int64(n&1)
}

func (r *reader) text() string {
	n := r.uint()
	if n > uint64(len(r.b)) {
		r.fail()
		return ""
	}
	return r.take(int(n))
}

// zero reads a text that ends with NUL, as scripts write it.
func (r *reader) zero() string {
	i := strings.IndexByte(r.b, 0)
	if i < 0 {
		r.fail()
		return ""
	}
	v := r.take(i)
	r.take(1)
	return v
}

// big reads a big-endian number of size bytes, as scripts write it.
func (r *reader) big(size int) (n uint64) {
	for _, c := range []byte(r.take(size)) {
		n = n<<8 | uint64(c)
	}
	return n
}

// count reads the length of a list whose items take at least a byte each, so that a corrupt one cannot force a huge allocation.
func (r *reader) count() int {
	n := r.uint()
	if n > uint64(len(r.b)) {
		r.fail()
		return 0
	}
	return int(n)
}

func appendText[T string | []byte](b []byte, s T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
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
	return appendText(append(b, 2), id)
}

func (r *reader) id() string {
	if r.byte() == 1 {
		return hex.EncodeToString([]byte(r.take(16)))
	}
	return r.text()
}

// appendCode writes a word of a set in one byte; another word is written as text.
func appendCode(b []byte, set []string, word string) []byte {
	for i, w := range set {
		if w == word {
			return append(b, byte(i+1))
		}
	}
	return appendText(append(b, 0), word)
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
