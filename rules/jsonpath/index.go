package jsonpath

import "sort"

// Index is JSON that was checked, with the places of all that is in it: who reads of it looks nowhere a second time for
// where something ends. The zero value is of nothing; it may be used again, which ends what was read of it before. It is
// read from any number of goroutines.
type Index struct {
	json   []byte
	tokens []token
}

// token is a value, or the key of a member, whose value is the next token.
type token struct {
	start, end uint32 // in the JSON
	next       uint32 // the token behind it and all that is in it; while it is open, the one that it is in
	plain      bool   // a string that is its own text
}

// mostIndexed is how long JSON may be of which places are kept: they take up to eight times its room. Of what is longer
// everything is found all the same, by looking.
const mostIndexed = 256 << 10

// Check is like the function of its name, and keeps where everything stands. After an error the index is of nothing.
// The JSON must not be changed while the index is in use.
func (x *Index) Check(json []byte, depth int) error {
	x.Reset()
	places := x
	if len(json) > mostIndexed {
		places = nil
	}
	if err := check(json, depth, places); err != nil {
		x.tokens = x.tokens[:0]
		return err
	}
	x.json = json
	return nil
}

// Reset lets go of the JSON, and keeps the room for places.
func (x *Index) Reset() { x.json, x.tokens = nil, x.tokens[:0] }

// JSON is what was checked. It must not be changed.
func (x *Index) JSON() []byte { return x.json }

// Root is the whole of the JSON.
func (x *Index) Root() Result {
	if len(x.tokens) == 0 {
		return Parse(x.json)
	}
	return x.result(0)
}

// add keeps a value that nothing is in.
func (x *Index) add(start, end int, plain bool) {
	x.tokens = append(x.tokens, token{uint32(start), uint32(end), uint32(len(x.tokens) + 1), plain})
}

// open begins an object or array inside of another one, and returns its token.
func (x *Index) open(start int, in uint32) uint32 {
	n := uint32(len(x.tokens))
	x.tokens = append(x.tokens, token{start: uint32(start), end: 0, next: in})
	return n
}

// close ends an object or array, and returns the one that it is in.
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

// find is the token of a value; false says that there is none: a modifier made the value, or the JSON is too long.
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

// key is the text of a key.
func (x *Index) key(n uint32) []byte {
	t := &x.tokens[n]
	if t.plain {
		return x.json[t.start+1 : t.end-1]
	}
	return keyText(x.json[t.start:t.end])
}

// Each is Result.Each of a value of the indexed JSON.
func (x *Index) Each(of Result, f func(key []byte, value Result) bool) {
	n, ok := x.find(of)
	if !ok {
		of.Each(f)
		return
	}
	switch of.kind {
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

// Extract finds all paths below a value of the indexed JSON, each as Paths.Extract does: found is by slot, and what is not
// there is absent.
func (x *Index) Extract(p *Paths, from Result, found []Result) {
	clear(found)
	if n, ok := x.find(from); ok {
		p.root.within(x, n, found)
	} else {
		p.Extract(from.raw, func(slot int, value Result) { found[slot] = value })
	}
}

// Elements goes through a list: for each element it calls done with what Extract finds in found, until that returns false.
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

// Child is Result.Child of a value of the indexed JSON.
func (x *Index) Child(of Result, key string) Result {
	n, ok := x.find(of)
	if !ok || of.kind != Object {
		return of.Child(key)
	}
	for i, end := n+1, x.tokens[n].next; i < end; i = x.tokens[i+1].next {
		if string(x.key(i)) == key {
			return x.result(i + 1)
		}
	}
	return Result{}
}

// within finds every path that is there below a token.
func (b *branch) within(x *Index, n uint32, found []Result) {
	t := &x.tokens[n]
	object := x.json[t.start] == '{'
	if !object && x.json[t.start] != '[' {
		return
	}
	var seen seen
	left := len(b.edges)
	end := t.next
	for i, place := n+1, 0; i < end && left > 0; i, place = x.tokens[i].next, place+1 {
		var which int
		if object {
			which = b.find(x.key(i))
			i++
		} else {
			which = b.findPlace(place)
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
