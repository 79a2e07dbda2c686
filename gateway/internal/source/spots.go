package source

import (
	"slices"
	"strconv"
	"strings"
)

// step goes from a value to a member by its key, or to every element of a list.
type step struct {
	key   string
	every bool
}

// spot is one place of the body that a path reads.
type spot struct {
	steps []step
	// whole reports that the path computes with the value, so that everything inside it counts as read.
	whole bool
	// queried reports that a query of the path selects the element, so that only scalars count as read.
	queried bool
}

// spots returns the places that a path in gjson's language reads.
func spots(path string) []spot {
	s := scanner{}
	s.path(nil, path)
	return s.found
}

type scanner struct {
	found   []spot
	queried bool
}

// add records a place. A path that computes with the whole body is ignored: otherwise no place could be listed as unread.
func (s *scanner) add(steps []step, whole bool) {
	if whole && len(steps) == 0 {
		return
	}
	s.found = append(s.found, spot{append([]step(nil), steps...), whole, s.queried})
}

// path follows a path from a place. After a list of results (`#(…)#`, `#.key`), a bar applies to that list, which is not a place
// of the body.
func (s *scanner) path(steps []step, path string) {
	listed, bar := false, false
	for {
		if strings.HasPrefix(path, "[") || strings.HasPrefix(path, "{") {
			s.several(steps, path)
			return
		}
		part, rest, next := cutPart(path)
		switch {
		case part == "#" && next == 0 && len(steps) > 0: // a count
			s.add(steps, false)
			return
		case part == "#", strings.HasPrefix(part, "#("):
			s.query(steps, part, bar && listed)
			if !bar || !listed {
				steps = append(slices.Clip(steps), step{every: true})
			}
			listed = part == "#" || strings.HasSuffix(part, ")#")
		case part == "@keys":
			return // keys, not values
		case part == "@flatten", part == "@this", part == "@reverse":
		case strings.HasPrefix(part, "@"), part == "", strings.ContainsAny(part, "*?!"):
			s.add(steps, true)
			return
		case bar && listed && numeric(part): // one of the results
			listed = false
		default:
			steps = append(slices.Clip(steps), step{key: unescaped(part)})
		}
		if next == 0 {
			s.add(steps, false)
			return
		}
		path, bar = rest, next == '|'
	}
}

// several follows the paths of `[a,b]`.
func (s *scanner) several(steps []step, path string) {
	end := closing(path)
	for list := path[1:end]; list != ""; {
		n := until(list, ",")
		one := list[:n]
		if strings.HasPrefix(path, "{") {
			if i := until(one, ":"); i < len(one) {
				one = one[i+1:]
			}
		}
		s.queried = false
		s.path(steps, one)
		list = strings.TrimPrefix(list[n:], ",")
	}
}

// query adds the place that the condition of `#(…)` compares.
func (s *scanner) query(steps []step, part string, same bool) {
	if part == "#" {
		return
	}
	s.queried = true
	if !same {
		steps = append(slices.Clip(steps), step{every: true})
	}
	inside := part[2:max(2, closing(part[1:])+1)]
	if i := until(inside, "=!<>%~"); i > 0 {
		s.path(steps, strings.TrimSpace(inside[:i]))
	}
}

// cutPart splits a path at its first dot or bar outside brackets; end is that character, or 0 at the end of the path.
func cutPart(path string) (part, rest string, end byte) {
	n := until(path, ".|")
	if n == len(path) {
		return path, "", 0
	}
	return path[:n], path[n+1:], path[n]
}

// until returns the offset of the first of some characters outside brackets, quotes and escapes; the length if there is none.
func until(text, any string) int {
	open, quoted := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case open == 0 && strings.IndexByte(any, c) >= 0:
			return i
		case c == '(' || c == '[' || c == '{':
			open++
		case c == ')' || c == ']' || c == '}':
			open--
		}
	}
	return len(text)
}

// closing returns the offset of the bracket that closes the one at the beginning of a text.
func closing(text string) int {
	for end := range text {
		if c := text[end]; (c == ')' || c == ']' || c == '}') && until(text[1:end+1], ")]}") == end-1 {
			return end
		}
	}
	return len(text)
}

func numeric(key string) bool {
	n, err := strconv.Atoi(key)
	return err == nil && n >= 0
}

func unescaped(key string) string {
	if !strings.Contains(key, `\`) {
		return key
	}
	var b strings.Builder
	for i := 0; i < len(key); i++ {
		if key[i] == '\\' && i+1 < len(key) {
			i++
		}
		b.WriteByte(key[i])
	}
	return b.String()
}
