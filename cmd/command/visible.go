package command

import (
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// visible is where a person reads: control characters are written out, except those that end lines and columns. What
// is shown may come from anybody, as the body of a refused request does, and a terminal obeys what it prints.
type visible struct{ to io.Writer }

func (v visible) Write(b []byte) (int, error) {
	text := string(b)
	if strings.IndexFunc(text, steers) < 0 {
		return v.to.Write(b)
	}
	var out strings.Builder
	for i, r := range text {
		switch {
		case !steers(r):
			if _, size := utf8.DecodeRuneInString(text[i:]); size == 1 {
				out.WriteByte(text[i]) // a part of a rune that was cut stays what it is
				continue
			}
			out.WriteRune(r)
		case r < 0x80:
			fmt.Fprintf(&out, `\x%02x`, r)
		default:
			fmt.Fprintf(&out, `\u%04x`, r)
		}
	}
	if _, err := io.WriteString(v.to, out.String()); err != nil {
		return 0, err
	}
	return len(b), nil
}

func steers(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' }
