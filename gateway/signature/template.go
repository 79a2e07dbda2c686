package signature

import (
	"fmt"
	"slices"
	"strings"
)

// template is a text with {holes}, split once.
type template []segment

// segment is fixed text, or a hole where name is set; `{header:X}` has name header and argument X.
type segment struct {
	text     string
	name     string
	argument string
}

// parseTemplate splits a text and refuses holes it does not know. Names that end in `:` take an argument.
// Braces that hold no name, as in `{}` or an unclosed one, are refused too: a typing error must not be signed.
func parseTemplate(text string, known ...string) (template, error) {
	var t template
	for rest := text; rest != ""; {
		open := strings.IndexByte(rest, '{')
		if open < 0 {
			return append(t, segment{text: rest}), nil
		}
		if open > 0 {
			t = append(t, segment{text: rest[:open]})
		}
		length := strings.IndexByte(rest[open:], '}')
		if length < 0 {
			return nil, fmt.Errorf("`%s` has a brace that is not closed", text)
		}
		hole := rest[open+1 : open+length]
		rest = rest[open+length+1:]
		name, argument, found := strings.Cut(hole, ":")
		key := name
		if found {
			key += ":"
		}
		if !slices.Contains(known, key) || (found && argument == "") {
			return nil, fmt.Errorf("`{%s}` in `%s` is not known; one of %s", hole, text, holes(known))
		}
		t = append(t, segment{name: name, argument: argument})
	}
	return t, nil
}

func holes(known []string) string {
	out := make([]string, len(known))
	for i, k := range known {
		if strings.HasSuffix(k, ":") {
			k += "NAME"
		}
		out[i] = "{" + k + "}"
	}
	return strings.Join(out, " ")
}

func mustTemplate(text string) template {
	t, err := parseTemplate(text, "id", "timestamp", "body", "signature")
	if err != nil {
		panic(err)
	}
	return t
}

// has reports whether the template has a hole of that name.
func (t template) has(name string) bool {
	return slices.ContainsFunc(t, func(s segment) bool { return s.name == name })
}

// joint is a separator between two values. One of the values must not hold it: else other values give the same bytes, and
// one signed request could be turned into another.
type joint struct {
	// at is the segment whose value must not hold the separator.
	at        int
	separator string
	// behind is set if the separator follows the value, and not precedes it.
	behind bool
}

// joints returns the joints of a template. The body may hold anything, or without a body the last value: what precedes it is
// read from the front, what follows it from the back. Values without a separator between them have no joint; nor has a time
// in RFC 3339, whose end is unambiguous.
func (t template) joints(clock string) []joint {
	free, last := -1, -1
	for i := range t {
		if t[i].name != "" {
			last = i
		}
		if t[i].name == "body" && free < 0 {
			free = i
		}
	}
	if free < 0 {
		free = last
	}
	var all []joint
	for i := range t {
		if name := t[i].name; name == "" || name == "body" || name == "timestamp" && clock == "rfc3339" {
			continue
		}
		switch {
		case i < free && t[i+1].name == "":
			all = append(all, joint{i, t[i+1].text, true})
		case i > free && t[i-1].name == "":
			all = append(all, joint{i, t[i-1].text, false})
		}
	}
	return all
}

// splits reports whether a value holds the separator, or could complete one that only begins or ends in it.
func (j joint) splits(value string) bool {
	switch {
	case len(j.separator) == 1:
	case j.behind:
		value += j.separator[:len(j.separator)-1]
	default:
		value = j.separator[1:] + value
	}
	return strings.Contains(value, j.separator)
}

// append fills a template of {id}, {timestamp} and {body}.
func (t template) append(out []byte, id, at string, body []byte) []byte {
	for i := range t {
		switch s := &t[i]; s.name {
		case "":
			out = append(out, s.text...)
		case "id":
			out = append(out, id...)
		case "timestamp":
			out = append(out, at...)
		case "body":
			out = append(out, body...)
		}
	}
	return out
}

// appendHeader fills a template of {signature}, {id} and {timestamp}.
func (t template) appendHeader(out []byte, signature, id, at string) []byte {
	for i := range t {
		switch s := &t[i]; s.name {
		case "":
			out = append(out, s.text...)
		case "signature":
			out = append(out, signature...)
		case "id":
			out = append(out, id...)
		case "timestamp":
			out = append(out, at...)
		}
	}
	return out
}
