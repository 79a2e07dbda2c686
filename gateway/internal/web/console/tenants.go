package console

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
	"github.com/surveygate/surveygate/gateway/internal/web/page"
)

// tenants is where those who reach every tenant choose one.
type tenants struct {
	May      may
	Search   string
	List     view.Page[view.Tenant]
	Here     string
	ID, Name string // of the form
	Problem  *page.Problem
	// Unread says why the list is left out.
	Unread *page.Problem
}

func (c *Console) showTenants(r *page.Request, t tenants) error {
	t.May, t.Search, t.Here = mayOf(r), r.Query("q"), r.Root()+"/tenants?"
	if !t.May.Everywhere {
		return answer.NewProblem(fiber.StatusForbidden, view.Permission, "this session is of one tenant, "+r.Home())
	}
	if t.Search != "" {
		t.Here += "q=" + url.QueryEscape(t.Search) + "&"
	}
	if t.May.Admin {
		if err := r.Read("/v1/tenants", url.Values{"q": {t.Search}, "limit": {"100"}, "cursor": {r.Query("cursor")}}, &t.List); err != nil {
			if t.Unread = leftOut(err); t.Problem == nil {
				return err
			}
		}
	} else if t.Search != "" { // who may not list tenants may name one
		return r.SeeAt("/t/"+url.PathEscape(t.Search)+"/", "")
	}
	return r.Show("tenants", t)
}

func (c *Console) makeTenant(r *page.Request) error {
	form, err := r.Form()
	if err != nil {
		return err
	}
	t := tenants{ID: strings.TrimSpace(form.Get("id")), Name: strings.TrimSpace(form.Get("title"))}
	_, err = r.Ask(page.Ask{Method: fiber.MethodPut, Path: page.Path("/v1/tenants", t.ID), Body: view.TenantSpec{Title: t.Name}, NewOnly: true})
	if t.ID == "" {
		err = answer.Invalid("a tenant has a name", "id")
	}
	if err != nil {
		if t.Problem = r.Refusal(err); t.Problem != nil {
			return c.showTenants(r, t)
		}
		return err
	}
	return r.SeeAt("/t/"+url.PathEscape(t.ID)+"/settings/tenant", "The tenant "+t.ID+" is there.")
}

// tenant is one tenant: its plan, and how much it uses of it.
type tenant struct {
	May may
	view.Tenant
	Limits  []limit
	Problem *page.Problem
}

// limit is one of a plan.
type limit struct {
	Name, Words, Value string // Value is as in the form: empty for the operator's
	Allowed            *int
	Uses               *int
}

// limitWords says what each limit counts.
var limitWords = map[string]string{
	"webhooks": "Webhooks", "connections": "Connections", "sources": "Sources", "rules": "Rules", "tokens": "Tokens", "events_per_minute": "Events a minute, published by API",
	"portal_links": "Portal links",
}

func (c *Console) showTenant(r *page.Request, t tenant) error {
	t.May = mayOf(r)
	if !t.May.Admin {
		return r.Show("tenant", t)
	}
	values := map[string]string{}
	for _, each := range t.Limits {
		values[each.Name] = each.Value
	}
	asked := t.Problem != nil
	title := t.Title
	if err := r.Read(page.Path("/v1/tenants", r.Tenant), nil, &t.Tenant); err != nil {
		return err
	}
	if asked {
		t.Title = title
	}
	t.Limits = limitsOf(&t.Tenant)
	for i := range t.Limits {
		if asked {
			t.Limits[i].Value = values[t.Limits[i].Name]
		}
	}
	return r.Show("tenant", t)
}

func limitsOf(t *view.Tenant) []limit {
	own, allowed := t.Limits.All(), t.Allowed.All()
	uses := map[string]*int{}
	if u := t.Uses; u != nil {
		uses = map[string]*int{"webhooks": &u.Webhooks, "connections": &u.Connections, "sources": &u.Sources, "rules": &u.Rules, "tokens": &u.Tokens}
	}
	var all []limit
	for _, name := range slices.Sorted(maps.Keys(own)) {
		l := limit{Name: name, Words: limitWords[name], Allowed: allowed[name], Uses: uses[name]}
		if l.Words == "" {
			l.Words = name
		}
		if own[name] != nil {
			l.Value = strconv.Itoa(*own[name])
		}
		all = append(all, l)
	}
	return all
}

// changeTenant changes a tenant's title and its plan.
func (c *Console) changeTenant(r *page.Request) error {
	form, err := r.Form()
	if err != nil {
		return err
	}
	t := tenant{}
	t.Title = strings.TrimSpace(form.Get("title"))
	limits := map[string]any{}
	var wrong error
	for name := range (&access.Limits{}).All() {
		value := strings.TrimSpace(form.Get("limit." + name))
		t.Limits = append(t.Limits, limit{Name: name, Value: value})
		if value == "" {
			limits[name] = nil // the operator's
			continue
		}
		n, err := strconv.Atoi(value)
		if err != nil {
			wrong = answer.Invalid("this is a whole number, or empty for the operator's limit", "limits", name)
		}
		limits[name] = n
	}
	patch, err := json.Marshal(map[string]any{"title": t.Title, "limits": limits})
	if err != nil {
		return fmt.Errorf("write a change of a tenant: %w", err)
	}
	if wrong == nil {
		_, wrong = r.Ask(page.Ask{
			Method: fiber.MethodPatch, Path: page.Path("/v1/tenants", r.Tenant), Raw: patch, Type: "application/merge-patch+json", Match: form.Get("version"),
		})
	}
	if wrong != nil {
		if t.Problem = r.Refusal(wrong); t.Problem != nil {
			return c.showTenant(r, t)
		}
		return wrong
	}
	return r.See("/settings/tenant", "Saved.")
}

// tenantDeletion asks before a tenant is deleted.
type tenantDeletion struct {
	May may
	view.Tenant
	Problem *page.Problem
}

func (c *Console) showTenantDeletion(r *page.Request, t tenantDeletion) error {
	t.May = mayOf(r)
	if err := r.Read(page.Path("/v1/tenants", r.Tenant), nil, &t.Tenant); err != nil {
		return err
	}
	return r.Show("tenant_delete", t)
}

func (c *Console) deleteTenant(r *page.Request) error {
	form, err := r.Form()
	if err != nil {
		return err
	}
	if form.Get("name") != r.Tenant {
		err = answer.Invalid("type the tenant's name, "+r.Tenant+", to delete it", "name")
	} else {
		_, err = r.Ask(page.Ask{Method: fiber.MethodDelete, Path: page.Path("/v1/tenants", r.Tenant), Query: url.Values{"cascade": {"true"}}})
	}
	if err != nil {
		if problem := r.Refusal(err); problem != nil {
			return c.showTenantDeletion(r, tenantDeletion{Problem: problem})
		}
		return err
	}
	return r.SeeAt("/tenants", "The tenant "+r.Tenant+" is being deleted, with everything that it owns.")
}
