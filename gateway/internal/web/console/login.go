package console

import (
	"net/url"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/gateway/internal/web/page"
	"github.com/surveygate/surveygate/gateway/internal/web/route"
)

// toLogin leads a visitor without a session to the page where one begins, and back afterwards. Who sent a form is told that it did nothing.
func (c *Console) toLogin(r *page.Request) error {
	path, note := "/login", ""
	if to := r.Address(); to != Root+"/" {
		path += "?" + url.Values{"to": {to}}.Encode()
	}
	if r.Ctx.Method() == fiber.MethodPost {
		note = "The session has ended. Nothing was saved: sign in, and do it again."
	}
	return r.SeeAt(path, note)
}

// logout makes the browser forget its sessions. A form leads to the page where another begins; a program needs no page.
func (c *Console) logout(r *page.Request) error {
	header := &r.Ctx.Request().Header
	if err := route.SameOrigin(header, false); err != nil {
		return err
	}
	route.EndCookies(r.Ctx)
	if !strings.HasPrefix(string(header.ContentType()), fiber.MIMEApplicationForm) {
		return r.Ctx.SendStatus(fiber.StatusNoContent)
	}
	return r.SeeAt("/login", "You are signed out.")
}

type login struct {
	// To is the page that it leads to; empty: the first.
	To      string
	Problem *page.Problem
}

func (c *Console) login(r *page.Request) error {
	if r.Grant != nil {
		return r.SeeAt("/", "")
	}
	return r.Show("login", login{To: r.Query("to")})
}

// refused shows why no session begins, above the form that asks for a token.
func (c *Console) refused(r *page.Request, problem *page.Problem) error {
	l := login{Problem: problem}
	if r.Ctx.Method() == fiber.MethodPost {
		form, err := r.Form()
		if err != nil {
			return err
		}
		l.To = form.Get("to")
	}
	return r.Show("login", l)
}
