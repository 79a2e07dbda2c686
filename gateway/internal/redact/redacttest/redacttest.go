// Package redacttest writes secrets in all the ways in which they come back, for tests of what is kept.
package redacttest

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"strings"
)

// Secret has characters that each encoding writes differently. All of them are valid in a header and in YAML.
const Secret = `s3cr"t+/&<x> \7üş😀-end` //nolint:gosec // it opens nothing

// Plain is a secret as products make them.
const Plain = "xoxb-2345678901-AbCdEfGhIj"

// Spelling is one way to write a text.
type Spelling struct {
	Name  string
	Write func(text string) string
}

// Spellings are all of them.
func Spellings() []Spelling {
	each := func(format string) func(string) string {
		return func(text string) string {
			var b strings.Builder
			for _, r := range text {
				fmt.Fprintf(&b, format, r)
			}
			return b.String()
		}
	}
	bytewise := func(format string) func(string) string {
		return func(text string) string {
			var b strings.Builder
			for i := range len(text) {
				fmt.Fprintf(&b, format, text[i])
			}
			return b.String()
		}
	}
	within := func(encode func([]byte) string, before, behind string) func(string) string {
		return func(text string) string { return encode([]byte(before + text + behind)) }
	}
	then := func(first, second func(string) string) func(string) string {
		return func(text string) string { return second(first(text)) }
	}
	std, raw := base64.StdEncoding.EncodeToString, base64.RawStdEncoding.EncodeToString
	urls, rawURL := base64.URLEncoding.EncodeToString, base64.RawURLEncoding.EncodeToString
	all := []Spelling{
		{"as it is", func(text string) string { return text }},
		{"query", url.QueryEscape},
		{"query in lower case", func(text string) string { return lower(url.QueryEscape(text)) }},
		{"path", url.PathEscape},
		{"percent for every byte", bytewise("%%%02X")},
		{"percent for every byte, lower case", bytewise("%%%02x")},
		{"JSON", func(text string) string { return quoted(text, true) }},
		{"JSON without HTML", func(text string) string { return quoted(text, false) }},
		{"JSON with slashes", func(text string) string { return strings.ReplaceAll(quoted(text, false), "/", `\/`) }},
		{"JSON in ASCII", ascii},
		{"JSON in a string", func(text string) string { return quoted(quoted(text, false), false) }},
		{"HTML", html.EscapeString},
		{"HTML in decimals", each("&#%d;")},
		{"HTML in hexadecimal", each("&#x%X;")},
		{"hexadecimal", func(text string) string { return hex.EncodeToString([]byte(text)) }},
		{"hexadecimal in upper case", func(text string) string { return strings.ToUpper(hex.EncodeToString([]byte(text))) }},
	}
	for name, encode := range map[string]func([]byte) string{"base64": std, "base64 unpadded": raw, "base64url": urls, "base64url unpadded": rawURL} {
		for shift := range 3 {
			for behind := range 3 {
				all = append(all, Spelling{
					fmt.Sprintf("%s, %d before and %d behind", name, shift, behind),
					within(encode, "jo:"[:shift], "xyz"[:behind]),
				})
			}
		}
	}
	return append(all,
		Spelling{"JSON in a form", func(text string) string { return url.QueryEscape(strings.ReplaceAll(quoted(text, true), "/", `\/`)) }},
		Spelling{"JSON in ASCII in a form", then(ascii, url.QueryEscape)},
		Spelling{"JSON in a string in a form", func(text string) string { return url.QueryEscape(quoted(quoted(text, false), false)) }},
		Spelling{"percent twice", then(url.PathEscape, url.PathEscape)},
		Spelling{"base64 in a query", then(within(std, "jo:", ""), url.QueryEscape)},
		Spelling{"base64 in JSON with slashes", func(text string) string { return strings.ReplaceAll(std([]byte(text)), "/", `\/`) }},
	)
}

func quoted(text string, escapeHTML bool) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(escapeHTML)
	_ = e.Encode(text) // a string cannot fail
	return strings.TrimSuffix(strings.TrimPrefix(strings.TrimSuffix(b.String(), "\n"), `"`), `"`)
}

// ascii writes everything but letters and digits as \u00XX, and what is beyond as pairs.
func ascii(text string) string {
	var b strings.Builder
	for _, r := range text {
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			b.WriteRune(r)
		case r > 0xFFFF:
			r -= 0x10000
			fmt.Fprintf(&b, `\u%04x\u%04X`, 0xD800+(r>>10), 0xDC00+(r&0x3FF))
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

func lower(text string) string {
	b := []byte(text)
	for i := 0; i+2 < len(b); i++ {
		if b[i] == '%' {
			b[i+1], b[i+2] = b[i+1]|0x20, b[i+2]|0x20
			i += 2
		}
	}
	return string(b)
}
