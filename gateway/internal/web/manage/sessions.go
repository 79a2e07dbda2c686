package manage

import (
	"cmp"
	"errors"
	"net/url"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/audit"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
	"github.com/surveygate/surveygate/gateway/internal/web/route"
)

// setSessionHeader adds what all answers have that begin a session.
func setSessionHeader(c *fiber.Ctx) {
	c.Set(answer.RequestIDHeader, answer.RequestID(c.Context()))
	c.Set(fiber.HeaderCacheControl, "no-store")
	c.Set(fiber.HeaderReferrerPolicy, "no-referrer")
}

// maxSecret bounds a token in a login.
const maxSecret = 4096

// Login begins the session of a token: that of the field `token` in a form or in JSON. A form leads to the page in its field `to`. The error
// is a *answer.Problem where the caller is refused.
func (m *Management) Login(c *fiber.Ctx) error {
	setSessionHeader(c)
	if err := route.SameOrigin(&c.Request().Header, true); err != nil {
		return err
	}
	from := m.Guard.Remote(c)
	if err := m.Guard.LoginAllowed(from); err != nil {
		return err
	}
	form := route.IsForm(c)
	var asked view.Login
	var to string
	if form {
		values, err := url.ParseQuery(string(c.Body()))
		if err != nil {
			return answer.NewProblem(fiber.StatusBadRequest, view.Validation, "the body is not a form")
		}
		asked.Token, to = values.Get("token"), values.Get("to")
	} else if err := route.ReadJSON(c.Body(), &asked); err != nil {
		return err
	}
	token := strings.TrimSpace(asked.Token)
	if token == "" || len(token) > maxSecret {
		return answer.Invalid("a token is needed", "token")
	}
	grant := m.Access.Grant([]byte(token))
	if grant == nil {
		m.Guard.LoginFailed(from)
		return answer.NewProblem(fiber.StatusUnauthorized, view.Authentication, "this is no token that counts here", "token")
	}
	session := m.Guard.Callers.Sessions.NewSession([]byte(token))
	if err := m.begin(c, session, grant, "session.login"); err != nil {
		return err
	}
	if form {
		return c.Redirect(m.BelowConsole()+consolePage(to), fiber.StatusSeeOther)
	}
	return answer.JSON(c, fiber.StatusOK, view.Session{
		Token: grant.Name, Tenant: grant.Tenant, Scopes: grant.Scopes.Names(), Expires: view.Time{Time: time.Unix(session.Expires, 0)},
	})
}

// OpenLink opens a portal link: it begins its session, and leads to the portal by a path without the link's secret. There, the parameter
// `opened` says that there should be a session: a browser that keeps no cookie has none. access.ErrLinkEnded: the link cannot be opened,
// and nothing says where there is another.
func (m *Management) OpenLink(c *fiber.Ctx) error {
	setSessionHeader(c)
	callers := m.Guard.Callers
	link, session, err := m.Links.Open(m.Guard.Context, c.Query("k"), callers.PortalSession(&c.Request().Header))
	if errors.Is(err, access.ErrLinkEnded) && link != nil && link.RefreshURL != "" {
		return c.Redirect(link.Again(), fiber.StatusSeeOther)
	}
	if err != nil {
		return err
	}
	if err := callers.SetCookie(c, session, link.Origin != ""); err != nil {
		return Refusal(err)
	}
	by := audit.By{Name: "portal:" + link.Person(), RequestID: answer.RequestID(c.Context())}
	if from := m.Guard.Remote(c); from.IsValid() {
		by.IP = from.String()
	}
	if err := m.Book.Audit.Add(m.Guard.Context, link.Tenant, audit.Line{By: by, Did: "portal-link.open", Of: "portal-link/" + link.ID}); err != nil {
		return err
	}
	opened := "1"
	if link.RefreshURL != "" {
		if opened, err = callers.Sessions.SealAgain(link.Again()); err != nil {
			return Refusal(err)
		}
	}
	return c.Redirect(m.Below()+"/portal"+cmp.Or(link.At, "/")+"?opened="+url.QueryEscape(opened), fiber.StatusSeeOther)
}
