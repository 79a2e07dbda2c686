package api

import (
	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/route"
)

// webhookProduct is the product of the destinations that are webhooks.
const webhookProduct = "webhook"

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
