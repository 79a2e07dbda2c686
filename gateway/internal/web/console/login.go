package console

import (
	"net/url"

	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/gateway/internal/web/page"
)

// toLogin leads a visitor without a session to the page where one begins, and back afterwards.
func (c *Console) toLogin(r *page.Request) error {
	q := url.Values{}
	if to := string(r.Ctx.Request().RequestURI()); r.Ctx.Method() == fiber.MethodGet && to != Root+"/" {
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
