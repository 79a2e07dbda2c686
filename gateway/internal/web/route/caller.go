package route

import (
	"bytes"
	"context"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
)

// The names of the cookies of sessions, of tokens and of portal links; LocalCookieName is that of a token's without TLS.
const (
	CookieName       = "__Host-sg"
	LocalCookieName  = "sg"
	PortalCookieName = "__Host-sg-portal"
)

// cookie is the cookie of one kind of session. Browsers send the first only over TLS, and take it from no subdomain; the second is for a
// gateway without TLS on the machine of the browser.
type cookie struct{ name, local string }

// Sessions of tokens and of portal links have cookies of their own: a portal link, which anybody may send to a person, must not take the
// place of the session that the person has begun.
var (
	consoleCookie = cookie{CookieName, LocalCookieName}
	portalCookie  = cookie{PortalCookieName, "sg-portal"}
)

// SessionHeader says which session a request means where the browser has both: with the value `portal`, that of the portal link.
const SessionHeader = "X-Surveygate-Session"

// Callers find out who makes a request: by a bearer token or, without one, by the cookie of a session. All fields are required.
type Callers struct {
	Access   *access.Access
	Sessions *access.Sessions
	Links    *access.Links
}

// Caller is who makes a request.
type Caller struct {
	Grant *access.Grant
	// Session is what a cookie holds that it was found by, which a browser also sends for pages of others; nil: it was found by a token.
	Session *access.Session
}

// Of returns who makes a request; without a grant: nobody who counts. The error is one of the store.
func (k *Callers) Of(ctx context.Context, h *fasthttp.RequestHeader) (Caller, error) {
	if authorization := h.Peek(fiber.HeaderAuthorization); len(authorization) > 0 {
		return Caller{Grant: k.Access.Grant(access.Bearer(authorization))}, nil
	}
	s := k.Session(h)
	switch {
	case s == nil:
		return Caller{}, nil
	case s.Link != "":
		grant, err := k.Links.Grant(ctx, s)
		return Caller{grant, s}, err
	default:
		return Caller{k.Access.SessionGrant(s), s}, nil
	}
}

// Known reports whether a request comes from somebody who may count, as far as that is known without the store.
func (k *Callers) Known(h *fasthttp.RequestHeader) (grant *access.Grant, ok bool) {
	if authorization := h.Peek(fiber.HeaderAuthorization); len(authorization) > 0 {
		grant = k.Access.Grant(access.Bearer(authorization))
		return grant, grant != nil
	}
	s := k.Session(h)
	if s == nil || s.Link != "" {
		return nil, s != nil
	}
	grant = k.Access.SessionGrant(s)
	return grant, grant != nil
}

// Session returns the session that a request means; nil without one. A request that does not ask for the session of its portal link has
// that only if the browser has no other cookie, also where the other session has ended: what a page does must not change its person.
func (k *Callers) Session(h *fasthttp.RequestHeader) *access.Session {
	if string(h.Peek(SessionHeader)) != "portal" {
		if s, there := k.open(h, consoleCookie); there {
			if s == nil || s.Link != "" {
				return nil
			}
			return s
		}
	}
	return k.PortalSession(h)
}

// PortalSession returns the session of the portal link that a browser has opened; nil without one.
func (k *Callers) PortalSession(h *fasthttp.RequestHeader) *access.Session {
	if s, _ := k.open(h, portalCookie); s != nil && s.Link != "" {
		return s
	}
	return nil
}

// PortalAgain returns where the browser gets another portal link, as its cookie says, whose session may have ended; empty: it is not known.
func (k *Callers) PortalAgain(h *fasthttp.RequestHeader) string {
	if again := k.Sessions.Again(string(h.Cookie(portalCookie.name))); again != "" || !IsLocal(string(h.Host())) {
		return again
	}
	return k.Sessions.Again(string(h.Cookie(portalCookie.local)))
}

