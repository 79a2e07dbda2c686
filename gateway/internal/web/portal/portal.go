// Package portal is the site for the customers of a survey platform that runs the gateway: their webhooks, and what became of each
// delivery. A visitor has the session of a portal link, which says whose portal it is and what is allowed in it.
//
// Each file is one part of the menu: it declares its pages in a function mount…, and shows what the API answers.
package portal

import (
	"context"
	"embed"
	"log/slog"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
	"github.com/surveygate/surveygate/gateway/internal/web/page"
	"github.com/surveygate/surveygate/gateway/internal/web/route"
)

//go:embed pages/*.html
var files embed.FS

// Root is the path of the portal.
const Root = "/portal"

// Options are what the portal works with; all are required but Below.
type Options struct {
	// Routes serves the API.
	Routes  fasthttp.RequestHandler
	Callers *route.Callers
	// Below is page.Options.Below.
	Below   func() string
	Clock   clock.Clock
	Log     *slog.Logger
	Context context.Context
}

// Portal is the site. Make it with New; it is safe for concurrent use.
type Portal struct {
	site *page.Site
	app  *fiber.App
}

// New returns the portal.
func New(o Options) *Portal {
	p := &Portal{}
	p.site = page.New(page.Options{
		Root: Root, Files: files, Portal: true, Routes: o.Routes, Callers: o.Callers, Below: o.Below, Login: p.ended, Menu: p.menu,
		Clock: o.Clock, Log: o.Log, Context: o.Context,
	})
	return p
}

// Check returns the error of a template.
func (p *Portal) Check() error { return p.site.Check() }

// Mount adds the portal to a server.
func (p *Portal) Mount(app *fiber.App) {
	p.app = app
	p.site.Mount(app)
	p.mountWebhooks()
	p.site.Add(app, fiber.MethodGet, "/*", func(*page.Request) error { return answer.NotFound("page") })
}

func (p *Portal) get(path string, serve page.Handler) {
	p.site.Add(p.app, fiber.MethodGet, path, serve)
}
func (p *Portal) post(path string, serve page.Handler) {
	p.site.Add(p.app, fiber.MethodPost, path, serve)
}

// items are the entries of the menu, with the capability that each needs.
var items = []struct {
	page.Item
	needs access.Capability
}{
	{page.Item{Name: "Webhooks", Path: "/webhooks", Key: "w"}, access.CanWebhooks},
	{page.Item{Name: "Deliveries", Path: "/deliveries", Key: "d"}, access.CanDeliveries},
	{page.Item{Name: "Event types", Path: "/event-types", Key: "e"}, access.CanWebhooks},
	{page.Item{Name: "Connections", Path: "/connections", Key: "c"}, access.CanConnections},
	{page.Item{Name: "Rules", Path: "/rules", Key: "r"}, access.CanRules},
}

func (p *Portal) menu(r *page.Request) []page.Item {
	path := strings.TrimPrefix(string(r.Ctx.Context().Path()), Root)
	var menu []page.Item
	for _, each := range items {
		if slices.Contains(r.Grant.Capabilities, each.needs) {
			item := each.Item
			item.Here = path == item.Path || strings.HasPrefix(path, item.Path+"/")
			menu = append(menu, item)
		}
	}
	return menu
}

// ended answers a visitor without a session.
func (p *Portal) ended(r *page.Request) error {
	r.Status = fiber.StatusUnauthorized
	return r.Show("ended", nil)
}
