// Package portal is the site for the customers of a survey platform that runs the gateway: their webhooks, and what became of each
// delivery. A visitor has the session of a portal link, which says whose portal it is and what is allowed in it.
//
// Each file is one part of the menu: it declares its pages in a function mount…, and shows what the API answers.
package portal

import (
	"context"
	"embed"
	"errors"
	"log/slog"
	"net/url"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
	"github.com/surveygate/surveygate/gateway/internal/web/page"
	"github.com/surveygate/surveygate/gateway/internal/web/route"
)

//go:embed pages/*.html parts/*.html
var files embed.FS

// Root is the path of the portal.
const Root = "/portal"

// Options are what the portal works with; all are required but Below.
type Options struct {
	// Routes serves the API.
	Routes  fasthttp.RequestHandler
	Callers *route.Callers
	// Below is page.Options.Below.
	Below func() string
	// Open begins the session of a portal link. access.ErrLinkEnded: the link cannot be opened, and nothing says where there is another.
	Open fiber.Handler
	// Origins are the pages that links may name as those which show the portal in a frame.
	Origins func() []string
	Clock   clock.Clock
	Log     *slog.Logger
	Context context.Context
}

// Portal is the site. Make it with New; it is safe for concurrent use.
type Portal struct {
	Options
	site *page.Site
	app  *fiber.App
}

// New returns the portal.
func New(o Options) *Portal {
	p := &Portal{Options: o}
	p.site = page.New(page.Options{
		Root: Root, Files: files, Portal: true, Routes: o.Routes, Callers: o.Callers, Below: o.Below, Login: p.ended, Menu: p.menu,
		Frames: p.frames, Prepare: p.prepare, Funcs: funcs, Clock: o.Clock, Log: o.Log, Context: o.Context,
	})
	return p
}

// Check returns the error of a template.
func (p *Portal) Check() error { return p.site.Check() }

// Mount adds the portal to a server.
func (p *Portal) Mount(app *fiber.App) {
	p.app = app
	p.site.Mount(app)
	app.Get(Root+"/accent/:file", accent)
	p.site.AddOpen(app, fiber.MethodGet, "/open", p.open)
	p.site.Add(app, fiber.MethodGet, "/", p.home)
	p.site.Add(app, fiber.MethodGet, "/logo", p.logo)
	p.mountWebhooks()
	p.mountSettings()
	p.mountRecovery()
	p.mountDeliveries()
	p.mountEventTypes()
	p.mountDocuments()
	p.site.Add(app, fiber.MethodGet, "/*", func(*page.Request) error { return answer.NotFound("page") })
}

// get and post add a page for who has a capability.
func (p *Portal) get(needs access.Capability, path string, serve page.Handler) {
	p.add(fiber.MethodGet, needs, path, serve)
}

func (p *Portal) post(needs access.Capability, path string, serve page.Handler) {
	p.add(fiber.MethodPost, needs, path, serve)
}

func (p *Portal) add(method string, needs access.Capability, path string, serve page.Handler) {
	p.site.Add(p.app, method, path, func(r *page.Request) error {
		switch {
		case r.Query(openedMark) != "":
			return r.See(strings.TrimPrefix(string(r.Ctx.Context().Path()), Root), "") // the session is there: the mark has done its work
		case !can(r, needs):
			return answer.NewProblem(fiber.StatusForbidden, view.Permission, "this portal link does not allow that")
		}
		return serve(r)
	})
}

// can reports whether the visitor has a capability.
func can(r *page.Request, c access.Capability) bool { return slices.Contains(r.Grant.Capabilities, c) }

// visit is what all pages have.
type visit struct {
	// May has the visitor's capabilities.
	May     map[string]bool
	Problem *page.Problem
	// Unread: the page shows what an act answered, but the rest of it could not be read after the act.
	Unread bool
}

func visited(r *page.Request, problem *page.Problem) visit {
	v := visit{May: map[string]bool{}, Problem: problem}
	for _, c := range r.Grant.Capabilities {
		v.May[string(c)] = true
	}
	return v
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
		if can(r, each.needs) {
			item := each.Item
			item.Here = path == item.Path || strings.HasPrefix(path, item.Path+"/") || path == "/new"+strings.TrimSuffix(item.Path, "s")
			menu = append(menu, item)
		}
	}
	return menu
}

// home leads to the first page that the link allows. One that only replays has no list: it asks for the name of a webhook, which is `webhook`
// in the address.
func (p *Portal) home(r *page.Request) error {
	for _, item := range p.menu(r) {
		return r.See(item.Path, "")
	}
	if name := strings.TrimSpace(r.Query("webhook")); name != "" && can(r, access.CanReplay) {
		return r.See("/webhooks/"+url.PathEscape(name)+"/recover", "")
	}
	return r.Show("nothing", visited(r, nil))
}

// open opens a portal link.
func (p *Portal) open(r *page.Request) error {
	err := p.Open(r.Ctx)
	if errors.Is(err, access.ErrLinkEnded) {
		r.Status = fiber.StatusGone
		return r.Show("ended", ended{Link: true})
	}
	return err
}
