package document

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// Widths of what YAML writes: a list of scalars stands on one line up to flowWidth, and a longer text is broken after textWidth bytes,
// because a stored document has no longer lines than maxStoredLine.
const (
	flowWidth = 80
	textWidth = maxStoredLine / 4
)

// YAML returns the node as lines of YAML in block style, each indented by so many spaces. Parse reads the same values from it.
func (n *Node) YAML(indent int) string {
	var b strings.Builder
	writeYAML(&b, n, indent)
	return b.String()
}

func writeYAML(b *strings.Builder, n *Node, indent int) {
	pad := strings.Repeat(" ", indent)
	switch {
	case n.Kind == Mapping && len(n.Pairs) > 0:
		for _, p := range n.Pairs {
			b.WriteString(pad + yamlText(p.Key.Text, indent) + ":")
			writeBelow(b, p.Value, indent)
		}
	case n.Kind == List && len(n.Items) > 0:
		for _, item := range n.Items {
			if flow, ok := flowYAML(item, indent); ok {
				b.WriteString(pad + "- " + flow + "\n")
				continue
			}
			below := item.YAML(indent + 2)
			b.WriteString(pad + "- " + below[indent+2:])
		}
	default:
		flow, _ := flowYAML(n, indent)
		b.WriteString(pad + flow + "\n")
	}
}

// writeBelow writes the value of a key, behind its colon.
func writeBelow(b *strings.Builder, n *Node, indent int) {
	if lines, ok := blockYAML(n, indent+2); ok {
		b.WriteString(" " + lines)
		return
	}
	if flow, ok := flowYAML(n, indent+2); ok {
		b.WriteString(" " + flow + "\n")
		return
	}
	b.WriteString("\n")
	writeYAML(b, n, indent+2)
}

// flowYAML returns a scalar, an empty value or a short list of scalars as it stands behind a key.
func flowYAML(n *Node, indent int) (string, bool) {
	switch {
	case n.Kind == Null:
		return "null", true
	case n.Kind == Mapping:
		return "{}", len(n.Pairs) == 0
	case n.Kind == Scalar && n.Style == Plain:
		return n.Text, true // a number or a boolean
	case n.Kind == Scalar:
		return yamlText(n.Text, indent), true
	}
	parts := make([]string, len(n.Items))
	width := indent
	for i, item := range n.Items {
		if item.Kind != Scalar {
			return "", false
		}
		parts[i], _ = flowYAML(item, indent)
		if width += len(parts[i]) + 2; width > flowWidth {
			return "", false
		}
	}
	return "[" + strings.Join(parts, ", ") + "]", true
}

// plainText matches texts that need no quotes, wherever they stand, but for the words that mean something else.
var (
	plainText  = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.*/<>=()+-]*( [A-Za-z0-9_.*/<>=()+-]+)*$`)
	otherWords = []string{"y", "n", "yes", "no", "on", "off", "true", "false", "null"}
)

// yamlText returns a text with quotes where it needs them.
func yamlText(text string, indent int) string {
	if len(text) <= textWidth && plainText.MatchString(text) && !slices.Contains(otherWords, strings.ToLower(text)) {
		return text
	}
	if len(text) <= textWidth {
		return quoted(text)
	}
	var b strings.Builder
	b.WriteByte('"')
	for first := true; text != ""; first = false {
		end := min(textWidth, len(text))
		for end < len(text) && !utf8.RuneStart(text[end]) {
			end++
		}
		part := quoted(text[:end])
		part, text = part[1:len(part)-1], text[end:]
		if !first {
			b.WriteString("\\\n" + strings.Repeat(" ", indent+2))
			if strings.HasPrefix(part, " ") { // spaces at the beginning of a line do not count
				b.WriteByte('\\')
			}
		}
		b.WriteString(part)
	}
	b.WriteByte('"')
	return b.String()
}

// quoted returns a text in double quotes, as JSON and YAML have them.
func quoted(text string) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(text) // a text can be written
	var out strings.Builder
	for _, r := range strings.TrimSuffix(b.String(), "\n") {
		if control(r) { // JSON allows some characters that YAML does not
			const digits = "0123456789abcdef"
			out.WriteString(`\u`)
			for shift := 12; shift >= 0; shift -= 4 {
				out.WriteByte(digits[r>>shift&15])
			}
			continue
		}
		out.WriteRune(r)
	}
	return out.String()
}

// blockYAML returns a text of several lines as a block, where it has nothing that a block would change.
func blockYAML(n *Node, indent int) (string, bool) {
	if n.Kind != Scalar || n.Style == Plain {
		return "", false
	}
	text, head := strings.TrimSuffix(n.Text, "\n"), "|"
	if text == n.Text {
		head = "|-"
	}
	lines := strings.Split(text, "\n")
	if len(lines) < 2 || lines[0] == "" || lines[len(lines)-1] == "" || strings.ContainsFunc(text, func(r rune) bool { return r != '\n' && (r == '\t' || r == '\r' || control(r)) }) {
		return "", false
	}
	for _, line := range lines {
		if strings.HasSuffix(line, " ") || len(line) > textWidth || !utf8.ValidString(line) {
			return "", false
		}
	}
	if lines[0][0] == ' ' {
		return "", false
	}
	var b strings.Builder
	b.WriteString(head + "\n")
	for _, line := range lines {
		if line != "" {
			b.WriteString(strings.Repeat(" ", indent) + line)
		}
		b.WriteByte('\n')
	}
	return b.String(), true
}

// Find returns the node that a path of keys and places in lists leads to, and as much of the path as it follows.
func (n *Node) Find(loc []any) *Node {
	for _, step := range loc {
		var child *Node
		switch step := step.(type) {
		case string:
			child = n.Key(step)
		case int:
			if n.Kind == List && step >= 0 && step < len(n.Items) {
				child = n.Items[step]
			}
		}
		if child == nil {
			return n
		}
		n = child
	}
	return n
}
