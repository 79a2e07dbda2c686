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

// Request is one HTTP request without its credentials, so it can be printed, stored and compared.
//
// Make it with Post, Put, Patch, Get or Delete, and complete it with the methods As, With, Named and so on, which change the request and
// return it.
type Request struct {
	Method string
	// URL is absolute; with OAuth2 it may begin with `/` (see there). It is empty if the URL is a secret: then Auth is an AddressAuth,
	// or Address holds the URL.
	URL string
	// Address is the URL if it is a secret and Auth holds another credential, as for a signed webhook.
	Address Secret
	Header  []Field
	Body    []byte
	// Auth is the credential, which the gateway adds last.
	Auth Auth
	// Name identifies the request within a chain (see Then). It is empty for the only or first request.
	Name string
	// Amends says what the request changes that an earlier delivery made; zero for every request of Build. See Amending.
	Amends Amendment
	// Forgets is set for a request that erases a person. See Forgetting.
	Forgets bool
	// ResponseLimit is the number of bytes of the response body that Judge needs. Zero means DefaultResponseLimit; the largest
	// limit is 8 MiB.
	ResponseLimit int
}

// DefaultResponseLimit is the number of bytes of a response body that the gateway reads if the request sets no limit.
const DefaultResponseLimit = 64 << 10

// Field is one header.
type Field struct {
	Name  string
	Value string
	// Secret marks a value that is sent as it is, but stored, printed and compared as [secret].
	Secret bool
}

// Format prints a secret value as [secret], whatever the verb.
func (f Field) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, f.redacted().line()) }

// MarshalJSON writes a secret value as [secret].
func (f Field) MarshalJSON() ([]byte, error) {
	type plain Field
	return json.Marshal(plain(f.redacted()))
}

// LogValue logs a secret value as [secret].
func (f Field) LogValue() slog.Value { return slog.StringValue(f.redacted().line()) }

func (f Field) line() string { return f.Name + ": " + f.Value }

func (f Field) redacted() Field {
	if f.Secret {
		f.Value = Hidden
	}
	return f
}

// Post returns a POST with a JSON body. A body of type []byte is sent unchanged; any other is marshalled without HTML escaping.
// Post panics if the body cannot be marshalled, which is a bug in the connector; the gateway turns the panic into `rejected`.
func Post(url string, body any) *Request { return withJSON(http.MethodPost, url, body) }

// Put returns a PUT with a JSON body, as Post does.
func Put(url string, body any) *Request { return withJSON(http.MethodPut, url, body) }

// Patch returns a PATCH with a JSON body, as Post does.
func Patch(url string, body any) *Request { return withJSON(http.MethodPatch, url, body) }

// Get returns a GET without a body.
func Get(url string) *Request { return &Request{Method: http.MethodGet, URL: url} }

// Delete returns a DELETE without a body.
func Delete(url string) *Request { return &Request{Method: http.MethodDelete, URL: url} }

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

// Size returns the size in bytes without the credentials: body, URL and headers. The gateway rejects a request that is
// larger than event.MaxRequestBytes.
func (r *Request) Size() int {
	n := len(r.Body) + len(r.URL)
	for i := range r.Header {
		n += len(r.Header[i].Name) + len(": \r\n") + len(r.Header[i].Value)
	}
	return n
}

// As sets the credentials.
func (r *Request) As(a Auth) *Request { r.Auth = a; return r }

// To sets URL, or Address if u is a secret.
func (r *Request) To(u URL) *Request {
	if u.IsSecret() {
		r.URL, r.Address = "", u.Secret()
		return r
	}
	r.URL, r.Address = u.String(), Secret{}
	return r
}

// Named sets the name of the request within a chain.
func (r *Request) Named(name string) *Request { r.Name = name; return r }

// LimitResponse sets the number of bytes of the response body that Judge needs, if DefaultResponseLimit is too small.
func (r *Request) LimitResponse(bytes int) *Request { r.ResponseLimit = bytes; return r }

// With adds a header, or replaces the one with the same name.
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
	// Body holds at most the request's ResponseLimit. Truncated is set if the body was longer, or ended early.
	Body      []byte
	Truncated bool
	// Fault describes an error that occurred after the status line, such as a body that ended early; empty without one. Status is
	// valid, and Header and Body hold what could be read.
	Fault string
	// At is the time of the answer. A Retry-After date is relative to it.
	At time.Time
	// To is the request that was answered.
	To *Request
	// Events are the events that the request carried: one, or those of a batch.
	Events []*event.Event
	// Trail holds the earlier answers of a chain, oldest first.
	Trail []*Response
}

// JSON decodes the body. An error means that the body is not of the documented form.
func (r *Response) JSON(into any) error { return json.Unmarshal(r.Body, into) }
