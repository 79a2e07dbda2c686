// Package jsonpath reads and removes values of raw JSON by their path.
//
// There are two kinds of paths. A plain path is a list of keys with dots between them, such as `response.answers.0.value`; a
// number is an index of an array, and a backslash escapes a dot in a key (see Escape). Any other path is in gjson's language, and
// only Read understands it: https://github.com/tidwall/gjson/blob/master/SYNTAX.md
//
// Read, Paths and Index decode only what they return. A Result is a slice of the JSON that it was read from, so the JSON must not
// be changed while the result is in use. If an object has a duplicate key, the first member counts (after the first part of a
// path that only gjson understands: the first member that leads to a value), and Cut removes all of them.
package jsonpath

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unsafe"

	"github.com/tidwall/gjson"
)

// Kind is the type of a JSON value.
type Kind uint8

// The kinds; Absent is the zero value.
const (
	Absent Kind = iota
	Null
	Bool
	Number
	String
	Array
	Object
)

func (k Kind) String() string {
	return [...]string{"absent", "null", "true or false", "a number", "text", "an array", "an object"}[k]
}

// Result is a value within some JSON. The zero value is absent.
type Result struct {
	raw   []byte
	kind  Kind
	plain bool   // a string without escapes
	token uint32 // its token in an Index, if it is from one
}

// Parse returns all of json as a result, without the white space around it. It does not check the JSON; see Check.
func Parse(json []byte) Result {
	i := start(json)
	return at(json, i, skip(json, i))
}

func at(b []byte, i, end int) Result {
	if i >= end {
		return Result{}
	}
	r := Result{raw: b[i:end:end]}
	switch b[i] {
	case '"':
		r.kind = String
	case '{':
		r.kind = Object
	case '[':
		r.kind = Array
	case 't', 'f':
		r.kind = Bool
	case 'n':
		r.kind = Null
	default:
		r.kind = Number
	}
	return r
}

// Read returns the value at a path in gjson's language, https://github.com/tidwall/gjson/blob/master/SYNTAX.md. A plain path has
// the same meaning as in Paths. The JSON must be valid (see Check); for other bytes the result is undefined, but Read does not
// panic.
func Read(json []byte, path string) Result {
	if len(json) == 0 || path == "" {
		return Result{}
	}
	if found, plain := readPlain(json, path); plain {
		return found
	}
	if json, path = followPrefix(json, path); path == "" {
		return Result{}
	}
	// The string shares the bytes; gjson only slices it.
	found := gjson.Get(unsafe.String(unsafe.SliceData(json), len(json)), path)
	if !found.Exists() {
		return Result{}
	}
	if found.Raw == "" { // a count, `#`, which gjson computes without JSON text
		switch found.Type {
		case gjson.Number:
			found.Raw = strconv.FormatFloat(found.Num, 'f', -1, 64)
		default:
			return Result{}
		}
	}
	return Parse(unsafe.Slice(unsafe.StringData(found.Raw), len(found.Raw)))
}

// CheckPath returns an error for a path that Read cannot understand.
func CheckPath(path string) error {
	if path == "" {
		return errors.New("empty path")
	}
	if _, err := split(path); err == nil {
		return nil
	}
	open, quoted := 0, false
	for i := 0; i < len(path); i++ {
		switch c := path[i]; {
		case c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '(' || c == '[' || c == '{':
			open++
		case c == ')' || c == ']' || c == '}':
			open--
		case c == '@' && open == 0 && (i == 0 || path[i-1] == '.' || path[i-1] == '|'):
			name := path[i+1:]
			if end := strings.IndexAny(name, ".|:"); end >= 0 {
				name = name[:end]
			}
			if !gjson.ModifierExists(name, nil) {
				return fmt.Errorf("`@%s` is no modifier of a path", name)
			}
		}
		if open < 0 {
			break
		}
	}
	if open != 0 || quoted {
		return errors.New("a bracket or quote of the path is not closed")
	}
	return nil
}

