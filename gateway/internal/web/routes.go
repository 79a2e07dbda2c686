package web

import (
	"slices"

	"github.com/surveygate/surveygate/gateway/internal/web/api"
	"github.com/surveygate/surveygate/gateway/internal/web/compat"
	"github.com/surveygate/surveygate/gateway/internal/web/inspect"
	"github.com/surveygate/surveygate/gateway/internal/web/manage"
	"github.com/surveygate/surveygate/gateway/internal/web/observe"
	"github.com/surveygate/surveygate/gateway/internal/web/route"
)

// Routes returns all routes of the API, in the order of the documentation.
func Routes() []route.Route {
	return slices.Concat(api.Routes(), manage.Routes(), inspect.Routes(), observe.Routes(), compat.Routes())
}
