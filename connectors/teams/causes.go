package teams

import "github.com/surveygate/surveygate/connectors"

const newWorkflow = "The workflow no longer exists: make a new one in the channel (Workflows, `Send webhook alerts to a channel`) and give its URL."

// causes are the trigger's error codes. Microsoft publishes no list of them.
// https://learn.microsoft.com/troubleshoot/power-platform/power-automate/flow-run-issues/triggers-troubleshoot
var causes = []connectors.Cause{
	{Code: "WorkflowTriggerIsNotEnabled", Kind: connectors.Revoked, Fix: connectors.FixProduct, Hint: "The workflow is turned off or deleted: turn it on in Teams (Workflows), or make a new one and give its URL."},
	{Code: "TriggerInputSchemaMismatch", Kind: connectors.Revoked, Fix: connectors.FixProduct, Hint: "The workflow's trigger has a schema of its own that refuses the card: remove the schema from the trigger."},
	{Code: "DirectApiAuthorizationRequired", Kind: connectors.Revoked, Fix: connectors.FixCredentials, Hint: "The workflow is open to signed-in people only: set its trigger to `Anyone`, and give the URL that it shows then."},
	{Code: "MisMatchingOAuthClaims", Kind: connectors.Revoked, Fix: connectors.FixCredentials, Hint: "The workflow is open to signed-in people only: set its trigger to `Anyone`, and give the URL that it shows then."},
	{Code: "WorkflowNotFound", Kind: connectors.Revoked, Fix: connectors.FixCredentials, Hint: newWorkflow},
	{Code: "401 Unauthorized", Kind: connectors.Revoked, Fix: connectors.FixCredentials, Hint: "The URL is not complete, or was replaced by a new one: copy it from the workflow's trigger again."},
	{Code: "403 Forbidden", Kind: connectors.Revoked, Fix: connectors.FixProduct, Hint: "A policy of the organisation forbids the workflow: ask its administrators for Power Automate."},
	{Code: "404 Not Found", Kind: connectors.Revoked, Fix: connectors.FixCredentials, Hint: newWorkflow},
	{Code: "410 Gone", Kind: connectors.Revoked, Fix: connectors.FixCredentials, Hint: newWorkflow},
	{Code: "413 Request Entity Too Large", Kind: connectors.Rejected, Fix: connectors.FixConfiguration, Hint: "The card is too large for Teams: shorten the rule's `text`."},
	{Code: "400 Bad Request", Kind: connectors.Rejected, Fix: connectors.FixConfiguration, Hint: "The workflow does not take the card: check its trigger, and the setting `card`."},
}

// Causes returns the causes of a workflow's refusals.
func (c *Connector) Causes() []connectors.Cause { return causes }