// Exists reports whether the value exists; it is true for null.
func (r Result) Exists() bool { return r.kind != Absent }

// Kind returns the type of the value.
func (r Result) Kind() Kind { return r.kind }

// Raw returns the value's JSON. It must not be changed.
func (r Result) Raw() []byte { return r.raw }

// Text returns the text of a string, the literal of a number or boolean, the JSON of an array or object, and "" for null and an
// absent value.
func (r Result) Text() string {
	switch r.kind {
	case String:
		if r.plain {
			return string(inside(r.raw))
		}
		return unquote(r.raw)
	case Absent, Null:
		return ""
	}
	return string(r.raw)
}

// SharedText is Text without a copy, if the string has no escapes: the result shares the JSON's bytes and keeps all of them in
// memory. Use it only for JSON that is never changed.
func (r Result) SharedText() string {
	switch r.kind {
	case String:
		if inner := inside(r.raw); r.plain || plain(inner) {
			return unsafe.String(unsafe.SliceData(inner), len(inner))
		}
		return unquote(r.raw)
	case Absent, Null:
		return ""
	}
	return unsafe.String(unsafe.SliceData(r.raw), len(r.raw))
}

// Number returns the value of a number, or of a string that contains a JSON number and white space only. ok is false for any
// other value.
func (r Result) Number() (value float64, ok bool) {
	token := r.raw
	switch r.kind {
	case Number:
	case String:
		token = bytes.TrimSpace([]byte(unquote(r.raw)))
		if !IsNumber(token) {
			return 0, false
		}
	default:
		return 0, false
	}
	f, err := strconv.ParseFloat(unsafe.String(unsafe.SliceData(token), len(token)), 64)
	return f, err == nil
}

// Bool returns the value of a boolean; ok is false for any other value.
func (r Result) Bool() (value, ok bool) {
	if r.kind != Bool {
		return false, false
	}
	return r.raw[0] == 't', true
}

// ForEach calls f for each member of an object, or for each element of an array with an empty key, until f returns false. It
// visits all members with a duplicate key.
func (r Result) ForEach(f func(key string, value Result) bool) {
	r.Each(func(key []byte, value Result) bool { return f(string(key), value) })
}

// Each is ForEach without a copy of the key: f must not keep the key.
func (r Result) Each(f func(key []byte, value Result) bool) {
	switch r.kind {
	case Object, Array:
	default:
		return
	}
	object := r.kind == Object
	b := r.raw
	for i := space(b, 1); i < len(b) && b[i] != '}' && b[i] != ']'; {
		var key []byte
		if object {
			if b[i] != '"' {
				return
			}
			end := skipString(b, i)
			key = keyText(b[i:end])
			if i = space(b, end); i >= len(b) || b[i] != ':' {
				return
			}
			i = space(b, i+1)
		}
		end := skip(b, i)
		if end == i || !f(key, at(b, i, end)) {
			return
		}
		if i = space(b, end); i < len(b) && b[i] == ',' {
			i = space(b, i+1)
		}
	}
}

// keyText returns the text of a quoted key. It is a slice of the key if nothing is escaped.
func keyText(quoted []byte) []byte {
	inner := inside(quoted)
	if bytes.IndexByte(inner, '\\') >= 0 {
		return appendUnquoted(make([]byte, 0, len(inner)), inner)
	}
	return inner
}

// Offset returns the byte offset of the value in the JSON that it was read from. It is meaningless for a count (`#`) and for the
// result of a modifier, which are not part of the JSON.
func (r Result) Offset(in []byte) int {
	if len(r.raw) == 0 || len(in) == 0 {
		return 0
	}
	return int(uintptr(unsafe.Pointer(unsafe.SliceData(r.raw))) - uintptr(unsafe.Pointer(unsafe.SliceData(in))))
}
