package redact

import (
	"bytes"
	"html"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// coding is how a secret is written, beside what may be escaped of it.
type coding uint8

const (
	asIs coding = iota
	asBase64
	asHex
)

// pattern is a secret in one coding.
type pattern struct {
	text string
	as   coding
	// lead and tail are set if, in base64, the character before or behind also holds bits of the secret.
	lead, tail bool
}

// minPrefix is the shortest beginning of a secret that is hidden at the end of a truncated text.
func (p *pattern) minPrefix() int { return min(4, (len(p.text)+1)/2) }

// mark sets the pattern's bit at the bytes that it may begin with.
func (p *pattern) mark(starts *[256]uint64, bit uint64) {
	first := p.text[0]
	for _, c := range [...]byte{first, '%', '\\', '&'} {
		starts[c] |= bit
	}
	switch {
	case first == ' ':
		starts['+'] |= bit
	case p.as == asHex && first >= 'a':
		starts[first-'a'+'A'] |= bit
	case p.as == asBase64 && first == '+':
		starts['-'] |= bit
	case p.as == asBase64 && first == '/':
		starts['_'] |= bit
	}
}

// same reports whether a byte of the text stands for a byte of the pattern.
func (p *pattern) same(c, want byte) bool {
	switch {
	case c == want:
		return true
	case p.as == asBase64:
		return c == '-' && want == '+' || c == '_' && want == '/'
	case p.as == asHex:
		return c >= 'A' && c <= 'F' && c+'a'-'A' == want
	}
	return false
}

func inBase64(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '+' || c == '/' || c == '-' || c == '_'
}

// extend returns the end of a match with what belongs to it: in base64 the character of its last bits, and padding.
func (p *pattern) extend(text []byte, end int) int {
	if p.as != asBase64 {
		return end
	}
	if p.tail && end < len(text) && inBase64(text[end]) {
		end++
	}
	for range 2 {
		switch rest := text[end:]; {
		case len(rest) > 0 && rest[0] == '=':
			end++
		case len(rest) > 2 && rest[0] == '%' && rest[1] == '3' && (rest[2] == 'D' || rest[2] == 'd'):
			end += 3
		}
	}
	return end
}

// follow compares the text from a position with the pattern from its byte j. It returns where it ended and how many bytes of
// the pattern were found: all of them, or as many as there were when the text ended; -1 if the two differ. Fuel bounds the
// alternatives that are tried if a byte may be itself or the beginning of an escape.
func (p *pattern) follow(text []byte, at, j int, fuel *int) (end, matched int) {
	for {
		if j == len(p.text) || at >= len(text) {
			return at, j
		}
		if *fuel--; *fuel < 0 {
			return at, -1
		}
		c, want := text[at], p.text[j]
		if c != '%' && c != '\\' && c != '&' {
			if !p.same(c, want) && (c != '+' || want != ' ') {
				return at, -1
			}
			at, j = at+1, j+1
			continue
		}
		return p.escaped(text, at, j, fuel)
	}
}

// escaped continues at a byte that may begin an escape: as an escape, or as the byte itself. The longer match counts.
func (p *pattern) escaped(text []byte, at, j int, fuel *int) (end, matched int) {
	w := ways{p: p, text: text, at: at, j: j, fuel: fuel, end: at, matched: -1}
	rest := text[at:]
	switch rest[0] {
	case '%':
		w.percent(rest)
	case '&':
		w.entity(rest)
	default:
		w.json(rest)
	}
	if p.same(rest[0], p.text[j]) {
		w.try(1, rest[:1])
	}
	return w.end, w.matched
}

// ways tries the alternatives at one position and keeps the longest match.
type ways struct {
	p            *pattern
	text         []byte
	at, j        int
	fuel         *int
	end, matched int
}

// try continues behind an escape of this length, which stands for these bytes.
func (w *ways) try(length int, plain []byte) {
	if w.matched == len(w.p.text) || !w.p.continues(plain, w.j) {
		return
	}
	if end, matched := w.p.follow(w.text, w.at+length, w.j+len(plain), w.fuel); matched > w.matched {
		w.end, w.matched = end, matched
	}
}

// ended records that the text ends within an escape.
func (w *ways) ended() {
	if w.j > w.matched {
		w.end, w.matched = len(w.text), w.j
	}
}

// percent reads %2F, %252F, and JSON escapes encoded in a form: %5C%2F.
func (w *ways) percent(rest []byte) {
	before := 1
	for depth := maxPercent; depth > 0; depth-- { // the longest first
		c, length, ended := unpercent(rest, depth)
		switch {
		case ended:
			w.ended()
		case length != before:
			if before = length; c == '\\' {
				w.json(rest)
			}
			w.try(length, []byte{c})
		}
	}
}

// maxEntity is the length of the longest entity of HTML that is looked at.
const maxEntity = 12

// entity reads &amp; and &#47;.
func (w *ways) entity(rest []byte) {
	end := bytes.IndexByte(rest[:min(len(rest), maxEntity)], ';')
	if end < 0 {
		if len(rest) < maxEntity && len(bytes.Trim(rest[1:], "#abcdefghijklmnopqrstuvwxyzABCDEFX0123456789")) == 0 {
			w.ended()
		}
		return
	}
	entity := string(rest[:end+1])
	if s := html.UnescapeString(entity); s != entity && utf8.RuneCountInString(s) == 1 {
		w.try(end+1, []byte(s))
	}
}

// maxBackslashes is how many stand before a character in JSON that is a string in JSON, four deep. The bound keeps a text
// of backslashes only from quadratic time.
const maxBackslashes = 15

// json reads an escape behind any number of backslashes, of which JSON in a string has several; each of them, and what
// follows, may be written with a percent sign.
func (w *ways) json(rest []byte) {
	at := 0
	var c byte
	for run := 0; ; run++ {
		if run == 2 || run == 4 { // backslashes themselves, in a string, or in a string in a string
			w.try(at, []byte{'\\'})
		}
		if at == len(rest) {
			w.ended()
			return
		}
		var length int
		var ended bool
		if c, length, ended = unpercent(rest[at:], maxPercent); ended {
			w.ended()
			return
		}
		at += length
		if c != '\\' || run == maxBackslashes {
			break
		}
	}
	switch c {
	case '"', '/', '\'':
		w.try(at, []byte{c})
	case 'b', 'f', 'n', 'r', 't':
		w.try(at, []byte{"\b\f\n\r\t"[strings.IndexByte("bfnrt", c)]})
	case 'u':
		w.unicode(rest, at)
	}
}

// unicode reads what follows \u: four digits, and a second escape where they are half of a pair.
func (w *ways) unicode(rest []byte, at int) {
	n, ok := hexNumber(rest[at:], 4)
	if !ok {
		if len(rest)-at < 4 && isHex(rest[at:]) {
			w.ended()
		}
		return
	}
	at += 4
	r := rune(n)
	if utf16.IsSurrogate(r) {
		c := byte('\\')
		for run := 0; c == '\\' && run <= maxBackslashes; run++ {
			if at == len(rest) {
				w.ended()
				return
			}
			var length int
			var ended bool
			if c, length, ended = unpercent(rest[at:], maxPercent); ended {
				w.ended()
				return
			}
			at += length
		}
		low, ok := hexNumber(rest[at:], 4)
		switch {
		case c != 'u':
			return
		case !ok:
			if len(rest)-at < 4 && isHex(rest[at:]) {
				w.ended()
			}
			return
		}
		if r = utf16.DecodeRune(r, rune(low)); r == utf8.RuneError {
			return
		}
		at += 4
	}
	w.try(at, utf8.AppendRune(nil, r))
}

// continues reports whether the pattern has these bytes from byte j on.
func (p *pattern) continues(plain []byte, j int) bool {
	if len(plain) > len(p.text)-j {
		return false
	}
	for i, c := range plain {
		if !p.same(c, p.text[j+i]) {
			return false
		}
	}
	return true
}

// maxPercent is how often an escape of a URL may have been escaped again: %2F, %252F, %25252F.
const maxPercent = 3

// unpercent reads the byte that a text begins with, escaped for a URL as often as depth, or itself: length 1. Ended reports
// whether the text ends within an escape.
func unpercent(text []byte, depth int) (c byte, length int, ended bool) {
	c, length = text[0], 1
	for ; c == '%' && depth > 0; depth-- {
		n, ok := hexNumber(text[length:], 2)
		if !ok {
			return c, length, len(text)-length < 2 && isHex(text[length:])
		}
		c, length = byte(n), length+2
	}
	return c, length, false
}

// hexNumber reads a number of so many hexadecimal digits.
func hexNumber(text []byte, digits int) (n uint32, ok bool) {
	if len(text) < digits || !isHex(text[:digits]) {
		return 0, false
	}
	for _, c := range text[:digits] {
		switch {
		case c <= '9':
			c -= '0'
		default:
			c = c&^0x20 - 'A' + 10
		}
		n = n<<4 | uint32(c)
	}
	return n, true
}

func isHex(text []byte) bool {
	for _, c := range text {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') && (c < 'A' || c > 'F') {
			return false
		}
	}
	return true
}
