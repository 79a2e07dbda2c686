package api

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
	"github.com/surveygate/surveygate/gateway/internal/web/route"
	"github.com/surveygate/surveygate/rules"
)

// kind is a kind of thing that the configuration defines.
type kind string

const (
	sources     kind = "sources"
	connections kind = "connections"
	webhooks    kind = "webhooks"
	ruleKind    kind = "rules"
)

// view is a value of the type of one thing's view, page of that of a list.
func (k kind) view() any {
	return map[kind]any{sources: view.Source{}, connections: view.Connection{}, webhooks: view.Webhook{}, ruleKind: view.Rule{}}[k]
}

func (k kind) page() any {
	return map[kind]any{
		sources: view.Page[view.Source]{}, connections: view.Page[view.Connection]{}, webhooks: view.Page[view.Webhook]{}, ruleKind: view.Page[view.Rule]{},
	}[k]
}

// thing is a configured thing with its view.
type thing struct {
	name string
	at   *view.FilePlace
	view any
}

// things returns a tenant's things of one kind, by name. A rule of every tenant is shown in each.
func (k kind) things(plan *decide.Plan, tenant string, showSecrets bool) []thing {
	var all []thing
	switch k {
	case sources:
		for _, s := range plan.Sources(tenant) {
			v := view.NewSource(s, showSecrets)
			all = append(all, thing{v.Name, v.At, v})
		}
	case ruleKind:
		for _, r := range plan.Rules(tenant) {
			if r.Match.Kind == rules.RuleKind {
				v := view.NewRule(r, plan, tenant)
				all = append(all, thing{v.Name, v.At, v})
			}
		}
	case connections:
		for _, d := range plan.DestinationsOf(tenant) {
			if d.Product != webhookProduct {
				v := view.NewConnection(d)
				all = append(all, thing{v.Name, v.At, v})
			}
		}
	case webhooks:
		selects := map[string]*config.Rule{}
		for _, r := range plan.Rules(tenant) {
			if r.Match.Kind == rules.WebhookKind {
				selects[r.Name] = r
			}
		}
		for _, d := range plan.DestinationsOf(tenant) {
			if d.Product == webhookProduct {
				v := view.NewWebhook(d, selects[d.Name])
				all = append(all, thing{v.Name, v.At, v})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b thing) int { return cmp.Compare(a.name, b.name) })
	return all
}

// webhookProduct is the product of the destinations that are webhooks.
const webhookProduct = "webhook"

// showSecrets reports whether the caller asks for secrets and has the scope to see them.
func showSecrets(c *route.Call) (bool, error) {
	asked, err := c.Flag("show_secrets")
	if err == nil && asked && !c.Grant.May(access.Secrets) {
		err = answer.NewProblem(fiber.StatusForbidden, view.Permission, "this token lacks the scope `"+access.Secrets.String()+"`", "show_secrets")
	}
	return asked, err
}

func (k kind) list(a *API, c *route.Call) error {
	shown, err := showSecrets(c)
	if err != nil {
		return err
	}
	return route.PageOfViews(c, k.things(a.Plan(), c.Tenant, shown), func(t thing) string { return t.name }, func(page []thing) ([]any, error) {
		views := make([]any, len(page))
		for i := range page {
			views[i] = page[i].view
		}
		return views, nil
	})
}

func (k kind) find(a *API, c *route.Call) (*thing, error) {
	shown, err := showSecrets(c)
	if err != nil {
		return nil, err
	}
	name := c.Segment("name")
	things := k.things(a.Plan(), c.Tenant, shown)
	for i := range things {
		if things[i].name == name {
			return &things[i], nil
		}
	}
	names := make([]string, len(things))
	for i := range things {
		names[i] = things[i].name
	}
	return nil, noSuch(string(k[:len(k)-1]), name, names)
}

func (k kind) one(a *API, c *route.Call) error {
	t, err := k.find(a, c)
	if err != nil {
		return err
	}
	return answer.JSON(c.Ctx, fiber.StatusOK, t.view)
}

// definedInFile refuses to change what a file defines, and names the file and line.
func (k kind) definedInFile(a *API, c *route.Call) error {
	t, err := k.find(a, c)
	if err != nil {
		return err
	}
	where := "the configuration"
	if t.at != nil && strings.HasPrefix(t.at.File, config.StorePrefix) {
		return answer.NewProblem(fiber.StatusForbidden, view.Permission, "`"+t.name+"` is a document of the tenant, which this API does not change")
	}
	if t.at != nil {
		where = fmt.Sprintf("%s:%d", t.at.File, t.at.Line)
	}
	return answer.NewProblem(fiber.StatusForbidden, view.DefinedInFile, "`"+t.name+"` is defined in "+where+"; change it there and reload")
}

// tokens lists the tokens that reach this tenant.
func (a *API) tokens(c *route.Call) error {
	var all []view.Token
	for _, g := range a.Access.Grants() {
		if g.Tenant == c.Tenant || g.Tenant == access.AnyTenant && c.Grant.Tenant == access.AnyTenant {
			all = append(all, view.NewToken(g))
		}
	}
	return route.PageOf(c, all, func(t view.Token) string { return t.Name })
}
