package intake

import (
	"bytes"
	"sort"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/internal/source"
)

// hidden stands where a secret was.
const hidden = connectors.Hidden

// secretWords make the name of a header, a parameter or a JSON field suspicious.
var secretWords = [][]byte{
	[]byte("authorization"), []byte("secret"), []byte("token"), []byte("cookie"), []byte("password"), []byte("passwd"),
	[]byte("api-key"), []byte("api_key"), []byte("apikey"), []byte("handshakekey"), []byte("credential"),
}

// secretName says whether what goes by this name is likely a secret.
func secretName(name []byte) bool {
	if len(name) > 256 {
		return true
	}
	lower := bytes.ToLower(name)
	for _, word := range secretWords {
		if bytes.Contains(lower, word) {
			return true
		}
	}
	return false
}

// mask takes secrets out of what is kept: those that go by a telling name, and the source's own wherever they stand.
type mask struct{ own [][]byte }

func newMask(s *source.Source) mask {
	var m mask
	add := func(secret connectors.Secret) {
		if secret.Len() > 3 { // a shorter one would blot out ordinary text
			m.own = append(m.own, []byte(secret.Expose()))
		}
	}
	add(s.PathToken)
	for _, secret := range s.Secrets {
		add(secret)
	}
	for _, secret := range s.Vars {
		add(secret)
	}
	// The longest first: one secret may be part of another.
	sort.Slice(m.own, func(i, j int) bool { return len(m.own[i]) > len(m.own[j]) })
	return m
}

// text is a copy without the source's own secrets.
func (m mask) text(b []byte) []byte {
	b = bytes.Clone(b)
	for _, secret := range m.own {
		if bytes.Contains(b, secret) {
			b = bytes.ReplaceAll(b, secret, []byte(hidden))
		}
	}
	return b
}

// body is a copy of a body without secrets, whatever it is: JSON, a form, or neither of them, whole or cut off.
func (m mask) body(p part, contentType []byte) part {
	b := m.text(p.bytes)
	if bytes.Contains(bytes.ToLower(contentType), []byte("x-www-form-urlencoded")) {
		return part{m.form(b), p.cut}
	}
	return part{fields(b), p.cut}
}

// form hides the values of parameters with telling names.
func (m mask) form(b []byte) []byte {
	out := make([]byte, 0, len(b))
	for i, pair := range bytes.Split(m.text(b), []byte("&")) {
		if i > 0 {
			out = append(out, '&')
		}
		name, _, valued := bytes.Cut(pair, []byte("="))
		if !valued || !secretName(name) {
			out = append(out, pair...)
			continue
		}
		out = append(out, name...)
		out = append(out, '=')
		out = append(out, hidden...)
	}
	return out
}

// fields hides the scalar values of JSON fields with telling names. It reads tokens, not a document, so a body that
// is broken somewhere is masked all the same.
func fields(b []byte) []byte {
	var out []byte // nil while nothing was hidden
	from := 0
	for i := 0; i < len(b); {
		if b[i] != '"' {
			i++
			continue
		}
		end := stringEnd(b, i)
		value := skipSpace(b, end)
		if value == len(b) || b[value] != ':' || !secretName(b[i:end]) {
			i = end
			continue
		}
		value = skipSpace(b, value+1)
		stop := value
		switch {
		case value == len(b) || b[value] == '{' || b[value] == '[':
			i = value
			continue
		case b[value] == '"':
			stop = stringEnd(b, value)
		default:
			for stop < len(b) && !bytes.ContainsRune([]byte(",}] \t\r\n"), rune(b[stop])) {
				stop++
			}
		}
		out = append(out, b[from:value]...)
		out = append(out, '"')
		out = append(out, hidden...)
		out = append(out, '"')
		from, i = stop, stop
	}
	if out == nil {
		return b
	}
	return append(out, b[from:]...)
}

// stringEnd is behind the string that starts at i, or the end of a broken one.
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
