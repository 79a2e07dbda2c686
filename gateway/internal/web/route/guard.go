package route

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/audit"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
)

// Options are the dependencies of a Guard; all are required.
type Options struct {
	Store   state.Store
	Callers *Callers
	Tenants *access.Tenants
	Log     *slog.Logger
	// Rates bound how often callers may ask.
	Rates Rates
	// Remote returns the address that a request came from.
	Remote func(*fiber.Ctx) netip.Addr
	// Audit records what callers did.
	Audit *audit.Log
	// Context ends when the gateway does.
	Context context.Context
}

// Guard stands before every handler: it finds out who calls and for which tenant, and refuses what the caller may not do. Make
// it with New; it is safe for concurrent use.
type Guard struct {
	Options
	once   once
	limits *limits
}

// New returns a Guard.
func New(o Options) *Guard {
	return &Guard{Options: o, once: once{store: o.Store, log: o.Log}, limits: newLimits(o.Rates)}
}

// Entry is where requests come in.
type Entry uint8

// The entries.
const (
	// Port is the gateway's own address.
	Port Entry = iota
	// Socket is the control socket, where routes need no token.
	Socket
	// Apart is the address that the console has for itself.
	Apart
)

// Mount adds routes to the server of an entry.
func (g *Guard) Mount(app *fiber.App, entry Entry, routes []Bound) {
	for i := range routes {
		app.Add(routes[i].Method, routes[i].Path, g.handler(&routes[i], entry))
	}
}

func (g *Guard) handler(r *Bound, entry Entry) fiber.Handler {
	open := entry == Socket
	return func(c *fiber.Ctx) error {
		caller := Caller{Grant: access.Socket}
		if !open {
			var err error
			if caller, err = g.Callers.Of(g.Context, &c.Request().Header); err != nil {
				return err
			}
			if caller.Grant == nil {
				c.Set(fiber.HeaderWWWAuthenticate, "Bearer")
				return answer.NewProblem(fiber.StatusUnauthorized, view.Authentication, "a bearer token is needed (`Authorization: Bearer TOKEN`), and this request has none that is known and has not ended")
			}
		}
		if caller.Session != nil {
			if err := SameOrigin(&c.Request().Header, false); err != nil {
				return err
			}
		}
		// Every answer of the API has the id, so that a person can quote it.
		c.Set(answer.RequestIDHeader, answer.RequestID(c.Context()))
		call := &Call{Ctx: c, Base: g.Context, Grant: caller.Grant, Session: caller.Session, Open: open, Apart: entry == Apart, guard: g, route: &r.Route}
		if !open {
			call.Remote = g.Remote(c)
		}
		if err := g.admit(call, &r.Route); err != nil {
			return err
		}
		do := func() error {
			err := r.Serve(call)
			if err != nil || call.dry() {
				return forPortal(call.Grant, err)
			}
			if r.Scope == access.Write || r.Scope == access.Secrets {
				g.acted(&r.Route, call)
			}
			g.record(&r.Route, call)
			return nil
		}
		if key := c.Request().Header.Peek("Idempotency-Key"); r.Once && len(key) > 0 {
			return g.once.serve(call, string(key), do)
		}
		return do()
	}
}

// forPortal keeps the places of the operator's files from the session of a portal link.
func forPortal(grant *access.Grant, err error) error {
	var problem *answer.Problem
	if grant.Capabilities == nil || !errors.As(err, &problem) {
		return err
	}
	for i := range problem.Detail {
		if problem.Detail[i].Type == view.DefinedInFile {
			problem.Detail[i].Msg = "the platform defines this: it cannot be changed here"
		}
	}
	return problem
}

// allows reports whether a grant has the scope of the route, or the capability.
func (r *Route) allows(grant *access.Grant) bool {
	if r.Anyone {
		return true
	}
	if grant.Capabilities != nil {
		needs := r.Capability()
		return needs != "" && slices.Contains(grant.Capabilities, needs)
	}
	return grant.May(r.Scope)
}

