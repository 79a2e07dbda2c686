package console

import (
	"net/url"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/page"
)

func (c *Console) mountSettings() {
	c.get(settingsPath, func(r *page.Request) error {
		if may := mayOf(r); may.Read || may.Admin {
			return r.See("/settings/tokens", "")
		}
		return r.See("/settings/gateway", "")
	})
	c.get("/settings/tokens", func(r *page.Request) error { return c.showTokens(r, tokens{}) })
	c.post("/settings/tokens", c.makeToken)
	c.get("/settings/tokens/:name", c.token)
	c.post("/settings/tokens/:name/delete", c.deleteToken)
	c.get("/settings/audit", c.audit)
	c.get("/settings/links", func(r *page.Request) error { return c.showLinks(r, links{}) })
	c.post("/settings/links", c.makeLink)
	c.get("/settings/links/:id/delete", c.confirmLinkEnd)
	c.post("/settings/links/:id/delete", c.deleteLink)
	c.get(ImportPath, func(r *page.Request) error { return c.showTransfer(r, transfer{}) })
	c.get("/settings/export", c.export)
	c.post(ImportPath, c.importSettings)
	c.get("/settings/gateway", c.gateway)
	c.getAll("/tenants", func(r *page.Request) error { return c.showTenants(r, tenants{}) })
	c.postAll("/tenants", c.makeTenant)
	c.get("/settings/tenant", func(r *page.Request) error { return c.showTenant(r, tenant{}) })
	c.post("/settings/tenant", c.changeTenant)
	c.get("/settings/tenant/delete", func(r *page.Request) error { return c.showTenantDeletion(r, tenantDeletion{}) })
	c.post("/settings/tenant/delete", c.deleteTenant)
}

// may tells the templates of settings what the visitor may do.
type may struct{ Read, Admin, Settings, Secrets, Everywhere bool }

func mayOf(r *page.Request) may {
	return may{r.May(access.Read), r.May(access.Admin), r.May(access.Settings), r.May(access.Secrets), r.Everywhere()}
}

// choice is one of the words that a form offers, and what it is for.
type choice struct{ Name, For string }

var scopeChoices = []choice{
	{"read", "sees everything but secrets"},
	{"write", "retries, replays, pauses and drops"},
	{"publish", "sends events"},
	{"secrets", "sees what is hidden otherwise"},
	{"settings", "changes webhooks, connections, sources and rules"},
	{"admin", "tenants, tokens, portal links, erasing persons, import and export"},
}

var capabilityChoices = []choice{
	{"webhooks", "makes and changes webhooks"},
	{"connections", "makes and changes connections"},
	{"rules", "makes and changes rules"},
	{"deliveries", "sees deliveries"},
	{"replay", "retries and recovers deliveries"},
	{"bodies", "sees requests, responses and answers"},
}

// tokens is the list of tokens with the form that makes one.
type tokens struct {
	May     may
	List    view.Page[view.Token]
	Here    string
	Form    tokenForm
	Made    *view.MadeToken
	Problem *page.Problem
	// Unread says why the list is left out.
	Unread *page.Problem
}

type tokenForm struct {
	Name, Sources, Expires string
	Scopes                 []string
}

func (c *Console) showTokens(r *page.Request, t tokens) error {
	t.May, t.Here = mayOf(r), r.Base()+"/settings/tokens?"
	if err := r.Read("/v1/tokens", url.Values{"limit": {"100"}, "cursor": {r.Query("cursor")}}, &t.List); err != nil {
		beside := t.Made != nil || t.Problem != nil || t.May.Admin && !r.May(access.Read)
		if t.Unread = leftOut(err); !beside {
			return err
		}
	}
	return r.Show("tokens", t)
}

func (c *Console) makeToken(r *page.Request) error {
	form, err := r.Form()
	if err != nil {
		return err
	}
	f := tokenForm{Name: strings.TrimSpace(form.Get("name")), Scopes: form["scope"], Sources: form.Get("sources"), Expires: strings.TrimSpace(form.Get("expires"))}
	a, err := r.Ask(page.Ask{Method: fiber.MethodPost, Path: "/v1/tokens", Body: view.NewToken{
		Name: f.Name, Scopes: f.Scopes, Sources: fields(f.Sources), Expires: f.Expires,
	}})
	if err != nil {
		if problem := r.Refusal(err); problem != nil {
			return c.showTokens(r, tokens{Form: f, Problem: problem})
		}
		return err
	}
	var made view.MadeToken
	if err := a.Decode(&made); err != nil {
		return err
	}
	return c.showTokens(r, tokens{Made: &made}) // not another page: the secret is shown this once
}

// fields are the words of a text that has spaces or commas between them.
func fields(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' || r == '\n' || r == '\r' || r == '\t' })
}

