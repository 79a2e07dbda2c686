package command

import (
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// visible is a writer for terminals that escapes control characters, except newline and tab. The text may come from strangers, such as the
// body of a refused request, and could otherwise control the terminal.
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
				out.WriteByte(text[i]) // an incomplete rune is written unchanged
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
