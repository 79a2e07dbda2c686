package connectors

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
)

// Transcript is the request as text, before its credentials and with [secret] for every value that is one:
// method and URL, headers, an empty line, and the body, JSON indented. The content type of JSON is left out.
// The same text stands in tests, pages and explanations.
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
		b.WriteString(f.shown().line())
		b.WriteByte('\n')
	}
	writeBody(&b, r.Body, false)
	return b.Bytes()
}

// unshown are headers of answers that tell nothing about what became of an event, and cookies, which are secrets.
var unshown = []string{"Connection", "Content-Length", "Date", "Keep-Alive", "Server", "Set-Cookie", "Transfer-Encoding"}

// Transcript is the answer as text: status, headers in order of their names, an empty line, and the body.
func (r *Response) Transcript() []byte {
	var b bytes.Buffer
	b.WriteString(strconv.Itoa(r.Status))
	b.WriteByte('\n')
	names := make([]string, 0, len(r.Header))
	for name := range r.Header {
		if !slices.Contains(unshown, http.CanonicalHeaderKey(name)) {
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
