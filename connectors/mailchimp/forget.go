package mailchimp

import (
	"bytes"
	"net/http"
	"strings"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/rules/event"
)

var _ connectors.Forgetter = (*Connector)(nil)

// CanForget returns nil: a contact is deleted with the key that writes it.
func (c *Connector) CanForget() error { return nil }

// Forget deletes the contact from the audience for good. After that only the person can subscribe again, with Mailchimp's own form.
// https://mailchimp.com/developer/marketing/api/list-members/delete-list-member/
func (c *Connector) Forget(ev *event.Event) (*connectors.Request, error) {
	if c.BaseURL == "" && c.APIKey.Region() == "" {
		return nil, connectors.Unusable("the key names no data centre")
	}
	address := strings.TrimSpace(ev.Data().Respondent.Email)
	if address == "" {
		return nil, connectors.Skip("no e-mail")
	}
	req := &connectors.Request{Method: http.MethodPost, URL: c.at("/members/" + hash(address) + "/actions/delete-permanent")}
	return req.As(c.auth()).Forgetting(), nil
}

// judgeForgotten returns the verdict on the deletion of a contact, whose success is 204. An audience that does not exist has no contact
// either.
func judgeForgotten(res *connectors.Response) connectors.Verdict {
	p, genuine := read(res)
	body := bytes.TrimSpace(res.Body)
	v := connectors.ByStatus(res)
	v.Reason = p.reason(res)
	switch {
	case v.Kind == connectors.Delivered && len(body) > 0 && body[0] != '{':
		return connectors.TryAgain("the answer is not Mailchimp's")
	case v.Kind == connectors.Delivered:
		return connectors.Forgotten("")
	case res.Status == 404 && genuine:
		return connectors.Forgotten(connectors.NobodyKnown)
	case res.Status == 403 && !genuine:
		return connectors.Verdict{Kind: connectors.Retry, After: max(connectors.RetryAfter(res), blockedDelay), Reason: "403 " + noWord}
	}
	return connectors.JudgeForget(res, v)
}
