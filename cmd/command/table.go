package command

import (
	"strings"
	"unicode/utf8"
)

const (
	maxNameColumn = 28 // a longer name has a line of its own
	maxColumn     = 26 // of the columns between the first and the last
)

// table prints rows in columns that fit the width of a terminal. The first column is never cut, because it is copied; the others are:
// --json has them whole. The last one takes what is left.
func (g *globals) table(rows [][]string) { g.tableWith(rows, nil) }

// tableWith is table with a note for each row, in a line below it; an empty one has none.
func (g *globals) tableWith(rows [][]string, notes []string) {
	if len(rows) == 0 {
		g.printf("none\n")
		return
	}
	columns := len(rows[0])
	widths := make([]int, columns)
	for _, row := range rows {
		for i, cell := range row[:columns-1] {
			n := utf8.RuneCountInString(cell)
			if i > 0 {
				n = min(n, maxColumn)
			}
			if i > 0 || n <= maxNameColumn {
				widths[i] = max(widths[i], n)
			}
		}
	}
	left := width
	for _, n := range widths[:columns-1] {
		left -= n + 2
	}
	for n, row := range rows {
		var b strings.Builder
		for i, cell := range row {
			switch {
			case i == columns-1:
				cell = clipped(cell, left)
			case i > 0:
				cell = clipped(cell, widths[i])
			case utf8.RuneCountInString(cell) > widths[0]:
				b.WriteString(cell + "\n")
				cell = ""
			}
			b.WriteString(cell)
			if i < columns-1 {
				b.WriteString(strings.Repeat(" ", max(0, widths[i]-utf8.RuneCountInString(cell))+2))
			}
		}
		for line := range strings.Lines(b.String()) {
			if line = strings.TrimRight(line, " \n"); line != "" {
				g.printf("%s\n", line)
			}
		}
		if notes != nil && notes[n] != "" {
			g.printf("  %s\n", clipped(notes[n], width-2))
		}
	}
}

// wholeTable prints rows in columns of which nothing is cut. What does not fit the width of a terminal is in a line below, as columns too.
func (g *globals) wholeTable(rows [][]string) {
	if len(rows) == 0 {
		g.printf("none\n")
		return
	}
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	begins := make([]bool, len(widths)) // the columns that begin a line
	used := widths[0]
	for i := 1; i < len(widths); i++ {
		if widths[i] == 0 {
			continue
		}
		if used += 2 + widths[i]; used > width {
			begins[i], used = true, 2+widths[i]
		}
	}
	var b strings.Builder
	for _, row := range rows {
		line := ""
		for i, cell := range row {
			switch {
			case begins[i]:
				b.WriteString(strings.TrimRight(line, " ") + "\n")
				line = "  "
			case i > 0 && widths[i] > 0:
				line += "  "
			}
			line += cell + strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
		}
		if line = strings.TrimRight(line, " "); line != "" {
			b.WriteString(line + "\n")
		}
	}
	g.printf("%s", folded(b.String()))
}

// nameOf is a name in a list, with its tenant where the list is of all tenants.
func (g *globals) nameOf(tenant, name string) string {
	if g.tenant == everyTenant {
		return tenant + "/" + name
	}
	return name
}

// clipped cuts a text to so many characters, in one line.
func clipped(text string, most int) string {
	text = strings.Join(strings.Fields(text), " ")
	if utf8.RuneCountInString(text) <= most {
		return text
	}
	return string([]rune(text)[:max(0, most-1)]) + "…"
}