type oneToken struct {
	May may
	view.Token
	Problem *page.Problem
}

func (c *Console) token(r *page.Request) error { return c.showToken(r, nil) }

func (c *Console) showToken(r *page.Request, problem *page.Problem) error {
	t := oneToken{May: mayOf(r), Problem: problem}
	if err := r.Read(page.Path("/v1/tokens", r.Param("name")), nil, &t.Token); err != nil {
		return err
	}
	return r.Show("token", t)
}

func (c *Console) deleteToken(r *page.Request) error {
	name := r.Param("name")
	if _, err := r.Ask(page.Ask{Method: fiber.MethodDelete, Path: page.Path("/v1/tokens", name)}); err != nil {
		if problem := r.Refusal(err); problem != nil {
			return c.showToken(r, problem)
		}
		return err
	}
	return r.See("/settings/tokens", "The token "+name+" has ended, and its sessions with it.")
}

// audit is who did what.
type audit struct {
	May     may
	List    view.Page[view.AuditLine]
	Of, By  string
	Here    string
	Problem *page.Problem
}

func (c *Console) audit(r *page.Request) error {
	a := audit{May: mayOf(r), Of: r.Query("of"), By: r.Query("by"), Here: r.Base() + "/settings/audit?"}
	if q := (url.Values{"of": {a.Of}, "by": {a.By}}); a.Of != "" || a.By != "" {
		a.Here += q.Encode() + "&"
	}
	if err := r.Read("/v1/audit", url.Values{"of": {a.Of}, "by": {a.By}, "limit": {"50"}, "cursor": {r.Query("cursor")}}, &a.List); err != nil {
		if a.Problem = r.Refusal(err); a.Problem == nil {
			return err
		}
	}
	return r.Show("audit", a)
}

// links are the portal links of a tenant with the form that makes one.
type links struct {
	May     may
	List    view.Page[view.PortalLink]
	Here    string
	Form    view.NewPortalLink
	Made    *view.MadePortalLink
	Problem *page.Problem
	// Unread says why the list is left out.
	Unread *page.Problem
}

func (c *Console) showLinks(r *page.Request, l links) error {
	l.May, l.Here = mayOf(r), r.Base()+"/settings/links?"
	if !l.May.Admin {
		return r.Show("links", l)
	}
	if err := r.Read(page.Path("/v1/tenants", r.Tenant)+"/portal-links", url.Values{"limit": {"100"}, "cursor": {r.Query("cursor")}}, &l.List); err != nil {
		if l.Unread = leftOut(err); l.Made == nil && l.Problem == nil {
			return err
		}
	}
	return r.Show("links", l)
}

func (c *Console) makeLink(r *page.Request) error {
	form, err := r.Form()
	if err != nil {
		return err
	}
	f := view.NewPortalLink{
		Actor: form.Get("actor"), Capabilities: form["capability"], OpensWithin: form.Get("opens_within"), Session: form.Get("session"),
		Origin: strings.TrimSpace(form.Get("origin")), At: "",
	}
	a, err := r.Ask(page.Ask{Method: fiber.MethodPost, Path: page.Path("/v1/tenants", r.Tenant) + "/portal-links", Body: f})
	if err != nil {
		if problem := r.Refusal(err); problem != nil {
			return c.showLinks(r, links{Form: f, Problem: problem})
		}
		return err
	}
	var made view.MadePortalLink
	if err := a.Decode(&made); err != nil {
		return err
	}
	return c.showLinks(r, links{Made: &made})
}

func (c *Console) deleteLink(r *page.Request) error {
	if _, err := r.Ask(page.Ask{Method: fiber.MethodDelete, Path: page.Path("/v1/tenants", r.Tenant, "portal-links", r.Param("id"))}); err != nil {
		if problem := r.Refusal(err); problem != nil {
			return c.showLinks(r, links{Problem: problem})
		}
		return err
	}
	return r.See("/settings/links", "The link has ended, and its session with it.")
}

// gateway is how the whole gateway stands, for those who reach every tenant; else how the tenant does. A session that may not read sees what
// it may do.
type gateway struct {
	May    may
	Health view.Health
	Me     view.Me
}

func (c *Console) gateway(r *page.Request) error {
	g := gateway{May: mayOf(r)}
	q := url.Values{}
	if g.May.Everywhere {
		q.Set("tenant", access.AnyTenant)
	}
	err := r.Together(
		func() error {
			if !g.May.Read {
				return nil
			}
			return r.Read("/v1/health", q, &g.Health)
		},
		func() error { return r.Read("/v1/me", nil, &g.Me) },
	)
	if err != nil {
		return err
	}
	return r.Show("gateway", g)
}
