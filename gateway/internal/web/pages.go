package web

import (
	"net/url"

	"github.com/surveygate/surveygate/gateway/internal/web/console"
	"github.com/surveygate/surveygate/gateway/internal/web/portal"
)

// mountPages adds the console and the portal to a server.
func (a *App) mountPages(f *front) {
	below := func() string { // where a proxy serves the gateway below a path
		public, err := url.Parse(a.options.Plan().Config.PublicURL)
		if err != nil {
			return ""
		}
		return public.Path
	}
	console.New(console.Options{
		Routes: f.routes, Callers: a.callers, Below: below, Clock: a.options.Clock, Log: a.options.Log, Context: a.guard.Context,
	}).Mount(f.fiber)
	portal.New(portal.Options{
		Routes: f.routes, Callers: a.callers, Below: below, Clock: a.options.Clock, Log: a.options.Log, Context: a.guard.Context,
		Open: a.manage.OpenLink, Origins: func() []string { return a.options.Plan().Config.Portal.Origins },
	}).Mount(f.fiber)
}
