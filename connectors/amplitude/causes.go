package amplitude

import "github.com/surveygate/surveygate/connectors"

// causes are Amplitude's errors and the fields that it names. https://amplitude.com/docs/apis/analytics/http-v2
var causes = []connectors.Cause{
	{Code: invalidKey, Kind: connectors.Revoked, Fix: connectors.FixCredentials, Hint: "Amplitude does not know the key in this region: copy the project's API key again, or correct `region`."},
	{Code: silenced, Kind: connectors.Rejected, Fix: connectors.FixProduct, Hint: "Amplitude ignores this person's device, because a filter of the project blocks it: change the filter in Amplitude."},
	{Code: "user_id", Kind: connectors.Rejected, Fix: connectors.FixConfiguration, Hint: "Amplitude refuses this id of a person: correct `user_id`."},
	{Code: "event_properties", Kind: connectors.Rejected, Fix: connectors.FixConfiguration, Hint: "Amplitude refuses the properties: correct `properties` (at most 40 levels of objects)."},
	{Code: "time", Kind: connectors.Rejected, Fix: connectors.FixNone, Hint: "Amplitude does not accept the time of the event, and the event keeps its time."},
	{Code: "413 Request Entity Too Large", Kind: connectors.Rejected, Fix: connectors.FixConfiguration, Hint: "This event alone is too large for Amplitude: send less in `properties`."},
	{Code: "429 Too Many Requests", Kind: connectors.Retry, Fix: connectors.FixWait, Hint: "Amplitude limits the events of one person, by the second and by the day, and those of the project."},
}

// Causes returns the causes of Amplitude's refusals.
func (a *Account) Causes() []connectors.Cause { return causes }
