package console

import (
	"net/url"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/gateway/internal/web/page"
	"github.com/surveygate/surveygate/gateway/internal/web/route"
)

// toLogin leads a visitor without a session to the page where one begins, and back afterwards.
func (c *Console) toLogin(r *page.Request) error {
	q := url.Values{}
	if to := strings.TrimPrefix(string(r.Ctx.Request().RequestURI()), Root); r.Ctx.Method() == fiber.MethodGet && to != "/" && to != "" {
		q.Set("to", to)
	}
	path := "/login"
	if len(q) > 0 {
		path += "?" + q.Encode()
	}
	return r.SeeAt(path, "")
}

type login struct{ To string }

func (c *Console) login(r *page.Request) error {
	if r.Grant != nil {
		return r.SeeAt("/", "")
	}
	return r.Show("login", login{To: r.Query("to")})
}

// look sets how pages look in this browser.
func (c *Console) look(r *page.Request) error {
	if err := route.SameOrigin(&r.Ctx.Request().Header, false); err != nil {
		return err
	}
	form, err := r.Form()
	if err != nil {
		return err
	}
	r.Look(form.Get("theme"), form.Get("times") == "local", form.Get("keys") == "off")
	back := form.Get("back")
	if !strings.HasPrefix(back, Root+"/") || strings.ContainsAny(back, "\\\r\n") {
		back = Root + "/"
	}
	return r.SeeAt(strings.TrimPrefix(back, Root), "")
}
