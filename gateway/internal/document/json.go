package document

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"
)

// isJSON reports whether a text is JSON, which is then read as JSON: YAML refuses some of it, such as \ud83d\ude00.
func isJSON(text []byte) bool { return utf8.Valid(text) && json.Valid(text) }

// jsonReader converts a text that is valid JSON to nodes.
type jsonReader struct {
	file         *file
	text         string
	at           int
	line, column int
	faults       Faults
}

// readJSON reads a text that is valid JSON.
func readJSON(f *file, text string) (*Node, Faults) {
	r := jsonReader{file: f, text: text, line: 1, column: 1}
	n := r.value(0)
	if len(r.faults) > 0 {
		return nil, f.guard(r.faults)
	}
	if n.Kind == Null {
		n = &Node{Kind: Mapping, At: n.At, file: f}
	}
	return n, nil
}

func (r *jsonReader) blank() {
	for r.at < len(r.text) {
		switch r.text[r.at] {
		case '\n':
			r.line, r.column = r.line+1, 0
		case ' ', '\t', '\r':
		default:
			return
		}
		r.skip(1)
	}
}

// skip moves past characters of one byte each.
func (r *jsonReader) skip(n int) { r.at, r.column = r.at+n, r.column+n }

// peek returns the next character that is no white space.
func (r *jsonReader) peek() byte {
	r.blank()
	return r.text[r.at]
}

func (r *jsonReader) value(depth int) *Node {
	first := r.peek()
	n := &Node{At: Position{r.file.name, r.line, r.column}, file: r.file}
	switch first {
	case '{':
		n.Kind = Mapping
	case '[':
		n.Kind = List
	case '"':
		n.Kind, n.Style = Scalar, Double
		n.Text = r.string()
		n.wide = int32(r.column - n.At.Column)
		return n
	default:
		end := r.at
		for end < len(r.text) && strings.IndexByte(",]} \t\r\n", r.text[end]) < 0 {
			end++
		}
		if text := r.text[r.at:end]; text != "null" {
			n.Kind, n.Text, n.wide = Scalar, strings.Clone(text), int32(len(text))
		}
		r.skip(end - r.at)
		return n
	}
	if r.skip(1); depth >= MaxDepth && len(r.faults) == 0 {
		r.faults = append(r.faults, n.Fault(fmt.Sprintf("values are nested more than %d levels deep", MaxDepth), "write it with fewer levels"))
	}
	seen := map[string]bool{}
	for r.peek() != '}' && r.text[r.at] != ']' {
		if n.Kind == List {
			n.addItem(r.value(depth + 1))
		} else {
			key := r.value(depth + 1)
			r.peek()
			r.skip(1) // the colon
			value := r.value(depth + 1)
			n.addPair(key, value)
			if seen[key.Text] && len(r.faults) == 0 {
				r.faults = append(r.faults, key.Fault(fmt.Sprintf("`%s` is written twice here", key.Text), "keep one"))
			}
			seen[key.Text] = true
		}
		if r.peek() == ',' {
			r.skip(1)
		}
	}
	r.skip(1)
	return n
}

// string reads a text in quotes.
func (r *jsonReader) string() string {
	start := r.at
	r.skip(1)
	escaped := false
	for r.text[r.at] != '"' {
		if r.text[r.at] == '\\' {
			escaped = true
			r.skip(2)
			continue
		}
		_, size := utf8.DecodeRuneInString(r.text[r.at:])
		r.at, r.column = r.at+size, r.column+1
	}
	r.skip(1)
	if !escaped {
		return strings.Clone(r.text[start+1 : r.at-1]) // which would keep the whole text
	}
	var text string
	_ = json.Unmarshal([]byte(r.text[start:r.at]), &text) // cannot fail: the text is valid
	return text
}
