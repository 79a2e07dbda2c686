package route

import (
	"context"
	"net/netip"
	"net/url"
	"strings"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
)

// The cookie of a session. Browsers send the first only over TLS, and take it from no subdomain; the second is for a gateway without
// TLS on the machine of the browser.
const (
	CookieName      = "__Host-sg"
	LocalCookieName = "sg"
)

// Callers find out who makes a request: by a bearer token or, without one, by the cookie of a session. All fields are required.
type Callers struct {
	Access   *access.Access
	Sessions *access.Sessions
	Links    *access.Links
}

// Caller is who makes a request.
type Caller struct {
	Grant *access.Grant
	// Cookie: it was found by a cookie, which a browser also sends for pages of others.
	Cookie bool
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
		return Caller{grant, true}, err
	default:
		return Caller{k.Access.SessionGrant(s), true}, nil
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

// Session returns the session of a request's cookie; nil without one.
func (k *Callers) Session(h *fasthttp.RequestHeader) *access.Session {
	if s := k.Sessions.Open(string(h.Cookie(CookieName))); s != nil {
		return s
	}
	if IsLocal(string(h.Host())) {
		return k.Sessions.Open(string(h.Cookie(LocalCookieName)))
	}
	return nil
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

// SetCookie answers with the cookie of a session. framed: a page of another site shows it in a frame.
func (k *Callers) SetCookie(c *fiber.Ctx, s *access.Session, framed bool) error {
	value, err := k.Sessions.Seal(s)
	if err != nil {
		return err
	}
	setCookie(c, value, int(s.Expires-k.Sessions.Clock.Now().Unix()), framed)
	return nil
}

// EndCookie makes the browser forget its session.
func EndCookie(c *fiber.Ctx) { setCookie(c, "", -1, false) }

func setCookie(c *fiber.Ctx, value string, seconds int, framed bool) {
	cookie := fasthttp.AcquireCookie()
	defer fasthttp.ReleaseCookie(cookie)
	cookie.SetKey(CookieName)
	cookie.SetSecure(true)
	if IsLocal(string(c.Request().Host())) && !framed {
		cookie.SetKey(LocalCookieName)
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
