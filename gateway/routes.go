package gateway

import "github.com/surveygate/surveygate/gateway/internal/web/api"

// Route is one path of the API, for pages about it.
type Route struct {
	Method, Path string
	// Scopes are what a token must allow.
	Scopes []string
	// For says what it is for.
	For string
	// Query are the parameters it takes, besides `tenant`.
	Query []string
	// Once says that it knows Idempotency-Key.
	Once bool
}

// Routes are all paths of the API, in the order of the pages.
func Routes() []Route {
	var all []Route
	for _, r := range api.Routes() {
		all = append(all, Route{r.Method, r.Path, r.Scope.Names(), r.For, r.Query, r.Once})
	}
	return all
}
