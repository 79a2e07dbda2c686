package event

import "unicode/utf8"

// string copies a string, escaped in the form of JSON.stringify.
func (w *writer) string() error {
	start := w.i + 1
	ascii := true
	for i := start; i < len(w.in); i++ {
		switch c := w.in[i]; {
		case c == '"':
			text := w.in[start:i]
			if !ascii && !utf8.Valid(text) {
				return w.escaped()
			}
			w.out = append(w.out, w.in[w.i:i+1]...)
			w.i = i + 1
			return nil
		case c == '\\':
			return w.escaped()
		case c < ' ':
			w.i = i
			return w.fault()
		case c >= utf8.RuneSelf:
			ascii = false
		}
	}
	w.i = len(w.in)
	return w.fault()
}

// escaped is the slow path of string: it decodes every escape, and escapes only the characters that need it.
func (w *writer) escaped() error {
	w.out = append(w.out, '"')
	for w.i++; w.i < len(w.in); {
		c := w.in[w.i]
		switch {
		case c == '"':
			w.i++
			w.out = append(w.out, '"')
			return nil
		case c < ' ':
			return w.fault()
		case c == '\\':
			if err := w.escape(); err != nil {
				return err
			}
		case c < utf8.RuneSelf:
			w.out = append(w.out, c)
			w.i++
		default:
			r, n := utf8.DecodeRune(w.in[w.i:])
			w.out = utf8.AppendRune(w.out, r)
			w.i += n
		}
	}
	return w.fault()
}

func (w *writer) escape() error {
	if w.i+1 >= len(w.in) {
		return w.fault()
	}
	c := w.in[w.i+1]
	switch c {
	case 'u':
		r, ok := w.unit(w.i)
		if !ok {
			return w.fault()
		}
		w.i += 6
		if r >= 0xD800 && r < 0xDC00 {
			if low, ok := w.unit(w.i); ok && low >= 0xDC00 && low < 0xE000 {
				w.i += 6
				w.out = utf8.AppendRune(w.out, 0x10000+((r-0xD800)<<10|(low-0xDC00)))
				return nil
			}
		}
		w.out = appendRune(w.out, r)
		return nil
	case 'b':
		w.out = append(w.out, `\b`...)
	case 'f':
		w.out = append(w.out, `\f`...)
	case 'n':
		w.out = append(w.out, `\n`...)
	case 'r':
		w.out = append(w.out, `\r`...)
	case 't':
		w.out = append(w.out, `\t`...)
	case '"', '\\':
		w.out = append(w.out, '\\', c)
	case '/':
		w.out = append(w.out, c)
	default:
		return w.fault()
	}
	w.i += 2
	return nil
}

// unit returns the UTF-16 code unit of a \uXXXX at i.
func (w *writer) unit(i int) (rune, bool) {
	if i+6 > len(w.in) || w.in[i] != '\\' || w.in[i+1] != 'u' {
		return 0, false
	}
	n := rune(0)
	for _, c := range w.in[i+2 : i+6] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		n = n<<4 | rune(c)
	}
	return n, true
}

// appendRune appends one character of a string in the form of JSON.stringify. A lone surrogate stays escaped, because UTF-8
// cannot encode it.
func appendRune(out []byte, r rune) []byte {
	const digits = "0123456789abcdef"
	switch {
	case r == '"' || r == '\\':
		return append(out, '\\', byte(r))
	case r == '\b':
		return append(out, `\b`...)
	case r == '\f':
		return append(out, `\f`...)
	case r == '\n':
		return append(out, `\n`...)
	case r == '\r':
		return append(out, `\r`...)
	case r == '\t':
		return append(out, `\t`...)
	case r < ' ' || r >= 0xD800 && r < 0xE000:
		return append(out, '\\', 'u', digits[r>>12&15], digits[r>>8&15], digits[r>>4&15], digits[r&15])
	}
	return utf8.AppendRune(out, r)
}

// appendText appends a Go string as a JSON string. Bytes that are not UTF-8 become U+FFFD.
func appendText(out []byte, s string) []byte {
	return append(appendInner(append(out, '"'), s), '"')
}

// appendInner is appendText without the quotes.
func appendInner(out []byte, s string) []byte {
	plain := plainPrefix(s)
	out = append(out, s[:plain]...)
	for s = s[plain:]; s != ""; {
		if c := s[0]; c < utf8.RuneSelf {
			if c >= ' ' && c != '"' && c != '\\' {
				out = append(out, c)
			} else {
				out = appendRune(out, rune(c))
			}
			s = s[1:]
			continue
		}
		r, n := utf8.DecodeRuneInString(s)
		out = utf8.AppendRune(out, r)
		s = s[n:]
	}
	return out
}

// plainString reports whether a JSON string is plain ASCII that needs no escaping, so that CompactJSON does not change it.
func plainString(raw []byte) bool {
	last := len(raw) - 1
	return last > 0 && raw[0] == '"' && raw[last] == '"' && plainPrefix(raw[1:last]) == last-1
}

// plainPrefix returns the length of the longest prefix that is ASCII and needs no escaping in JSON. It compares eight bytes at
// once.
func plainPrefix[T string | []byte](s T) int {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	i := 0
	for ; i+8 <= len(s); i += 8 {
		w := uint64(s[i]) | uint64(s[i+1])<<8 | uint64(s[i+2])<<16 | uint64(s[i+3])<<24 |
			uint64(s[i+4])<<32 | uint64(s[i+5])<<40 | uint64(s[i+6])<<48 | uint64(s[i+7])<<56
		quote, slash := w^'"'*ones, w^'\\'*ones
		// The top bit of a byte may be set if it is a control character, a quote, a backslash, or not ASCII.
		if ((w-' '*ones)|(quote-ones)|(slash-ones)|w)&highs != 0 {
			break
		}
	}
	for i < len(s) && s[i] >= ' ' && s[i] < utf8.RuneSelf && s[i] != '"' && s[i] != '\\' {
		i++
	}
	return i
}
