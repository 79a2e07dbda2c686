package manage

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/settings"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
	"github.com/surveygate/surveygate/gateway/internal/web/route"
)

// tokenRows are the routes of tokens. Making one takes no Idempotency-Key: an answer with a secret must not be kept.
func tokenRows() []row {
	return []row{
		{(*Management).tokens, route.Route{
			Method: fiber.MethodGet, Path: "/v1/tokens", Scope: access.Read, AllTenants: true, Query: []string{"limit", "cursor"},
			For: "tokens, without their secrets", Out: view.Page[view.Token]{},
		}},
		{(*Management).token, route.Route{
			Method: fiber.MethodGet, Path: "/v1/tokens/:name", Scope: access.Read, AllTenants: true, For: "one token, without its secret", Out: view.Token{},
		}},
		{(*Management).makeToken, route.Route{
			Method: fiber.MethodPost, Path: "/v1/tokens", Scope: access.Admin, AllTenants: true,
			For: "make a token, whose secret is shown this once; with `tenant=*` one for every tenant",
			In:  view.NewToken{}, Out: view.MadeToken{}, Status: fiber.StatusCreated, Statuses: []int{fiber.StatusConflict}, Located: true,
		}},
		{(*Management).deleteToken, route.Route{
			Method: fiber.MethodDelete, Path: "/v1/tokens/:name", Scope: access.Admin, AllTenants: true,
			For: "end a token, and its sessions", Status: fiber.StatusNoContent,
		}},
	}
}

// shownToken is a token of the configuration or of the store.
type shownToken struct {
	grant      *access.Grant
	stored     *access.Token // nil: it is of the configuration
	provenance string
}

// key orders tokens: a tenant's own and those of every tenant may have the same names.
func (t shownToken) key() string { return t.grant.Name + "/" + t.grant.Tenant + "/" + t.provenance }

// tokensOf returns the tokens that a caller may see: those of the tenant and, for a caller of every tenant, those that reach it.
func (m *Management) tokensOf(c *route.Call) []shownToken {
	reaches := func(g *access.Grant) bool {
		return c.Tenant == access.AnyTenant || g.Tenant == c.Tenant || g.Tenant == access.AnyTenant && c.Grant.Tenant == access.AnyTenant
	}
	provenance := access.InFile
	if len(m.Plan().Config.Tokens) == 0 {
		provenance = "first"
	}
	var all []shownToken
	for _, g := range m.Access.Grants() {
		if reaches(g) {
			all = append(all, shownToken{g, nil, provenance})
		}
	}
	for _, t := range m.Access.Stored.Everybody() {
		if reaches(t.Grant()) {
			all = append(all, shownToken{t.Grant(), t, access.ByAPI})
		}
	}
	slices.SortFunc(all, func(a, b shownToken) int { return strings.Compare(a.key(), b.key()) })
	return all
}

// viewTokens returns the views of tokens, with the days of their last use.
func (m *Management) viewTokens(c *route.Call, some []shownToken) ([]view.Token, error) {
	now := m.Clock.Now()
	used := map[string]map[string]time.Time{} // by tenant
	views := make([]view.Token, len(some))
	for i, t := range some {
		if t.stored == nil {
			views[i] = view.NewTokenOf(t.grant, t.provenance)
			continue
		}
		tenant := t.grant.Tenant
		if used[tenant] == nil {
			days, err := m.Access.Stored.LastUsed(c.Base, tenant)
			if err != nil {
				return nil, err
			}
			used[tenant] = days
		}
		views[i] = view.NewStored(t.stored, used[tenant][t.stored.ID()], now)
	}
	return views, nil
}

func (m *Management) tokens(c *route.Call) error {
	return route.PageOfViews(c, m.tokensOf(c), shownToken.key, func(some []shownToken) ([]view.Token, error) { return m.viewTokens(c, some) })
}

func (m *Management) token(c *route.Call) error {
	name := c.Segment("name")
	all := m.tokensOf(c)
	var names []string
	for _, t := range slices.Backward(all) { // the tenant's own comes behind that of every tenant
		if t.grant.Name == name && (c.Tenant != access.AnyTenant || t.grant.Tenant == access.AnyTenant) {
			views, err := m.viewTokens(c, []shownToken{t})
			if err != nil {
				return err
			}
			return answer.JSON(c.Ctx, fiber.StatusOK, views[0])
		}
		names = append(names, t.grant.Name)
	}
	return answer.NoSuch("token", name, names)
}

// maxSources bounds the sources of a token.
const maxSources = 100

