package page

import (
	"encoding/json"
	"strings"
)

const (
	// MaxText is how many bytes of a long text, such as the body of an event, a page shows at first; MaxWhole how many where all of it is asked for.
	MaxText  = 32 << 10
	MaxWhole = 256 << 10
	// indentedMost is how many times as long as JSON its form with line breaks may be: deeply nested, it is mostly spaces.
	indentedMost = 8
)

// Excerpt is the beginning of a text, as a page shows it. The zero value is empty.
type Excerpt struct {
	Text string
	// Left is how many bytes of the text are not shown; 0: it is shown whole.
	Left int
	// Indented: line breaks were added to JSON.
	Indented bool
}

// String returns what is shown of the text, with how much is not.
func (e Excerpt) String() string {
	if e.Left == 0 {
		return e.Text
	}
	return e.Text + "\n" + Bytes(e.Left) + " more not shown"
}

// Cut returns the first bytes of a text as they are, at most limit.
func Cut(text string, limit int) Excerpt {
	if len(text) <= limit {
		return Excerpt{Text: text}
	}
	shown := strings.ToValidUTF8(text[:limit], "")
	return Excerpt{Text: shown, Left: len(text) - len(shown)}
}

// Indent returns the beginning of a JSON text with line breaks, at most limit bytes with them. Numbers and the order of fields stay as
// they are. What is no JSON, and what is nested so deeply that line breaks would make it several times as long, is returned as by Cut.
func Indent(text string, limit int) Excerpt {
	if !json.Valid([]byte(text)) {
		return Cut(text, limit)
	}
	out, read := indentUpTo(text, limit)
	if len(out) > indentedMost*read+1024 {
		return Cut(text, limit)
	}
	return Excerpt{Text: out, Left: len(text) - read, Indented: out != text[:read]}
}

// indentUpTo writes valid JSON as json.Indent does, with two spaces, until the output has limit bytes. It returns the output, and how much
// of the text was read for it.
func indentUpTo(text string, limit int) (out string, read int) {
	var b strings.Builder
	b.Grow(min(limit, 2*len(text)))
	depth := 0
	lineBreak := func() {
		b.WriteByte('\n')
		for range min(depth, (limit-b.Len())/2+1) {
			b.WriteString("  ")
		}
	}
	for i := 0; i < len(text); {
		end := i + 1
		switch text[i] {
		case ' ', '\t', '\n', '\r':
			i = end
			continue
		case '"':
			for end < len(text) && text[end] != '"' {
				if text[end] == '\\' {
					end++
				}
				end++
			}
			end++
		}
		if text[i] == '}' || text[i] == ']' {
			depth--
			if b.Len()+2*depth+2 > limit {
				return b.String(), i
			}
		} else if b.Len()+end-i > limit {
			shown := strings.ToValidUTF8(text[i:i+max(0, limit-b.Len())], "")
			b.WriteString(shown)
			return b.String(), i + len(shown)
		}
		switch token := text[i:end]; token {
		case "{", "[":
			b.WriteString(token)
			if next := afterSpace(text, end); next < len(text) && (text[next] == '}' || text[next] == ']') {
				b.WriteByte(text[next])
				end = next + 1
				break
			}
			depth++
			lineBreak()
		case "}", "]":
			lineBreak()
			b.WriteString(token)
		case ",":
			b.WriteByte(',')
			lineBreak()
		case ":":
			b.WriteString(": ")
		default:
			b.WriteString(token)
		}
		i = end
	}
	return b.String(), len(text)
}

// afterSpace returns where the first character at or after from is that is no white space.
func afterSpace(text string, from int) int {
	for from < len(text) && strings.IndexByte(" \t\r\n", text[from]) >= 0 {
		from++
	}
	return from
}
