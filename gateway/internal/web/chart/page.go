package chart

import (
	"html"
	"html/template"
	"math"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// page is HTML that is also XML: all text in it is escaped by text.
type page struct {
	b []byte
}

// raw adds what this package wrote.
func (w *page) raw(parts ...string) {
	for _, part := range parts {
		w.b = append(w.b, part...)
	}
}

// text adds the text of others, to an element or to an attribute in double quotes.
func (w *page) text(s string) {
	w.raw(html.EscapeString(strings.Map(printable, s)))
}

// printable replaces what may not stand in XML, nor in HTML. Ranging over a string gives U+FFFD for bytes that are not UTF-8.
func printable(r rune) rune {
	switch {
	case r == '\t', r == '\n':
		return r
	case r < ' ', r >= 0x7f && r <= 0x9f, r >= 0xfdd0 && r <= 0xfdef, r&0xfffe == 0xfffe:
		return utf8.RuneError
	}
	return r
}

// number adds a coordinate, with a tenth at most.
func (w *page) number(v float64) {
	tenths := int64(math.Round(v * 10))
	if tenths < 0 {
		w.b = append(w.b, '-')
		tenths = -tenths
	}
	w.b = strconv.AppendInt(w.b, tenths/10, 10)
	if tenth := tenths % 10; tenth != 0 {
		w.b = append(w.b, '.', byte('0'+tenth))
	}
}

// command adds a letter of a path and its coordinates. A minus separates as a space does.
func (w *page) command(letter byte, coordinates ...float64) {
	w.b = append(w.b, letter)
	for i, v := range coordinates {
		if i > 0 && v > -0.05 {
			w.b = append(w.b, ' ')
		}
		w.number(v)
	}
}

// classNames are what can stand in a class attribute.
var classNames = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9_-]*( [a-zA-Z][a-zA-Z0-9_-]*)*$`)

// class adds the class of the series at a place, and the caller's.
func (w *page) class(place int, name string) {
	w.raw("s", strconv.Itoa(min(place, 5)+1))
	w.classToo(name)
}

// classToo adds a class of the caller after others.
func (w *page) classToo(name string) {
	if classNames.MatchString(name) {
		w.raw(" ", name)
	}
}

func (w *page) html() template.HTML {
	return template.HTML(w.b) //nolint:gosec // what is not of this package was escaped by text; TestHostileText and FuzzChart hold that
}
