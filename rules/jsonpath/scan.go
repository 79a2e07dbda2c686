package jsonpath

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"unicode/utf8"
)

// MaxDepth is the largest nesting depth of JSON from outside: each `[` or `{` is one level.
const MaxDepth = 64

// ErrTooDeep is the error for JSON that nests deeper than allowed.
var ErrTooDeep = errors.New("nested too deep")

// SyntaxError is the error for invalid JSON. Offset is the byte at which it becomes invalid.
type SyntaxError struct{ Offset int }

func (e *SyntaxError) Error() string { return fmt.Sprintf("broken at byte %d", e.Offset) }

// Valid reports whether json is one JSON value that nests no deeper than MaxDepth.
func Valid(json []byte) bool { return Check(json, MaxDepth) == nil }

// Check returns an error unless json is one JSON value that nests no deeper than depth (at most 1023), with optional white space
// around it and an optional byte order mark before it. The error is a *SyntaxError, ErrUTF16 or ErrTooDeep. Check is not
// recursive, so deep nesting cannot exhaust the stack.
func Check(json []byte, depth int) error { return check(json, depth, nil) }

func check(json []byte, depth int, x *Index) error {
	end, err := checkValue(json, start(json), depth, x)
	if err != nil {
		if isUTF16(json) {
			return ErrUTF16
		}
		return err
	}
	if end = space(json, end); end != len(json) {
		return &SyntaxError{end}
	}
	return nil
}

// checkValue checks the value that begins at i and returns its end. It adds all tokens to the index, unless that is nil.
func checkValue(b []byte, i, depth int, x *Index) (int, error) {
	var open uint32               // the token of the object or array around i
	var objects [1024 / 64]uint64 // one bit per level: set for an object
	level := 0
	depth = min(depth, 1023)
value:
	if i >= len(b) {
		return i, &SyntaxError{i}
	}
	switch c := b[i]; {
	case c == '{' || c == '[':
		if level == depth {
			return i, ErrTooDeep
		}
		level++
		if x != nil {
			open = x.open(i, open)
		}
		i = space(b, i+1)
		if c == '[' {
			objects[level>>6] &^= 1 << (level & 63)
			if i < len(b) && b[i] == ']' {
				break
			}
			goto value
		}
		objects[level>>6] |= 1 << (level & 63)
		if i < len(b) && b[i] == '}' {
			break
		}
		goto key
	case c == '"':
		end, plain, ok := checkString(b, i)
		if !ok {
			return end, &SyntaxError{end}
		}
		if x != nil {
			x.add(i, end, plain)
		}
		i = end
	case c == '-' || c >= '0' && c <= '9':
		end, ok := number(b, i)
		if !ok {
			return end, &SyntaxError{end}
		}
		if x != nil {
			x.add(i, end, false)
		}
		i = end
	default:
		n := word(b[i:])
		if n == 0 {
			return i, &SyntaxError{i}
		}
		if x != nil {
			x.add(i, i+n, false)
		}
		i += n
	}
	// After a value: close the objects and arrays that end here, or continue with the next member.
	for level > 0 {
		i = space(b, i)
		if i >= len(b) {
			return i, &SyntaxError{i}
		}
		object := objects[level>>6]&(1<<(level&63)) != 0
		switch {
		case b[i] == ',':
			i = space(b, i+1)
			if object {
				goto key
			}
			goto value
		case b[i] == '}' && object, b[i] == ']' && !object:
			i++
			level--
			if x != nil {
				open = x.close(open, i)
			}
		default:
			return i, &SyntaxError{i}
		}
	}
	return i, nil
key:
	if i >= len(b) || b[i] != '"' {
		return i, &SyntaxError{i}
	}
	end, plain, ok := checkString(b, i)
	if !ok {
		return end, &SyntaxError{end}
	}
	if x != nil {
		x.add(i, end, plain)
	}
	if i = space(b, end); i >= len(b) || b[i] != ':' {
		return i, &SyntaxError{i}
	}
	i = space(b, i+1)
	goto value
}

// mark is the byte order mark that some senders write before UTF-8.
const mark = "\xEF\xBB\xBF"

// start returns the offset of a document's value, after a byte order mark and white space. All functions of this package use it,
// so that they treat a document with a mark in the same way as one without.
func start(b []byte) int {
	if len(b) >= len(mark) && b[0] == mark[0] && string(b[:len(mark)]) == mark {
		return space(b, len(mark))
	}
	return space(b, 0)
}

// TrimBOM returns a document without a leading UTF-8 byte order mark. The functions of this package accept the mark; TrimBOM is
// for other readers of the same bytes.
func TrimBOM(b []byte) []byte { return bytes.TrimPrefix(b, []byte(mark)) }

// ErrUTF16 is the error for a document in UTF-16 or UTF-32. JSON between systems must be UTF-8.
// https://www.rfc-editor.org/rfc/rfc8259#section-8.1
var ErrUTF16 = errors.New("the text is UTF-16 or UTF-32; send UTF-8")