// makeToken makes a token of the tenant. Nobody gives what they do not have: scopes, sources, or time.
func (m *Management) makeToken(c *route.Call) error {
	var asked view.NewToken
	if err := route.ReadJSON(c.Body(), &asked); err != nil {
		return err
	}
	now := m.Clock.Now().UTC()
	made, err := m.checkToken(c, &asked, now)
	if err != nil {
		return err
	}
	for _, g := range m.Access.Grants() {
		if g.Name == made.Name && g.Tenant == made.Tenant {
			return answer.Conflict("the configuration has a token `" + made.Name + "` of this tenant")
		}
	}
	v := view.NewStored(made, time.Time{}, now)
	with, tell, err := m.audited(c, "token.create", "token/"+made.Name, nil, v)
	if err != nil {
		return err
	}
	var secret string
	err = m.Book.Writer.Alone(c.Base, c.Tenant, func(ctx context.Context) error {
		most, err := m.Tenants.Limit(ctx, c.Tenant, "token")
		if err == nil {
			_, secret, err = m.Access.Stored.Make(ctx, *made, most, with...)
		}
		return err
	})
	if many, ok := errors.AsType[*access.TooManyError](err); ok {
		return answer.NewProblem(fiber.StatusForbidden, view.PlanRestriction, (&settings.LimitError{Kind: "tokens", Most: many.Most, Have: many.Have}).Error(), "limits", "tokens")
	}
	switch {
	case errors.Is(err, access.ErrTokenExists):
		return answer.Conflict("the tenant has a token `" + made.Name + "` already")
	case errors.Is(err, access.ErrTooManyTokens):
		return answer.NewProblem(fiber.StatusForbidden, view.PlanRestriction, err.Error(), "limits", "tokens")
	case err != nil:
		return Refusal(err)
	}
	tell()
	c.Set(fiber.HeaderLocation, "/v1/tokens/"+made.Name)
	return answer.JSON(c.Ctx, fiber.StatusCreated, view.MadeToken{Token: v, Secret: secret})
}

// checkToken returns the token that is asked for.
func (m *Management) checkToken(c *route.Call, asked *view.NewToken, now time.Time) (*access.Token, error) {
	if !access.ValidName(asked.Name) {
		return nil, answer.Invalid("a name has a-z, 0-9, _ and -, begins with a letter or digit, and has at most 128 characters", "name")
	}
	if len(asked.Scopes) == 0 {
		return nil, answer.Invalid("a token has scopes: "+strings.Join(config.Scopes, ", "), "scopes")
	}
	scopes, err := access.Parse(asked.Scopes)
	if err != nil {
		return nil, answer.Invalid(err.Error(), "scopes")
	}
	if lacks := scopes &^ c.Grant.Scopes; lacks != 0 {
		return nil, answer.NewProblem(fiber.StatusForbidden, view.Permission, "this token cannot give the scope `"+lacks.String()+"`, which it does not have", "scopes")
	}
	if len(asked.Sources) > maxSources {
		return nil, answer.Invalid("a token names at most 100 sources; `*` is every source", "sources")
	}
	if len(asked.Sources) > 0 && scopes&access.Publish == 0 {
		return nil, answer.Invalid("`sources` needs the scope `publish`", "sources")
	}
	for _, source := range asked.Sources {
		if source != config.AnySource && !access.ValidName(source) {
			return nil, answer.Invalid("`"+source+"` is no name of a source", "sources")
		}
		if c.Grant.MayPublishAs(source) != nil {
			return nil, answer.NewProblem(fiber.StatusForbidden, view.Permission, "this token cannot give the source `"+source+"`, as which it may not publish", "sources")
		}
	}
	made := &access.Token{
		Name: asked.Name, Tenant: c.Tenant, Scopes: scopes.Names(), Sources: slices.Compact(slices.Sorted(slices.Values(asked.Sources))), Created: now, By: c.By().Name,
		Expires: c.Grant.Expires,
	}
	if scopes&access.Publish != 0 && len(made.Sources) == 0 && c.Grant.MayPublishAs("api") != nil {
		return nil, answer.NewProblem(fiber.StatusForbidden, view.Permission, "this token cannot give the source `api`, as which it may not publish: name `sources`", "sources")
	}
	if asked.Expires == "" {
		return made, nil
	}
	until, err := time.Parse(time.RFC3339, asked.Expires)
	if err != nil {
		length, ok := duration(asked.Expires)
		if !ok {
			return nil, answer.Invalid("this is how long it counts, as 90d or 12h, or until when, as 2027-01-02T03:04:05Z", "expires")
		}
		until = now.Add(length)
	}
	if until = until.UTC().Truncate(time.Second); !until.After(now) {
		return nil, answer.Invalid("this time is over already", "expires")
	}
	if own := c.Grant.Expires; !own.IsZero() && until.After(own) {
		return nil, answer.NewProblem(fiber.StatusForbidden, view.Permission, "this token ends at "+view.Time{Time: own}.String()+", and cannot make one that ends later", "expires")
	}
	made.Expires = until
	return made, nil
}

func (m *Management) deleteToken(c *route.Call) error {
	name := c.Segment("name")
	with, tell, err := m.audited(c, "token.delete", "token/"+name, nil, nil)
	if err != nil {
		return err
	}
	err = m.Access.Stored.Delete(c.Base, c.Tenant, name, with...)
	if errors.Is(err, state.ErrNotFound) {
		return m.noStoredToken(c, name)
	}
	if err != nil {
		return Refusal(err)
	}
	tell()
	return c.SendStatus(fiber.StatusNoContent)
}

// noStoredToken is the answer where the store has no token of a name.
func (m *Management) noStoredToken(c *route.Call, name string) error {
	tokens := m.Plan().Config.Tokens
	for _, t := range tokens {
		if t.Name == name && t.Tenant == c.Tenant {
			return definedInFile(name, &view.FilePlace{File: t.At.File, Line: t.At.Line})
		}
	}
	var names []string
	for _, t := range m.tokensOf(c) {
		if t.grant.Name == name && t.grant.Tenant == c.Tenant {
			return answer.NewProblem(fiber.StatusForbidden, view.DefinedInFile, "`"+name+"` is the token of the first start, which counts as long as no file of the configuration has `tokens`: write your own there and reload")
		}
		names = append(names, t.grant.Name)
	}
	return answer.NoSuch("token", name, names)
}
