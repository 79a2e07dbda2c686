package event

import (
	"bytes"
	"encoding/json"
	"slices"
	"sync"

	"github.com/surveygate/surveygate/rules/jsonpath"
)

// maxStableDepth bounds what is written; what comes in is bounded by jsonpath.MaxDepth, and an envelope
// adds a few levels around it.
const maxStableDepth = 128

var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// Digits is how whole numbers are written that JavaScript's numbers do not hold: beyond 2^53, unless a double happens to be
// the very number. The zero value is KeepDigits.
type Digits uint8

// The ways to write them.
const (
	// KeepDigits writes them as they are; JavaScript's JSON.parse rounds them.
	KeepDigits Digits = iota
	// TextDigits writes them as text, which keeps them and is stable under JavaScript's JSON.
	TextDigits
	// RoundDigits writes what JavaScript's JSON.parse makes of them, and null for what is too large.
	RoundDigits
)

// Marshal writes v as JSON that JavaScript's JSON.stringify(JSON.parse(x)) leaves as it is, but for KeepDigits: compact, no
// escaping for HTML, numbers as JavaScript prints them, keys that look like array indexes first and in numeric order.
func Marshal(v any) ([]byte, error) { return MarshalDigits(v, KeepDigits) }

// MarshalDigits is Marshal with a choice of how large whole numbers are written. Receivers that verify a signature over
// what their framework parsed rely on JSON that JavaScript leaves as it is: for them it is not KeepDigits.
func MarshalDigits(v any, digits Digits) ([]byte, error) {
	buf := buffers.Get().(*bytes.Buffer)
	defer buffers.Put(buf)
	buf.Reset()
	enc := json.NewEncoder(buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	w := writer{in: buf.Bytes(), out: make([]byte, 0, buf.Len()), digits: digits}
	return w.all()
}

// StableJSON writes existing JSON as MarshalDigits does. A key that stands twice keeps its first place and its last value, and
// the digits of a fraction beyond a double's are lost: what JSON.parse makes of them. The result may be the argument itself.
func StableJSON(text []byte, digits Digits) ([]byte, error) {
	buf := buffers.Get().(*bytes.Buffer)
	defer buffers.Put(buf)
	buf.Reset()
	buf.Grow(len(text))
	w := writer{in: text, out: buf.AvailableBuffer(), digits: digits}
	out, err := w.all()
	if err != nil {
		return nil, err
	}
	if bytes.Equal(out, text) {
		return text, nil
	}
	return bytes.Clone(out), nil
}

// CompactJSON is Stable without loss: a number whose digits a double cannot hold stays as it was written, and
// of a key that stands twice the first value counts, as everywhere in jsonpath. Envelopes are written so.
func CompactJSON(text []byte) ([]byte, error) { return appendExact(make([]byte, 0, len(text)), text) }

// appendExact appends what Compact makes of JSON.
func appendExact(out []byte, text []byte) ([]byte, error) {
	w := writer{in: text, out: out, exact: true}
	return w.all()
}

type writer struct {
	in     []byte
	i      int
	out    []byte
	depth  int
	exact  bool
	digits Digits // where it is not exact
}

func (w *writer) all() ([]byte, error) {
	w.space()
	if err := w.value(); err != nil {
		return nil, err
	}
	if w.space(); w.i != len(w.in) {
		return nil, w.fault()
	}
	return w.out, nil
}

func (w *writer) fault() error { return &jsonpath.SyntaxError{Offset: w.i} }

func (w *writer) space() {
	for w.i < len(w.in) {
		switch w.in[w.i] {
		case ' ', '\t', '\n', '\r':
			w.i++
		default:
			return
		}
	}
}

// peek is the next byte, 0 at the end.
func (w *writer) peek() byte {
	if w.i < len(w.in) {
		return w.in[w.i]
	}
	return 0
}

func (w *writer) value() error {
	switch c := w.peek(); {
	case c == '"':
		return w.string()
	case c == '{':
		return w.nested(w.object)
	case c == '[':
		return w.nested(w.array)
	case c == '-' || c >= '0' && c <= '9':
		return w.number()
	default:
		for _, word := range [...]string{"true", "false", "null"} {
			if bytes.HasPrefix(w.in[w.i:], []byte(word)) {
				w.i += len(word)
				w.out = append(w.out, word...)
				return nil
			}
		}
		return w.fault()
	}
}

func (w *writer) nested(write func() error) error {
	if w.depth++; w.depth > maxStableDepth {
		return ErrTooDeep
	}
	w.i++
	w.space()
	err := write()
	w.depth--
	return err
}

func (w *writer) array() error {
	w.out = append(w.out, '[')
	if w.peek() == ']' {
		w.i++
		w.out = append(w.out, ']')
		return nil
	}
	for {
		w.space()
		if err := w.value(); err != nil {
			return err
		}
		w.space()
		switch w.peek() {
		case ',':
			w.i++
			w.out = append(w.out, ',')
		case ']':
			w.i++
			w.out = append(w.out, ']')
			return nil
		default:
			return w.fault()
		}
	}
}

// member is where one member of an object was written.
type member struct {
	start, key, end int   // in out: start of the key, its end, end of the value
	place           int64 // the key as an array index, else -1
}

func (w *writer) object() error {
	w.out = append(w.out, '{')
	if w.peek() == '}' {
		w.i++
		w.out = append(w.out, '}')
		return nil
	}
	var few [16]member
	members := few[:0]
	var many map[string]int // keys to members, once comparing them all would be slow
	open := len(w.out)
	rebuild := false
	for {
		w.space()
		if w.peek() != '"' {
			return w.fault()
		}
		m := member{start: len(w.out)}
		if err := w.string(); err != nil {
			return err
		}
		m.key = len(w.out)
		if w.space(); w.peek() != ':' {
			return w.fault()
		}
		w.i++
		w.out = append(w.out, ':')
		w.space()
		if err := w.value(); err != nil {
			return err
		}
		m.end = len(w.out)
		m.place = place(w.out[m.start+1 : m.key-1])
		switch twin := w.twin(members, many, m); {
		case twin < 0:
			rebuild = rebuild || m.place >= 0 && len(members) > 0 && members[len(members)-1].place < 0 ||
				m.place >= 0 && len(members) > 0 && members[len(members)-1].place > m.place
			members = append(members, m)
			if many != nil {
				many[string(w.out[m.start:m.key])] = len(members) - 1
			} else if len(members) > cap(few[:]) {
				many = make(map[string]int, 2*len(members))
				for i, m := range members {
					many[string(w.out[m.start:m.key])] = i
				}
			}
		case w.exact:
			rebuild = true
		default:
			members[twin].start, members[twin].key, members[twin].end = m.start, m.key, m.end
			rebuild = true
		}
		w.space()
		switch w.peek() {
		case ',':
			w.i++
			w.out = append(w.out, ',')
			continue
		case '}':
			w.i++
		default:
			return w.fault()
		}
		break
	}
	if rebuild {
		w.reorder(open, members)
	}
	w.out = append(w.out, '}')
	return nil
}

// twin is the member that has the same key already, else -1.
func (w *writer) twin(members []member, many map[string]int, m member) int {
	key := w.out[m.start:m.key]
	if many != nil {
		if i, ok := many[string(key)]; ok {
			return i
		}
		return -1
	}
	for i := range members {
		if bytes.Equal(w.out[members[i].start:members[i].key], key) {
			return i
		}
	}
	return -1
}

// reorder writes the members anew, in JavaScript's order.
func (w *writer) reorder(open int, members []member) {
	old := bytes.Clone(w.out[open:])
	slices.SortStableFunc(members, func(a, b member) int {
		switch {
		case a.place < 0 && b.place < 0:
			return 0
		case a.place < 0:
			return 1
		case b.place < 0:
			return -1
		default:
			return int(a.place - b.place)
		}
	})
	w.out = w.out[:open]
	for i, m := range members {
		if i > 0 {
			w.out = append(w.out, ',')
		}
		w.out = append(w.out, old[m.start-open:m.end-open]...)
	}
}

// place is a key as JavaScript's array index: 0 to 2^32-2 in its shortest form; else -1.
func place(key []byte) int64 {
	if len(key) == 0 || len(key) > 10 || key[0] == '0' && len(key) > 1 {
		return -1
	}
	var n int64
	for _, c := range key {
		if c < '0' || c > '9' {
			return -1
		}
		n = n*10 + int64(c-'0')
	}
	if n > 1<<32-2 {
		return -1
	}
	return n
}
