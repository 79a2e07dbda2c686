package event

import (
	"bytes"
	"encoding/json"
	"slices"
	"sync"

	"github.com/surveygate/surveygate/rules/jsonpath"
)

// maxStableDepth bounds the nesting of written JSON. Received JSON is bounded by jsonpath.MaxDepth, and an envelope adds a few
// levels.
const maxStableDepth = 128

var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// Digits is the form of large whole numbers in JSON: those beyond 2^53 that a double, JavaScript's number type, does not
// represent exactly. The zero value is KeepDigits.
type Digits uint8

// The forms.
const (
	// KeepDigits writes all digits of the number. JavaScript's JSON.parse rounds it.
	KeepDigits Digits = iota
	// TextDigits writes all digits as a string, which JavaScript does not change.
	TextDigits
	// RoundDigits writes the number to which JavaScript's JSON.parse rounds, or null if it is too large.
	RoundDigits
)

// Marshal writes v as JSON in the form of JavaScript's JSON.stringify: compact, without HTML escaping, with numbers as JavaScript
// prints them, and with keys that are array indexes first, in numeric order. So JSON.stringify(JSON.parse(x)) does not change it,
// except for large whole numbers, whose digits are kept.
func Marshal(v any) ([]byte, error) { return MarshalDigits(v, KeepDigits) }

// MarshalDigits is Marshal with a choice of the form of large whole numbers. Some receivers verify a signature over the body as
// their framework parses and rewrites it: for them, use TextDigits or RoundDigits.
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

// StableJSON rewrites JSON in the form of MarshalDigits. As with JSON.parse, a duplicate key keeps its first position and its
// last value, and a fraction is rounded to a double. The result may be the argument itself.
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

// CompactJSON is StableJSON without loss: a number that a double does not represent exactly stays unchanged. A duplicate key
// keeps its first value, as in package jsonpath. Envelopes have this form.
func CompactJSON(text []byte) ([]byte, error) { return appendExact(make([]byte, 0, len(text)), text) }

// appendExact appends JSON in the form of CompactJSON.
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
	digits Digits // if exact is false
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

// peek returns the next byte, or 0 at the end.
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

// member holds the offsets of one written member of an object.
type member struct {
	start, key, end int   // in out: start of the key, its end, end of the value
	place           int64 // the key as an array index, or -1
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
	var many map[string]int // members by key, if there are too many to compare
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

// twin returns the index of an earlier member with the same key, or -1.
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

// reorder writes the members again, in JavaScript's order.
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

// place returns a key as a JavaScript array index, which is 0 to 2^32-2 without leading zeros, or -1.
// https://tc39.es/ecma262/#array-index
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
