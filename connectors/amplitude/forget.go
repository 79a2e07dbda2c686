package amplitude

import (
	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/rules/event"
)

var _ connectors.Forgetter = (*Connector)(nil)

// CanForget says that the key alone erases nobody: Amplitude's deletions take the project's secret key too.
// https://amplitude.com/docs/apis/analytics/user-privacy
func (c *Connector) CanForget() error {
	return connectors.Invalid("api_key", "cannot erase anybody: Amplitude's deletions take the project's secret key too, which is no setting; ask for the deletion in Amplitude, with the user_id or device_id that the request of a delivery shows")
}

// Forget returns the error of CanForget.
func (c *Connector) Forget(*event.Event) (*connectors.Request, error) { return nil, c.CanForget() }
