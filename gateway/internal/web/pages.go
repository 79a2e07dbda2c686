package web

import (
	"github.com/surveygate/surveygate/gateway/internal/web/console"
	"github.com/surveygate/surveygate/gateway/internal/web/portal"
)

// mountPages adds the console and the portal to a server, if it has them.
func (a *App) mountPages(f *front) {
	if f.console {
		console.New(console.Options{
			Routes: f.routes, Callers: a.callers, Below: a.manage.BelowConsole, Clock: a.options.Clock, Log: a.options.Log, Context: a.guard.Context,
			Login: a.manage.Login, Open: a.manage.OpenLogin,
		}).Mount(f.fiber)
	}
	if f.portal {
		portal.New(portal.Options{
			Routes: f.routes, Callers: a.callers, Below: a.manage.Below, Clock: a.options.Clock, Log: a.options.Log, Context: a.guard.Context,
			Open: a.manage.OpenLink, Origins: func() []string { return a.options.Plan().Config.Portal.Origins },
		}).Mount(f.fiber)
	}
}
