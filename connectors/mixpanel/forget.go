package mixpanel

import (
	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/rules/event"
)

var _ connectors.Forgetter = (*Connector)(nil)

// CanForget says that neither credential erases anybody: Mixpanel's deletions take the personal token of an owner or admin, which
// ends after a year.
// https://docs.mixpanel.com/docs/privacy/end-user-data-management
func (c *Connector) CanForget() error {
	setting := "token"
	if c.Token.IsZero() {
		setting = "service_account"
	}
	return connectors.Invalid(setting, "cannot erase anybody: Mixpanel's deletions take the personal token of an owner of the project; ask for the deletion in Mixpanel (Project Settings, Data & Privacy), with the distinct_id that the request of a delivery shows")
}

// Forget returns the error of CanForget.
func (c *Connector) Forget(*event.Event) (*connectors.Request, error) { return nil, c.CanForget() }
