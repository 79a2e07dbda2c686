package hubspot

import (
	"bytes"
	"strings"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/rules/event"
)

var _ connectors.Forgetter = (*Connector)(nil)

// CanForget returns nil: a contact is erased with the scope crm.objects.contacts.write.
func (c *Connector) CanForget() error { return nil }

// Forget erases the contact with the respondent's e-mail address for good, with all that belongs to it, such as notes. HubSpot puts an
// address that it does not know on a list of those that no contact may have in future, and finds contacts by their address alone.
// https://developers.hubspot.com/docs/guides/api/crm/objects/contacts#delete-contacts
func (c *Connector) Forget(ev *event.Event) (*connectors.Request, error) {
	address := strings.ToLower(strings.TrimSpace(ev.Data().Respondent.Email))
	if address == "" {
		return nil, connectors.Skip("no e-mail")
	}
	return connectors.Post(c.at("contacts/gdpr-delete"), struct {
		ID         string `json:"objectId"`
		IDProperty string `json:"idProperty"`
	}{address, email}).As(connectors.Bearer(c.Token)).Forgetting(), nil
}

// judgeForgotten returns the verdict on the erasure of a contact, whose success has no body.
func judgeForgotten(res *connectors.Response) connectors.Verdict {
	switch {
	case res.Status >= 200 && res.Status <= 299 && (isObject(res) || len(bytes.TrimSpace(res.Body)) == 0):
		return connectors.Forgotten("")
	case res.Status >= 200 && res.Status <= 299:
		return connectors.TryAgain("the answer is not HubSpot's")
	case res.Status == 404 && isProblem(res):
		return connectors.Forgotten(connectors.NobodyKnown)
	}
	return connectors.JudgeForget(res, refused(res))
}
