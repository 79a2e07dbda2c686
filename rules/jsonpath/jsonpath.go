// Package jsonpath reads, extracts and cuts values of raw JSON by their path.
//
// Nothing here decodes more than it is asked for: results are slices of the JSON they were read from, which must
// therefore not be changed while they are in use. Of an object that says a key twice the first one
// counts (behind the first part of a path that only gjson understands: the first one that leads on), and Cut removes
// them all.
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

// Kind is what a value is.
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
	plain bool   // a string that is known to be its own text
	token uint32 // of the index that it is of, if any
}

// Parse is the whole of json as a result, without the space around it. It does not check it; see Check.
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

// Read is the value at a path in gjson's language: https://github.com/tidwall/gjson/blob/master/SYNTAX.md.
// A plain path means exactly what it means in Paths.
// The JSON must have been checked before; on other bytes the result is undefined, but it does not panic.
func Read(json []byte, path string) Result {
	if len(json) == 0 || path == "" {
		return Result{}
	}
	if found, plain := readPlain(json, path); plain {
		return found
	}
	if json, path = lead(json, path); path == "" {
		return Result{}
	}
	// The string shares the bytes; gjson only slices it.
	found := gjson.Get(unsafe.String(unsafe.SliceData(json), len(json)), path)
	if !found.Exists() {
		return Result{}
	}
	if found.Raw == "" { // a count, `#`: gjson made it and has no text of it
		switch found.Type {
		case gjson.Number:
			found.Raw = strconv.FormatFloat(found.Num, 'f', -1, 64)
		default:
			return Result{}
		}
	}
	return Parse(unsafe.Slice(unsafe.StringData(found.Raw), len(found.Raw)))
}

// CheckPath says what is wrong with a path before anything is read by it.
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

// Exists is true for everything that was there, also for null.
func (r Result) Exists() bool { return r.kind != Absent }

// Kind is what the value is.
func (r Result) Kind() Kind { return r.kind }

// Raw is the value's JSON. It must not be changed.
func (r Result) Raw() []byte { return r.raw }

// Text is a string's text, the token of a number or boolean as it was written, the JSON of an array or
// object, and empty for null and what is absent.
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

// SharedText is Text without a copy where none is needed: the string shares the JSON's bytes, so it keeps all of
// them alive and is only for JSON that nobody will ever change.
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

// Number is a number's value, or that of text that is nothing but a JSON number with space around it.
func (r Result) Number() (float64, bool) {
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

// Bool is a boolean's value; ok is false for everything else.
func (r Result) Bool() (value, ok bool) {
	if r.kind != Bool {
		return false, false
	}
	return r.raw[0] == 't', true
}

// ForEach calls f for each member of an object, or each element of an array with an empty key, until it
// returns false. Keys that stand twice are seen twice.
func (r Result) ForEach(f func(key string, value Result) bool) {
	r.Each(func(key []byte, value Result) bool { return f(string(key), value) })
}

// Each is ForEach without a copy of the key, which is the callback's only until it returns.
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

// keyText is the text of a quoted key, a slice of it where nothing is escaped.
func keyText(quoted []byte) []byte {
	inner := inside(quoted)
	if bytes.IndexByte(inner, '\\') >= 0 {
		return appendUnquoted(make([]byte, 0, len(inner)), inner)
	}
	return inner
}

// Offset is where the value begins in the JSON it was read from. A count (`#`) and the result of a
// modifier are not in it; of them the offset means nothing.
func (r Result) Offset(in []byte) int {
	if len(r.raw) == 0 || len(in) == 0 {
		return 0
	}
	return int(uintptr(unsafe.Pointer(unsafe.SliceData(r.raw))) - uintptr(unsafe.Pointer(unsafe.SliceData(in))))
}
