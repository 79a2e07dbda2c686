package document

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Position is a position in a file. Lines and columns count from 1, columns in characters. Line 0 means the whole file.
type Position struct {
	File   string `json:"file"`
	Line   int    `json:"line,omitempty"`
	Column int    `json:"column,omitempty"`
}

// String returns file:line:column, which editors and terminals turn into a link.
func (p Position) String() string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
}

// Fault is one problem with its position and a remedy.
type Fault struct {
	Position
	// Length is how many characters the caret underlines.
	Length  int    `json:"length,omitempty"`
	Message string `json:"message"`
	// Code names the kind of a warning, such as SG1101; empty for what makes a configuration invalid.
	Code   string `json:"code,omitempty"`
	Remedy string `json:"remedy,omitempty"`
	// Page is a documentation page about the problem; may be empty.
	Page string `json:"page,omitempty"`
	// Loc is the path of the value within a stored document: keys (string) and places in lists (int), such as "send", 0, "crm".
	// The last may be a key that is missing. It is empty for the whole document, and nil in a file.
	Loc []any `json:"loc,omitempty"`
	// Within is the part of the value at Loc: the offsets of its beginning and its end. nil: all of it.
	Within *[2]int `json:"-"`

	file *file
	// excerpt replaces file in a detached fault; see Detached.
	excerpt *excerpt
}

// Faults is an error that holds all faults.
type Faults []Fault

// At returns a fault of a whole file, or of a setting outside any file, such as a flag.
func At(file, message, remedy string) Fault {
	return Fault{Position: Position{File: file}, Message: message, Remedy: remedy}
}

// Source returns the line as written, with secrets masked. Of a detached fault it returns the part that String shows.
func (f Fault) Source() string {
	switch {
	case f.excerpt != nil:
		return f.excerpt.text
	case f.file == nil:
		return ""
	}
	return f.file.line(f.Line)
}

const (
	maxShown  = 140 // characters of a source line that are shown
	maxBefore = 60  // characters kept before the caret when a line is longer than that
)

// excerpt is the part of a line that a fault shows; column is the caret's, from 0.
type excerpt struct {
	text   string
	column int
}

// shown returns the part of the line that is shown.
func (f Fault) shown() excerpt {
	if f.excerpt != nil {
		return *f.excerpt
	}
	source := []rune(f.Source())
	column := min(max(f.Column-1, 0), len(source))
	if len(source) > maxShown {
		start := max(0, column-maxBefore)
		end := min(len(source), start+maxShown)
		shown := append([]rune{}, source[start:end]...)
		if start > 0 {
			shown[0] = '…'
		}
		if end < len(source) {
			shown[len(shown)-1] = '…'
		}
		source, column = shown, column-start
	}
	return excerpt{string(source), column}
}

// Detached returns the fault without its file: it keeps the part of the line that it shows, and not the whole text.
func (f Fault) Detached() Fault {
	if f.Line > 0 && f.file != nil {
		shown := f.shown()
		f.excerpt = &excerpt{strings.Clone(shown.text), shown.column}
	}
	f.file = nil
	return f
}

// String shows the position, the line, a caret under the faulty part, and the remedy beside it.
func (f Fault) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s", f.Position, f.Message)
	if f.Code != "" {
		fmt.Fprintf(&b, " [%s]", f.Code)
	}
	if f.Line == 0 || f.file == nil && f.excerpt == nil {
		if f.Remedy != "" {
			b.WriteString("\n    " + f.Remedy)
		}
		return b.String()
	}
	shown := f.shown()
	source, column := []rune(shown.text), shown.column
	length := max(f.Length, 1)
	if column < len(source) {
		length = min(length, len(source)-column)
	} else {
		length = 1
	}
	// Tabs are repeated before the caret, so that it is aligned whatever the tab width.
	pad := make([]rune, column)
	for i := range pad {
		pad[i] = ' '
		if source[i] == '\t' {
			pad[i] = '\t'
		}
	}
	fmt.Fprintf(&b, "\n%5d | %s\n      | %s^%s", f.Line, printable(source), string(pad), strings.Repeat("~", length-1))
	if f.Remedy != "" {
		b.WriteString(" " + f.Remedy)
	}
	return b.String()
}

// printable replaces control characters, so that a file cannot control the terminal.
func printable(source []rune) string {
	return strings.Map(func(r rune) rune {
		if (r < ' ' && r != '\t') || (r >= 0x7f && r < 0xa0) || r == utf8.RuneError {
			return '�'
		}
		return r
	}, strings.TrimRight(string(source), "\r "))
}

// Error shows all faults, sorted, and the pages that explain them, each once.
func (f Faults) Error() string {
	texts := make([]string, len(f), len(f)+1)
	var pages []string
	for i, fault := range f.Sorted() {
		texts[i] = fault.String()
		if fault.Page != "" && !slices.Contains(pages, fault.Page) {
			pages = append(pages, fault.Page)
			texts = append(texts, "see "+fault.Page)
		}
	}
	return strings.Join(texts, "\n")
}

// Sorted returns the faults sorted by file and position, without duplicates.
func (f Faults) Sorted() Faults {
	sorted := slices.Clone(f)
	slices.SortStableFunc(sorted, func(a, b Fault) int {
		return cmp.Or(strings.Compare(a.File, b.File), a.Line-b.Line, a.Column-b.Column)
	})
	return slices.CompactFunc(sorted, func(a, b Fault) bool {
		return a.Position == b.Position && a.Message == b.Message && slices.Equal(a.Loc, b.Loc)
	})
}

// file is a parsed file; faults show its lines.
type file struct {
	name  string
	lines []string
	masks []mask // positions of secrets
	// secrets are their texts, which a comment may repeat.
	secrets []string
	// stored marks a document of the store: its faults have a path.
	stored bool

	// masked and maskedLine remember the line of a stored document that was shown last: it may be long, and have many faults. Such
	// faults are shown by one goroutine until they are detached.
	masked     lineState
	maskedLine string
}

// lineState is a line's number, and how many masks and secrets the file had when it was masked.
type lineState struct{ line, masks, secrets int }

// mask hides characters of a line; columns count from 1.
type mask struct{ line, column, length int }

func newFile(name string, text string) *file {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	return &file{name: name, lines: strings.Split(text, "\n")}
}

// line returns the text of a line. Secrets are replaced by asterisks, so that columns do not move.
func (f *file) line(number int) string {
	if number < 1 || number > len(f.lines) {
		return ""
	}
	if !f.stored { // several may show faults of a file at once
		return f.mask(number)
	}
	if is := (lineState{number, len(f.masks), len(f.secrets)}); f.masked != is {
		f.masked, f.maskedLine = is, f.mask(number)
	}
	return f.maskedLine
}

func (f *file) mask(number int) string {
	text := f.redacted(f.lines[number-1])
	var runes []rune
	for _, m := range f.masks {
		if m.line != number {
			continue
		}
		if runes == nil {
			runes = []rune(text)
		}
		for i := m.column - 1; i >= 0 && i < len(runes) && i < m.column-1+m.length; i++ {
			runes[i] = '*'
		}
	}
	if runes == nil {
		return text
	}
	return string(runes)
}

func (f *file) fault(line, column, length int, message, remedy string) Fault {
	return Fault{Position: Position{f.name, line, column}, Length: length, Message: message, Remedy: remedy, file: f}
}
