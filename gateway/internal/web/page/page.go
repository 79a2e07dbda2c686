// Package page serves HTML pages to browsers. A page is a view of answers of the API: it asks them in the process, with the
// session of its visitor, so that every check of scope, tenant and rate is that of the API.
package page

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"html/template"
	"io/fs"
	"log/slog"
	"maps"
	"path"
	"strings"
	"sync"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
	"github.com/surveygate/surveygate/gateway/internal/web/route"
)

// Options are what a Site is made of. All but Funcs, Below, Frames and Prepare are required.
type Options struct {
	// Root is the path of the site, such as /console.
	Root string
	// Files has the templates: each file in pages is a page and defines `title` and `main`; what the files in parts define is there
	// for all of them. A page's own definitions are also its fragments.
	Files fs.FS
	// Funcs are there in templates beside those of this package.
	Funcs template.FuncMap
	// Portal: visitors have the session of a portal link, and not that of a token.
	Portal bool
	// Routes serves the API.
	Routes fasthttp.RequestHandler
	// Callers find out who visits.
	Callers *route.Callers
	// Login answers a visitor without a session.
	Login func(*Request) error
	// Menu returns the pages that the head of each page leads to.
	Menu func(*Request) []Item
	// Below returns the path below which a proxy serves the gateway, without a slash at its end; nil: none.
	Below func() string
	// Frames returns the origin whose pages may show the page in a frame; nil or "": none may.
	Frames func(*Request) string
	// Prepare, if it is set, runs before each page is written, and may change its Frame.
	Prepare func(*Request, *Frame)
	Clock   clock.Clock
	Log     *slog.Logger
	Context context.Context
}

// Item is an entry of the menu. Key is the letter that leads to it after `g`.
type Item struct {
	Name, Path, Key string
	Here            bool
}

// Site is a set of pages. Make it with New; it is safe for concurrent use.
type Site struct {
	Options
	pages  func() (map[string]*template.Template, error)
	assets *assets
	// marks are texts that templates write and that each answer replaces: they stay secret, so that no content can have them.
	marks marks
	// paths are those, as they are mounted, of what is asked for by GET.
	paths map[string]bool
}

// New returns a site. Its templates are parsed when the first page is asked for.
func New(o Options) *Site {
	s := &Site{Options: o, assets: allAssets(), marks: newMarks(), paths: map[string]bool{}}
	s.pages = sync.OnceValues(s.parse)
	return s
}

// Check returns the error of a template.
func (s *Site) Check() error {
	_, err := s.pages()
	return err
}

// parse returns the templates of all pages, by the names of their files.
func (s *Site) parse() (map[string]*template.Template, error) {
	funcs := s.funcs()
	maps.Copy(funcs, s.Funcs)
	base, err := template.New("").Funcs(funcs).ParseFS(partFiles, "parts/*.html")
	if err != nil {
		return nil, fmt.Errorf("parse the parts of pages: %w", err)
	}
	own, err := fs.Glob(s.Files, "parts/*.html")
	if err != nil {
		return nil, fmt.Errorf("list the parts of %s: %w", s.Root, err)
	}
	if len(own) > 0 {
		if base, err = base.ParseFS(s.Files, own...); err != nil {
			return nil, fmt.Errorf("parse the parts of %s: %w", s.Root, err)
		}
	}
	pages := map[string]*template.Template{}
	for _, in := range []struct {
		files   fs.FS
		pattern string
	}{{partFiles, "common/*.html"}, {s.Files, "pages/*.html"}} {
		names, err := fs.Glob(in.files, in.pattern)
		if err != nil {
			return nil, fmt.Errorf("list the pages of %s: %w", s.Root, err)
		}
		for _, file := range names {
			of, err := base.Clone()
			if err != nil {
				return nil, fmt.Errorf("parse %s: %w", file, err)
			}
			if of, err = of.ParseFS(in.files, file); err != nil {
				return nil, fmt.Errorf("parse %s: %w", file, err)
			}
			pages[strings.TrimSuffix(path.Base(file), ".html")] = of
		}
	}
	return pages, nil
}

// Handler answers a request of a visitor.
type Handler func(*Request) error

// Mount adds to a server the assets of the site, and the form by which a person chooses how pages look.
func (s *Site) Mount(app *fiber.App) {
	app.Get(s.Root+"/assets/:file", s.assets.serve)
	s.AddOpen(app, fiber.MethodPost, "/look", look)
}

