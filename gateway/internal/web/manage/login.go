package manage

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/netip"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/audit"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
	"github.com/surveygate/surveygate/gateway/internal/web/route"
)

// loginRows are the routes of login links. Making one takes no Idempotency-Key: an answer with a secret must not be kept.
func loginRows() []row {
	return []row{
		{(*Management).makeLoginLink, route.Route{
			Method: fiber.MethodPost, Path: "/v1/login-links", Scope: access.Read, AllTenants: true,
			For: "make a link that opens the console once, signed in as the caller; its URL is shown this once",
			In:  view.NewLoginLink{}, Out: view.LoginLink{}, Status: fiber.StatusCreated, Statuses: []int{fiber.StatusConflict},
		}},
	}
}

// consoleToken is the name of the token, one of each tenant, whose sessions the login links of the control socket begin. It is made when
// it is first needed; nobody knows its text. Deleting it ends the sessions.
const consoleToken = "console"

func (m *Management) makeLoginLink(c *route.Call) error {
	var asked view.NewLoginLink
	if err := route.ReadJSON(c.Body(), &asked); err != nil {
		return err
	}
	if asked.To != "" && consolePage(asked.To) != asked.To {
		return answer.Invalid("this is a page of the console, as /console/deliveries?state=dead", "to")
	}
	base, err := m.consoleURL(c)
	if err != nil {
		return err
	}
	token, name, err := m.loginToken(c)
	if err != nil {
		return err
	}
	made, key, err := m.Logins.Make(c.Base, token, asked.To)
	if errors.Is(err, access.ErrTooManyLoginLinks) {
		return answer.NewProblem(fiber.StatusForbidden, view.PlanRestriction, err.Error(), "limits", "login_links")
	}
	if err != nil {
		return err
	}
	if err := m.noteChange(c, "session.link", "token/"+name, 0, nil, nil); err != nil {
		return err
	}
	return answer.JSON(c.Ctx, fiber.StatusCreated, view.LoginLink{
		URL: base + consolePath + "open?k=" + key, Token: name, Tenant: c.Tenant, Expires: view.Time{Time: made.Expires},
	})
}

// consoleURL returns the address that login links begin with. Over the control socket, and on another address than the console's, there is
// no Host to tell it.
func (m *Management) consoleURL(c *route.Call) (string, error) {
	own := m.Console.Listen != ""
	switch {
	case m.Console.Off:
		return "", answer.Conflict("this gateway has no console: `console` is `off` in its configuration")
	case own && c.Apart && m.Console.PublicURL == "", !own && !c.Open && m.Plan().Config.PublicURL == "":
		return reachedAt(c)
	case own && m.Console.PublicURL != "":
		return m.Console.PublicURL, nil
	case own:
		return onThisMachine(m.ConsoleAddress())
	case m.Plan().Config.PublicURL != "":
		return m.Plan().Config.PublicURL, nil
	}
	return onThisMachine(m.Address())
}

// onThisMachine returns the URL of a listener for who is on its machine.
func onThisMachine(listens string) (string, error) {
	at, err := netip.ParseAddrPort(listens)
	if err != nil {
		return "", unknownAddress()
	}
	if host := at.Addr(); host.IsUnspecified() { // it listens on all addresses: this machine's own is one of them
		at = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), at.Port())
	}
	return "http://" + at.String(), nil
}

// loginToken returns the SHA-256, in hex, and the name of the token whose session a link is to begin: the caller's.
func (m *Management) loginToken(c *route.Call) (token, name string, err error) {
	if c.Open {
		return m.socketToken(c)
	}
	if authorization := c.Request().Header.Peek(fiber.HeaderAuthorization); len(authorization) > 0 {
		sum := sha256.Sum256(access.Bearer(authorization))
		return hex.EncodeToString(sum[:]), c.Grant.Name, nil
	}
	if s := m.Guard.Callers.Session(&c.Request().Header); s != nil && s.Token != "" {
		return s.Token, c.Grant.Name, nil
	}
	return "", "", answer.NewProblem(fiber.StatusForbidden, view.Permission, "only a token, or a session of one, can make a login link")
}

// socketToken returns the tenant's consoleToken, and makes it where there is none.
func (m *Management) socketToken(c *route.Call) (token, name string, err error) {
	taken := answer.Conflict("there is another token `" + consoleToken + "` of this tenant: log in with that one, or delete it")
	for _, g := range m.Access.Grants() {
		if g.Name == consoleToken && g.Tenant == c.Tenant {
			return "", "", taken
		}
	}
	now := m.Clock.Now().UTC()
	made := access.Token{Name: consoleToken, Tenant: c.Tenant, Scopes: access.Every.Names(), Created: now, By: c.By().Name}
	v := view.NewStored(&made, time.Time{}, now)
	with, tell, err := m.audited(c, "token.create", "token/"+consoleToken, nil, v)
	if err != nil {
		return "", "", err
	}
	const noLimit = -1 // the operator's, not one of the tenant's plan
	var stored *access.Token
	err = m.Book.Writer.Alone(c.Base, c.Tenant, func(ctx context.Context) (err error) {
		stored, _, err = m.Access.Stored.Make(ctx, made, noLimit, with...)
		return err
	})
	switch {
	case err == nil:
		tell()
	case errors.Is(err, access.ErrTokenExists):
		stored = m.Access.Stored.Named(c.Tenant, consoleToken)
		if stored == nil || stored.By != made.By || !slices.Equal(stored.Scopes, made.Scopes) || !stored.Expires.IsZero() {
			return "", "", taken
		}
	case errors.Is(err, access.ErrTooManyTokens):
		return "", "", answer.NewProblem(fiber.StatusForbidden, view.PlanRestriction, err.Error(), "limits", "tokens")
	default:
		return "", "", Refusal(err)
	}
	return stored.ID(), consoleToken, nil
}

