package source

import (
	"errors"
	"fmt"
	"strings"

	"github.com/surveygate/surveygate/gateway/internal/document"
	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/jsonpath"
)

// Path is a path into the body, in gjson's language, or `const:x`, which is the constant x. The zero value is no path.
type Path struct {
	text  string
	fixed jsonpath.Result // of const:x
	slot  int             // from 1: extracted in the single walk over the body, or over an element of a list
}

const constant = "const:"

// UnmarshalText checks the path.
func (p *Path) UnmarshalText(b []byte) error {
	text := string(b)
	if value, ok := strings.CutPrefix(text, constant); ok {
		quoted, err := event.Marshal(value)
		if err != nil {
			return err
		}
		*p = Path{text: text, fixed: jsonpath.Parse(quoted)}
		return nil
	}
	if len(text) > 1024 {
		return errors.New("a path can have at most 1024 bytes")
	}
	if err := jsonpath.CheckPath(text); err != nil {
		return fmt.Errorf("path `%s`: %w", text, err)
	}
	*p = Path{text: text}
	return nil
}

// IsZero reports whether the path is empty.
func (p Path) IsZero() bool { return p.text == "" }

// String returns the path as written.
func (p Path) String() string { return p.text }

// in returns the value at the path within one element.
func (p Path) in(json []byte) jsonpath.Result {
	if p.fixed.Exists() {
		return p.fixed
	}
	return jsonpath.Read(json, p.text)
}

// Paths are alternatives: a path, or a list of paths of which the first with a value counts.
type Paths []Path

// UnmarshalText parses a single path.
func (p *Paths) UnmarshalText(b []byte) error {
	var path Path
	if err := path.UnmarshalText(b); err != nil {
		return err
	}
	*p = Paths{path}
	return nil
}

// among returns the value at the path within an element that was walked; found are the values by slot.
func (p *Path) among(found []jsonpath.Result, element []byte) jsonpath.Result {
	if p.slot > 0 {
		return found[p.slot-1]
	}
	return p.in(element)
}

// among returns the first alternative that is not empty.
func (p Paths) among(found []jsonpath.Result, element []byte) jsonpath.Result {
	for i := range p {
		if r := p[i].among(found, element); !empty(r) {
			return r
		}
	}
	return jsonpath.Result{}
}

// in returns the first alternative within one element that is not empty.
func (p Paths) in(json []byte) (jsonpath.Result, Path) {
	for _, path := range p {
		if r := path.in(json); !empty(r) {
			return r, path
		}
	}
	return jsonpath.Result{}, Path{}
}

// Lookup is the origin of a field's value.
type Lookup struct {
	Paths  Paths  `yaml:"path"`
	Prefix string `yaml:"prefix,omitempty"` // prepended to a text that is not empty
	// Except are texts that count as absent.
	Except []string `yaml:"except,omitempty"`
}

// lookup parses a path, a list of paths, or a mapping of path with prefix or except.
func lookup(n *document.Node) (l Lookup, faults document.Faults) {
	if n.Kind == document.Mapping {
		faults = document.Bind(n, &l, document.Options{})
		return l, faults
	}
	faults = document.Bind(n, &l.Paths, document.Options{})
	return l, faults
}

// empty reports whether a value is absent, null, "", [] or {}.
func empty(r jsonpath.Result) bool {
	switch r.Kind() {
	case jsonpath.Absent, jsonpath.Null:
		return true
	case jsonpath.String, jsonpath.Array, jsonpath.Object:
		raw := r.Raw()
		if len(raw) <= 2 {
			return true
		}
		if r.Kind() == jsonpath.String {
			return false
		}
		for _, c := range raw[1 : len(raw)-1] {
			if c != ' ' && c != '\t' && c != '\n' && c != '\r' {
				return false
			}
		}
		return true
	}
	return false
}

// plain returns a scalar as text: a number or boolean as written, a text without surrounding white space. It is empty for other
// values.
func plain(r jsonpath.Result) string {
	switch r.Kind() {
	case jsonpath.String:
		return strings.TrimSpace(r.Text())
	case jsonpath.Number, jsonpath.Bool:
		return string(r.Raw())
	}
	return ""
}

// shared is like plain, but the text shares the body's bytes. It may only be passed to event.New, which copies its arguments.
func shared(r jsonpath.Result) string {
	switch r.Kind() {
	case jsonpath.String, jsonpath.Number, jsonpath.Bool:
		text := r.SharedText()
		if text != "" && text[0] > ' ' && text[0] <= '~' && text[len(text)-1] > ' ' && text[len(text)-1] <= '~' {
			return text // the common case, in which this check is cheaper than trimming
		}
		return strings.TrimSpace(text)
	}
	return ""
}

// Template is a text with {placeholders}: a path, sha256, header:NAME, query:NAME. The zero value is empty.
type Template struct {
	text  string
	parts []part
}

type part struct {
	literal string
	what    placeholder
	name    string // of a header or query parameter
	path    Path
}

type placeholder uint8

const (
	literal placeholder = iota
	fromBody
	fromHash
	fromHeader
	fromQuery
)

// UnmarshalText parses the text and its placeholders.
func (t *Template) UnmarshalText(b []byte) error {
	*t = Template{text: string(b)}
	for rest := t.text; rest != ""; {
		before, after, found := strings.Cut(rest, "{")
		if strings.Contains(before, "}") {
			return fmt.Errorf("`%s`: a } without its {", b)
		}
		if before != "" {
			t.parts = append(t.parts, part{literal: before})
		}
		if !found {
			return nil
		}
		inside, rest2, closed := strings.Cut(after, "}")
		if !closed {
			return fmt.Errorf("`%s`: a { without its }", b)
		}
		rest = rest2
		p := part{}
		kind, name, named := strings.Cut(inside, ":")
		switch {
		case inside == "sha256":
			p.what = fromHash
		case named && kind == "header" && name != "":
			p.what, p.name = fromHeader, name
		case named && kind == "query" && name != "":
			p.what, p.name = fromQuery, name
		default:
			p.what = fromBody
			if err := p.path.UnmarshalText([]byte(inside)); err != nil {
				return err
			}
		}
		t.parts = append(t.parts, p)
	}
	return nil
}

// IsZero reports whether the template is empty.
func (t Template) IsZero() bool { return t.text == "" }

// String returns the template as written.
func (t Template) String() string { return t.text }

// answer fills the template of a reply with values of the request.
func (t Template) answer(req *Request) string {
	var b strings.Builder
	for _, part := range t.parts {
		switch part.what {
		case literal:
			b.WriteString(part.literal)
		case fromHeader:
			b.WriteString(req.header(part.name))
		case fromQuery:
			b.WriteString(req.query(part.name))
		}
	}
	return b.String()
}
