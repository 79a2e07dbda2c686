package constantcontact

import (
	"bytes"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/rules/event"
)

// contact is a contact that the lookup has found.
type contact struct {
	ID    string `json:"contact_id"`
	Email struct {
		Address    string `json:"address"`
		Permission string `json:"permission_to_send"`
		OptOut     string `json:"opt_out_date"`
	} `json:"email_address"`
	Deleted string `json:"deleted_at"`
}

// notSet is the permission of a contact to whom nothing may be sent, and who has not opted out.
const notSet = "not_set"

// states are the states of a contact who is not signed up without further ado. deleted is not a permission.
// https://developer.constantcontact.com/api_guide/contacts_overview.html
var states = []string{"unsubscribed", "pending_confirmation", "temp_hold", deleted}

const deleted = "deleted"

// Waits where Constant Contact names none.
const (
	// conflictDelay is the wait after a simultaneous change of the same contact.
	conflictDelay = 2 * time.Second
	// throttledDelay is the wait after too many requests in a second.
	throttledDelay = time.Second
)

// Judge continues from the lookup to the contact.
func (c *Connector) Judge(res *connectors.Response) connectors.Verdict {
	step := ""
	if res.To != nil {
		step = res.To.Name
	}
	switch {
	case res.Status == 409 && step == storeRequest: // created since the lookup
		return connectors.Verdict{Kind: connectors.Skipping, Reason: known}
	case res.Status == 409:
		v := connectors.TryAfter(res, connectors.StatusReason(409))
		v.After = max(v.After, conflictDelay)
		return v
	case res.Status < 200 || res.Status > 299:
		return refused(res, step)
	case len(res.Events) == 0:
		return connectors.Deliver()
	case step == lookupRequest:
		return c.found(res)
	}
	return written(res)
}

// found continues after the lookup, unless the contact must stay as it is.
func (c *Connector) found(res *connectors.Response) connectors.Verdict {
	ev := res.Events[0]
	who, exists, ok := look(res, ev)
	if !ok {
		return connectors.TryAgain("the answer is not Constant Contact's")
	}
	next, err := c.write(ev)
	switch {
	case err != nil:
		return connectors.Reject("the contact cannot be built: " + err.Error())
	case exists && next.Name == storeRequest:
		return connectors.Verdict{Kind: connectors.Skipping, Reason: known}
	case exists && !who.maySignUp(ev):
		return connectors.Verdict{Kind: connectors.Skipping, Reason: "the contact is " + who.state()}
	}
	return connectors.Then(next)
}

// look reads the answer to the lookup. ok is false if it is not of the documented form.
func look(res *connectors.Response, ev *event.Event) (who contact, exists, ok bool) {
	var answer struct {
		Contacts *[]contact `json:"contacts"`
	}
	if res.JSON(&answer) != nil || answer.Contacts == nil {
		return who, false, false
	}
	if slices.ContainsFunc(*answer.Contacts, func(c contact) bool { return c.Email.Address == "" }) { // it may be the one, unsubscribed
		return who, false, false
	}
	i := slices.IndexFunc(*answer.Contacts, func(c contact) bool { return strings.EqualFold(c.Email.Address, ev.Data().Respondent.Email) })
	if i < 0 {
		return who, false, true
	}
	return (*answer.Contacts)[i], true, true
}

// state returns the contact's permission, or that it was deleted.
func (c contact) state() string {
	if c.Deleted != "" {
		return deleted
	}
	if p := c.Email.Permission; slices.Contains(states, p) || p == "explicit" || p == "implicit" || p == notSet {
		return p
	}
	return "in an unknown state"
}

// maySignUp reports whether a sign-up takes nothing back that the contact or the account has decided. A contact who opted out, or was
// deleted, is signed up if the consent was given in this response, and after that.
func (c contact) maySignUp(ev *event.Event) bool {
	switch c.state() {
	case "explicit", "implicit", notSet:
		return true
	case "unsubscribed", deleted:
	default: // a sign-up would also confirm an address that its owner has not confirmed
		return false
	}
	if c.Email.Permission == "pending_confirmation" || c.Email.Permission == "temp_hold" { // and was deleted
		return false
	}
	out, known := c.out()
	given := ev.Data().Respondent.Consent
	return known && given != nil && *given && ev.Time.After(out)
}

// out returns the time from which on a consent counts again: after the opt-out and the deletion, of which a contact may have both.
// known is false if Constant Contact does not say when.
func (c contact) out() (at time.Time, known bool) {
	if c.Email.OptOut != "" {
		var err error
		if at, err = time.Parse(time.RFC3339, c.Email.OptOut); err != nil {
			return at, false
		}
	}
	if c.Deleted != "" {
		day, err := time.Parse(time.DateOnly, c.Deleted)
		if err != nil {
			return at, false
		}
		if next := day.AddDate(0, 0, 1); next.After(at) { // only the day is known, so that the consent must be of a later one
			at = next
		}
	}
	return at, !at.IsZero()
}

// written returns the verdict on a contact that was written.
func written(res *connectors.Response) connectors.Verdict {
	var answer struct {
		ID string `json:"contact_id"`
	}
	if res.JSON(&answer) != nil || answer.ID == "" {
		return connectors.TryAgain("the answer is not Constant Contact's")
	}
	v := connectors.Deliver()
	if uuid.MatchString(answer.ID) {
		v.Ref = answer.ID
	}
	if len(res.Trail) > 0 {
		if who, exists, _ := look(res.Trail[0], res.Events[0]); exists && slices.Contains(states, who.state()) {
			v.Reason = "the contact was " + who.state() + ", and consented again in this response"
		}
	}
	return v
}

// problem is Constant Contact's error. https://developer.constantcontact.com/api_guide/glossary_responses.html
type problem struct {
	Key string `json:"error_key"`
}

// errorKey matches an error_key; any other text of an answer may contain personal data.
var errorKey = regexp.MustCompile(`^[a-z][a-z0-9_.]{0,79}$`)

// key returns the error_key of an answer, which is a list of errors, or a single one; "" without one.
func key(res *connectors.Response) string {
	list := make([]problem, 1)
	if body := bytes.TrimSpace(res.Body); len(body) > 0 && body[0] == '{' {
		_ = json.Unmarshal(body, &list[0])
	} else if json.Unmarshal(body, &list) != nil || len(list) == 0 {
		return ""
	}
	if !errorKey.MatchString(list[0].Key) {
		return ""
	}
	return list[0].Key
}

// refused returns the verdict on any other answer. The requests of a day are counted from midnight in UTC.
// https://developer.constantcontact.com/api_guide/rate_limits.html
func refused(res *connectors.Response, step string) connectors.Verdict {
	v := connectors.ByStatus(res)
	k := key(res)
	if k != "" {
		v.Reason += ": " + k
	}
	switch {
	case res.Status == 429 && strings.Contains(k, "quota"):
		today := res.At.UTC().Truncate(24 * time.Hour)
		v.After = max(v.After, today.AddDate(0, 0, 1).Sub(res.At))
	case res.Status == 429:
		v.After = max(v.After, throttledDelay)
	case res.Status == 404 && k != "" && step == "": // the sign-up creates the contact, so a list is missing
		return connectors.Revoke(v.Reason).ForSetting("lists")
	}
	return v
}
