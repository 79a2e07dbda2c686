package erase

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// names are what a person goes by: e-mail addresses, phone numbers and external ids.
type names struct {
	texts  []string // in lower case
	phones []string // their digits
}

// leastText and leastDigits are the lengths from which a name is looked for in texts: shorter ones are in many.
const (
	leastText   = 4
	leastDigits = 7
)

func newNames(all []string) (n names) {
	for _, name := range all {
		name = strings.ToLower(strings.TrimSpace(name))
		if digits := onlyDigits(name); isPhone(name) && len(digits) >= leastDigits {
			n.phones = append(n.phones, digits)
		}
		if utf8.RuneCountInString(name) >= leastText {
			n.texts = append(n.texts, name)
		}
	}
	return n
}

// isPhone reports whether a name consists of digits and what stands between those of a phone number.
func isPhone(name string) bool {
	return strings.IndexFunc(name, func(r rune) bool { return !isDigit(r) && !isSeparator(r) }) < 0
}

func isDigit(r rune) bool     { return r >= '0' && r <= '9' }
func isSeparator(r rune) bool { return strings.ContainsRune(" -.()+/\u00a0", r) }

func onlyDigits(text string) string {
	return strings.Map(func(r rune) rune {
		if isDigit(r) {
			return r
		}
		return -1
	}, text)
}

// in reports whether a text names the person: a name by itself, and not as a part of a longer word; a phone number however its digits
// are grouped.
func (n *names) in(text string) bool {
	if n.inPlain(text) {
		return true
	}
	if strings.ContainsAny(text, "%+") {
		if plain, err := url.QueryUnescape(text); err == nil && plain != text && n.inPlain(plain) {
			return true
		}
	}
	return strings.Contains(text, `\u`) && n.inPlain(unescaped(text))
}

func (n *names) inPlain(text string) bool {
	lower := strings.ToLower(text)
	for _, name := range n.texts {
		for at := 0; ; {
			i := strings.Index(lower[at:], name)
			if i < 0 {
				break
			}
			i += at
			before, _ := utf8.DecodeLastRuneInString(lower[:i])
			behind, _ := utf8.DecodeRuneInString(lower[i+len(name):])
			if !isWord(before) && !isWord(behind) {
				return true
			}
			at = i + 1
		}
	}
	return len(n.phones) > 0 && n.hasPhone(lower)
}

func isWord(r rune) bool { return r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsDigit(r)) }

// hasPhone looks for runs of digits in any grouping.
func (n *names) hasPhone(text string) bool {
	var run strings.Builder
	found := func() bool {
		defer run.Reset()
		if run.Len() < leastDigits {
			return false
		}
		digits := run.String()
		for _, phone := range n.phones {
			// With or without the code of the country.
			if strings.HasSuffix(digits, phone) || strings.HasSuffix(phone, strings.TrimLeft(digits, "0")) && len(strings.TrimLeft(digits, "0")) >= leastDigits {
				return true
			}
		}
		return false
	}
	for _, r := range text {
		switch {
		case isDigit(r):
			run.WriteRune(r)
		case isSeparator(r):
		default:
			if run.Len() > 0 && found() {
				return true
			}
		}
	}
	return found()
}

// unescaped replaces the escapes of characters in a text of JSON.
func unescaped(text string) string {
	var b strings.Builder
	for {
		at := strings.Index(text, `\u`)
		if at < 0 || len(text) < at+6 {
			b.WriteString(text)
			return b.String()
		}
		b.WriteString(text[:at])
		if code, err := strconv.ParseUint(text[at+2:at+6], 16, 32); err == nil {
			b.WriteRune(rune(code))
		}
		text = text[at+6:]
	}
}

// inItem reports whether a request that a source kept names the person: in its body, a header, its address, or in a message about it.
func (n *names) inItem(item []byte) bool {
	var v any
	if json.Unmarshal(item, &v) != nil {
		return n.in(string(item))
	}
	return n.inValue(v)
}

func (n *names) inValue(v any) bool {
	switch v := v.(type) {
	case string:
		return n.in(v)
	case []any:
		if slices.ContainsFunc(v, n.inValue) {
			return true
		}
	case map[string]any:
		if body, ok := v["body"].(string); ok && v["encoding"] == "base64" {
			if b, err := base64.StdEncoding.DecodeString(body); err == nil && n.in(string(b)) {
				return true
			}
		}
		for key, item := range v {
			if n.in(key) || n.inValue(item) {
				return true
			}
		}
	}
	return false
}
