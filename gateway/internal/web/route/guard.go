package route

import (
	"cmp"
	"context"
	"log/slog"
	"net/netip"
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
	Store  state.Store
	Access *access.Access
	Log    *slog.Logger
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
	once once
}

// New returns a Guard.
func New(o Options) *Guard { return &Guard{Options: o, once: once{store: o.Store, log: o.Log}} }

// Mount adds routes. open: they need no token, as on the unix socket.
func (g *Guard) Mount(app *fiber.App, open bool, routes []Bound) {
	for i := range routes {
		app.Add(routes[i].Method, routes[i].Path, g.handler(&routes[i], open))
	}
}

func (g *Guard) handler(r *Bound, open bool) fiber.Handler {
	return func(c *fiber.Ctx) error {
		grant := access.Socket
		if !open {
			grant = g.Access.Grant(access.Bearer(c.Request().Header.Peek(fiber.HeaderAuthorization)))
			if grant == nil {
				c.Set(fiber.HeaderWWWAuthenticate, "Bearer")
				return answer.NewProblem(fiber.StatusUnauthorized, view.Authentication, "a bearer token is needed, and this is none that counts here")
			}
		}
		if !grant.May(r.Scope) {
			return answer.NewProblem(fiber.StatusForbidden, view.Permission, "this token lacks the scope `"+r.Scope.String()+"`")
		}
		named, err := r.namedTenant(c)
		if err != nil {
			return err
		}
		tenant, ok := grant.TenantFor(named)
		if !ok {
			return answer.NewProblem(fiber.StatusForbidden, view.Permission, "this token does not reach that tenant", cmp.Or(r.TenantIn, "tenant"))
		}
		if err := known(c, &r.Route); err != nil {
			return err
		}
		// Every answer of the API has the id, so that a person can quote it.
		c.Set(answer.RequestIDHeader, answer.RequestID(c.Context()))
		call := &Call{Ctx: c, Base: g.Context, Tenant: tenant, Named: named != "", Grant: grant}
		if !open {
			call.Remote = g.Remote(c)
		}
		do := func() error {
			err := r.Serve(call)
			if err == nil && (r.Scope == access.Write || r.Scope == access.Secrets) {
				g.acted(&r.Route, call)
			}
			if err == nil {
				g.record(&r.Route, call)
			}
			return err
		}
		if key := c.Request().Header.Peek("Idempotency-Key"); r.Once && len(key) > 0 {
			return g.once.serve(call, string(key), do)
		}
		return do()
	}
}

// namedTenant returns the tenant that a request names; empty without one. One in the path must be a tenant's name: capitals are not
// folded, because two names would then be one tenant.
func (r *Route) namedTenant(c *fiber.Ctx) (string, error) {
	if r.TenantIn == "" {
		return asked(c, "tenant"), nil
	}
	name := strings.Clone(c.Params(r.TenantIn))
	if !access.ValidName(name) {
		return "", answer.Invalid("this is not a tenant's name: lower-case letters, digits, _ and -, beginning with a letter or digit", r.TenantIn)
	}
	return name, nil
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