// The answers to those who cannot open a login link.
const (
	loginEnded   = "This link has ended: each opens once, within five minutes. `surveygate console` prints a new one."
	loginFrom    = "A page of another site led here. If you asked for this link yourself, put it into the address bar."
	loginAlready = "This browser is signed in already, as somebody else: sign out first."
)

// OpenLogin opens a login link: it begins its session, and leads to the console by a path without the link's secret. A link that a
// stranger made must not sign a person in as that stranger: pages of others cannot open one, and none takes the place of a session. The
// error is a *answer.Problem where the link cannot be opened.
func (m *Management) OpenLogin(c *fiber.Ctx) error {
	setSessionHeader(c)
	if site := c.Get("Sec-Fetch-Site"); site == "cross-site" || site == "same-site" {
		return answer.NewProblem(fiber.StatusForbidden, view.Permission, loginFrom)
	}
	callers := m.Guard.Callers
	begun := callers.Session(&c.Request().Header)
	var grant *access.Grant
	if begun != nil && begun.Token != "" {
		grant = callers.Access.SessionGrant(begun)
	}
	session, already := &access.Session{}, errors.New("signed in as somebody else")
	link, err := m.Logins.Open(m.Guard.Context, c.Query("k"), func(l *access.LoginLink) error {
		session = callers.Sessions.SessionOf(l.Token)
		switch opens := callers.Access.SessionGrant(session); {
		case opens == nil: // the token has ended
			return access.ErrLinkEnded
		case grant != nil && begun.Token != l.Token:
			return already
		default:
			grant = opens
			return nil
		}
	})
	switch {
	case errors.Is(err, access.ErrLinkEnded) && grant != nil: // opened twice by the same browser
		return c.Redirect(m.BelowConsole()+consolePath, fiber.StatusSeeOther)
	case errors.Is(err, access.ErrLinkEnded):
		return answer.NewProblem(fiber.StatusGone, view.NotFound, loginEnded)
	case errors.Is(err, already):
		return answer.Conflict(loginAlready)
	case err != nil:
		return err
	}
	if err := m.begin(c, session, grant, "session.open"); err != nil {
		return err
	}
	return c.Redirect(m.BelowConsole()+consolePage(link.To), fiber.StatusSeeOther)
}

// begin answers with the cookie of a session that lasts no longer than its token, and writes a line into the audit.
func (m *Management) begin(c *fiber.Ctx, session *access.Session, grant *access.Grant, did string) error {
	if !grant.Expires.IsZero() {
		session.Expires = min(session.Expires, grant.Expires.Unix())
	}
	if err := m.Guard.Callers.SetCookie(c, session, false); err != nil {
		return Refusal(err)
	}
	by := audit.By{Name: grant.By(), RequestID: answer.RequestID(c.Context())}
	if from := m.Guard.Remote(c); from.IsValid() {
		by.IP = from.String()
	}
	return m.Book.Audit.Add(m.Guard.Context, grant.Tenant, audit.Line{By: by, Did: did, Of: "token/" + grant.Name})
}

// The paths of the console's first page, and of the form that begins a session.
const (
	consolePath = "/console/"
	LoginPath   = consolePath + "login"
)

// consolePage returns the page of the console that a browser is led to: what was asked for, if it is one, else the first. What a stranger
// may have written leads to no other site.
func consolePage(asked string) string {
	u, err := url.Parse(asked)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || u.Opaque != "" || len(asked) > maxURL ||
		!strings.HasPrefix(u.EscapedPath(), consolePath) || strings.ContainsAny(asked, "\\\r\n\t") ||
		path.Clean(u.Path) != strings.TrimSuffix(u.Path, "/") {
		return consolePath
	}
	return asked
}

// BelowConsole is the path below which a proxy serves the console, which has a `public_url` of its own where it has an address of its own.
func (m *Management) BelowConsole() string {
	if m.Console.Listen != "" {
		return pathOf(m.Console.PublicURL)
	}
	return m.Below()
}

// Below is the path below which a proxy serves the gateway; mostly empty.
func (m *Management) Below() string { return pathOf(m.Plan().Config.PublicURL) }

func pathOf(publicURL string) string {
	public, err := url.Parse(publicURL)
	if err != nil {
		return ""
	}
	return public.Path
}
