package jsonpath

import (
	"fmt"
	"strconv"
)

// Cut returns json without the members at the given paths. All other bytes stay unchanged, except the white space before a
// removed member, which is removed too. Paths are plain; the key `#` stands for every element of an array. A path to an absent
// value removes nothing, and a path to a duplicate key removes all its members. Cut returns an error for invalid JSON or a path
// that is not of this form, so that nothing is kept by mistake.
func Cut(json []byte, paths []string) ([]byte, error) {
	var root cutTree
	for _, path := range paths {
		if err := root.add(path); err != nil {
			return nil, err
		}
	}
	if err := Check(json, 1023); err != nil {
		return nil, err
	}
	i := start(json)
	out := append(make([]byte, 0, len(json)), json[:i]...)
	out, i = cuts{&root}.copy(out, json, i)
	return append(out, json[i:]...), nil
}

// cutTree holds the paths below one value.
type cutTree struct {
	remove bool
	keys   map[string]*cutTree // members of an object by key, elements of an array by index
	every  *cutTree            // every element of an array
}

func (c *cutTree) add(path string) error {
	at := c
	for rest, dot := path, true; dot; {
		var key string
		var more bool
		var err error
		key, more, rest, dot, err = next(rest)
		switch {
		case err != nil:
			return fmt.Errorf("cut `%s`: it %w", path, err)
		case key == "#" && more:
			if at.every == nil {
				at.every = &cutTree{}
			}
			at = at.every
		case more:
			return fmt.Errorf("cut `%s`: it is more than keys with dots between them", path)
		default:
			if at.keys == nil {
				at.keys = map[string]*cutTree{}
			}
			if at.keys[key] == nil {
				at.keys[key] = &cutTree{}
			}
			at = at.keys[key]
		}
	}
	at.remove = true
	return nil
}

// lookup returns the cuts below a member or the nth element, and whether it is removed itself. Two trees may apply to an element:
// by its index, and as one of all.
func (c cuts) lookup(object bool, key []byte, n int) (below cuts, remove bool) {
	for _, cut := range c {
		var found *cutTree
		if object {
			found = cut.keys[string(key)]
		} else if cut.keys != nil {
			found = cut.keys[strconv.Itoa(n)]
		}
		if found != nil {
			below, remove = append(below, found), remove || found.remove
		}
		if !object && cut.every != nil {
			below, remove = append(below, cut.every), remove || cut.every.remove
		}
	}
	return below, remove
}

type cuts []*cutTree

// copy appends the value at i without the parts to remove, and returns the value's end in json.
func (c cuts) copy(out, json []byte, i int) ([]byte, int) {
	if len(c) == 0 || json[i] != '{' && json[i] != '[' {
		end := skip(json, i)
		return append(out, json[i:end]...), end
	}
	object := json[i] == '{'
	out = append(out, json[i])
	// before is the start of the white space or comma before the next member. The first member that is kept gets the white space
	// of the first member, so that the output does not begin with a comma.
	before := i + 1
	i = space(json, before)
	lead := json[before:i]
	kept := false
	for n := 0; json[i] != '}' && json[i] != ']'; n++ {
		start := i
		var key []byte
		if object {
			end := skipString(json, i)
			key = keyText(json[i:end])
			i = space(json, space(json, end)+1)
		}
		below, remove := c.lookup(object, key, n)
		if remove {
			i = skip(json, i)
		} else {
			if kept {
				out = append(out, json[before:start]...)
			} else {
				out = append(out, lead...)
			}
			kept = true
			out = append(out, json[start:i]...)
			out, i = below.copy(out, json, i)
		}
		before = i
		if i = space(json, i); json[i] == ',' {
			i = space(json, i+1)
		}
	}
	out = append(out, json[before:i+1]...)
	return out, i + 1
}
