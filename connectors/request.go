package connectors

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/surveygate/surveygate/rules/event"
)

// Request is one HTTP request before its credentials, so it can be printed, stored and compared.
type Request struct {
	Method string
	// URL is absolute; it is empty where Auth is an Address.
	URL    string
	Header []Field
	Body   []byte
	// Auth is put on last, by the gateway.
	Auth Auth
	// Name tells the requests of a chain apart; empty for the only or first one.
	Name string
}

// Field is one header.
type Field struct {
	Name  string
	Value string
	// Secret values are sent as they are and stored as [secret].
	Secret bool
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

// As puts the credentials beside the request.
func (r *Request) As(a Auth) *Request { r.Auth = a; return r }

// Named names the request within a chain.
func (r *Request) Named(name string) *Request { r.Name = name; return r }

// With adds a header, or replaces one of the same name.
func (r *Request) With(name, value string) *Request {
	for i := range r.Header {
		if http.CanonicalHeaderKey(r.Header[i].Name) == http.CanonicalHeaderKey(name) {
			r.Header[i].Value = value
			return r
		}
	}
	r.Header = append(r.Header, Field{Name: name, Value: value})
	return r
}

// Response is the answer to one request.
type Response struct {
	Status int
	Header http.Header
	// Body is capped by the gateway; Truncated says that it was longer.
	Body      []byte
	Truncated bool
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
