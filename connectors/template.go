package connectors

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/expression"
)

const (
	// maxAddress is the largest length in bytes of an address with its holes filled. Many servers accept no longer one.
	maxAddress = 8 << 10
	// maxHeader is the largest length in bytes of a header value with its holes filled.
	maxHeader = 4 << 10
	// emptyHole marks an empty hole in a filled address. No address contains a NUL.
	emptyHole = "\x00"
)

// hasHoles reports whether a setting contains {{ }}.
func hasHoles(text string) bool { return strings.Contains(text, "{{") }

// template is an address with {{ }} holes. Each hole is a path segment or a parameter's value, or a part of one.
type template struct {
	text expression.Text
	// inPath is the number of holes in the path; the others are in query parameters.
	inPath int
	// sample is the address with `x` in each hole, to check what the operator wrote around the holes.
	sample string
}

// newTemplate compiles an address with holes. The scheme and the host must not contain holes: the operator decides which server
// is called.
func newTemplate(text string) (*template, error) {
	compiled, err := expression.CompileText(text)
	if err != nil {
		return nil, err
	}
	literals := compiled.Literals()
	if _, host, found := strings.Cut(literals[0], "://"); !found || !strings.ContainsAny(host, "/?") {
		return nil, errors.New("scheme and host must not contain {{ }}: an event must not choose which server is called; write holes after the / that follows the host")
	}
	t := &template{text: compiled, sample: strings.Join(literals, "x")}
	for i, literal := range literals {
		if strings.Contains(literal, emptyHole) {
			return nil, errNoURL
		}
		if i == len(literals)-1 {
			break
		}
		switch before := strings.Join(literals[:i+1], "x"); {
		case !strings.Contains(before, "?"):
			t.inPath++
		case inName(before):
			return nil, errors.New("the name of a parameter must not contain {{ }}: write holes in its value, as in ?id={{ response.id }}")
		}
	}
	if path, _, _ := strings.Cut(t.sample, "?"); hasDotSegment(decoded(path)) {
		return nil, errors.New("a URL with {{ }} must not contain `.` or `..` in its path: write the resulting path")
	}
	return t, nil
}

// inName reports whether an address ends in the middle of a parameter's name.
func inName(address string) bool {
	_, query, found := strings.Cut(address, "?")
	return found && !strings.Contains(query[strings.LastIndexByte(query, '&')+1:], "=")
}

// fill fills the holes. If a hole of the path is empty, it returns a Skip error, because the address would name another resource.
// A parameter whose value consists of empty holes only is left out.
func (t *template) fill(ev *event.Event) (string, error) {
	hasDots, hole := false, 0
	filled, err := t.text.Render(ev, func(value string) string { // called for each hole in order
		hasDots = hasDots || hole < t.inPath && hasDotSegment(value)
		hole++
		if value == "" {
			return emptyHole
		}
		return escapePart(value)
	})
	if err != nil {
		return "", err
	}
	path, query, hasQuery := strings.Cut(filled, "?")
	hasDots = hasDots || hasDotSegment(decoded(path))
	switch {
	case strings.Contains(path, emptyHole):
		missing := ""
		if names := t.text.Missing(ev); len(names) > 0 {
			missing = " (" + strings.Join(names, ", ") + ")"
		}
		return "", Skip("a hole in the path of the URL is empty" + missing)
	case hasDots:
		return "", errors.New("a hole of the URL is filled with `.` or `..`, which would lead to another path")
	case len(filled) > maxAddress:
		return "", fmt.Errorf("the URL has %d bytes with its holes filled, at most %d", len(filled), maxAddress)
	}
	if !hasQuery {
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

// hasDotSegment reports whether a path contains a segment `.` or `..`. A backslash separates segments too, because some servers
// read it so.
func hasDotSegment(value string) bool {
	for part := range strings.FieldsFuncSeq(value, func(r rune) bool { return r == '/' || r == '\\' }) {
		if part == "." || part == ".." {
			return true
		}
	}
	return false
}

// decoded returns a path with its %XX decoded, because an operator may write a dot as %2E. A path that cannot be decoded is
// returned unchanged.
func decoded(path string) string {
	if text, err := url.PathUnescape(path); err == nil {
		return text
	}
	return path
}

// escapePart escapes a value for a path segment or a parameter: every byte but letters, digits and -._~ becomes %XX.
func escapePart(value string) string {
	return strings.ReplaceAll(url.QueryEscape(strings.ToValidUTF8(value, "\uFFFD")), "+", "%20")
}

// HasHoles reports whether the address has holes, so that it may differ for each event.
func (u URL) HasHoles() bool { return u.template != nil }

// Sample returns the address with `x` in each hole, to check its scheme, host and form.
func (u URL) Sample() Secret {
	if u.template != nil {
		return NewSecret(u.template.sample)
	}
	return u.text
}

// InZone sets the time zone of the holes.
func (u *URL) InZone(zone *time.Location) {
	if u.template != nil {
		own := *u.template
		own.text = expression.InZone(own.text, zone)
		u.template = &own
	}
}

// Fill returns the address for an event. The result is a secret if u is one. The error is a Skip if a hole of the path is empty.
func (u URL) Fill(ev *event.Event) (URL, error) {
	if u.template == nil {
		return u, nil
	}
	filled, err := u.template.fill(ev)
	if err != nil {
		return URL{}, err
	}
	return URL{text: NewSecret(filled), secret: u.secret}, nil
}

// HeaderValue is the value of a custom header. It is a secret, but not the connection's credential: a rule may set it. A value
// that is written out may contain {{ }} holes. In a value that comes from a ${…}, braces are literal text.
type HeaderValue struct {
	Secret
	text *expression.Text
}

// UnmarshalText accepts any value and compiles its holes.
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

// UnmarshalReference accepts a value that was written with ${…}: written is the setting as written, text its value. The
// value is a secret without holes.
func (h *HeaderValue) UnmarshalReference(written, text string) error {
	if hasHoles(written) {
		return errors.New("a header is a secret, written ${NAME}, or a text with {{ }}: not both in one value")
	}
	*h = HeaderValue{Secret: NewSecret(text)}
	return nil
}

// InZone sets the time zone of the holes.
func (h *HeaderValue) InZone(zone *time.Location) { h.text = expression.InZone(h.text, zone) }

// HasHoles reports whether the value has holes, so that it may differ for each event.
func (h HeaderValue) HasHoles() bool { return h.text != nil }

// Fill returns the value for an event. present is false if the filled value is empty: leave the header out. Control characters
// become spaces, so that a respondent's text cannot start another header.
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
