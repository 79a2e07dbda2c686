package constantcontact

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/surveygate/surveygate/connectors"
)

// The names of the check requests.
const (
	listsCheck  = "lists"
	fieldsCheck = "custom fields"
)

// maxOffered is the largest number of lists or custom fields that are named to a person.
const maxOffered = 20

// checkBytes is the response limit of the check requests, which list up to 500 lists.
const checkBytes = 1 << 20

// Check lists the account's lists and custom fields.
// https://developer.constantcontact.com/api_guide/lists_get_all.html
// https://developer.constantcontact.com/api_guide/get_custom_fields.html
func (c *Connector) Check() []*connectors.Request {
	return []*connectors.Request{
		connectors.Get(c.at("/contact_lists?limit=500")).Named(listsCheck).LimitResponse(checkBytes).As(c.auth()),
		connectors.Get(c.at("/contact_custom_fields?limit=100")).Named(fieldsCheck).LimitResponse(checkBytes).As(c.auth()),
	}
}

// JudgeCheck returns the lists and custom fields of the step that the account does not have.
func (c *Connector) JudgeCheck(res *connectors.Response) connectors.Proof {
	asked := listsCheck
	if res.To != nil {
		asked = res.To.Name
	}
	var answer struct {
		Lists *[]struct {
			ID   string `json:"list_id"`
			Name string `json:"name"`
		} `json:"lists"`
		Fields *[]struct {
			ID   string `json:"custom_field_id"`
			Name string `json:"label"`
		} `json:"custom_fields"`
		Links struct {
			Next json.RawMessage `json:"next"`
		} `json:"_links"`
	}
	switch {
	case res.Status == 401:
		return connectors.Missing("an application that Constant Contact accepts (" + refused(res, "").Reason + ")")
	case res.Status == 403:
		return connectors.Missing("the scope contact_data (" + refused(res, "").Reason + ")")
	case res.Status < 200 || res.Status > 299:
		return connectors.ProofByStatus(res)
	case res.JSON(&answer) != nil || (asked == listsCheck && answer.Lists == nil) || (asked == fieldsCheck && answer.Fields == nil):
		return connectors.UnexpectedAnswer("Constant Contact", "the account's "+asked, res)
	}
	there, wanted, what := map[string]string{}, c.Lists, "the list "
	if asked == listsCheck {
		for _, list := range *answer.Lists {
			there[list.ID] = list.Name
		}
	} else {
		wanted, what = c.Fields.Keys(), "the custom field "
		for _, field := range *answer.Fields {
			there[field.ID] = field.Name
		}
	}
	var lacking []string
	for _, id := range wanted {
		if _, ok := there[id]; !ok && uuid.MatchString(id) {
			lacking = append(lacking, what+id)
		}
	}
	switch {
	case len(lacking) == 0:
		return connectors.Proof{}
	case len(answer.Links.Next) > 0:
		return connectors.Proof{Unproved: []string{"that the account has " + strings.Join(lacking, ", ") + ": it has more " + asked + " than one answer lists"}}
	}
	lacking[0] += "; the account has " + offered(there)
	return connectors.Proof{Missing: lacking}
}

// offered lists ids with their names, because Constant Contact's pages do not show the ids.
func offered(there map[string]string) string {
	var all []string
	for _, id := range slices.SortedFunc(maps.Keys(there), func(a, b string) int { return strings.Compare(there[a], there[b]) }) {
		if uuid.MatchString(id) && len(all) < maxOffered {
			all = append(all, fmt.Sprintf("%s (%q)", id, connectors.Clip(there[id], 50)))
		}
	}
	if len(all) == 0 {
		return "none"
	}
	return strings.Join(all, ", ")
}
