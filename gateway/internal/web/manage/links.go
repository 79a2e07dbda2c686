package manage

import (
	"errors"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
	"github.com/surveygate/surveygate/gateway/internal/web/route"
)

// linkRows are the routes of portal links. Making one takes no Idempotency-Key: an answer with a secret must not be kept.
func linkRows() []row {
	const all = "/v1/tenants/:id/portal-links"
	return []row{
		{(*Management).links, route.Route{
			Method: fiber.MethodGet, Path: all, Scope: access.Admin, TenantIn: "id", Query: []string{"limit", "cursor"},
			For: "portal links that have not ended", Out: view.Page[view.PortalLink]{},
		}},
		{(*Management).makeLink, route.Route{
			Method: fiber.MethodPost, Path: all, Scope: access.Admin, TenantIn: "id",
			For: "make a link that opens the portal once; its URL is shown this once", In: view.NewPortalLink{}, Out: view.MadePortalLink{}, Status: fiber.StatusCreated,
			Statuses: []int{fiber.StatusConflict},
		}},
		{(*Management).deleteLink, route.Route{
			Method: fiber.MethodDelete, Path: all + "/:link", Scope: access.Admin, TenantIn: "id",
			For: "end a portal link and its sessions", Status: fiber.StatusNoContent,
		}},
	}
}

func (m *Management) links(c *route.Call) error {
	all, err := m.Links.List(c.Base, c.Tenant)
	if err != nil {
		return err
	}
	return route.PageOfViews(c, all, func(l *access.Link) string { return l.ID }, func(some []*access.Link) ([]view.PortalLink, error) {
		views := make([]view.PortalLink, len(some))
		for i, l := range some {
			views[i] = view.NewLink(l)
		}
		return views, nil
	})
}

func (m *Management) deleteLink(c *route.Call) error {
	id := c.Segment("link")
	switch err := m.Links.Delete(c.Base, c.Tenant, id); {
	case errors.Is(err, state.ErrNotFound):
		return answer.NotFound("portal link")
	case err != nil:
		return err
	}
	if err := m.noteChange(c, "portal-link.delete", "portal-link/"+id, 0, nil, nil); err != nil {
		return err
	}
	return c.SendStatus(fiber.StatusNoContent)
}

// The bounds of a portal link.
const (
	opensWithin, mostOpensWithin = 5 * time.Minute, 24 * time.Hour
	portalSession                = 8 * time.Hour
	mostPortalSession            = 24 * time.Hour
	maxActor                     = 200
	maxURL                       = 2000
	maxLinkName                  = 60
)

var (
	accentForm = regexp.MustCompile(`^#[0-9a-fA-F]{6}$`)
	atForm     = regexp.MustCompile(`^(/[A-Za-z0-9_-]+)*/?$`)
)

func (m *Management) makeLink(c *route.Call) error {
	var asked view.NewPortalLink
	if err := route.ReadJSON(c.Body(), &asked); err != nil {
		return err
	}
	base, err := m.portalURL(c)
	if err != nil {
		return err
	}
	link, err := m.checkLink(c, &asked)
	if err != nil {
		return err
	}
	made, key, err := m.Links.Make(c.Base, c.Tenant, *link)
	if errors.Is(err, access.ErrTooManyLinks) {
		return answer.NewProblem(fiber.StatusForbidden, view.PlanRestriction, err.Error(), "limits", "portal_links")
	}
	if err != nil {
		return err
	}
	v := view.NewLink(made)
	if err := m.noteChange(c, "portal-link.create", "portal-link/"+made.ID, 0, nil, v); err != nil {
		return err
	}
	return answer.JSON(c.Ctx, fiber.StatusCreated, view.MadePortalLink{PortalLink: v, URL: base + "/portal/open?k=" + key})
}

// portalURL returns the address that links begin with.
func (m *Management) portalURL(c *route.Call) (string, error) {
	configured := m.Plan().Config.PublicURL
	switch {
	case m.Console.Off:
		return "", answer.Conflict("this gateway has no portal: `console` is `off` in its configuration")
	case configured != "":
		return configured, nil
	case c.Open:
		return "", unknownAddress()
	case c.Apart: // the caller reached the console's address, and the portal is at the gateway's
		at, err := onThisMachine(m.Address())
		if err != nil || !config.IsOrigin(at) || !route.IsLocal(string(c.Request().Host())) {
			return "", unknownAddress()
		}
		return at, nil
	}
	return reachedAt(c)
}

