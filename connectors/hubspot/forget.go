package hubspot

import (
	"bytes"
	"errors"
	"strings"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/rules/event"
)

var _ connectors.Forgetter = (*Connector)(nil)

// CanForget returns nil: a contact is erased with the scope crm.objects.contacts.write.
func (c *Connector) CanForget() error { return nil }

// Forget erases the contact for good, with all that belongs to it, such as notes. The contact is the one with the respondent's key if
// `key` is a property of the operator's own and its value is known, or else with the e-mail address. HubSpot puts an address that it does
// not know on a list of those that no contact may have in future.
// https://developers.hubspot.com/docs/guides/api/crm/objects/contacts#delete-contacts
func (c *Connector) Forget(ev *event.Event) (*connectors.Request, error) {
	id, property := strings.ToLower(strings.TrimSpace(ev.Data().Respondent.Email)), email
	if c.Account.Key != email {
		in, err := c.input(ev, c.Properties)
		if _, skipped := errors.AsType[*connectors.Skipped](err); err != nil && !skipped {
			return nil, err
		}
		if in.ID != "" {
			id, property = in.ID, c.Account.Key
		}
	}
	switch {
	case id == "" && c.Account.Key == email:
		return nil, connectors.Skip("no e-mail")
	case id == "":
		return nil, connectors.Skip("no e-mail, and no " + c.Account.Key)
	}
	return connectors.Post(c.at("contacts/gdpr-delete"), struct {
		ID         string `json:"objectId"`
		IDProperty string `json:"idProperty"`
	}{id, property}).As(connectors.Bearer(c.Token)).Forgetting(), nil
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