// admit finds out the tenant of a call, and refuses what the caller may not do.
func (g *Guard) admit(c *Call, r *Route) error {
	switch {
	case r.allows(c.Grant):
	case c.Grant.Capabilities != nil:
		return answer.NewProblem(fiber.StatusForbidden, view.Permission, "this portal link does not allow that")
	default:
		return answer.NewProblem(fiber.StatusForbidden, view.Permission, "this token lacks the scope `"+r.Scope.String()+"`")
	}
	if r.Operator && c.Grant.Tenant != access.AnyTenant {
		return answer.NewProblem(fiber.StatusForbidden, view.Permission, "only a token for every tenant may do that", "tenant")
	}
	if err := g.findTenant(c, r); err != nil {
		return err
	}
	if err := known(c.Ctx, r); err != nil {
		return err
	}
	if err := g.limits.admit(c, r); err != nil {
		return err
	}
	if deleted := g.Tenants.Deleted(c.Tenant); !deleted.IsZero() && r.makes() {
		return TenantDeleted(&access.DeletedError{Tenant: c.Tenant, At: deleted})
	}
	if c.Grant.Tenant != access.AnyTenant || c.Tenant == access.AnyTenant || r.NewTenant || r.publishes() {
		return nil
	}
	exists, err := g.Tenants.Exists(c.Base, c.Tenant)
	if err == nil && !exists {
		err = answer.NoSuch("tenant", c.Tenant, g.Tenants.IDs())
	}
	return err
}

// makes reports whether a route makes something for its tenant.
func (r *Route) makes() bool {
	return !r.NewTenant && (r.Scope == access.Settings || r.Scope == access.Admin || r.Scope == access.Publish) && r.Method != fiber.MethodGet &&
		r.Method != fiber.MethodHead && r.Method != fiber.MethodDelete
}

// TenantDeleted is the answer to what would make something for a tenant that was deleted.
func TenantDeleted(e *access.DeletedError) error {
	return answer.Conflict(e.Error() + ": take another name, or for the same customer, who then sees them again, PUT /v1/tenants/" +
		e.Tenant + "?restore=true (surveygate tenant put " + e.Tenant + " --restore)")
}

// findTenant finds out the tenant of a call.
func (g *Guard) findTenant(c *Call, r *Route) error {
	named := c.Asked("tenant")
	c.Named = named != ""
	if r.TenantIn != "" {
		// Capitals are not folded, because two names would then be one tenant.
		if named = c.Segment(r.TenantIn); !access.ValidName(named) {
			return answer.Invalid("this is not a tenant's name: lower-case letters, digits, _ and -, beginning with a letter or digit", r.TenantIn)
		}
		c.Named = true
	}
	if named == access.AnyTenant && r.AllTenants && c.Grant.Tenant == access.AnyTenant {
		c.Tenant = access.AnyTenant
		return nil
	}
	tenant, ok := c.Grant.TenantFor(named)
	if !ok && named == access.AnyTenant && c.Grant.Tenant == access.AnyTenant {
		return answer.NewProblem(fiber.StatusForbidden, view.Permission, "`tenant=*` is for what concerns the whole gateway, such as its health, tokens and audit; name one tenant here", "tenant")
	}
	if !ok && c.Grant.Tenant == access.AnyTenant { // it is not a name
		return answer.NotFound("tenant")
	}
	if !ok {
		return answer.NewProblem(fiber.StatusForbidden, view.Permission, "this token does not reach that tenant", cmp.Or(r.TenantIn, "tenant"))
	}
	c.Tenant = tenant
	return nil
}

// acted logs what a person changed by hand, so that the log explains why a destination got nothing, or got something twice.
func (g *Guard) acted(r *Route, c *Call) {
	attrs := []any{"act", strings.TrimPrefix(r.Path[strings.LastIndexByte(r.Path, '/'):], "/"), "tenant", c.Tenant, "by", c.Grant.Name}
	for _, name := range []string{"id", "name"} {
		if value := c.Segment(name); value != "" {
			attrs = append(attrs, name, value)
		}
	}
	for _, name := range r.Query {
		if value := c.Asked(name); value != "" {
			attrs = append(attrs, name, value)
		}
	}
	g.Log.Info("done by hand", attrs...)
}
