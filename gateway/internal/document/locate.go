package document

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// place is the position of a byte of a scalar's text; line and column count from 1.
type place struct{ line, column int }

// width returns how many characters of its first line a node takes: for a scalar all, including quotes; for a list or mapping
// its first key or bracket.
func (n *Node) width() int {
	switch {
	case n.placed:
		return 1
	case n.wide > 0:
		return int(n.wide)
	case n.Kind == Mapping && len(n.Pairs) > 0 && n.Pairs[0].Key.At == n.At:
		return n.Pairs[0].Key.width()
	case n.Kind != Scalar:
		return 1
	case n.Style == Literal || n.Style == Folded:
		return 1
	}
	_, end := n.places()
	if end.line != n.At.Line {
		return max(1, utf8.RuneCountInString(strings.TrimRight(n.file.line(n.At.Line), " "))-n.At.Column+1)
	}
	return max(1, end.column-n.At.Column)
}

// locate returns the position in the file of bytes of Text. Bytes that come from a ${NAME} are located at its `${`.
func (n *Node) locate(offset, length int) (line, column, width int) {
	if n.placed {
		return n.At.Line, n.At.Column, 1
	}
	places, end := n.places()
	places = append(places, end)
	at := func(offset int) int {
		offset = min(max(offset, 0), len(n.Text))
		from := offset
		for _, s := range n.spans {
			if s.at > offset {
				break
			}
			from = s.from
			if !s.replaced {
				from += offset - s.at
			}
		}
		return min(from, len(places)-1)
	}
	start := places[at(offset)]
	if length <= 0 {
		return start.line, start.column, 1
	}
	last := places[at(offset+length-1)]
	if last.line != start.line { // the caret stays on one line
		rest := utf8.RuneCountInString(strings.TrimRight(n.file.line(start.line), " ")) - start.column + 1
		return start.line, start.column, max(1, rest)
	}
	return start.line, start.column, max(1, last.column-start.column+1)
}

// places returns the position of every byte of a scalar's text, and of its end, by walking its source. Positions are exact
// within a line; if YAML folds lines, the position of white space may be off.
func (n *Node) places() ([]place, place) {
	w := walk(n.file, n.At.Line, n.At.Column)
	text := n.Written()
	switch n.Style {
	case Single, Double:
		w.skipTo('\'', '"')
		w.next()
	case Literal, Folded:
		w.block()
	case Plain:
		w.anchor()
	}
	places := make([]place, 0, len(text))
	for _, r := range text {
		at := w.find(r, n.Style)
		for range utf8.RuneLen(r) {
			places = append(places, at)
		}
	}
	if n.Style == Single || n.Style == Double {
		w.next()
	}
	return places, place{w.line, w.column}
}

// walker is a cursor in the source that moves forward.
type walker struct {
	file         *file
	line, column int
	rest         string // of the line, from column on
	indent       int    // of a block scalar's lines
}

// walk returns a walker at a position.
func walk(f *file, line, column int) *walker {
	w := &walker{file: f}
	w.to(line, column)
	return w
}

func (w *walker) to(line, column int) {
	w.line, w.column, w.rest = line, 1, ""
	if line >= 1 && line <= len(w.file.lines) {
		w.rest = w.file.lines[line-1]
	}
	w.skip(column - 1)
}

// skip moves forward within the line.
func (w *walker) skip(characters int) {
	for range characters {
		_, size := utf8.DecodeRuneInString(w.rest)
		w.rest = w.rest[size:]
		w.column++
	}
}

// peek returns the current character: newline at the end of a line, 0 after the last line.
func (w *walker) peek() rune {
	if w.line < 1 || w.line > len(w.file.lines) {
		return 0
	}
	if w.rest == "" {
		return '\n'
	}
	r, _ := utf8.DecodeRuneInString(w.rest)
	return r
}

func (w *walker) next() rune {
	r := w.peek()
	switch r {
	case 0:
	case '\n':
		w.to(w.line+1, 1+w.indent)
	default:
		w.skip(1)
	}
	return r
}

func (w *walker) skipTo(any ...rune) {
	for {
		r := w.peek()
		if slices.Contains(any, r) {
			return
		}
		if r == 0 {
			return
		}
		w.next()
	}
}

func (w *walker) blank() {
	for r := w.peek(); r == ' ' || r == '\t' || r == '\n'; r = w.peek() {
		w.next()
	}
}

// anchor skips an anchor before a value, and comments after the anchor.
func (w *walker) anchor() {
	if w.peek() != '&' {
		return
	}
	for w.peek() != ' ' && w.peek() != '\t' && w.peek() != '\n' && w.peek() != 0 {
		w.next()
	}
	for w.blank(); w.peek() == '#'; w.blank() {
		w.skipTo('\n')
	}
}

// block moves to the first line of a block scalar and determines its indentation.
func (w *walker) block() {
	for line := w.line + 1; line <= len(w.file.lines); line++ {
		text := w.file.lines[line-1]
		if trimmed := strings.TrimLeft(text, " "); trimmed != "" {
			w.indent = len(text) - len(trimmed)
			break
		}
	}
	w.to(w.line+1, 1+w.indent)
}

// find returns the position of the text's next character in the source, and moves past it.
func (w *walker) find(r rune, style Style) place {
	here := place{w.line, w.column}
	switch got := w.peek(); {
	case style == Single && got == '\'' && r == '\'':
		w.next()
		w.next()
		return here
	case style == Double && got == '\\':
		w.next()
		switch e := w.next(); e {
		case '\n': // an escaped line end adds nothing to the text
			w.blank()
			return w.find(r, style)
		case 'x':
			w.skip(2)
		case 'u':
			w.skip(4)
			if r > 0xffff { // JSON writes it as two
				w.skip(len(`\uXXXX`))
			}
		case 'U':
			w.skip(8)
		}
		return here
	case got == r:
		w.next()
		return here
	case r == ' ' || r == '\n': // a fold
		w.blank()
		return here
	case got == ' ' || got == '\t' || got == '\n':
		w.blank()
		here = place{w.line, w.column}
		if w.peek() == r || (style == Double && w.peek() == '\\') {
			return w.find(r, style)
		}
	}
	return here
}
