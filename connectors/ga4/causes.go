package ga4

import "github.com/surveygate/surveygate/connectors"

// causes are the statuses by which the request itself is refused: Google takes any measurement id, secret and event.
var causes = connectors.CausesByStatus(300, 499, connectors.Cause{
	Kind: connectors.Rejected, Fix: connectors.FixConfiguration,
	Hint: "Google refuses the request itself, whatever is in it: look at `base_url`, and at what stands between.",
})

// Causes are Google's.
func (c *Connector) Causes() []connectors.Cause { return causes }
