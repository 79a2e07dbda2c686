package command

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
)

// width is the maximum width of a line, which every terminal can show.
const width = 80

// narrow wraps the help of a command and its subcommands. Lines that begin with a blank are commands to copy, and are not wrapped. A
// line that begins with `- ` starts a list item.
func narrow(c *cobra.Command) {
	for _, child := range c.Commands() {
		narrow(child)
	}
	var b strings.Builder
	for i, paragraph := range strings.Split(c.Long, "\n\n") {
		if i > 0 {
			b.WriteString("\n\n")
		}
		column, indent := 0, ""
		for line := range strings.Lines(paragraph) {
			if line[0] == ' ' || line[0] == '\t' {
				if column > 0 {
					b.WriteByte('\n')
				}
				b.WriteString(strings.TrimRight(line, "\n"))
				column = width
				continue
			}
			if strings.HasPrefix(line, "- ") && column > 0 {
				b.WriteByte('\n')
				column = 0
			}
			for word := range strings.FieldsSeq(line) {
				n := utf8.RuneCountInString(word)
				switch {
				case column == 0:
					if indent = ""; word == "-" {
						indent = "  "
					}
				case column+1+n > width:
					b.WriteString("\n" + indent)
					column = len(indent)
				default:
					b.WriteByte(' ')
					column++
				}
				b.WriteString(word)
				column += n
			}
		}
	}
	c.Long = b.String()
}

// folded breaks lines that are wider than a terminal between words, and indents what follows a little more than the line. A command to
// copy at the end of a line gets a line of its own. A word that is wider than a line, such as a path, stays where it is.
func folded(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		end := ""
		if strings.HasSuffix(line, "\n") {
			line, end = line[:len(line)-1], "\n"
		}
		indent := line[:len(line)-len(strings.TrimLeft(line, " "))] + "  "
		if strings.HasPrefix(line, "# ") {
			indent = "#   "
		}
		for utf8.RuneCountInString(line) > width {
			runes := []rune(line)
			at := width
			for at > len(indent) && runes[at] != ' ' {
				at--
			}
			if at <= len(indent) {
				break
			}
			before, command, found := strings.Cut(line, " surveygate ")
			if n := utf8.RuneCountInString(before); found && n > len(indent) && n < at && len(indent)+len("surveygate ")+utf8.RuneCountInString(command) <= width {
				at = n
			}
			if word, _, _ := strings.Cut(strings.TrimLeft(string(runes[at:]), " "), " "); len(indent)+utf8.RuneCountInString(word) > width {
				break // it would be as wide in a line of its own
			}
			b.WriteString(strings.TrimRight(string(runes[:at]), " ") + "\n")
			line = indent + strings.TrimLeft(string(runes[at:]), " ")
		}
		b.WriteString(line + end)
	}
	return b.String()
}

// say prints whole lines for a person, folded.
func (g *globals) say(format string, args ...any) {
	g.printf("%s", folded(fmt.Sprintf(format, args...)))
}
