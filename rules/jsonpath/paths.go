package jsonpath

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// split returns the keys of a plain path. Dots separate keys, and a backslash escapes the next character. A character that has a
// meaning in gjson's language is an error unless it is escaped.
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

// next returns the first key of a path. more reports that it is not a plain key, because it contains an unescaped special
// character. dot reports that the path continues in rest.
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

// FirstKey returns the key that a path begins with; "" if it does not begin with a plain key.
func FirstKey(path string) string {
	if key, more, _, _, err := next(path); err == nil && !more {
		return key
	}
	return ""
}

// IsPlain reports whether a path is plain: keys with dots between them.
func IsPlain(path string) bool { _, err := split(path); return err == nil }

// readPlain returns the value at a plain path; plain is false for any other path.
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

// followPrefix follows the plain keys that a path begins with, and returns the rest of the JSON and of the path. The returned
// path is empty if the keys do not exist.
func followPrefix(json []byte, path string) ([]byte, string) {
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

// ParseLazy is Parse without a search for the value's end. Kind, Child and Each of the result are the same as those of Parse, but
// Raw extends to the end of json.
func ParseLazy(json []byte) Result {
	i := start(json)
	return at(json, i, len(json))
}

// Child returns a member of an object by its literal key, or an element of an array by its index. It is absent if there is none.
func (r Result) Child(key string) Result {
	index := -1
	switch r.kind {
	case Object:
	case Array:
		if index = indexOf(key); index < 0 {
			return Result{}
		}
	default:
		return Result{}
	}
	b := r.raw
	i := space(b, 1)
	for n := 0; i < len(b) && b[i] != '}' && b[i] != ']'; n++ {
		same := n == index
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

// keyIs reports whether a quoted key has the given text.
func keyIs(quoted []byte, key string) bool {
	inner := inside(quoted)
	if bytes.IndexByte(inner, '\\') < 0 {
		return string(inner) == key
	}
	return string(keyText(quoted)) == key
}

// indexOf returns a key as an index of an array, or -1.
func indexOf(key string) int {
	if n, err := strconv.Atoi(key); err == nil && n >= 0 && strconv.Itoa(n) == key {
		return n
	}
	return -1
}

// special reports whether c has a meaning in gjson's language, so that a plain path must escape it.
func special(c byte) bool {
	switch c {
	case '*', '?', '#', '|', '@', '!', '{', '}', '[', ']', '(', ')', '"':
		return true
	}
	return false
}

// Escape returns the plain path of one literal key.
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

// Paths is a set of plain paths that are extracted in one pass. Call Add for every path first; after that, Paths is safe for
// concurrent use. The zero value is empty.
type Paths struct {
	root  branch
	slots map[string]int
}

// branch holds the paths below one key. A number is both a key of an object and an index of an array.
type branch struct {
	edges []edge
	index map[string]int // edges by key, if there are more than fewEdges
}

type edge struct {
	key   string
	at    int // the key as an index of an array, or -1
	slot  int // -1 if the path ends further below
	below branch
}

const fewEdges = 8

// Add adds a path and returns its slot, a number from 0 to Len()-1. Adding the same path again returns the same slot. A path that
// is not plain is an error.
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

// Len returns the number of slots.
func (p *Paths) Len() int { return len(p.slots) }

func (b *branch) add(key string) *edge {
	for i := range b.edges {
		if b.edges[i].key == key {
			return &b.edges[i]
		}
	}
	b.edges = append(b.edges, edge{key: key, at: indexOf(key), slot: -1})
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

func (b *branch) findIndex(n int) int {
	for i := range b.edges {
		if b.edges[i].at == n {
			return i
		}
	}
	return -1
}

// Extract scans json once and calls f for every path that exists, also if its value is null. A key that contains a dot is one
// key: the path `a.b` does not match {"a.b": 1}. The JSON must be valid (see Check).
func (p *Paths) Extract(json []byte, f func(slot int, value Result)) {
	if len(p.root.edges) == 0 {
		return
	}
	if i := start(json); i < len(json) {
		p.root.walk(json, i, f, true)
	}
}

// walk scans the value at i and returns its end. In the outermost value it stops as soon as all paths are found.
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
			which = b.findIndex(n)
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

// seen records which edges of a branch were visited, so that the first member with a duplicate key counts.
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
