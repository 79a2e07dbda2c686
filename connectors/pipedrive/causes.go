package pipedrive

import "github.com/surveygate/surveygate/connectors"

// Phrases of reasons that tell two cases of one status apart.
const (
	edge  = "from a server in front of Pipedrive"
	daily = "the daily budget of tokens is used up"
)

// causes are Pipedrive's codes, the more specific ones first.
// https://pipedrive.readme.io/docs/core-api-concepts-http-status-codes
var causes = []connectors.Cause{
	{Code: edge, Kind: connectors.Retry, Fix: connectors.FixWait, Hint: "A server in front of Pipedrive refuses all requests for a while, because there were too many."},
	{Code: daily, Kind: connectors.Retry, Fix: connectors.FixWait, Hint: "The company has used up its tokens for today, which all its integrations share; the number grows with seats, plan and top-ups."},
	{Code: "feature_capping*", Kind: connectors.Revoked, Fix: connectors.FixProduct, Hint: "The company has reached a limit of its plan: delete records in Pipedrive, or change the plan."},
	{Code: "too many long notes", Kind: connectors.Rejected, Fix: connectors.FixProduct, Hint: "The answer with the person's notes is too long to find out whether the note exists: delete notes of the person in Pipedrive."},
	{Code: "too many leads", Kind: connectors.Rejected, Fix: connectors.FixProduct, Hint: "The answer with the person's leads is too long to find out whether the lead exists: delete leads of the person in Pipedrive."},
	{Code: marketingStatus, Fix: connectors.FixConfiguration, Hint: "Pipedrive refuses `marketing_status`, which needs its marketing app (Campaigns): remove it from `fields`, or correct it."},
	{Code: "400 Bad Request", Kind: connectors.Rejected, Fix: connectors.FixConfiguration, Hint: "Pipedrive refuses a value: correct `fields`. A number field takes no text, and a text field no number; an option is given by its id."},
	{Code: "401 Unauthorized", Kind: connectors.Revoked, Fix: connectors.FixCredentials, Hint: "Pipedrive does not accept the token: copy it again from the user's personal preferences, and correct `domain`."},
	{Code: "402 Payment Required", Kind: connectors.Revoked, Fix: connectors.FixProduct, Hint: "The company's account is not open: settle its subscription in Pipedrive."},
	{Code: "403 Forbidden", Kind: connectors.Revoked, Fix: connectors.FixProduct, Hint: "The token's user may not do this: give them the permission in Pipedrive, or use the token of another user."},
	{Code: "429 Too Many Requests", Kind: connectors.Retry, Fix: connectors.FixWait, Hint: "The token makes more requests than its plan allows in 2 seconds."},
	{Code: "501 Not Implemented", Kind: connectors.Rejected, Fix: connectors.FixConfiguration, Hint: "Pipedrive has no such function: correct `base_url`."},
}

// Causes returns the causes of Pipedrive's refusals.
func (a *Account) Causes() []connectors.Cause { return causes }
