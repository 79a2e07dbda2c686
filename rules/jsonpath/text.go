package jsonpath

import (
	"bytes"
	"unicode/utf8"
)

// unquote returns the text of a quoted JSON string. Lone surrogates and bytes that are not UTF-8 become U+FFFD.
func unquote(b []byte) string {
	inner := inside(b)
	if plain(inner) {
		return string(inner)
	}
	return string(appendUnquoted(make([]byte, 0, len(inner)), inner))
}

// IsText reports whether Text is lossless: the string is valid UTF-8 and has no lone surrogate. Otherwise Text replaces the
// invalid parts by U+FFFD, so that two different strings may have the same text. It is true for values that are not strings.
func (r Result) IsText() bool {
	if r.kind != String || r.plain {
		return true
	}
	inner := inside(r.raw)
	if plain(inner) {
		return true
	}
	if !utf8.Valid(inner) {
		return false
	}
	for i := 0; i < len(inner); i++ {
		if inner[i] != '\\' {
			continue
		}
		if i++; i >= len(inner) || inner[i] != 'u' {
			continue
		}
		unit, _ := hex4(inner, i+1)
		i += 4
		if unit < 0xD800 || unit >= 0xE000 {
			continue
		}
		low, ok := rune(0), false
		if i+6 < len(inner) && inner[i+1] == '\\' && inner[i+2] == 'u' {
			low, ok = hex4(inner, i+3)
		}
		if unit >= 0xDC00 || !ok || low < 0xDC00 || low >= 0xE000 {
			return false
		}
		i += 6
	}
	return true
}

// plain reports whether the inside of a string is valid UTF-8 without escapes, so that it equals the string's text.
func plain(inner []byte) bool {
	for i, c := range inner {
		if c == '\\' {
			return false
		}
		if c >= utf8.RuneSelf {
			return bytes.IndexByte(inner[i:], '\\') < 0 && utf8.Valid(inner[i:])
		}
	}
	return true
}

// inside returns a string's bytes without its quotes.
func inside(b []byte) []byte {
	if len(b) < 2 {
		return nil
	}
	return b[1 : len(b)-1]
}

func appendUnquoted(out, in []byte) []byte {
	for i := 0; i < len(in); {
		c := in[i]
		if c != '\\' {
			if c < utf8.RuneSelf {
				out = append(out, c)
				i++
				continue
			}
			r, n := utf8.DecodeRune(in[i:])
			out = utf8.AppendRune(out, r) // an invalid byte is U+FFFD here
			i += n
			continue
		}
		if i++; i >= len(in) {
			break
		}
		switch in[i] {
		case 'b':
			out = append(out, '\b')
		case 'f':
			out = append(out, '\f')
		case 'n':
			out = append(out, '\n')
		case 'r':
			out = append(out, '\r')
		case 't':
			out = append(out, '\t')
		case 'u':
			r, _ := hex4(in, i+1)
			i += 4
			if r >= 0xD800 && r < 0xDC00 && i+6 < len(in) && in[i+1] == '\\' && in[i+2] == 'u' {
				if low, ok := hex4(in, i+3); ok && low >= 0xDC00 && low < 0xE000 {
					r = 0x10000 + ((r-0xD800)<<10 | (low - 0xDC00))
					i += 6
				}
			}
			out = utf8.AppendRune(out, r)
		default:
			out = append(out, in[i])
		}
		i++
	}
	return out
}
