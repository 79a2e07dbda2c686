package jsonpath

import (
	"fmt"
	"strconv"
)

// Cut is json without the members at the given paths. All other bytes stay as they are; of the space
// around members, what stood before a removed member goes with it. Paths are plain, and `#` as a whole
// key stands for every element of an array. A path that leads nowhere removes nothing. Where a key
// stands twice, both go. It is an error where json is not JSON or a path is none that can be cut, since then nothing
// would be removed that should be.
func Cut(json []byte, paths []string) ([]byte, error) {
	var root cutting
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

// cutting is what goes and what is looked into below one value.
type cutting struct {
	gone  bool
	keys  map[string]*cutting // members of an object by key, elements of an array by place
	every *cutting            // every element of an array
}

func (c *cutting) add(path string) error {
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
				at.every = &cutting{}
			}
			at = at.every
		case more:
			return fmt.Errorf("cut `%s`: it is more than keys with dots between them", path)
		default:
			if at.keys == nil {
				at.keys = map[string]*cutting{}
			}
			if at.keys[key] == nil {
				at.keys[key] = &cutting{}
			}
			at = at.keys[key]
		}
	}
	at.gone = true
	return nil
}

// of is what to cut below a member; several may speak of an element, by place and as one of every.
func (c cuts) of(object bool, key []byte, n int) (below cuts, gone bool) {
	for _, cut := range c {
		var found *cutting
		if object {
			found = cut.keys[string(key)]
		} else if cut.keys != nil {
			found = cut.keys[strconv.Itoa(n)]
		}
		if found != nil {
			below, gone = append(below, found), gone || found.gone
		}
		if !object && cut.every != nil {
			below, gone = append(below, cut.every), gone || cut.every.gone
		}
	}
	return below, gone
}

type cuts []*cutting

// copy appends the value at i without what is to be cut and returns the value's end in json.
func (c cuts) copy(out, json []byte, i int) ([]byte, int) {
	if len(c) == 0 || json[i] != '{' && json[i] != '[' {
		end := skip(json, i)
		return append(out, json[i:end]...), end
	}
	object := json[i] == '{'
	out = append(out, json[i])
	// before is where the space or comma in front of the next member begins. What stands in front of the
	// first member that stays is what stood in front of the first one, so that no comma leads.
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
		below, gone := c.of(object, key, n)
		if gone {
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
