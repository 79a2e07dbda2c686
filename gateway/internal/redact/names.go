package redact

import (
	"bytes"
	"encoding/json"
	"mime/multipart"
	"net/url"
	"strings"
)

// Hide reports whether the value of a name is hidden. The name is decoded.
type Hide func(name string) bool

// Form replaces the hidden values of a form's fields, or of a query's parameters, by a word. All other bytes stay as they
// are.
func Form(body []byte, hide Hide, word string) []byte {
	var out []byte // nil while nothing was hidden
	from := 0
	for at := 0; at < len(body); {
		end := len(body)
		if i := bytes.IndexByte(body[at:], '&'); i >= 0 {
			end = at + i
		}
		name, _, valued := bytes.Cut(body[at:end], []byte("="))
		if valued && hide(unescaped(name)) {
			out = append(append(out, body[from:at+len(name)+1]...), word...)
			from = end
		}
		at = end + 1
	}
	if out == nil {
		return body
	}
	return append(out, body[from:]...)
}

func unescaped(name []byte) string {
	text := strings.TrimSpace(string(name))
	if plain, err := url.QueryUnescape(text); err == nil {
		return strings.TrimSpace(plain)
	}
	return text
}

// Address hides parameters of the URLs in a text, such as a Referer.
func Address(text []byte, hide Hide, word string) []byte {
	var out []byte
	for rest := text; ; {
		at := bytes.IndexByte(rest, '?') + 1
		if at == 0 {
			if out == nil {
				return text
			}
			return append(out, rest...)
		}
		end := len(rest)
		if i := bytes.IndexAny(rest[at:], "?# \t"); i >= 0 {
			end = at + i
		}
		out = append(append(out, rest[:at]...), Form(rest[at:end], hide, word)...)
		rest = rest[end:]
	}
}

// maxParts bounds the parts of a multipart form that are read; the rest is hidden as a whole.
const maxParts = 1000

// Multipart does what Form does in a multipart form of this boundary. The parts are walked by their bytes, so that all
// others stay exact; the last one may have been cut off.
func Multipart(body []byte, boundary string, hide Hide, word string) []byte {
	if boundary == "" {
		return body
	}
	mark := []byte("--" + boundary)
	if !bytes.Contains(body, mark) {
		return body
	}
	parts := bytes.SplitN(body, mark, maxParts+1)
	if len(parts) > maxParts {
		parts[maxParts] = []byte(word)
	}
	for i, part := range parts {
		headers, value, found := bytes.Cut(part, []byte("\r\n\r\n"))
		gap, end := "\r\n\r\n", "\r\n"
		if !found {
			if headers, value, found = bytes.Cut(part, []byte("\n\n")); !found {
				continue
			}
			gap, end = "\n\n", "\n"
		}
		alone := append(append(append([]byte{}, mark...), headers...), gap+end+string(mark)+"--"...)
		read, err := multipart.NewReader(bytes.NewReader(alone), boundary).NextRawPart()
		if err != nil || !hide(read.FormName()) {
			continue
		}
		tail := ""
		if bytes.HasSuffix(value, []byte(end)) {
			tail = end
		}
		parts[i] = []byte(string(headers) + gap + word + tail)
	}
	return bytes.Join(parts, mark)
}

// JSON hides the values of fields: whole is asked first, and hides whatever stands there; scalar hides texts, numbers and
// the like, and looks further into objects and lists. It reads tokens, not a document, so that a body which is broken
// somewhere, or cut off, is masked all the same.
func JSON(body []byte, whole, scalar Hide, word string) []byte {
	var out []byte // nil while nothing was hidden
	from := 0
	for i := 0; i < len(body); {
		if body[i] != '"' {
			i++
			continue
		}
		end := stringEnd(body, i)
		value := skipSpace(body, end)
		if value == len(body) || body[value] != ':' {
			i = end
			continue
		}
		if value = skipSpace(body, value+1); value == len(body) {
			break
		}
		name, composite := keyOf(body[i:end]), body[value] == '{' || body[value] == '['
		if !whole(name) && (composite || !scalar(name)) {
			i = value
			continue
		}
		out = append(append(out, body[from:value]...), '"')
		out = append(append(out, word...), '"')
		i = valueEnd(body, value)
		from = i
	}
	if out == nil {
		return body
	}
	return append(out, body[from:]...)
}

// keyOf returns a key without its quotes and escapes.
func keyOf(quoted []byte) string {
	if bytes.IndexByte(quoted, '\\') >= 0 {
		var plain string
		if json.Unmarshal(quoted, &plain) == nil {
			return plain
		}
	}
	return strings.Trim(string(quoted), `"`)
}

// valueEnd returns the position behind the value that starts at i; the end of the text if the value is incomplete.
func valueEnd(b []byte, i int) int {
	switch b[i] {
	case '"':
		return stringEnd(b, i)
	case '{', '[':
		for depth := 0; i < len(b); {
			switch b[i] {
			case '"':
				i = stringEnd(b, i)
				continue
			case '{', '[':
				depth++
			case '}', ']':
				depth--
			}
			if i++; depth == 0 {
				return i
			}
		}
		return len(b)
	}
	for i < len(b) && bytes.IndexByte([]byte(",}] \t\r\n"), b[i]) < 0 {
		i++
	}
	return i
}

// stringEnd returns the position behind the string that starts at i; the end of the text if the string is incomplete.
func stringEnd(b []byte, i int) int {
	for i++; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(b)
}

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\n' || b[i] == '\r') {
		i++
	}
	return i
}
