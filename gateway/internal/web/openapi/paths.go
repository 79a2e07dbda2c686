package openapi

import (
	"slices"
	"strings"

	"github.com/surveygate/surveygate/gateway/internal/web/route"
)

// Paths finds the path of the document that a request's path is of.
type Paths [][]string

// NewPaths returns the paths of routes.
func NewPaths(routes []route.Route) Paths {
	var all Paths
	for i := range routes {
		all = append(all, strings.Split(Path(routes[i].Path), "/"))
	}
	// Literal segments go before parameters, as `/v1/webhooks/test` before `/v1/webhooks/{name}`.
	slices.SortStableFunc(all, func(a, b []string) int { return strings.Compare(literalFirst(a), literalFirst(b)) })
	return all
}

func literalFirst(path []string) string {
	return strings.ReplaceAll(strings.Join(path, "/"), "{", "\U0010FFFF")
}

// Of returns the path of the document, such as /v1/events/{id}; empty if there is none. A slash at the end does not count.
func (p Paths) Of(path string) string {
	asked := strings.Split(strings.TrimSuffix(path, "/"), "/")
	for _, each := range p {
		if len(each) == len(asked) && fits(each, asked) {
			return strings.Join(each, "/")
		}
	}
	return ""
}

func fits(path, asked []string) bool {
	for i := range path {
		if path[i] != asked[i] && (!strings.HasPrefix(path[i], "{") || asked[i] == "") {
			return false
		}
	}
	return true
}
