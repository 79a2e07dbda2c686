package mixpanel

import "github.com/surveygate/surveygate/connectors"

// causes are the fields that Mixpanel refuses, and its statuses. https://docs.mixpanel.com/reference/import-events#validation
var causes = []connectors.Cause{
	{Code: "properties.time", Kind: connectors.Rejected, Fix: connectors.FixNone, Hint: "Mixpanel takes no event from before 1971, and the event keeps its time."},
	{Code: "properties.distinct_id", Kind: connectors.Rejected, Fix: connectors.FixConfiguration, Hint: "Mixpanel refuses this id of a person: correct `distinct_id`."},
	{Code: "properties.*", Kind: connectors.Rejected, Fix: connectors.FixConfiguration, Hint: "Mixpanel refuses the value of this property: correct `properties` (at most 254 items or fields, and three levels of objects)."},
	{Code: "401 Unauthorized", Kind: connectors.Revoked, Fix: connectors.FixCredentials, Hint: "Mixpanel does not accept the credentials: copy the project's token, or the service account's user name and secret, again."},
	{Code: "403 Forbidden", Kind: connectors.Revoked, Fix: connectors.FixProduct, Hint: "The service account may not import: make it Owner or Admin of the project."},
	{Code: "413 Request Entity Too Large", Kind: connectors.Rejected, Fix: connectors.FixConfiguration, Hint: "This event alone is too large for Mixpanel: send less in `properties`."},
	{Code: "429 Too Many Requests", Kind: connectors.Retry, Fix: connectors.FixWait, Hint: "The project is over Mixpanel's limit, which counts the last minute."},
}

// Causes returns the causes of Mixpanel's refusals.
func (a *Account) Causes() []connectors.Cause { return causes }
