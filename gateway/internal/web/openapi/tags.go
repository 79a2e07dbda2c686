package openapi

import (
	"slices"
	"strings"
)

// tag is a group of operations.
type tag struct{ name, description string }

// tags are the groups of operations, by the part of their paths that names them, in the order in which pages show them.
var tags = []tag{
	{"events", "What happened: publish events, read them, and ask why they arrived where they did."},
	{"event-types", "The types of events, with the names that conditions can use."},
	{"deliveries", "What is owed or was sent: each is one event for one destination by one step."},
	{"responses", "Responses as they stand: what all events of one say together."},
	{"replays", "Deliveries that are made again, as jobs."},
	{"drops", "Waiting deliveries and dead letters that are given up, as jobs."},
	{"webhooks", "Addresses that events are posted to, with their secrets."},
	{"connections", "Where rules send: a product with its credentials."},
	{"sources", "Where platforms send: how their requests are proved and read."},
	{"rules", "Which events go where, and what is made of them."},
	{"destinations", "Connections and webhooks together, as what things are sent to: their holds, pauses and tests."},
	{"try", "What a draft of settings would do with events, before it is saved."},
	{"plans", "What new configuration files would change, before they are used."},
	{"suggestions", "What stored events suggest: roles of questions, and rules that match nothing."},
	{"settings", "All documents of a tenant at once, as one file: export and import."},
	{"tenants", "Customers, whose events, settings and tokens are apart from each other."},
	{"tokens", "Who may call the API, and what for."},
	{"login-links", "Links that begin a session of a browser."},
	{"stats", "What was counted of destinations, sources, rules and surveys, by minute, hour or day."},
	{"health", "How a tenant stands: what waits, what failed, and what is on hold."},
	{"overview", "What a person looks at first: figures of a day, and what needs attention."},
	{"surveys", "Surveys with what was counted of their responses."},
	{"me", "Who asks, and what that is allowed."},
	{"live", "A stream of signals that say that there is something to read again."},
	{"tail", "A stream of what is decided and delivered, as it happens."},
	{"audit", "Who changed what, and did what by hand."},
	{"erasures", "What a person wrote, erased, as jobs."},
	{"jobs", "Deletions of tenants, which take longer than a request."},
	{"department", "The webhooks API of the survey platform Pollarix, so that its clients need no change. A department is a tenant."},
	{"reload", "The configuration files, read again."},
	{"vault", "The key that seals secrets in the store."},
}

// tagsOf returns the tags of those groups that are used, in their order, and the names of groups that have no tag.
func tagsOf(used []string) (list []any, unknown []string) {
	for _, t := range tags {
		if slices.Contains(used, t.name) {
			list = append(list, object("name", t.name, "description", t.description))
		}
	}
	for _, name := range used {
		if !slices.ContainsFunc(tags, func(t tag) bool { return t.name == name }) {
			unknown = append(unknown, name)
		}
	}
	return list, unknown
}

func tagOf(path string) string {
	parts := strings.Split(strings.TrimPrefix(path, "/"), "/")
	if parts[0] == "v1" && len(parts) > 1 {
		return parts[1]
	}
	return parts[0]
}
