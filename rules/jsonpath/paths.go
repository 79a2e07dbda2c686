package jsonpath

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// split cuts a plain path into its keys: dots between them, a backslash before a dot or backslash that
// belongs to a key, and nothing that gjson would read as more than a key.
func split(path string) ([]string, error) {
	var keys []string
	for rest, dot := path, true; dot; {
		var key string
		var more bool
		var err error
		key, more, rest, dot, err = next(rest)
		switch {
		case err != nil:
			return nil, fmt.Errorf("`%s` %w", path, err)
		case more:
			return nil, fmt.Errorf("`%s` is more than keys with dots between them", path)
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// next cuts the first key off a path. More says that it is more than a key, having something special in
// it that is not escaped, and dot that the path goes on in rest.
func next(path string) (key string, more bool, rest string, dot bool, err error) {
	var b strings.Builder
	i := 0
	for ; i < len(path) && path[i] != '.'; i++ {
		if path[i] == '\\' {
			if i++; i == len(path) {
				return "", false, "", false, errors.New("ends in a backslash")
			}
		} else if special(path[i]) {
			more = true
		}
		b.WriteByte(path[i])
	}
	if b.Len() == 0 {
		return "", false, "", false, errors.New("has an empty key")
	}
	if i < len(path) {
		return b.String(), more, path[i+1:], true, nil
	}
	return b.String(), more, "", false, nil
}

// FirstKey is the key that a path begins with; empty where it begins with more than a key.
func FirstKey(path string) string {
	if key, more, _, _, err := next(path); err == nil && !more {
		return key
	}
	return ""
}

// Plain says whether a path is keys with dots between them and nothing more.
func IsPlain(path string) bool { _, err := split(path); return err == nil }

// readPlain follows a plain path; false says that it is none.
func readPlain(json []byte, path string) (found Result, plain bool) {
	for i := 0; i < len(path); i++ {
		switch c := path[i]; {
		case special(c):
			return Result{}, false
		case c == '\\' || c == '.' && (i == 0 || path[i-1] == '.' || i == len(path)-1):
			keys, err := split(path)
			if err != nil {
				return Result{}, false
			}
			found = ParseLazy(json)
			for _, key := range keys {
				found = found.Child(key)
			}
			return found, true
		}
	}
	found = ParseLazy(json)
	for more := true; more && found.kind != Absent; {
		var key string
		key, path, more = strings.Cut(path, ".")
		found = found.Child(key)
	}
	return found, true
}

// lead follows the plain keys that a path begins with; an empty path says that they lead nowhere.
func lead(json []byte, path string) ([]byte, string) {
	at := ParseLazy(json)
	for {
		key, more, rest, dot, err := next(path)
		if err != nil || more || !dot {
			return at.raw, path
		}
		if at = at.Child(key); at.kind == Absent {
			return nil, ""
		}
		path = rest
	}
}

// ParseLazy is Parse without looking for the value's end: of the result, Kind, Child and Each are what Parse's are, and Raw
// goes on to the end of the JSON.
func ParseLazy(json []byte) Result {
	i := start(json)
	return at(json, i, len(json))
}

// Child is a member of an object by its literal key, or an element of an array by its place.
func (r Result) Child(key string) Result {
	place := -1
	switch r.kind {
	case Object:
	case Array:
		if place = placeOf(key); place < 0 {
			return Result{}
		}
	default:
		return Result{}
	}
	b := r.raw
	i := space(b, 1)
	for n := 0; i < len(b) && b[i] != '}' && b[i] != ']'; n++ {
		same := n == place
		if r.kind == Object {
			if b[i] != '"' {
				return Result{}
			}
			end := skipString(b, i)
			same = keyIs(b[i:end], key)
			if i = space(b, end); i >= len(b) || b[i] != ':' {
				return Result{}
			}
			i = space(b, i+1)
		}
		end := skip(b, i)
		if end == i {
			return Result{}
		}
		if same {
			return at(b, i, end)
		}
		if i = space(b, end); i < len(b) && b[i] == ',' {
			i = space(b, i+1)
		}
	}
	return Result{}
}

// keyIs says whether a quoted key is this one.
func keyIs(quoted []byte, key string) bool {
	inner := inside(quoted)
	if bytes.IndexByte(inner, '\\') < 0 {
		return string(inner) == key
	}
	return string(keyText(quoted)) == key
}

// placeOf is a key as a place in an array, else -1.
func placeOf(key string) int {
	if n, err := strconv.Atoi(key); err == nil && n >= 0 && strconv.Itoa(n) == key {
		return n
	}
	return -1
}

// special is true for what makes a path more than keys.
func special(c byte) bool {
	switch c {
	case '*', '?', '#', '|', '@', '!', '{', '}', '[', ']', '(', ')', '"':
		return true
	}
	return false
}

// Escape makes a path of one literal key.
func Escape(key string) string {
	var b strings.Builder
	for i := 0; i < len(key); i++ {
		if c := key[i]; c < '0' && c != '-' && c != ' ' || c > '9' && c < 'A' || c > 'Z' && c < 'a' && c != '_' || c > 'z' && c < 0x7f {
			b.WriteByte('\\')
		}
		b.WriteByte(key[i])
	}
	return b.String()
}

// Paths are plain dotted paths that are looked for together, in one pass. Build it with Add, then use
// it from any number of goroutines. The zero value is empty.
type Paths struct {
	root  branch
	slots map[string]int
}

// branch is what is wanted below one key. Numbers are keys of objects and places in arrays.
type branch struct {
	edges []edge
	index map[string]int // over edges, once there are many
}

type edge struct {
	key   string
	place int // the key as a place in an array, else -1
	slot  int // -1: only on the way
	below branch
}

const fewEdges = 8

// Add asks for a path and returns its slot; the same path has the same slot. A path that is not plain is
// an error.
func (p *Paths) Add(path string) (slot int, err error) {
	if slot, ok := p.slots[path]; ok {
		return slot, nil
	}
	keys, err := split(path)
	if err != nil {
		return 0, err
	}
	b := &p.root
	var e *edge
	for _, key := range keys {
		e = b.add(key)
		b = &e.below
	}
	if e.slot < 0 {
		e.slot = len(p.slots)
	}
	if p.slots == nil {
		p.slots = map[string]int{}
	}
	p.slots[path] = e.slot
	return e.slot, nil
}

// Len is the number of slots.
func (p *Paths) Len() int { return len(p.slots) }

func (b *branch) add(key string) *edge {
	for i := range b.edges {
		if b.edges[i].key == key {
			return &b.edges[i]
		}
	}
	b.edges = append(b.edges, edge{key: key, place: placeOf(key), slot: -1})
	if len(b.edges) > fewEdges {
		if b.index == nil {
			b.index = map[string]int{}
			for i := range b.edges {
				b.index[b.edges[i].key] = i
			}
		}
		b.index[key] = len(b.edges) - 1
	}
	return &b.edges[len(b.edges)-1]
}

func (b *branch) find(key []byte) int {
	if b.index != nil {
		if i, ok := b.index[string(key)]; ok {
			return i
		}
		return -1
	}
	for i := range b.edges {
		if b.edges[i].key == string(key) {
			return i
		}
	}
	return -1
}

func (b *branch) findPlace(n int) int {
	for i := range b.edges {
		if b.edges[i].place == n {
			return i
		}
	}
	return -1
}

// Extract walks json once and calls f for every path that is there, also where its value is null. A key
// with a dot in it is one key: {"a.b": 1} is not at the path a.b. The JSON must have been checked before.
func (p *Paths) Extract(json []byte, f func(slot int, value Result)) {
	if len(p.root.edges) == 0 {
		return
	}
	if i := start(json); i < len(json) {
		p.root.walk(json, i, f, true)
	}
}

// walk reads the value at i and returns its end; of the outermost value it stops once all is found.
func (b *branch) walk(json []byte, i int, f func(int, Result), outermost bool) int {
	if json[i] != '{' && json[i] != '[' {
		return skip(json, i)
	}
	object := json[i] == '{'
	var seen seen
	left := len(b.edges)
	i = space(json, i+1)
	for n := 0; i < len(json) && json[i] != '}' && json[i] != ']'; n++ {
		var which int
		if object {
			if json[i] != '"' {
				return len(json)
			}
			end := skipString(json, i)
			which = b.find(keyText(json[i:end]))
			if i = space(json, end); i >= len(json) || json[i] != ':' {
				return len(json)
			}
			if i = space(json, i+1); i >= len(json) {
				return len(json)
			}
		} else {
			which = b.findPlace(n)
		}
		end := 0
		if which >= 0 && seen.first(which) {
			left--
			e := &b.edges[which]
			if len(e.below.edges) > 0 {
				end = e.below.walk(json, i, f, false)
			} else {
				end = skip(json, i)
			}
			if e.slot >= 0 {
				f(e.slot, at(json, i, end))
			}
		} else {
			end = skip(json, i)
		}
		if end == i {
			return len(json)
		}
		if left == 0 {
			if outermost {
				return end
			}
			return skipRest(json, end)
		}
		if i = space(json, end); i < len(json) && json[i] == ',' {
			i = space(json, i+1)
		}
	}
	return min(i+1, len(json))
}

// seen remembers which edges of a branch were met, so that the first of two equal keys counts.
type seen struct {
	low  uint64
	more map[int]bool
}

func (s *seen) first(i int) bool {
	if i < 64 {
		was := s.low&(1<<i) != 0
		s.low |= 1 << i
		return !was
	}
	if s.more[i] {
		return false
	}
	if s.more == nil {
		s.more = map[int]bool{}
	}
	s.more[i] = true
	return true
}
