package connectors

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
)

// Transcript returns the request as text, without its credentials and with [secret] in place of every secret value: method and
// URL, headers, an empty line, and the body, with JSON indented. The content type `application/json` is left out.
// Tests, documentation pages and `surveygate explain` show this text.
func (r *Request) Transcript() []byte {
	var b bytes.Buffer
	b.WriteString(r.Method)
	b.WriteByte(' ')
	if _, secret := r.Auth.(AddressAuth); r.URL == "" && (secret || !r.Address.IsZero()) {
		b.WriteString(Hidden)
	} else {
		b.WriteString(r.URL)
	}
	b.WriteByte('\n')
	for _, f := range r.Header {
		if f.Name == "Content-Type" && f.Value == "application/json" {
			continue
		}
		b.WriteString(f.redacted().line())
		b.WriteByte('\n')
	}
	writeBody(&b, r.Body, false)
	return b.Bytes()
}

// hiddenHeaders are response headers that say nothing about the delivery, and cookies, which are secrets.
var hiddenHeaders = []string{"Connection", "Content-Length", "Date", "Keep-Alive", "Server", "Set-Cookie", "Transfer-Encoding"}

// Transcript returns the answer as text: status, headers sorted by name, an empty line, and the body.
func (r *Response) Transcript() []byte {
	var b bytes.Buffer
	b.WriteString(strconv.Itoa(r.Status))
	b.WriteByte('\n')
	names := make([]string, 0, len(r.Header))
	for name := range r.Header {
		if !slices.Contains(hiddenHeaders, http.CanonicalHeaderKey(name)) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		for _, value := range r.Header[name] {
			b.WriteString(Field{Name: name, Value: value}.line())
			b.WriteByte('\n')
		}
	}
	writeBody(&b, r.Body, r.Truncated)
	return b.Bytes()
}

func writeBody(b *bytes.Buffer, body []byte, truncated bool) {
	if len(body) == 0 {
		return
	}
	b.WriteByte('\n')
	start := b.Len()
	if json.Indent(b, bytes.TrimSpace(body), "", "  ") != nil {
		b.Truncate(start)
		b.Write(body)
	}
	if b.Bytes()[b.Len()-1] != '\n' {
		b.WriteByte('\n')
	}
	if truncated {
		b.WriteString("…\n")
	}
}
