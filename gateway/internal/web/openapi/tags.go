package openapi

import "strings"

// tags describe the groups of operations, by the part of their paths that names them.
var tags = map[string]string{
	"audit":        "Who changed what, and did what by hand.",
	"connections":  "Where rules send: a product with its credentials.",
	"deliveries":   "What is owed or was sent: each is one event for one destination by one step.",
	"department":   "The webhooks API of the survey platform Pollarix, so that its clients need no change. A department is a tenant.",
	"destinations": "Connections and webhooks as what things are sent to: their holds, pauses and tests.",
	"event-types":  "The types of events, with the names that conditions can use.",
	"events":       "What happened: publish events, read them, and ask why they arrived where they did.",
	"health":       "How a tenant stands.",
	"jobs":         "Work that takes longer than a request.",
	"live":         "Signals that something has changed.",
	"reload":       "The configuration files, read again.",
	"replays":      "Deliveries that are made again, as jobs.",
	"rules":        "Which events go where, and what is made of them.",
	"settings":     "All documents of a tenant at once.",
	"sources":      "Where platforms send: how their requests are proved and read.",
	"stats":        "What was counted.",
	"tenants":      "Customers, whose events, settings and tokens are apart from each other.",
	"tokens":       "Who may call the API, and what for.",
	"try":          "What a draft of settings would do.",
	"vault":        "The key that seals secrets in the store.",
	"webhooks":     "Addresses that events are posted to, with their secrets.",
}

func tagOf(path string) string {
	parts := strings.Split(strings.TrimPrefix(path, "/"), "/")
	if parts[0] == "v1" && len(parts) > 1 {
		return parts[1]
	}
	return parts[0]
}
