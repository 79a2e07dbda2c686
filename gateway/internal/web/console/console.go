// Package console is the site for those who run the gateway: what happened, why, and what to do about it.
//
// Each file is one part of the menu: it declares its pages in a function mount…, and shows what the API answers.
package console

import (
	"context"
	"embed"
	"html/template"
	"log/slog"
	"net/url"
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

//go:embed pages/*.html parts/*.html
var files embed.FS

// Root is the path of the console.
const Root = "/console"

// ImportPath ends the path of the page that takes a file of documents, which may be larger than any other form.
const ImportPath = "/settings/transfer"

// Options are what the console works with; all are required but Below.
type Options struct {
	// Routes serves the API.
	Routes  fasthttp.RequestHandler
	Callers *route.Callers
	// Login begins the session of a token, Open that of a login link.
	Login, Open fiber.Handler
	// Below is page.Options.Below.
	Below   func() string
	Clock   clock.Clock
	Log     *slog.Logger
	Context context.Context
}

// Console is the site. Make it with New; it is safe for concurrent use.
type Console struct {
	Options
	site *page.Site
	app  *fiber.App
}

// New returns the console.
func New(o Options) *Console {
	c := &Console{Options: o}
	c.site = page.New(page.Options{
		Root: Root, Files: files, Routes: o.Routes, Callers: o.Callers, Below: o.Below, Login: c.toLogin, Menu: c.menu, Prepare: c.prepare, Funcs: funcs,
		Clock: o.Clock, Log: o.Log, Context: o.Context,
	})
	return c
}

// Check returns the error of a template.
func (c *Console) Check() error { return c.site.Check() }

// Mount adds the console to a server.
func (c *Console) Mount(app *fiber.App) {
	c.app = app
	c.site.Mount(app)
	app.Get("/", func(f *fiber.Ctx) error { return f.Redirect(c.below()+Root+"/", fiber.StatusSeeOther) })
	c.site.AddOpen(app, fiber.MethodGet, "/login", c.login)
	c.site.AddBegin(app, fiber.MethodPost, "/login", c.Login, c.refused)
	c.site.AddBegin(app, fiber.MethodGet, "/open", c.Open, c.refused)
	c.site.AddOpen(app, fiber.MethodPost, "/logout", c.logout)
	c.site.Add(app, fiber.MethodGet, "/", func(r *page.Request) error { return r.SeeAt("/t/"+r.Home()+"/", "") })
	c.mountOverview()
	c.mountDeliveries()
	c.mountEvents()
	c.mountDestinations()
	c.mountSources()
	c.mountRules()
	c.mountEditor()
	c.mountSurveys()
	c.mountReplays()
	c.mountSettings()
	c.mountErasures()
	c.site.Add(app, fiber.MethodGet, "/*", func(*page.Request) error { return answer.NotFound("page") })
}

func (c *Console) below() string {
	if c.site.Below == nil {
		return ""
	}
	return c.site.Below()
}

// get and post add a page of a tenant: path is what stands behind /console/t/TENANT.
func (c *Console) get(path string, serve page.Handler) {
	c.site.Add(c.app, fiber.MethodGet, "/t/:tenant"+path, serve)
}

func (c *Console) post(path string, serve page.Handler) {
	c.site.Add(c.app, fiber.MethodPost, "/t/:tenant"+path, serve)
}

// getAll and postAll add a page of the whole gateway: path is what stands behind /console.
func (c *Console) getAll(path string, serve page.Handler) {
	c.site.Add(c.app, fiber.MethodGet, path, serve)
}

func (c *Console) postAll(path string, serve page.Handler) {
	c.site.Add(c.app, fiber.MethodPost, path, serve)
}

// funcs are the functions of the console's templates.
var funcs = template.FuncMap{
	"states": func() []string { return []string{"waiting", "delivered", "skipped", "dead", "dropped"} },
	"passed": passed, "depth": depth, "truth": truth, "verdict": verdictOf, "answer": answerOf, "rows": rowsOf,
	"scopes": func() []choice { return scopeChoices }, "capabilities": func() []choice { return capabilityChoices },
	"sinces": func() []since { return sinces },
	"hint":   hint,
	"lesser": func() []string { return lesserFilters },
}

// settingsPath leads to the page of settings that works for each session, whatever its scopes are.
const settingsPath = "/settings"

// items are the entries of the menu.
var items = []page.Item{
	{Name: "Overview", Path: "/", Key: "o"},
	{Name: "Deliveries", Path: "/deliveries", Key: "d"},
	{Name: "Events", Path: "/events", Key: "e"},
	{Name: "Destinations", Path: "/destinations", Key: "t"},
	{Name: "Sources", Path: "/sources", Key: "s"},
	{Name: "Rules", Path: "/rules", Key: "r"},
	{Name: "Surveys", Path: "/surveys", Key: "v"},
	{Name: "Replays", Path: "/replays", Key: "p"},
	{Name: "Settings", Path: settingsPath, Key: "c"},
}

func (c *Console) menu(r *page.Request) []page.Item {
	path := strings.TrimPrefix(string(r.Ctx.Context().Path()), Root+"/t/"+r.Tenant)
	menu := slices.Clone(items)
	if !r.May(access.Read) { // all other pages show what is there
		menu = slices.DeleteFunc(menu, func(item page.Item) bool { return item.Path != settingsPath })
	}
	for i, item := range menu {
		if item.Path == "/replays" && (path == "/drops" || strings.HasPrefix(path, "/drops/")) {
			menu[i].Here = true
			continue
		}
		menu[i].Here = r.Tenant != "" && (path == item.Path || item.Path != "/" && strings.HasPrefix(path, item.Path+"/") || item.Path == "/" && path == "")
	}
	return menu
}

func (c *Console) prepare(r *page.Request, f *page.Frame) {
	if r.Grant == nil {
		return
	}
	f.Out = r.Root() + "/logout"
	if r.Tenant != "" && r.May(access.Read) {
		f.Live = c.below() + "/v1/live?tenant=" + url.QueryEscape(r.Tenant)
	}
}
