package mailchimp

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/rules/event"
)

// problem is Mailchimp's error. https://mailchimp.com/developer/marketing/docs/errors/
type problem struct {
	Title  string `json:"title"`
	Detail string `json:"detail"`
	Errors []struct {
		Field string `json:"field"`
	} `json:"errors"`
}

// titles are the documented titles. Any other text of an answer may contain personal data.
// https://mailchimp.com/developer/marketing/docs/errors/#error-glossary
var titles = []string{
	"Bad Request", "Invalid Action", "Invalid Resource", "JSON Parse Error", "Member In Compliance State",
	"Forgotten Email Not Subscribed", "API Key Missing", "API Key Invalid", "Forbidden", "User Disabled",
	"Wrong Datacenter", "Resource Not Found", "Method Not Allowed", "Too Many Requests", "Internal Server Error",
}

const (
	// blockedDelay is the shortest retry delay for a 403 that is not Mailchimp's own: a server in front of it refuses all
	// requests.
	blockedDelay = 30 * time.Minute
	// signUpDelay is the retry delay for a person who has signed up to many lists in a short time.
	signUpDelay = 6 * time.Hour
)

// Judge continues from the contact to its tags, and judges a refusal by its status and then its title.
func (c *Connector) Judge(res *connectors.Response) connectors.Verdict {
	if res.Forgets() {
		return judgeForgotten(res)
	}
	if res.Status >= 200 && res.Status <= 299 {
		return c.accepted(res)
	}
	p, genuine := read(res)
	tagging := res.To != nil && res.To.Name == tagRequest
	reason := p.reason(res)
	switch {
	case res.Status == 403 && !genuine:
		return connectors.Verdict{Kind: connectors.Retry, After: max(connectors.RetryAfter(res), blockedDelay), Reason: "403 " + noWord}
	case res.Status == 404 && genuine && !tagging: // the request creates the contact, so the audience is missing
		return connectors.Revoke(reason).ForSetting("audience")
	case res.Status == 404 && genuine: // the contact was removed since
		return connectors.Reject(reason + ", " + ofTags)
	case res.Status != 400:
		v := connectors.ByStatus(res)
		v.Reason = reason
		return v
	case p.Title == "Member In Compliance State": // the person has opted out, which is not a failure
		return connectors.Verdict{Kind: connectors.Skipping, Reason: optedOut}
	case p.Title == "Invalid Resource" && strings.Contains(p.Detail, "signed up to a lot of lists very recently"):
		return connectors.Verdict{Kind: connectors.Retry, After: signUpDelay, Reason: reason + ": " + signedUp}
	case strings.Contains(p.Detail, fake):
		reason += ": " + fake
	case strings.Contains(p.Detail, deleted):
		reason += ": " + deleted
	}
	return connectors.Reject(reason)
}

// accepted continues after a 2xx answer with the next request of the chain. An answer that is not Mailchimp's, such as a proxy's
// page, has changed nothing.
func (c *Connector) accepted(res *connectors.Response) connectors.Verdict {
	step := ""
	if res.To != nil {
		step = res.To.Name
	}
	body := bytes.TrimSpace(res.Body)
	switch {
	case step == tagRequest && (len(body) == 0 || body[0] == '{'): // 204
		return c.done(res.Trail, res.Events)
	case len(body) == 0 || body[0] != '{':
		return connectors.TryAgain("the answer is not Mailchimp's")
	case len(res.Events) == 0:
		return connectors.Deliver()
	}
	ev := res.Events[0]
	if c.Revive && step != reviveRequest && c.staysArchived(res, ev) {
		return connectors.Then(c.revive(ev))
	}
	next, err := c.tag(ev)
	switch {
	case err != nil:
		return connectors.Reject("the tags cannot be built: " + err.Error())
	case next == nil:
		return c.done(append(slices.Clip(res.Trail), res), res.Events)
	}
	return connectors.Then(next)
}

// done returns a Delivered verdict. Its reason says if the person consented but the contact stays archived, so that Mailchimp
// sends them nothing.
func (c *Connector) done(answers []*connectors.Response, events []*event.Event) connectors.Verdict {
	v := connectors.Deliver()
	if len(answers) > 0 && len(events) > 0 && c.staysArchived(answers[len(answers)-1], events[0]) {
		v.Reason = "the contact is archived and stays so; `revive: true` subscribes archived ones who agree again"
	}
	return v
}

// staysArchived reports whether an answer shows an archived contact whose respondent has consented to receive e-mail.
func (c *Connector) staysArchived(answer *connectors.Response, ev *event.Event) bool {
	var m struct {
		Status string `json:"status"`
	}
	if answer.JSON(&m) != nil || m.Status != archived {
		return false
	}
	agreed, err := c.Consent.Subscribe(ev)
	return err == nil && agreed
}

// read decodes an error. genuine is false if the answer is not Mailchimp's own.
func read(res *connectors.Response) (p problem, genuine bool) {
	genuine = json.Unmarshal(res.Body, &p) == nil && p.Title != ""
	return p, genuine
}

// reason returns the status, Mailchimp's title and the fields at fault, and leaves out all text that may contain personal data.
func (p problem) reason(res *connectors.Response) string {
	text := connectors.StatusReason(res.Status)
	if !slices.Contains(titles, p.Title) {
		return text
	}
	if number, words, _ := strings.Cut(text, " "); words != p.Title {
		text = number + " " + p.Title
	}
	var fields []string
	for _, e := range p.Errors {
		if len(fields) < 5 && len(e.Field) <= 20 && (e.Field == "email_address" || mergeTag.MatchString(e.Field)) && !slices.Contains(fields, e.Field) {
			fields = append(fields, e.Field)
		}
	}
	if len(fields) > 0 {
		text += ": " + strings.Join(fields, ", ")
	}
	return text
}
