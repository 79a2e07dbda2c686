package document

import (
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// Comment is a comment of a file.
type Comment struct {
	// Position is that of its `#`.
	Position
	// Text is what follows the `#`, with its white space.
	Text string
	// Alone reports that it has a line for itself.
	Alone bool

	file *file
}

// Comments returns the comments of the file that begin with a word, in the order written; at most one of a line. n is the root of the
// file. A text that only looks like a comment, in quotes or in a block, is none.
func (n *Node) Comments(word string) []Comment {
	begin := regexp.MustCompile(`(?:^|[ \t])#[ \t]*` + regexp.QuoteMeta(word))
	var all []Comment
	var texts map[int][]mask // by line
	for i, line := range n.file.lines {
		if !strings.Contains(line, word) {
			continue
		}
		if texts == nil {
			texts = map[int][]mask{}
			for _, m := range n.texts(nil) {
				texts[m.line] = append(texts[m.line], m)
			}
		}
		for _, at := range begin.FindAllStringIndex(line, -1) {
			hash := at[0] + strings.IndexByte(line[at[0]:], '#')
			column := utf8.RuneCountInString(line[:hash]) + 1
			if !within(texts[i+1], column) {
				all = append(all, Comment{Position{n.file.name, i + 1, column}, line[hash+1:], strings.TrimSpace(line[:hash]) == "", n.file})
				break
			}
		}
	}
	return all
}

// FaultAt returns a fault at a part of the comment's text; offset and length are in bytes.
func (c Comment) FaultAt(offset, length int, message, remedy string) Fault {
	column := c.Column + 1 + utf8.RuneCountInString(c.Text[:offset])
	return c.file.fault(c.Line, column, utf8.RuneCountInString(c.Text[offset:offset+length]), message, remedy)
}

// Below returns the first line that follows a comment which has lines for itself, and those of other comments directly below it. It is
// 0 if that line is empty, or if there is none.
func (c Comment) Below() int {
	for i := c.Line; i < len(c.file.lines); i++ {
		line := strings.TrimSpace(c.file.lines[i])
		if strings.HasPrefix(line, "#") {
			continue
		}
		if line == "" {
			break
		}
		return i + 1
	}
	return 0
}

func within(texts []mask, column int) bool {
	return slices.ContainsFunc(texts, func(m mask) bool { return m.column <= column && column < m.column+m.length })
}

// texts returns where the texts of a tree stand.
func (n *Node) texts(all []mask) []mask {
	if n.Kind == Scalar && !n.placed {
		all = append(all, n.textAt()...)
	}
	for _, item := range n.Items {
		all = item.texts(all)
	}
	for _, p := range n.Pairs {
		all = p.Value.texts(p.Key.texts(all))
	}
	return all
}

// textAt returns where a scalar stands. What follows the last character on its line is no part of it, as it is of extent.
func (n *Node) textAt() []mask {
	if n.Style != Plain || n.wide > 0 {
		return n.extent()
	}
	_, end := n.places()
	return masks(place{n.At.Line, n.At.Column}, end)
}

// Lines returns the first and the last line of a value.
func (n *Node) Lines() (first, last int) {
	if n.placed {
		return n.At.Line, n.At.Line
	}
	first, last = n.At.Line, n.At.Line
	if n.Kind == Scalar {
		for _, m := range n.textAt() {
			last = max(last, m.line)
		}
	}
	for _, item := range n.Items {
		_, end := item.Lines()
		last = max(last, end)
	}
	for _, p := range n.Pairs {
		_, end := p.Value.Lines()
		last = max(last, end, p.Key.At.Line)
	}
	return first, last
}

// EndOf returns the last line of the texts that begin on a line: a block goes on below it.
func (n *Node) EndOf(line int) int {
	last := line
	if n.Kind == Scalar && n.At.Line == line {
		_, end := n.Lines()
		last = max(last, end)
	}
	for _, item := range n.Items {
		last = max(last, item.EndOf(line))
	}
	for _, p := range n.Pairs {
		last = max(last, p.Value.EndOf(line))
	}
	return last
}
