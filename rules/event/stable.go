package event

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"sync"
	"unicode/utf8"

	"github.com/surveygate/surveygate/rules/jsonpath"
)

// maxStableDepth bounds what is written; what comes in is bounded by jsonpath.MaxDepth, and an envelope
// adds a few levels around it.
const maxStableDepth = 128

var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// Marshal writes v as JSON that JavaScript's JSON.stringify(JSON.parse(x)) leaves as it is: compact, no
// escaping for HTML, numbers as JavaScript prints them, keys that look like array indexes first and in
// numeric order. Receivers that verify a signature over what their framework parsed rely on it.
func Marshal(v any) ([]byte, error) {
	buf := buffers.Get().(*bytes.Buffer)
	defer buffers.Put(buf)
	buf.Reset()
	enc := json.NewEncoder(buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	w := writer{in: buf.Bytes(), out: make([]byte, 0, buf.Len())}
	return w.all()
}

// Stable writes existing JSON as Marshal does. A key that stands twice keeps its first place and its
// last value, a number too large for JavaScript becomes null, and digits beyond a double's are lost: what
// JSON.parse makes of them. The result may be the argument itself.
func Stable(text []byte) ([]byte, error) {
	buf := buffers.Get().(*bytes.Buffer)
	defer buffers.Put(buf)
	buf.Reset()
	buf.Grow(len(text))
	w := writer{in: text, out: buf.AvailableBuffer()}
	out, err := w.all()
	if err != nil {
		return nil, err
	}
	if bytes.Equal(out, text) {
		return text, nil
	}
	return bytes.Clone(out), nil
}

// appendExact appends JSON as Stable writes it, but loses nothing that Stable would: a number whose digits a
// double cannot hold stays as it was written, and of a key that stands twice the first value counts, as
// everywhere in jsonpath.
func appendExact(out []byte, text []byte) ([]byte, error) {
	w := writer{in: text, out: out, exact: true}
	return w.all()
}

type writer struct {
	in    []byte
	i     int
	out   []byte
	depth int
	exact bool
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

func (w *writer) number() error {
	start := w.i
	for w.i < len(w.in) {
		c := w.in[w.i]
		if c >= '0' && c <= '9' || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E' {
			w.i++
			continue
		}
		break
	}
	token := w.in[start:w.i]
	if !isNumber(token) {
		w.i = start
		return w.fault()
	}
	w.out = appendNumber(w.out, token, w.exact)
	return nil
}

// string copies a string, escaped as JSON.stringify does.
func (w *writer) string() error {
	start := w.i + 1
	ascii := true
	for i := start; i < len(w.in); i++ {
		switch c := w.in[i]; {
		case c == '"':
			text := w.in[start:i]
			if !ascii && !utf8.Valid(text) {
				return w.escaped()
			}
			w.out = append(w.out, w.in[w.i:i+1]...)
			w.i = i + 1
			return nil
		case c == '\\':
			return w.escaped()
		case c < ' ':
			w.i = i
			return w.fault()
		case c >= utf8.RuneSelf:
			ascii = false
		}
	}
	w.i = len(w.in)
	return w.fault()
}

// escaped is the slow way of string: it takes what is escaped apart and escapes what must be.
func (w *writer) escaped() error {
	w.out = append(w.out, '"')
	for w.i++; w.i < len(w.in); {
		c := w.in[w.i]
		switch {
		case c == '"':
			w.i++
			w.out = append(w.out, '"')
			return nil
		case c < ' ':
			return w.fault()
		case c == '\\':
			if err := w.escape(); err != nil {
				return err
			}
		case c < utf8.RuneSelf:
			w.out = append(w.out, c)
			w.i++
		default:
			r, n := utf8.DecodeRune(w.in[w.i:])
			w.out = utf8.AppendRune(w.out, r)
			w.i += n
		}
	}
	return w.fault()
}

func (w *writer) escape() error {
	if w.i+1 >= len(w.in) {
		return w.fault()
	}
	c := w.in[w.i+1]
	switch c {
	case 'u':
		r, ok := w.unit(w.i)
		if !ok {
			return w.fault()
		}
		w.i += 6
		if r >= 0xD800 && r < 0xDC00 {
			if low, ok := w.unit(w.i); ok && low >= 0xDC00 && low < 0xE000 {
				w.i += 6
				w.out = utf8.AppendRune(w.out, 0x10000+((r-0xD800)<<10|(low-0xDC00)))
				return nil
			}
		}
		w.out = appendRune(w.out, r)
		return nil
	case 'b':
		w.out = append(w.out, `\b`...)
	case 'f':
		w.out = append(w.out, `\f`...)
	case 'n':
		w.out = append(w.out, `\n`...)
	case 'r':
		w.out = append(w.out, `\r`...)
	case 't':
		w.out = append(w.out, `\t`...)
	case '"', '\\':
		w.out = append(w.out, '\\', c)
	case '/':
		w.out = append(w.out, c)
	default:
		return w.fault()
	}
	w.i += 2
	return nil
}

// unit is the UTF-16 unit of a \uXXXX at i.
func (w *writer) unit(i int) (rune, bool) {
	if i+6 > len(w.in) || w.in[i] != '\\' || w.in[i+1] != 'u' {
		return 0, false
	}
	n := rune(0)
	for _, c := range w.in[i+2 : i+6] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		n = n<<4 | rune(c)
	}
	return n, true
}

