// Package route serves the tables of routes that the API, the compatible API and the console are made of. A table declares each
// route once: its path, the scope that it needs, its parameters, and the types of its request and answers. From that
// declaration come the checks before a handler runs, and the description of the API.
package route

import "github.com/surveygate/surveygate/gateway/internal/access"

// Route is one path of the API.
type Route struct {
	Method, Path string
	// Scope is the scope that a token needs.
	Scope access.Scope
	// For is its purpose in a few words.
	For string
	// TenantIn is the part of the path that names the tenant, in place of the parameter `tenant`; empty: none does.
	TenantIn string
	// ID is its name in the description of the API; empty: one is made of its method and path.
	ID string
	// Query lists its parameters beside `tenant`.
	Query []string
	// Former are parameters of earlier versions, with what to ask for instead.
	Former map[string]string
	// Once: a second request with the same Idempotency-Key gets the answer of the first. Publishing needs no such key: the
	// `id` of an event, or its body, has the same effect for longer.
	Once bool
	// AllTenants: a token of every tenant may ask it with `tenant=*`. The handler is then called with the tenant
	// access.AnyTenant. It answers states, and never what a respondent wrote.
	AllTenants bool
	// Recorded: its handler adds to the audit itself, because it knows more of what was done than the route.
	Recorded bool
	// Anyone: every caller may ask it, also the session of a portal link; it needs no scope.
	Anyone bool
	// Operator: it is of the gateway and not of a tenant, so that only a token of every tenant reaches it.
	Operator bool
	// NewTenant: it may be asked for a tenant that does not exist.
	NewTenant bool
	// Tagged: its answers have the version of what they show as ETag, where that has one. Conditional: it takes If-Match and, with PUT,
	// If-None-Match; where the version is another one, it answers 412. Located: its 201 and 202 have the path of what was made as Location.
	Tagged, Conditional, Located bool
	// TestSend: it sends a test delivery, of which a tenant has few a minute. Checks: it checks a connection, of which a tenant has more.
	TestSend, Checks bool

	// In is a value of the type of the request's body, Out of that of the answer; nil where there is none. A handler that answers in
	// several forms has one Out for the description that covers all of them.
	In, Out any
	// Status is that of the answer; 0 means 200. Statuses are those of refusals beside the ones that every route has: 400, 401, 403,
	// 404, 422, 429, 500 and 503.
	Status   int
	Statuses []int
}

// Bound is a route with its handler.
type Bound struct {
	Route
	Serve func(*Call) error
}

// publishes reports whether it takes events, which no limit of requests may slow down.
func (r *Route) publishes() bool { return r.Scope == access.Publish }
