package document

import (
	"regexp"
	"strings"
	"unicode/utf8"
)

// itemComment matches the comment after an expression whose `#`, the item of a list, was read as a comment.
var itemComment = regexp.MustCompile(`^\s+(#.*\).*)$`)

// itemAsComment finds a `#` after an unquoted expression that was meant as the item of a list.
func (n *Node) itemAsComment() (Fault, bool) {
	if strings.Count(n.Text, "(") <= strings.Count(n.Text, ")") {
		return Fault{}, false
	}
	_, end := n.places()
	if end.line < 1 || end.line > len(n.file.lines) {
		return Fault{}, false
	}
	line := []rune(n.file.lines[end.line-1])
	m := itemComment.FindStringSubmatch(string(line[min(max(end.column-1, 0), len(line)):]))
	if m == nil {
		return Fault{}, false
	}
	whole := strings.TrimSpace(string(line[n.At.Column-1:]))
	column := len(line) - utf8.RuneCountInString(m[1]) + 1
	return n.file.fault(end.line, column, 1, "a `#` after a space begins a comment in YAML", "put the whole text in quotes: "+quoteWhole(whole)), true
}