// reachedAt returns the URL of the address that a caller reached: by https, if it is not on the caller's own machine.
func reachedAt(c *route.Call) (string, error) {
	host := strings.ToLower(string(c.Request().Host()))
	for _, scheme := range []string{"https://", "http://"} {
		if config.IsOrigin(scheme+host) && (scheme == "http://" || !route.IsLocal(host)) {
			return scheme + host, nil
		}
	}
	return "", unknownAddress()
}

func unknownAddress() error {
	return answer.Invalid("the gateway does not know its public address: set `public_url` in the configuration", "url")
}

// checkLink returns the link that is asked for.
func (m *Management) checkLink(c *route.Call, asked *view.NewPortalLink) (*access.Link, error) {
	now := m.Clock.Now().UTC()
	opens, err := lengthOf(asked.OpensWithin, opensWithin, mostOpensWithin, "opens_within")
	if err != nil {
		return nil, err
	}
	session, err := lengthOf(asked.Session, portalSession, mostPortalSession, "session")
	if err != nil {
		return nil, err
	}
	link := &access.Link{
		Actor: asked.Actor, Origin: asked.Origin, RefreshURL: asked.RefreshURL, Theme: asked.Theme, Accent: asked.Accent, Name: asked.Name, Logo: asked.Logo, At: asked.At,
		Session: int64(session.Seconds()), Expires: now.Add(opens), Created: now, By: c.By().Name, Until: c.Grant.Expires,
	}
	if asked.OpensWithin != "" && link.Ends().Before(link.Expires) {
		return nil, answer.NewProblem(fiber.StatusForbidden, view.Permission, "this token ends at "+view.Time{Time: c.Grant.Expires}.String()+", and cannot make a link that opens later", "opens_within")
	}
	if !isText(asked.Actor, maxActor) {
		return nil, answer.Invalid("this is one line of at most "+strconv.Itoa(maxActor)+" characters", "actor")
	}
	if len(asked.Capabilities) == 0 {
		return nil, answer.Invalid("a link allows something: "+strings.Join(access.Capabilities(), ", "), "capabilities")
	}
	for _, name := range slices.Compact(slices.Sorted(slices.Values(asked.Capabilities))) {
		needs, ok := access.ScopeFor(access.Capability(name))
		if !ok {
			return nil, answer.Invalid("`"+name+"` is no capability; they are "+strings.Join(access.Capabilities(), ", "), "capabilities")
		}
		if lacks := needs &^ c.Grant.Scopes; lacks != 0 {
			return nil, answer.NewProblem(fiber.StatusForbidden, view.Permission, "`"+name+"` needs the scope `"+lacks.String()+"`, which this token does not have", "capabilities")
		}
		link.Capabilities = append(link.Capabilities, access.Capability(name))
	}
	origins := m.Plan().Config.Portal.Origins
	switch {
	case asked.Origin != "" && !slices.Contains(origins, asked.Origin):
		return nil, answer.Invalid("this is none of `portal.origins` in the configuration", "origin")
	case asked.RefreshURL != "" && !isPage(asked.RefreshURL):
		return nil, answer.Invalid("this is an https URL without user, password and fragment, or http for localhost", "refresh_url")
	case asked.Theme != "" && asked.Theme != "auto" && asked.Theme != "light" && asked.Theme != "dark":
		return nil, answer.Invalid("this is auto, light or dark", "theme")
	case asked.Accent != "" && !accentForm.MatchString(asked.Accent):
		return nil, answer.Invalid("this is a colour, as #2b6cb0", "accent")
	case !isText(asked.Name, maxLinkName):
		return nil, answer.Invalid("this is one line of at most "+strconv.Itoa(maxLinkName)+" characters", "name")
	case asked.Logo != "" && !access.IsLogo(asked.Logo):
		return nil, answer.Invalid("this is a PNG, JPEG or WebP image of at most 16 KiB, as data:image/png;base64,…", "logo")
	case len(asked.At) > maxActor || !atForm.MatchString(asked.At):
		return nil, answer.Invalid("this is a path of the portal, as /webhooks", "at")
	}
	return link, nil
}

func lengthOf(text string, otherwise, most time.Duration, name string) (time.Duration, error) {
	if text == "" {
		return otherwise, nil
	}
	d, ok := duration(text)
	if !ok || d < time.Second || d > most {
		return 0, answer.Invalid("this is how long, as 5m: from 1s to "+strconv.Itoa(int(most.Hours()))+"h", name)
	}
	return d, nil
}

// isPage reports whether a text is the URL of a page that a browser may be sent to.
func isPage(text string) bool {
	u, err := url.Parse(text)
	return err == nil && len(text) <= maxURL && u.User == nil && u.Fragment == "" && u.Opaque == "" && config.IsOrigin(u.Scheme+"://"+u.Host)
}
