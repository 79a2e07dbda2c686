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

// folded breaks lines that are wider than a terminal between words, and indents what follows a little more than the line. What has no
// blank, such as a long line of JSON, stays whole.
func folded(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		indent := line[:len(line)-len(strings.TrimLeft(line, " "))] + "  "
		for utf8.RuneCountInString(line) > width {
			runes := []rune(line)
			at := width
			for at > len(indent) && runes[at] != ' ' {
				at--
			}
			if at <= len(indent) {
				break
			}
			b.WriteString(strings.TrimRight(string(runes[:at]), " ") + "\n")
			line = indent + strings.TrimLeft(string(runes[at:]), " ")
		}
		b.WriteString(line + "\n")
	}
	return b.String()
}
