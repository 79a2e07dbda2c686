package webhook

import (
	"slices"

	"github.com/surveygate/surveygate/connectors"
)

// causes are a receiver's statuses, the more specific ones first.
var causes = slices.Concat(
	connectors.CausesByStatus(410, 410, connectors.Cause{
		Kind: connectors.Rejected, Fix: connectors.FixProduct, Hint: "The receiver asked never to be called again: ask its owner, or correct `url`.",
	}),
	connectors.CausesByStatus(401, 403, connectors.Cause{
		Fix: connectors.FixConfiguration, Hint: "The receiver does not accept the signature or credentials: compare `secrets`, `signature` and `headers` with what it expects.",
	}),
	connectors.CausesByStatus(404, 404, connectors.Cause{
		Fix: connectors.FixConfiguration, Hint: "The receiver has nothing at this address: correct `url`, or ask its owner.",
	}),
	connectors.CausesByStatus(300, 399, connectors.Cause{
		Fix: connectors.FixConfiguration, Hint: "The receiver redirects, and redirects are never followed: put the new address into `url`.",
	}),
	connectors.CausesByStatus(400, 499, connectors.Cause{
		Fix: connectors.FixProduct, Hint: "The receiver refuses the request: its log says why, under the `webhook-id` that is the delivery's id.",
	}),
)

// Causes returns the causes of a receiver's refusals.
func (c *Connector) Causes() []connectors.Cause { return causes }
