package jsonpath

import "sort"

// Index is a structural index of checked JSON: the offsets of all its values, so that readers never rescan for a value's end. The
// zero value is empty. Check may be called again, which invalidates all earlier results. An Index is safe for concurrent reads.
type Index struct {
	json   []byte
	tokens []token
}

// token is a value, or the key of a member, whose value is the next token.
type token struct {
	start, end uint32 // in the JSON
	next       uint32 // the token after it and its contents; while an object or array is open, the one that contains it
	plain      bool   // a string without escapes
}

// maxIndexed is the largest size in bytes of JSON that is indexed: the tokens take up to eight times its memory. All methods work
// for larger JSON too, by scanning.
const maxIndexed = 256 << 10

// Check checks JSON as the function Check does, and indexes it. After an error the index is empty. The JSON must not be changed
// while the index is in use.
func (x *Index) Check(json []byte, depth int) error {
	x.Reset()
	tokens := x
	if len(json) > maxIndexed {
		tokens = nil
	}
	if err := check(json, depth, tokens); err != nil {
		x.tokens = x.tokens[:0]
		return err
	}
	x.json = json
	return nil
}

// Reset empties the index and keeps its memory for the next Check.
func (x *Index) Reset() { x.json, x.tokens = nil, x.tokens[:0] }

// JSON returns the indexed JSON. It must not be changed.
func (x *Index) JSON() []byte { return x.json }

// Root returns the outermost value of the JSON.
func (x *Index) Root() Result {
	if len(x.tokens) == 0 {
		return Parse(x.json)
	}
	return x.result(0)
}

// add appends the token of a scalar or a key.
func (x *Index) add(start, end int, plain bool) {
	x.tokens = append(x.tokens, token{uint32(start), uint32(end), uint32(len(x.tokens) + 1), plain})
}

// open appends the token of an object or array that is inside the token in, and returns it.
func (x *Index) open(start int, in uint32) uint32 {
	n := uint32(len(x.tokens))
	x.tokens = append(x.tokens, token{start: uint32(start), end: 0, next: in})
	return n
}

// close completes the token of an object or array, and returns the token that contains it.
func (x *Index) close(n uint32, end int) (in uint32) {
	t := &x.tokens[n]
	in, t.end, t.next = t.next, uint32(end), uint32(len(x.tokens))
	return in
}

func (x *Index) result(n uint32) Result {
	t := &x.tokens[n]
	r := at(x.json, int(t.start), int(t.end))
	r.token, r.plain = n, t.plain
	return r
}

// find returns the token of a value; false if there is none, because a modifier made the value or the JSON is too long.
func (x *Index) find(r Result) (uint32, bool) {
	if len(r.raw) == 0 || len(x.tokens) == 0 {
		return 0, false
	}
	is := func(n uint32) bool { return &x.json[x.tokens[n].start] == &r.raw[0] }
	if int(r.token) < len(x.tokens) && is(r.token) {
		return r.token, true
	}
	offset := r.Offset(x.json)
	n := sort.Search(len(x.tokens), func(n int) bool { return int(x.tokens[n].start) >= offset })
	return uint32(n), n < len(x.tokens) && is(uint32(n))
}

// key returns the text of a key.
func (x *Index) key(n uint32) []byte {
	t := &x.tokens[n]
	if t.plain {
		return x.json[t.start+1 : t.end-1]
	}
	return keyText(x.json[t.start:t.end])
}

// Each is Result.Each for a value of the indexed JSON.
func (x *Index) Each(value Result, f func(key []byte, value Result) bool) {
	n, ok := x.find(value)
	if !ok {
		value.Each(f)
		return
	}
	switch value.kind {
	case Object:
		for i, end := n+1, x.tokens[n].next; i < end; i = x.tokens[i+1].next {
			if !f(x.key(i), x.result(i+1)) {
				return
			}
		}
	case Array:
		for i, end := n+1, x.tokens[n].next; i < end; i = x.tokens[i].next {
			if !f(nil, x.result(i)) {
				return
			}
		}
	}
}

// Extract is Paths.Extract for a value of the indexed JSON. It sets found[slot] for every slot of p, to an absent result if the
// path does not exist. found must have a length of p.Len().
func (x *Index) Extract(p *Paths, from Result, found []Result) {
	clear(found)
	if n, ok := x.find(from); ok {
		p.root.within(x, n, found)
	} else {
		p.Extract(from.raw, func(slot int, value Result) { found[slot] = value })
	}
}

// Elements iterates over an array: for each element it extracts p into found, as Extract does, and calls done, until done returns
// false.
func (x *Index) Elements(p *Paths, list Result, found []Result, done func(element Result) bool) {
	if list.kind != Array {
		return
	}
	n, ok := x.find(list)
	if !ok {
		list.Each(func(_ []byte, element Result) bool {
			x.Extract(p, element, found)
			return done(element)
		})
		return
	}
	for i, end := n+1, x.tokens[n].next; i < end; i = x.tokens[i].next {
		clear(found)
		p.root.within(x, i, found)
		if !done(x.result(i)) {
			return
		}
	}
}

// Child is Result.Child for a value of the indexed JSON.
func (x *Index) Child(value Result, key string) Result {
	n, ok := x.find(value)
	if !ok || value.kind != Object {
		return value.Child(key)
	}
	for i, end := n+1, x.tokens[n].next; i < end; i = x.tokens[i+1].next {
		if string(x.key(i)) == key {
			return x.result(i + 1)
		}
	}
	return Result{}
}

// within extracts the paths of the branch below a token.
func (b *branch) within(x *Index, n uint32, found []Result) {
	t := &x.tokens[n]
	object := x.json[t.start] == '{'
	if !object && x.json[t.start] != '[' {
		return
	}
	var seen seen
	left := len(b.edges)
	end := t.next
	for i, index := n+1, 0; i < end && left > 0; i, index = x.tokens[i].next, index+1 {
		var which int
		if object {
			which = b.find(x.key(i))
			i++
		} else {
			which = b.findIndex(index)
		}
		if which < 0 || !seen.first(which) {
			continue
		}
		left--
		e := &b.edges[which]
		if len(e.below.edges) > 0 {
			e.below.within(x, i, found)
		}
		if e.slot >= 0 {
			found[e.slot] = x.result(i)
		}
	}
}
