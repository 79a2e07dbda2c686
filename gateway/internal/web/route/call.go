package route

import (
	"context"
	"net/netip"
	"sync"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/audit"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
)

// Call is one request of one tenant.
type Call struct {
	*fiber.Ctx
	// Base ends when the gateway does. A client that left is not noticed.
	Base context.Context
	// Tenant is whose request it is, or access.AnyTenant where the route allows that and the caller asked for it.
	Tenant string
	// Named: the caller named this tenant; otherwise it is the default.
	Named bool
	Grant *access.Grant
	// Session is what it came with where it came by a cookie; nil for all others.
	Session *access.Session
	// Replay, if a handler sets it, is what a repeated Idempotency-Key is answered in place of the body: the store keeps no answer with
	// a secret.
	Replay []byte
	// DryRun: the body asked for a dry run. A handler sets it; the parameter `dry_run` needs no mark.
	DryRun bool
	// Remote is the address that the request came from; the zero value on the unix socket.
	Remote netip.Addr
	// Open: it came over the control socket.
	Open bool
	// Apart: it came to the address that the console has for itself, so that its Host is not the gateway's.
	Apart bool

	guard *Guard
	route *Route
}

// dry reports whether the call changed nothing, because that was asked for.
func (c *Call) dry() bool { return c.DryRun || c.Asked("dry_run") == "true" }

// Still returns a function that reports whether the call would still be allowed, for answers that go on. It does not use the request,
// may be called for as long as the gateway runs, and is safe for concurrent use. Where the store cannot be asked, the call is allowed.
func (c *Call) Still() func(ctx context.Context) bool {
	if c.Open {
		return func(context.Context) bool { return true }
	}
	header := &fasthttp.RequestHeader{}
	c.Request().Header.CopyTo(header)
	callers, r, tenant := c.guard.Callers, c.route, c.Tenant
	var turn sync.Mutex // reading a header writes to it
	return func(ctx context.Context) bool {
		turn.Lock()
		defer turn.Unlock()
		caller, err := callers.Of(ctx, header)
		switch {
		case err != nil:
			return true
		case caller.Grant == nil || !r.allows(caller.Grant):
			return false
		}
		return caller.Grant.Tenant == access.AnyTenant || caller.Grant.Tenant == tenant
	}
}

// By returns who calls, for lines of the audit.
func (c *Call) By() audit.By {
	by := audit.By{Name: c.Grant.By(), RequestID: answer.RequestID(c.Context())}
	if c.Remote.IsValid() {
		by.IP = c.Remote.String()
	}
	return by
}
