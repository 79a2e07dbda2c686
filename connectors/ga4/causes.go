package ga4

import "github.com/surveygate/surveygate/connectors"

// causes are the statuses with which the request itself is refused. Google accepts any measurement id, secret and event.
var causes = connectors.CausesByStatus(300, 499, connectors.Cause{
	Kind: connectors.Rejected, Fix: connectors.FixConfiguration,
	Hint: "Google refuses the request itself, whatever its content: check `base_url`, and the proxies in between.",
})

// Causes returns the causes of Google's refusals.
func (c *Connector) Causes() []connectors.Cause { return causes }
