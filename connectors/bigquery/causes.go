package bigquery

import "github.com/surveygate/surveygate/connectors"

const (
	temporary = "BigQuery has a fault of its own."
	noBilling = "The project has no billing account, and BigQuery streams only into projects that have one: link one in the console."
)

// causes are Google's error codes. https://cloud.google.com/bigquery/docs/error-messages
var causes = []connectors.Cause{
	// These two are tried again, because they also happen for some minutes after a table or a column was made.
	{Code: "no such field", Fix: connectors.FixProduct, Hint: "The table lacks the column: add it (`surveygate check --live` prints the statement), or leave it out of the rule's `row`."},
	{Code: "notFound", Fix: connectors.FixProduct, Hint: "The table, its dataset or the project does not exist: create it (`surveygate check --live` prints the statement)."},

	{Code: "stopped", Kind: connectors.Retry, Fix: connectors.FixWait, Hint: "Another row of the request was refused; this one is sent again."},
	{Code: "rateLimitExceeded", Kind: connectors.Retry, Fix: connectors.FixWait, Hint: "The project is over a limit of BigQuery's for a moment."},
	{Code: "quotaExceeded", Kind: connectors.Retry, Fix: connectors.FixWait, Hint: "The project is over a quota of BigQuery's: it is refilled within minutes, or raise it in the console."},
	{Code: "backendError", Kind: connectors.Retry, Fix: connectors.FixWait, Hint: temporary},
	{Code: "internalError", Kind: connectors.Retry, Fix: connectors.FixWait, Hint: temporary},
	{Code: "timeout", Kind: connectors.Retry, Fix: connectors.FixWait, Hint: temporary},

	{Code: freeTier, Kind: connectors.Revoked, Fix: connectors.FixProduct, Hint: noBilling},
	{Code: "accessDenied", Kind: connectors.Revoked, Fix: connectors.FixProduct, Hint: "The service account may not write to the table: give it the role BigQuery Data Editor on the dataset."},
	{Code: "billingNotEnabled", Kind: connectors.Revoked, Fix: connectors.FixProduct, Hint: noBilling},
	{Code: "authError", Kind: connectors.Revoked, Fix: connectors.FixCredentials, Hint: "Google does not accept the service account's key: make a new one in the console."},

	{Code: "invalid", Kind: connectors.Rejected, Fix: connectors.FixConfiguration, Hint: "A value does not fit the type of its column: correct the rule's `row`, or the column."},
	{Code: "too long to read", Kind: connectors.Rejected, Fix: connectors.FixConfiguration, Hint: "BigQuery refuses many rows at once: check the table's columns with `surveygate check --live`."},
	{Code: "413 Request Entity Too Large", Kind: connectors.Rejected, Fix: connectors.FixConfiguration, Hint: "The row is larger than the 10 MB that BigQuery takes: leave columns out of the rule's `row`."},
	{Code: "200 OK", Kind: connectors.Rejected, Fix: connectors.FixConfiguration, Hint: "BigQuery refuses the row: correct the rule's `row`."},
}

// kinds maps a code to its verdict, if that depends on the code alone.
var kinds = func() map[string]connectors.Kind {
	all := make(map[string]connectors.Kind, len(causes))
	for _, c := range causes {
		if c.Kind != "" {
			all[c.Code] = c.Kind
		}
	}
	return all
}()

// Causes returns the causes of BigQuery's refusals.
func (c *Connector) Causes() []connectors.Cause { return causes }