// open returns the session of a cookie, and whether the cookie is there. The session is nil if it has ended.
func (k *Callers) open(h *fasthttp.RequestHeader, c cookie) (s *access.Session, there bool) {
	value := string(h.Cookie(c.name))
	if s = k.Sessions.Open(value); s == nil && IsLocal(string(h.Host())) {
		local := string(h.Cookie(c.local))
		value += local
		s = k.Sessions.Open(local)
	}
	return s, value != ""
}

// IsLocal reports whether a host is the machine itself.
func IsLocal(host string) bool {
	u := url.URL{Host: host}
	name := u.Hostname()
	if name == "localhost" || strings.HasSuffix(name, ".localhost") {
		return true
	}
	address, err := netip.ParseAddr(name)
	return err == nil && address.IsLoopback()
}

// SameOrigin refuses a request of a browser that changes something, unless a page of the gateway makes it. programs: also programs
// may ask, which do not say where they come from.
func SameOrigin(h *fasthttp.RequestHeader, programs bool) error {
	if h.IsGet() || h.IsHead() {
		return nil
	}
	site, from := string(h.Peek("Sec-Fetch-Site")), string(h.Peek(fiber.HeaderOrigin))
	switch {
	case site == "same-origin", site == "" && from == "" && programs:
		return nil
	case site == "" && from != "":
		origin, err := url.Parse(from)
		if err == nil && origin.Host == string(h.Host()) && (origin.Scheme == "https" || origin.Scheme == "http" && IsLocal(origin.Host)) {
			return nil
		}
	}
	return answer.NewProblem(fiber.StatusForbidden, view.Permission, "with a session's cookie only pages of this gateway may do that; programs send a token")
}

// IsForm reports whether a request is a form of a page. Programs name the type of forms for JSON too, as curl does by itself.
func IsForm(c *fiber.Ctx) bool {
	return strings.HasPrefix(string(c.Request().Header.ContentType()), fiber.MIMEApplicationForm) && !bytes.HasPrefix(bytes.TrimSpace(c.Body()), []byte("{"))
}

// againFor is how long a browser keeps the cookie of a portal's session after its end, for Session.Again.
const againFor = 30 * 24 * time.Hour

// SetCookie answers with the cookie of a session. framed: a page of another site shows it in a frame.
func (k *Callers) SetCookie(c *fiber.Ctx, s *access.Session, framed bool) error {
	value, err := k.Sessions.Seal(s)
	if err != nil {
		return err
	}
	kind := consoleCookie
	if s.Link != "" {
		kind = portalCookie
	}
	seconds := int(s.Expires - k.Sessions.Clock.Now().Unix())
	if s.Again != "" {
		seconds += int(againFor.Seconds())
	}
	setCookie(c, kind, value, seconds, framed)
	return nil
}

// EndCookies makes the browser forget its sessions.
func EndCookies(c *fiber.Ctx) {
	setCookie(c, consoleCookie, "", -1, false)
	setCookie(c, portalCookie, "", -1, false)
}

func setCookie(c *fiber.Ctx, kind cookie, value string, seconds int, framed bool) {
	cookie := fasthttp.AcquireCookie()
	defer fasthttp.ReleaseCookie(cookie)
	cookie.SetKey(kind.name)
	cookie.SetSecure(true)
	if IsLocal(string(c.Request().Host())) && !framed {
		cookie.SetKey(kind.local)
		cookie.SetSecure(false)
	}
	cookie.SetValue(value)
	cookie.SetPath("/")
	cookie.SetHTTPOnly(true)
	cookie.SetSameSite(fasthttp.CookieSameSiteLaxMode)
	if framed {
		cookie.SetSameSite(fasthttp.CookieSameSiteNoneMode)
		cookie.SetPartitioned(true)
	}
	if seconds > 0 {
		cookie.SetMaxAge(seconds)
	} else {
		cookie.SetExpire(fasthttp.CookieExpireDelete)
	}
	c.Response().Header.SetCookie(cookie)
}
