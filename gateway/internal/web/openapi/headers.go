package openapi

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/surveygate/surveygate/gateway/internal/web/route"
)

// answerHeaders are the headers of answers by the names of their components.
func answerHeaders() *Object {
	text := func(description string, schema ...any) *Object {
		return object("description", description, "schema", object(append([]any{"type", "string"}, schema...)...))
	}
	always := func(o *Object) *Object { o.set("required", true); return o }
	number := func(description string) *Object {
		return object("description", description, "schema", object("type", "integer", "minimum", 0))
	}
	tag := []any{"pattern", `^"[0-9]+"$`, "examples", []string{`"17"`}}
	return object(
		"RequestID", always(text("The id of the request, which the log has too.")),
		"ETag", text("The version of what is shown, for `If-Match`. What a file defines has none.", tag...),
		"NewETag", always(text("The version of what was made, for `If-Match`.", tag...)),
		"Location", always(text("The path of what was made: a 202 has that of the job or delivery to ask.", "format", "uri-reference")),
		"Remaining", number("How many more requests the token may make at once. Requests that publish are not counted."),
		"RetryAfter", always(number("The seconds to wait before the request is sent again.")),
		"Replayed", text("This is the answer to an earlier request with the same `Idempotency-Key`.", "const", "true"),
		"Authenticate", always(text("What a request needs.", "const", "Bearer")),
	)
}

// header is the entry of a header in an answer.
func header(o *Object, name, component string) {
	o.set(name, object("$ref", "#/components/headers/"+component))
}

// headersOf returns the headers of an answer of a route that is no refusal.
func headersOf(r *route.Route, status int) *Object {
	o := &Object{}
	header(o, "X-Request-Id", "RequestID")
	if r.Scope.String() != "publish" {
		header(o, "RateLimit-Remaining", "Remaining")
	}
	switch {
	case r.Tagged && status == http.StatusCreated:
		header(o, "ETag", "NewETag")
	case r.Tagged:
		header(o, "ETag", "ETag")
	}
	if r.Located && (status == http.StatusCreated || status == http.StatusAccepted) {
		header(o, "Location", "Location")
	}
	if r.Once {
		header(o, "Idempotency-Replayed", "Replayed")
	}
	return o
}

// headersOfRefusal returns the headers of refusals with a status.
func headersOfRefusal(status int) *Object {
	o := &Object{}
	header(o, "X-Request-Id", "RequestID")
	header(o, "RateLimit-Remaining", "Remaining")
	switch status {
	case http.StatusUnauthorized:
		header(o, "WWW-Authenticate", "Authenticate")
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		header(o, "Retry-After", "RetryAfter")
	}
	return o
}

// requestHeaders are the headers of requests by the names of their components.
func requestHeaders() *Object {
	parameter := func(name, description string, schema ...any) *Object {
		return object("name", name, "in", "header", "description", description, "schema", object(append([]any{"type", "string"}, schema...)...))
	}
	return object(
		"IdempotencyKey", parameter("Idempotency-Key", "A second request with the same key gets the answer of the first, for 24 hours.", "maxLength", 255),
		"IfMatch", parameter("If-Match", "The `ETag` of the version that is to be changed, or `*` for any; where another one is there, nothing changes, and the answer is 412. "+
			"Without it, the last one who writes wins.", "examples", []string{`"17"`}),
		"IfNoneMatch", parameter("If-None-Match", "`*`: only if there is none of this name yet; otherwise the answer is 412.", "const", "*"),
		"SecFetchSite", parameter("Sec-Fetch-Site", "Where a browser's request comes from, which browsers say themselves. With the cookie of a session, "+
			"only `same-origin` may change something. Programs send a token, and not this.", "examples", []string{"same-origin"}),
	)
}

// headerParameters returns the headers that count in requests of a route.
func headerParameters(r *route.Route) []any {
	var names []string
	if r.Once {
		names = append(names, "IdempotencyKey")
	}
	if r.Conditional {
		names = append(names, "IfMatch")
		if r.Method == http.MethodPut {
			names = append(names, "IfNoneMatch")
		}
	}
	all := make([]any, len(names))
	for i, name := range names {
		all[i] = object("$ref", "#/components/parameters/"+name)
	}
	if media, ok := r.In.(route.Media); ok && slices.Contains(slices.Collect(maps.Values(media)), any(route.Events{})) {
		all = append(all, attributeHeaders()...)
	}
	if r.Method != http.MethodGet { // behind those that programs send
		all = append(all, object("$ref", "#/components/parameters/SecFetchSite"))
	}
	return all
}

// Resolve returns what a reference within the document leads to, or the object itself where it is none.
func Resolve(document, o *Object) *Object {
	path, ok := strings.CutPrefix(o.Text("$ref"), "#/")
	if !ok {
		return o
	}
	at := document
	for part := range strings.SplitSeq(path, "/") {
		at = at.Object(part)
	}
	return at
}

// sessions are the security schemes of browsers.
func sessions() *Object {
	return object("type", "apiKey", "in", "cookie", "name", route.CookieName, "description",
		"The session of a browser, which a login at `/console/login` or a portal link begins. On the machine itself, without TLS, its name is `"+route.LocalCookieName+
			"`. It has the scopes of its token; a portal link allows what it was made for.")
}

// securityOf returns what a request of a route may prove itself with.
func securityOf(r *route.Route) []any {
	return []any{object("bearer", r.Scope.Names()), object("session", slices.Clone(r.Scope.Names()))}
}
