package route

import (
	"context"
	"net/netip"

	"github.com/gofiber/fiber/v2"

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
	// Replay, if a handler sets it, is what a repeated Idempotency-Key is answered in place of the body: the store keeps no answer with
	// a secret.
	Replay []byte
	// Remote is the address that the request came from; the zero value on the unix socket.
	Remote netip.Addr
	// Open: it came over the control socket.
	Open bool
}

// By returns who calls, for lines of the audit.
func (c *Call) By() audit.By {
	by := audit.By{Name: c.Grant.By(), RequestID: answer.RequestID(c.Context())}
	if c.Remote.IsValid() {
		by.IP = c.Remote.String()
	}
	return by
}
