package page_test

import (
	"context"
	"html/template"
	"log/slog"
	"net"
	"sync/atomic"
	"testing"
	"testing/fstest"

	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/gateway/browser"
	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/web/page"
	"github.com/surveygate/surveygate/gateway/internal/web/route"
)

// TestInjectedMarkupIsDead: where escaping had failed once, the policy and the nonces keep what was injected from running.
func TestInjectedMarkupIsDead(t *testing.T) {
	t.Parallel()
	var evil atomic.Int64
	s := page.New(page.Options{
		Root: "/console", Files: fstest.MapFS{"pages/hole.html": {Data: []byte(
			`{{define "title"}}Hole{{end}}{{define "main"}}<h1>Hole</h1><div>{{.Data}}</div><button type="button" id="good" hx-get="/good" hx-nonce="{{nonce}}">good</button>{{end}}`)}},
		Callers: &route.Callers{Sessions: &access.Sessions{Clock: clock.System()}}, Login: func(*page.Request) error { return nil },
		Clock: clock.System(), Log: slog.New(slog.DiscardHandler), Context: context.Background(),
	})
	app := fiber.New(fiber.Config{DisableStartupMessage: true})
	s.Mount(app)
	s.AddOpen(app, fiber.MethodGet, "/hole", func(r *page.Request) error {
		return r.Show("hole", template.HTML(`<img src="/evil" alt="" onerror="document.title='owned'"><script>document.title='owned'</script>
<button type="button" id="injected" hx-get="/evil" hx-trigger="load">x</button><a id="link" href="javascript:document.title='owned'">y</a><style>h1 { color: red }</style>`))
	})
	app.Get("/evil", func(c *fiber.Ctx) error { evil.Add(1); return c.SendStatus(fiber.StatusNotFound) })
	app.Get("/good", func(c *fiber.Ctx) error { return c.SendString("answered") })
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = app.Listener(ln) }()
	t.Cleanup(func() { _ = app.Shutdown(); <-ended })

	p := browser.Start(t).Page(t, browser.Look{})
	p.Open("http://" + ln.Addr().String() + "/console/hole")
	p.WaitFor(`!document.getElementById("injected").hasAttribute("hx-get")`) // it was stripped
	p.Click("=y")
	p.Click("=good")
	p.WaitText("#good", "answered") // what the page itself has works
	if n := evil.Load(); n > 1 {    // an image of the same origin is shown
		t.Errorf("what was injected asked %d times", n)
	}
	if title := p.Title(); title != "Hole · surveygate" {
		t.Errorf("the title is %q", title)
	}
	if colour := browser.Ask[string](p, `getComputedStyle(document.querySelector("h1")).color`); colour == "rgb(255, 0, 0)" {
		t.Error("an injected style sheet counts")
	}
}
