package airtable

import "github.com/surveygate/surveygate/connectors"

const noTable = "The token does not reach the table: grant it the base, check that its user may edit there, and correct `base` and `table`."

// causes are Airtable's types of errors. https://airtable.com/developers/web/api/errors
var causes = []connectors.Cause{
	{Code: "UNKNOWN_FIELD_NAME", Kind: connectors.Rejected, Fix: connectors.FixProduct, Hint: "The table lacks the column: add it (`check --live` names its type), or correct its name in `fields`; `standard: false` leaves the standard columns out."},
	{Code: "INVALID_VALUE_FOR_COLUMN", Kind: connectors.Rejected, Fix: connectors.FixConfiguration, Hint: "The column has another type than the value: change the column's type, or the value in `fields`, or set `typecast`."},
	{Code: "INVALID_MULTIPLE_CHOICE_OPTIONS", Kind: connectors.Rejected, Fix: connectors.FixProduct, Hint: "The select column lacks the option: add it in Airtable, or set `typecast`, which adds options by itself."},
	{Code: "ROW_DOES_NOT_EXIST", Kind: connectors.Rejected, Fix: connectors.FixProduct, Hint: "The row, or one that it links to, was deleted in Airtable: correct `fields` if it names that row."},
	{Code: "CANNOT_CREATE_WITH_COLUMN", Kind: connectors.Rejected, Fix: connectors.FixConfiguration, Hint: "Airtable computes this column itself: remove it from `fields`."},
	{Code: "INVALID_REQUEST*", Kind: connectors.Rejected, Fix: connectors.FixConfiguration, Hint: "Airtable says that the request is wrong. Several rows with the same values in the columns of `merge_on` are a common reason: delete all but one."},
	{Code: "PUBLIC_API_BILLING_LIMIT_EXCEEDED", Kind: connectors.Retry, Fix: connectors.FixWait, Hint: "The workspace has used the calls of its plan for this month."},
	{Code: "RATE_LIMIT_REACHED", Kind: connectors.Retry, Fix: connectors.FixWait, Hint: "The base gets more than 5 requests a second, also from others."},
	{Code: "AUTHENTICATION_REQUIRED", Kind: connectors.Revoked, Fix: connectors.FixCredentials, Hint: newToken},
	{Code: "INVALID_PERMISSIONS_OR_MODEL_NOT_FOUND", Kind: connectors.Revoked, Fix: connectors.FixConfiguration, Hint: noTable},
	{Code: "INVALID_PERMISSIONS", Kind: connectors.Revoked, Fix: connectors.FixProduct, Hint: "The token lacks the scope data.records:write, or its user may not edit the base."},
	{Code: "TABLE_NOT_FOUND", Kind: connectors.Revoked, Fix: connectors.FixConfiguration, Hint: noTable},
	{Code: "NOT_FOUND", Kind: connectors.Revoked, Fix: connectors.FixConfiguration, Hint: noTable},
	{Code: "401 Unauthorized", Kind: connectors.Revoked, Fix: connectors.FixCredentials, Hint: newToken},
	{Code: "402 Payment Required", Kind: connectors.Revoked, Fix: connectors.FixProduct, Hint: "The workspace's plan does not allow this: settle it in Airtable's billing page."},
	{Code: "413 Request Entity Too Large", Kind: connectors.Rejected, Fix: connectors.FixConfiguration, Hint: "The row is too large for Airtable: write fewer or shorter values in `fields`."},
}

const newToken = "Airtable does not accept the token: create a personal access token with access to the base; old API keys no longer work."

// Causes returns the causes of Airtable's refusals.
func (c *Connector) Causes() []connectors.Cause { return causes }
