package route

import "github.com/surveygate/surveygate/gateway/internal/access"

// portal are the routes that the session of a portal link may ask, with the capability that each takes. It may ask no others. Who
// may set webhooks may also have every event sent to an address of his own, so that bodies are no secret from him.
var portal = map[string]access.Capability{
	"GET /v1/webhooks":                      access.CanWebhooks,
	"POST /v1/webhooks":                     access.CanWebhooks,
	"GET /v1/webhooks/:name":                access.CanWebhooks,
	"PUT /v1/webhooks/:name":                access.CanWebhooks,
	"PATCH /v1/webhooks/:name":              access.CanWebhooks,
	"DELETE /v1/webhooks/:name":             access.CanWebhooks,
	"POST /v1/webhooks/:name/test":          access.CanWebhooks,
	"POST /v1/webhooks/:name/enable":        access.CanWebhooks,
	"POST /v1/webhooks/:name/disable":       access.CanWebhooks,
	"GET /v1/webhooks/:name/secrets":        access.CanWebhooks,
	"POST /v1/webhooks/:name/secrets":       access.CanWebhooks,
	"DELETE /v1/webhooks/:name/secrets/:id": access.CanWebhooks,
	"GET /v1/event-types":                   access.CanWebhooks,

	"GET /v1/connections":              access.CanConnections,
	"GET /v1/connections/:name":        access.CanConnections,
	"PUT /v1/connections/:name":        access.CanConnections,
	"PATCH /v1/connections/:name":      access.CanConnections,
	"DELETE /v1/connections/:name":     access.CanConnections,
	"POST /v1/connections/:name/check": access.CanConnections,
	"POST /v1/connections/:name/test":  access.CanConnections,

	"GET /v1/rules":                access.CanRules,
	"GET /v1/rules/:name":          access.CanRules,
	"PUT /v1/rules/:name":          access.CanRules,
	"PATCH /v1/rules/:name":        access.CanRules,
	"DELETE /v1/rules/:name":       access.CanRules,
	"POST /v1/rules/:name/enable":  access.CanRules,
	"POST /v1/rules/:name/disable": access.CanRules,

	"GET /v1/deliveries":         access.CanDeliveries,
	"GET /v1/destinations":       access.CanDeliveries,
	"GET /v1/destinations/:name": access.CanDeliveries,
	"GET /v1/stats":              access.CanDeliveries,

	"POST /v1/deliveries/:id/retry":   access.CanReplay,
	"POST /v1/deliveries/:id/replay":  access.CanReplay,
	"POST /v1/webhooks/:name/recover": access.CanReplay,

	"GET /v1/deliveries/:id":     access.CanBodies,
	"GET /v1/events":             access.CanBodies,
	"GET /v1/events/:id":         access.CanBodies,
	"GET /v1/events/:id/explain": access.CanBodies,
	"GET /v1/responses/:id":      access.CanBodies,
}

// Capability returns what lets the session of a portal link ask the route; "" if nothing does.
func (r *Route) Capability() access.Capability { return portal[r.Method+" "+r.Path] }

// PortalRoutes returns the routes that sessions of portal links may ask, as METHOD PATH.
func PortalRoutes() []string {
	var names []string
	for name := range portal {
		names = append(names, name)
	}
	return names
}
