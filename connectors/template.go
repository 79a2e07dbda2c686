package connectors

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/expression"
)

const (
	// maxAddress is how long an address may be whose holes are filled; many servers take no longer one.
	maxAddress = 8 << 10
	// maxHeader is how long the value of a header may be whose holes are filled.
	maxHeader = 4 << 10
	// emptyHole stands in a filled address where a hole had nothing to say. No address holds a NUL.
	emptyHole = "\x00"
)

// hasHoles reports whether a setting is written with {{ }}.
func hasHoles(text string) bool { return strings.Contains(text, "{{") }

// template is an address with holes: each fills a segment of the path, or the value of a parameter, or a part of one.
type template struct {
	text expression.Text
	// inPath is how many of the holes stand in the path; the others are in parameters.
	inPath int
	// sample is the address with something in each hole, for checks of what the operator wrote around them.
	sample string
}

// newTemplate compiles an address with holes. Who answers is the operator's to say, so scheme and host have none.
func newTemplate(text string) (*template, error) {
	compiled, err := expression.CompileText(text)
	if err != nil {
		return nil, err
	}
	words := compiled.Literals()
	if _, host, found := strings.Cut(words[0], "://"); !found || !strings.ContainsAny(host, "/?") {
		return nil, errors.New("scheme and host hold no {{ }}: an event must not choose who is called; write holes behind the host's /")
	}
	t := &template{text: compiled, sample: strings.Join(words, "x")}
	for i, word := range words {
		if strings.Contains(word, emptyHole) {
			return nil, errNoURL
		}
		if i == len(words)-1 {
			break
		}
		switch before := strings.Join(words[:i+1], "x"); {
		case !strings.Contains(before, "?"):
			t.inPath++
		case inName(before):
			return nil, errors.New("the name of a parameter holds no {{ }}: write holes in its value, as in ?id={{ response.id }}")
		}
	}
	if path, _, _ := strings.Cut(t.sample, "?"); climbing(decoded(path)) {
		return nil, errors.New("a URL with {{ }} has no `.` or `..` in its path: write the path itself")
	}
	return t, nil
}

// inName reports whether an address ends within the name of a parameter.
func inName(address string) bool {
	_, query, found := strings.Cut(address, "?")
	return found && !strings.Contains(query[strings.LastIndexByte(query, '&')+1:], "=")
}

// of fills the holes. An address whose path has nothing in a hole would name something else: it is skipped. A parameter
// of nothing but empty holes is left out.
func (t *template) of(ev *event.Event) (string, error) {
	climbs, hole := false, 0
	filled, err := t.text.Render(ev, func(value string) string { // of each hole, in their order
		climbs = climbs || hole < t.inPath && climbing(value)
		hole++
		if value == "" {
			return emptyHole
		}
		return escapePart(value)
	})
	if err != nil {
		return "", err
	}
	path, query, asks := strings.Cut(filled, "?")
	climbs = climbs || climbing(decoded(path))
	switch {
	case strings.Contains(path, emptyHole):
		missing := ""
		if names := t.text.Missing(ev); len(names) > 0 {
			missing = " (" + strings.Join(names, ", ") + ")"
		}
		return "", Skip("a hole in the path of the URL is empty" + missing)
	case climbs:
		return "", errors.New("a hole of the URL is filled with `.` or `..`, which would lead to another path")
	case len(filled) > maxAddress:
		return "", fmt.Errorf("the URL has %d bytes with its holes filled, at most %d", len(filled), maxAddress)
	}
	if !asks {
		return path, nil
	}
	var kept []string
	for pair := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(pair, "=")
		if strings.Trim(value, emptyHole) == "" && value != "" {
			continue
		}
		kept = append(kept, strings.ReplaceAll(name+pair[len(name):], emptyHole, ""))
	}
	if len(kept) == 0 {
		return path, nil
	}
	return path + "?" + strings.Join(kept, "&"), nil
}

// climbing reports whether a value holds a step of a path, as servers read it that decode before they look.
func climbing(value string) bool {
	for part := range strings.FieldsFuncSeq(value, func(r rune) bool { return r == '/' || r == '\\' }) {
		if part == "." || part == ".." {
			return true
		}
	}
	return false
}

// decoded returns a path as the server reads it, because an operator may write a dot as %2E. One that cannot be decoded
// stays as it is.
func decoded(path string) string {
	if text, err := url.PathUnescape(path); err == nil {
		return text
	}
	return path
}

// escapePart writes a value as part of a segment of a path, or of a parameter: everything but letters, digits and -._~ as %XX.
func escapePart(value string) string {
	return strings.ReplaceAll(url.QueryEscape(strings.ToValidUTF8(value, "\uFFFD")), "+", "%20")
}

// HasHoles reports whether the address is filled for each event.
func (u URL) HasHoles() bool { return u.template != nil }

// Sample returns the address with something in each hole, for checks of scheme, host and form.
func (u URL) Sample() Secret {
	if u.template != nil {
		return NewSecret(u.template.sample)
	}
	return u.text
}

// Fill returns the address for an event. It is a secret where the address as written is one.
func (u URL) Fill(ev *event.Event) (URL, error) {
	if u.template == nil {
		return u, nil
	}
	filled, err := u.template.of(ev)
	if err != nil {
		return URL{}, err
	}
	return URL{text: NewSecret(filled), secret: u.secret}, nil
}

// HeaderValue is the value of a custom header. It is a secret, but not the connection's credential: unlike other
// secrets, a rule may set it. One that is written out may have {{ }} holes; one that comes from a ${…} has none, whatever
// is in it.
type HeaderValue struct {
	Secret
	text *expression.Text
}

// UnmarshalText takes the value, and compiles its holes.
func (h *HeaderValue) UnmarshalText(b []byte) error {
	*h = HeaderValue{Secret: NewSecret(string(b))}
	if !hasHoles(string(b)) {
		return nil
	}
	text, err := expression.CompileText(string(b))
	if err != nil {
		return err
	}
	if strings.ContainsFunc(strings.TrimFunc(strings.Join(text.Literals(), "x"), IsBlank), isControl) {
		return fmt.Errorf("a header %w", errControl)
	}
	h.text = &text
	return nil
}

// UnmarshalReference takes a value that was written with ${…}: what stands for it is a secret, and no text with holes.
func (h *HeaderValue) UnmarshalReference(written, text string) error {
	if hasHoles(written) {
		return errors.New("a header is a secret, written ${NAME}, or a text with {{ }}: not both in one value")
	}
	*h = HeaderValue{Secret: NewSecret(text)}
	return nil
}

// HasHoles reports whether the value is filled for each event.
func (h HeaderValue) HasHoles() bool { return h.text != nil }

// Fill returns the value for an event; false where nothing is left of it, so that the header is left out. Control characters
// become spaces: a respondent's words cannot begin a header of their own.
func (h HeaderValue) Fill(ev *event.Event) (value Secret, present bool, err error) {
	if h.text == nil {
		return h.Secret, true, nil
	}
	filled, err := h.text.Render(ev, func(value string) string {
		return strings.Map(func(r rune) rune {
			if r == '\t' || isControl(r) {
				return ' '
			}
			return r
		}, strings.ToValidUTF8(value, "\uFFFD"))
	})
	if err != nil {
		return Secret{}, false, err
	}
	if filled = strings.TrimFunc(filled, IsBlank); len(filled) > maxHeader {
		return Secret{}, false, fmt.Errorf("it has %d bytes with its holes filled, at most %d", len(filled), maxHeader)
	}
	return NewSecret(filled), filled != "", nil
}
