package portal

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/page"
	"github.com/surveygate/surveygate/gateway/internal/web/route"
)

// openedMark is the parameter of the page that an opened link leads to. It is there for a browser that keeps no cookie: without a session,
// but with the mark, the page says so in place of that the session has ended.
const openedMark = "opened"

// plainMark is the mark of a link that does not say where there is another; that of any other link has this sealed.
const plainMark = "1"

// ended is what a visitor without a session is shown.
type ended struct {
	// Link: it is a link that cannot be opened. Blocked: the browser did not send the cookie that it was given.
	Link, Blocked bool
	// Sent: a form was sent, and did nothing.
	Sent bool
	// Again is where there is another link; empty: it is not known.
	Again string
}

func (p *Portal) ended(r *page.Request) error {
	r.Status = fiber.StatusUnauthorized
	h := &r.Ctx.Request().Header
	e := ended{Sent: r.Ctx.Method() == fiber.MethodPost, Again: p.Callers.PortalAgain(h)}
	if mark := r.Query(openedMark); mark != "" {
		again := p.Callers.Sessions.OpenAgain(mark)
		e.Again = cmp.Or(again, e.Again)
		kept := len(h.Cookie(route.PortalCookieName)) > 0 || p.Callers.PortalSession(h) != nil // the cookie came back, but counts no longer
		e.Blocked = !kept && (again != "" || mark == plainMark)
		e.Link = !e.Blocked && e.Again == ""
	}
	return r.Show("ended", e)
}

// meKey is the place in a request of the answer about its visitor, which several parts of a page need.
const meKey = "portal.me"

// link returns the portal link of the visitor; nil without one.
func (p *Portal) link(r *page.Request) *view.MeLink {
	if r.Grant == nil {
		return nil
	}
	if known, ok := r.Ctx.Locals(meKey).(*view.MeLink); ok {
		return known
	}
	var me view.Me
	if err := r.Read("/v1/me", nil, &me); err != nil || me.Link == nil { // it may have ended since: the page says so by its own question
		me.Link = &view.MeLink{}
	}
	r.Ctx.Locals(meKey, me.Link)
	return me.Link
}

// frames returns the pages that may show the portal in a frame: the one that the link names. What a visitor without a session is shown
// holds nothing, and must be seen in the frame of any of them.
func (p *Portal) frames(r *page.Request) string {
	if link := p.link(r); link != nil {
		return link.Origin
	}
	return strings.Join(p.Origins(), " ")
}

// prepare gives a page the look of the link.
func (p *Portal) prepare(r *page.Request, f *page.Frame) {
	f.Framed = strings.HasSuffix(r.Ctx.Get("Sec-Fetch-Dest"), "frame")
	f.Brand, f.Title, f.Tenant, f.Who, f.Sheet = "Webhooks", "Webhooks", "", "", "portal.css"
	link := p.link(r)
	if link == nil {
		return
	}
	for _, name := range []string{link.Name, link.Title} {
		if name != "" {
			f.Brand, f.Title = name, name
			break
		}
	}
	if link.Logo != "" {
		sum := sha256.Sum256([]byte(link.Logo))
		f.Logo = r.Root() + "/logo?v=" + hex.EncodeToString(sum[:6])
	}
	f.Accent = strings.ToLower(strings.TrimPrefix(link.Accent, "#"))
	if f.Theme == "" && link.Theme != "auto" {
		f.Theme = link.Theme
	}
}

// logo answers with the image of the link. Its address has a part of its hash, so that it may be kept.
func (p *Portal) logo(r *page.Request) error {
	kind, image := "", []byte(nil)
	if link := p.link(r); link != nil {
		kind, image = access.LogoOf(link.Logo)
	}
	if kind == "" {
		return fiber.ErrNotFound
	}
	c := r.Ctx
	c.Set(fiber.HeaderContentType, kind)
	c.Set(fiber.HeaderXContentTypeOptions, "nosniff")
	c.Set(fiber.HeaderContentSecurityPolicy, "default-src 'none'; sandbox")
	c.Set(fiber.HeaderCacheControl, "private, max-age=86400, immutable")
	return c.Send(image)
}