// isUTF16 reports whether bytes begin like UTF-16 or UTF-32: with its byte order mark, or with a NUL beside an ASCII character.
func isUTF16(b []byte) bool {
	if len(b) < 2 {
		return false
	}
	return b[0] == 0xFE && b[1] == 0xFF || b[0] == 0xFF && b[1] == 0xFE ||
		b[0] == 0 && b[1] != 0 || b[0] != 0 && b[1] == 0 || len(b) >= 4 && b[0] == 0 && b[1] == 0 && (b[2] == 0xFE && b[3] == 0xFF || b[2] == 0 && b[3] != 0)
}

// space returns the offset of the first byte at or after i that is not JSON white space.
func space(b []byte, i int) int {
	for i < len(b) {
		switch b[i] {
		case ' ', '\t', '\n', '\r':
			i++
		default:
			return i
		}
	}
	return i
}

// word returns the length of true, false or null at the beginning of b, or 0.
func word(b []byte) int {
	switch {
	case len(b) >= 4 && (string(b[:4]) == "true" || string(b[:4]) == "null"):
		return 4
	case len(b) >= 5 && string(b[:5]) == "false":
		return 5
	}
	return 0
}

// number returns the end of the JSON number at i.
func number(b []byte, i int) (int, bool) {
	digits := func() bool {
		from := i
		for i < len(b) && b[i] >= '0' && b[i] <= '9' {
			i++
		}
		return i > from
	}
	if b[i] == '-' {
		i++
	}
	if i < len(b) && b[i] == '0' {
		i++
	} else if !digits() {
		return i, false
	}
	if i < len(b) && b[i] == '.' {
		i++
		if !digits() {
			return i, false
		}
	}
	if i < len(b) && (b[i] == 'e' || b[i] == 'E') {
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		if !digits() {
			return i, false
		}
	}
	return i, true
}

// IsNumber reports whether a token is exactly one number in JSON's grammar.
func IsNumber(token []byte) bool {
	if len(token) == 0 || token[0] != '-' && (token[0] < '0' || token[0] > '9') {
		return false
	}
	end, ok := number(token, 0)
	return ok && end == len(token)
}

// The following functions search eight bytes at once. They set the top bit of each byte that may be a match. The lowest such byte
// is always a match; the ones above it may be false, so only the first one may be used.
// https://graphics.stanford.edu/~seander/bithacks.html#ZeroInWord
const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

func zeros(w uint64) uint64 { return (w - ones) &^ w & highs }

// ends marks quotes and backslashes.
func ends(w uint64) uint64 { return zeros(w^'"'*ones) | zeros(w^'\\'*ones) }

// controls marks bytes below space.
func controls(w uint64) uint64 { return (w - ' '*ones) &^ w & highs }

// checkString returns the end of the string whose quote is at i, and whether it is ASCII without an escape.
func checkString(b []byte, i int) (end int, plain, ok bool) {
	plain = true
	for i++; i < len(b); i++ {
		for i+8 <= len(b) {
			w := binary.LittleEndian.Uint64(b[i:])
			if stop := ends(w) | controls(w); stop != 0 {
				plain = plain && w&highs&(stop&-stop-1) == 0
				i += bits.TrailingZeros64(stop) >> 3
				break
			}
			plain = plain && w&highs == 0
			i += 8
		}
		if i >= len(b) {
			break
		}
		switch c := b[i]; {
		case c == '"':
			return i + 1, plain, true
		case c < ' ':
			return i, false, false
		case c >= utf8.RuneSelf:
			plain = false
		case c == '\\':
			plain = false
			i++
			if i >= len(b) {
				return i, false, false
			}
			switch b[i] {
			case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
			case 'u':
				if _, ok := hex4(b, i+1); !ok {
					return i, false, false
				}
				i += 4
			default:
				return i, false, false
			}
		}
	}
	return i, false, false
}

func hex4(b []byte, i int) (rune, bool) {
	if i+4 > len(b) {
		return 0, false
	}
	var r rune
	for _, c := range b[i : i+4] {
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
		r = r<<4 | rune(c)
	}
	return r, true
}

// skipString returns the end of the string whose quote is at i, in valid JSON.
func skipString(b []byte, i int) int {
	for i++; i < len(b); i++ {
		for i+8 <= len(b) {
			if stop := ends(binary.LittleEndian.Uint64(b[i:])); stop != 0 {
				i += bits.TrailingZeros64(stop) >> 3
				break
			}
			i += 8
		}
		if i >= len(b) {
			break
		}
		switch b[i] {
		case '"':
			return i + 1
		case '\\':
			i++
		}
	}
	return len(b)
}

// skip returns the end of the value at i, in valid JSON. For other bytes it returns an offset within b.
func skip(b []byte, i int) int {
	if i >= len(b) {
		return len(b)
	}
	switch b[i] {
	case '"':
		return skipString(b, i)
	case '{', '[':
		return skipRest(b, i+1)
	}
	for i < len(b) {
		switch b[i] {
		case ',', '}', ']', ' ', '\t', '\n', '\r', ':':
			return i
		}
		i++
	}
	return i
}

// skipRest returns the end of the object or array around i.
func skipRest(b []byte, i int) int {
	for level := 1; i < len(b); {
		switch b[i] {
		case '"':
			i = skipString(b, i)
			continue
		case '{', '[':
			level++
		case '}', ']':
			if level--; level == 0 {
				return i + 1
			}
		}
		i++
	}
	return len(b)
}