// Add adds a page for visitors with a session. The path is below Root; `:tenant` in it is whose page it is.
func (s *Site) Add(app *fiber.App, method, path string, serve Handler) {
	s.know(method, path)
	app.Add(method, s.Root+path, func(c *fiber.Ctx) error {
		r, err := s.request(c)
		if err == nil {
			err = s.admitted(r, serve)
		}
		if err != nil {
			return s.failed(r, err)
		}
		return nil
	})
}

// AddOpen adds a page that needs no session.
func (s *Site) AddOpen(app *fiber.App, method, path string, serve Handler) {
	s.know(method, path)
	app.Add(method, s.Root+path, func(c *fiber.Ctx) error {
		r, err := s.request(c)
		if err == nil {
			err = serve(r)
		}
		if err != nil {
			return s.failed(r, err)
		}
		return nil
	})
}

// AddBegin adds what begins a session. Where begin refuses a person, refused shows why; a program is answered as by the API.
func (s *Site) AddBegin(app *fiber.App, method, path string, begin fiber.Handler, refused func(*Request, *Problem) error) {
	app.Add(method, s.Root+path, func(c *fiber.Ctx) error {
		err := begin(c)
		if err == nil || method != fiber.MethodGet && !route.IsForm(c) {
			return err
		}
		r, unknown := s.request(c)
		if problem := answer.FromError(err); unknown == nil && problem.Status < fiber.StatusInternalServerError {
			err = refused(r, r.shown(problem))
		}
		if err != nil {
			return s.failed(r, err)
		}
		return nil
	})
}

// know keeps the path of a page, for nearest.
func (s *Site) know(method, path string) {
	if method == fiber.MethodGet {
		s.paths[strings.TrimSuffix(s.Root+path, "/")] = true
	}
}

// nearest returns the path itself where a page is asked for at it; else the nearest above that has one. route is what the path was mounted as.
func (s *Site) nearest(route, path string) string {
	route, path = strings.TrimSuffix(route, "/"), strings.TrimSuffix(path, "/")
	for len(route) > len(s.Root) && len(path) > len(s.Root) {
		if s.paths[route] {
			return path
		}
		route, path = route[:strings.LastIndexByte(route, '/')], path[:strings.LastIndexByte(path, '/')]
	}
	return s.Root + "/"
}

// login answers a visitor without a session. In the place of a fragment it answers 401 without a body: the page that is shown there reads
// itself again.
func (s *Site) login(r *Request) error {
	if !r.isPart() {
		return s.Login(r)
	}
	r.setPageHeader()
	r.Ctx.Status(fiber.StatusUnauthorized)
	return nil
}

func (s *Site) admitted(r *Request, serve Handler) error {
	if r.Grant == nil {
		return s.login(r)
	}
	if err := route.SameOrigin(&r.Ctx.Request().Header, false); err != nil {
		return err
	}
	return serve(r)
}

// failed shows a problem as a page.
func (s *Site) failed(r *Request, err error) error {
	problem := answer.FromError(err)
	if problem.Status >= fiber.StatusInternalServerError && problem.Cause != nil {
		s.Log.Warn("cannot show a page", "path", r.Ctx.Path(), "request_id", answer.RequestID(r.Ctx.Context()), "err", problem.Cause)
	}
	if problem.Status == fiber.StatusUnauthorized && (r.Ctx.Method() == fiber.MethodGet || r.isPart()) {
		return s.login(r) // the session ended between two questions
	}
	r.Status = problem.Status
	if err := r.Show("problem", problemView(problem, answer.RequestID(r.Ctx.Context()))); err != nil {
		return fmt.Errorf("show a problem: %w", err)
	}
	return nil
}

// render writes a template with what belongs to the answer in place of the marks.
func (s *Site) render(r *Request, page, name string, data any) ([]byte, error) {
	pages, err := s.pages()
	if err != nil {
		return nil, err
	}
	of := pages[page]
	if of == nil {
		return nil, fmt.Errorf("there is no page %s", page)
	}
	var b bytes.Buffer
	if err := of.ExecuteTemplate(&b, name, data); err != nil {
		return nil, fmt.Errorf("write the page %s: %w", page, err)
	}
	return s.marks.replace(b.Bytes(), r), nil
}

// below returns the path below which a proxy serves the gateway.
func (s *Site) below() string {
	if s.Below == nil {
		return ""
	}
	return s.Below()
}

// policy returns the Content-Security-Policy of an answer.
func policy(nonce, frames string) string {
	return "default-src 'none'; script-src 'nonce-" + nonce + "'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; " +
		"frame-ancestors " + cmp.Or(frames, "'none'") + "; require-trusted-types-for 'script'; trusted-types htmx"
}
