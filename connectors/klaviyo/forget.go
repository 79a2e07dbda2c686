package klaviyo

import (
	"strings"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/rules/event"
)

var _ connectors.Forgetter = (*Connector)(nil)

// CanForget returns nil. The key needs the scope data-privacy:write, which no other request needs.
func (c *Connector) CanForget() error { return nil }

// Forget asks for the deletion of all profiles with the respondent's e-mail address, or else with their phone number: Klaviyo takes one
// of the two. It deletes them later, and keeps the address in its list of deleted profiles.
// https://developers.klaviyo.com/en/reference/request_profile_deletion
func (c *Connector) Forget(ev *event.Event) (*connectors.Request, error) {
	type identifier struct {
		Email string `json:"email,omitempty"`
		Phone string `json:"phone_number,omitempty"`
	}
	who := ev.Data().Respondent
	by := identifier{Email: strings.TrimSpace(who.Email)}
	if by.Email == "" {
		if by.Phone = phone(who.Phone); by.Phone == "" {
			return nil, connectors.Skip("no e-mail, and no phone number with a country code")
		}
	}
	type profile struct {
		Data resource `json:"data"`
	}
	return c.post("/api/data-privacy-deletion-jobs", resource{
		Type: "data-privacy-deletion-job",
		Attributes: struct {
			Profile profile `json:"profile"`
		}{profile{resource{Type: "profile", Attributes: by}}},
	}).Forgetting(), nil
}

// judgeForgotten returns the verdict on the request for a deletion, whose success is 202.
func judgeForgotten(res *connectors.Response) connectors.Verdict {
	switch v := queued(res); {
	case v.Kind == connectors.Delivered:
		return connectors.Forgotten("Klaviyo deletes the profile in the background")
	case res.Status == 404 && len(words(res)) > 0:
		return connectors.Forgotten(connectors.NobodyKnown)
	default:
		return connectors.JudgeForget(res, v)
	}
}