// appendRune appends one character of a string as JSON.stringify writes it; half of a surrogate pair
// stays escaped, since UTF-8 has no bytes for it.
func appendRune(out []byte, r rune) []byte {
	const digits = "0123456789abcdef"
	switch {
	case r == '"' || r == '\\':
		return append(out, '\\', byte(r))
	case r == '\b':
		return append(out, `\b`...)
	case r == '\f':
		return append(out, `\f`...)
	case r == '\n':
		return append(out, `\n`...)
	case r == '\r':
		return append(out, `\r`...)
	case r == '\t':
		return append(out, `\t`...)
	case r < ' ' || r >= 0xD800 && r < 0xE000:
		return append(out, '\\', 'u', digits[r>>12&15], digits[r>>8&15], digits[r>>4&15], digits[r&15])
	}
	return utf8.AppendRune(out, r)
}

// appendText appends a Go string as a JSON string. Bytes that are no UTF-8 become U+FFFD.
func appendText(out []byte, s string) []byte {
	out = append(out, '"')
	plain := true
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			plain = false
			break
		}
	}
	if plain {
		out = append(out, s...)
		return append(out, '"')
	}
	for i := 0; i < len(s); {
		if c := s[i]; c < utf8.RuneSelf {
			if c >= ' ' && c != '"' && c != '\\' {
				out = append(out, c)
			} else {
				out = appendRune(out, rune(c))
			}
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		out = utf8.AppendRune(out, r)
		i += n
	}
	return append(out, '"')
}

// isNumber says whether a token is a number of JSON's grammar.
func isNumber(token []byte) bool {
	r := jsonpath.Parse(token)
	return r.Kind() == jsonpath.Number && jsonpath.Valid(token)
}

// appendNumber appends a JSON number as JavaScript prints it: in exact form it stays as it is where that
// would be another number.
func appendNumber(out, token []byte, exact bool) []byte {
	if len(token) <= 15 && plainInteger(token) {
		return append(out, token...)
	}
	f, err := strconv.ParseFloat(string(token), 64)
	if err != nil { // too large
		if exact {
			return append(out, token...)
		}
		return append(out, "null"...)
	}
	at := len(out)
	out = appendFloat(out, f)
	if exact && !sameNumber(token, out[at:]) {
		out = append(out[:at], token...)
	}
	return out
}

func plainInteger(token []byte) bool {
	if token[0] == '-' {
		if token = token[1:]; token[0] == '0' {
			return false // -0 is 0
		}
	}
	for _, c := range token {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// appendFloat appends a finite number as ECMAScript's Number::toString writes it.
func appendFloat(out []byte, f float64) []byte {
	if f == 0 {
		return append(out, '0') // also -0
	}
	abs := f
	if abs < 0 {
		abs = -abs
	}
	if abs >= 1e-6 && abs < 1e21 {
		return strconv.AppendFloat(out, f, 'f', -1, 64)
	}
	out = strconv.AppendFloat(out, f, 'e', -1, 64)
	// Go writes two digits of exponent at least: e-09 is e-9.
	if n := len(out); n >= 4 && out[n-2] == '0' && (out[n-3] == '-' || out[n-3] == '+') {
		out[n-2] = out[n-1]
		out = out[:n-1]
	}
	return out
}

// sameNumber compares two JSON numbers by what they say, without the limits of a double.
func sameNumber(a, b []byte) bool {
	if bytes.Equal(a, b) {
		return true
	}
	da, ea, na, err := decimal(a)
	db, eb, nb, err2 := decimal(b)
	return err == nil && err2 == nil && na == nb && ea == eb && bytes.Equal(da, db)
}

// decimal is a number as digits without zeros at either end, and the power of ten of the last one.
func decimal(token []byte) (digits []byte, exponent int, negative bool, err error) {
	if token[0] == '-' {
		negative, token = true, token[1:]
	}
	if i := bytes.IndexAny(token, "eE"); i >= 0 {
		if exponent, err = strconv.Atoi(string(token[i+1:])); err != nil {
			return nil, 0, false, errors.New("exponent")
		}
		token = token[:i]
	}
	whole, fraction, _ := bytes.Cut(token, []byte("."))
	digits = append(append(digits, whole...), fraction...)
	exponent -= len(fraction)
	for len(digits) > 0 && digits[len(digits)-1] == '0' {
		digits = digits[:len(digits)-1]
		exponent++
	}
	if digits = bytes.TrimLeft(digits, "0"); len(digits) == 0 {
		return nil, 0, false, nil
	}
	return digits, exponent, negative, nil
}
