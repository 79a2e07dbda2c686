package command

import (
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
