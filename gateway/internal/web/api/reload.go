package api

import (
	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/document"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
)

// ReloadStatus is what came of a reload.
type ReloadStatus string

// What a reload comes to.
const (
	ReloadLoaded  ReloadStatus = "loaded"
	ReloadWaits   ReloadStatus = "waiting"
	ReloadRefused ReloadStatus = "refused"
)

// Reloaded is the answer to a reload.
type Reloaded struct {
	Status ReloadStatus `json:"status"`
	// Difference is what it changes, as `+1 rule, -1 webhook`.
	Difference string `json:"difference,omitempty"`
	Generation string `json:"generation,omitempty"`
	// Reason is why it waits or is refused; Faults are where.
	Reason string          `json:"reason,omitempty"`
	Faults document.Faults `json:"faults,omitempty"`
}

// reload reads the configuration again. It is the operator's, who can open the control socket: a token is a tenant's.
func (a *API) reload(c *call) error {
	if c.grant != access.Socket {
		return answer.Say(fiber.StatusForbidden, answer.Permission, "the configuration is reloaded over the control socket only")
	}
	force, err := c.flag("force")
	if err != nil {
		return err
	}
	outcome, err := a.Reload(c.ctx, force)
	if err != nil {
		return answer.Full("the gateway is stopping", answer.ComeBack, err)
	}
	return answer.JSON(c.Ctx, fiber.StatusOK, outcome)
}
