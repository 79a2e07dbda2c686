package connectors

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/surveygate/surveygate/rules/event"
)

// Request is one HTTP request before its credentials, so it can be printed, stored and compared.
type Request struct {
	Method string
	// URL is absolute; it is empty where Auth is an Address, or where Address says it.
	URL string
	// Address is the URL if it is a secret and Auth holds another credential, as for a signed webhook.
	Address Secret
	Header  []Field
	Body    []byte
	// Auth is put on last, by the gateway.
	Auth Auth
	// Name tells the requests of a chain apart; empty for the only or first one.
	Name string
	// ResponseLimit is how many bytes of the answer Judge needs, where the gateway's 64 KiB are too few; at most 8 MiB.
	ResponseLimit int
}

// DefaultResponseLimit is how many bytes of an answer are kept where a request asks for no more.
const DefaultResponseLimit = 64 << 10

// Field is one header.
type Field struct {
	Name  string
	Value string
	// Secret values are sent as they are and stored, printed and compared as [secret].
	Secret bool
}

// Format prints a secret value as [secret], whatever the verb.
func (f Field) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, f.shown().line()) }

// MarshalJSON writes a secret value as [secret].
func (f Field) MarshalJSON() ([]byte, error) {
	type plain Field
	return json.Marshal(plain(f.shown()))
}

// LogValue logs a secret value as [secret].
func (f Field) LogValue() slog.Value { return slog.StringValue(f.shown().line()) }

func (f Field) line() string { return f.Name + ": " + f.Value }

func (f Field) shown() Field {
	if f.Secret {
		f.Value = Hidden
	}
	return f
}

// Post is a POST of a JSON body: bytes as they are, anything else marshalled without HTML escaping.
// A body that cannot be marshalled is a fault of the connector and panics; the gateway makes that `rejected`.
func Post(url string, body any) *Request { return withJSON(http.MethodPost, url, body) }

// Put is a PUT of a JSON body, as Post.
func Put(url string, body any) *Request { return withJSON(http.MethodPut, url, body) }

// Patch is a PATCH of a JSON body, as Post.
func Patch(url string, body any) *Request { return withJSON(http.MethodPatch, url, body) }

// Get is a GET without a body.
func Get(url string) *Request { return &Request{Method: http.MethodGet, URL: url} }

func withJSON(method, url string, body any) *Request {
	b, ok := body.([]byte)
	if !ok {
		var err error
		if b, err = event.Marshal(body); err != nil {
			panic("connectors: body cannot be written as JSON: " + err.Error())
		}
	}
	return &Request{
		Method: method, URL: url, Body: b,
		Header: []Field{{Name: "Content-Type", Value: "application/json"}},
	}
}

// Size is the request in bytes before its credentials: its body, its address and its headers.
func (r *Request) Size() int {
	n := len(r.Body) + len(r.URL)
	for i := range r.Header {
		n += len(r.Header[i].Name) + len(": \r\n") + len(r.Header[i].Value)
	}
	return n
}

// As puts the credentials beside the request.
func (r *Request) As(a Auth) *Request { r.Auth = a; return r }

// To sets the URL, or Address if it is a secret.
func (r *Request) To(u URL) *Request {
	if u.IsSecret() {
		r.URL, r.Address = "", u.Secret()
		return r
	}
	r.URL, r.Address = u.String(), Secret{}
	return r
}

// Named names the request within a chain.
func (r *Request) Named(name string) *Request { r.Name = name; return r }

// LimitResponse asks for more of the answer than the gateway keeps by itself.
func (r *Request) LimitResponse(bytes int) *Request { r.ResponseLimit = bytes; return r }

// With adds a header, or replaces one of the same name.
func (r *Request) With(name, value string) *Request {
	return r.with(Field{Name: name, Value: value})
}

// WithSecret adds a header whose value is sent but never stored or printed.
func (r *Request) WithSecret(name string, value Secret) *Request {
	return r.with(Field{Name: name, Value: value.reveal(), Secret: true})
}

func (r *Request) with(f Field) *Request {
	for i := range r.Header {
		if strings.EqualFold(r.Header[i].Name, f.Name) {
			r.Header[i] = f
			return r
		}
	}
	r.Header = append(r.Header, f)
	return r
}

// Response is the answer to one request.
type Response struct {
	Status int
	Header http.Header
	// Body is capped by the gateway; Truncated says that it was longer, or did not come as a whole.
	Body      []byte
	Truncated bool
	// Fault says what was wrong with the answer behind its status line, as a body that broke off. The status stands; Header
	// and Body are what could be read.
	Fault string
	// At is when the answer came: Retry-After dates count from it.
	At time.Time
	// To is the request that was answered.
	To *Request
	// Events are those that the request told of: one, or a batch's.
	Events []*event.Event
	// Trail holds the earlier answers of a chain, first one first.
	Trail []*Response
}

// JSON decodes the body; an error means that the answer is not what the product documents.
func (r *Response) JSON(into any) error { return json.Unmarshal(r.Body, into) }
