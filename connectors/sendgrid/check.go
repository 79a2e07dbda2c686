package sendgrid

import (
	"regexp"
	"slices"

	"github.com/surveygate/surveygate/connectors"
)

// Check reads the lists and the definitions of the fields, which proves the key, the lists and the fields that a step writes.
// https://www.twilio.com/docs/sendgrid/api-reference/lists/get-all-lists
// https://www.twilio.com/docs/sendgrid/api-reference/custom-fields/get-all-field-definitions
func (c *Connector) Check() []*connectors.Request {
	return []*connectors.Request{
		connectors.Get(c.at("field_definitions")).Named(definitions).As(connectors.Bearer(c.APIKey)),
		connectors.Get(c.at("lists?page_size=1000")).Named(lists).As(connectors.Bearer(c.APIKey)),
	}
}

// The names of the check requests.
const (
	definitions = "fields"
	lists       = "lists"
)

// JudgeCheck returns what the account lacks, and the ids of its custom fields and lists.
func (c *Connector) JudgeCheck(res *connectors.Response) connectors.Proof {
	switch s := res.Status; {
	case s == 401:
		return connectors.Missing("an API key that SendGrid accepts (" + connectors.StatusReason(s) + ")")
	case s == 403:
		return connectors.Missing("full access to Marketing for the key, or Marketing Campaigns in the account's plan; an account on the legacy product has another API (" + connectors.StatusReason(s) + ")")
	case s == 451:
		return connectors.Missing("the address of the account's region in base_url (" + connectors.StatusReason(s) + ")")
	case s < 200 || s > 299:
		return connectors.ProofByStatus(res)
	case res.To != nil && res.To.Name == lists:
		return c.checkLists(res)
	}
	return c.checkFields(res)
}

// quotable matches the names of fields and lists that a note quotes.
var quotable = regexp.MustCompile(`^[\p{L}\p{N}][\p{L}\p{N} _./&+()#-]{0,99}$`)

// checkFields compares the fields that the step writes with those that exist.
func (c *Connector) checkFields(res *connectors.Response) (p connectors.Proof) {
	var answer struct {
		Fields *[]struct {
			ID   string `json:"id"`
			Name string `json:"name"`
			Type string `json:"field_type"`
		} `json:"custom_fields"`
	}
	if res.JSON(&answer) != nil || answer.Fields == nil {
		return connectors.UnexpectedAnswer("SendGrid", "the custom fields", res)
	}
	var ids []string
	for _, f := range *answer.Fields {
		ids = append(ids, f.ID)
		if fieldID.MatchString(f.ID) && quotable.MatchString(f.Name) {
			p.Notes = append(p.Notes, "the custom field "+f.Name+" has the id "+f.ID)
		}
	}
	for _, name := range c.Fields.Keys() {
		if _, reserved := limits[name]; !reserved && !slices.Contains(ids, name) {
			p.Missing = append(p.Missing, "the custom field "+name)
		}
	}
	return p
}

// checkLists compares the lists of the settings with those that exist. An answer has at most 1,000 lists.
func (c *Connector) checkLists(res *connectors.Response) (p connectors.Proof) {
	var answer struct {
		Lists *[]struct {
			ID   string `json:"id"`
			Name string `json:"name"`
		} `json:"result"`
		Metadata struct {
			Next string `json:"next"`
		} `json:"_metadata"`
	}
	if res.JSON(&answer) != nil || answer.Lists == nil {
		return connectors.UnexpectedAnswer("SendGrid", "the lists", res)
	}
	var ids []string
	for _, l := range *answer.Lists {
		ids = append(ids, l.ID)
		if len(c.Lists) == 0 && listID.MatchString(l.ID) && quotable.MatchString(l.Name) {
			p.Notes = append(p.Notes, "the list "+l.Name+" has the id "+l.ID)
		}
	}
	for _, id := range c.Lists {
		switch {
		case slices.Contains(ids, id):
		case answer.Metadata.Next != "":
			p.Unproved = append(p.Unproved, "the list "+id+": the account has more lists than one answer")
		default:
			p.Missing = append(p.Missing, "the list "+id)
		}
	}
	return p
}
