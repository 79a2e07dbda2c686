package gateway

import "github.com/surveygate/surveygate/gateway/internal/web"

// Route is one path of the API, for documentation.
type Route struct {
	Method, Path string
	// Scopes are what a token must allow; without any, every token and session may ask.
	Scopes []string
	// For is its purpose in a few words.
	For string
	// Query are the parameters it takes, besides `tenant`.
	Query []string
	// Once reports whether a second request with the same Idempotency-Key gets the answer of the first.
	Once bool
	// AllTenants reports whether a token of every tenant may ask it with `tenant=*`.
	AllTenants bool
}

// Routes returns all paths of the API, in the order of the documentation.
func Routes() []Route {
	var all []Route
	for _, r := range web.Routes() {
		all = append(all, Route{r.Method, r.Path, r.Scope.Names(), r.For, r.Query, r.Once, r.AllTenants})
	}
	return all
}
