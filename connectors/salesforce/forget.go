package salesforce

import (
	"encoding/json"
	"errors"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/rules/event"
)

var _ connectors.Forgetter = (*Connector)(nil)

const (
	// sought and erased are the names of the two requests that erase a person.
	sought = "people to erase"
	erased = "erase"
	// maxErased is the largest number of records that one request deletes.
	// https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/resources_composite_sobjects_collections_delete.htm
	maxErased = 200
	// maxSought is the largest number of records that are looked for at once: of a lead, two may be deleted.
	maxSought = maxErased / 2
	// binned is the reason of a delivered erasure.
	binned = "in the recycle bin, which Salesforce empties after 15 days; cases without a contact stay"
)

// CanForget returns nil. The app's user needs the permission to delete the object's records.
func (c *Connector) CanForget() error { return nil }

// Forget looks for the records with the respondent's e-mail address, in the key or in Email; for leads also for the contacts that they
// became. Judge continues with their deletion. A contact that has cases is one that Salesforce does not delete. The query is in a body, so
// that no address is part of a URL.
func (c *Connector) Forget(ev *event.Event) (*connectors.Request, error) {
	address := strings.ToLower(strings.TrimSpace(ev.Data().Respondent.Email))
	if utf8.RuneCountInString(address) > maxEmail {
		return nil, connectors.Skip("the e-mail address is longer than one that Salesforce has")
	}
	person, err := c.person(ev, c.Fields)
	if _, skipped := errors.AsType[*connectors.Skipped](err); err != nil && !skipped { // one without a key may have an address
		return nil, err
	}
	var conditions []string
	if address != "" {
		conditions = append(conditions, email+" = "+quoted(address))
	}
	if key := person.text(c.Org.Key); key != "" && !strings.EqualFold(c.Org.Key, email) {
		conditions = append(conditions, c.Org.Key+" = "+quoted(key))
	}
	if len(conditions) == 0 {
		return nil, connectors.Skip("no e-mail")
	}
	fields := "Id"
	if c.Object == Lead {
		fields += ", ConvertedContactId"
	}
	return c.composite(subrequest{
		Method: "GET", ReferenceID: "people",
		URL: api + "/query?q=" + url.QueryEscape("SELECT "+fields+" FROM "+string(c.Object)+" WHERE "+strings.Join(conditions, " OR ")+" LIMIT "+strconv.Itoa(maxSought)),
	}).Named(sought).Forgetting(), nil
}

// judgeForgotten continues from the records that were found to their deletion.
func (o *Org) judgeForgotten(res *connectors.Response) connectors.Verdict {
	switch {
	case res.Status < 200 || res.Status > 299:
		return connectors.JudgeForget(res, refused(res, "object"))
	case stepOf(res) == erased:
		return judgeErased(res)
	}
	var answer struct {
		Parts []struct {
			Status int             `json:"httpStatusCode"`
			Body   json.RawMessage `json:"body"`
		} `json:"compositeResponse"`
	}
	if res.JSON(&answer) != nil || len(answer.Parts) != 1 || answer.Parts[0].Status == 0 {
		return connectors.TryAgain("the answer is not Salesforce's")
	}
	if part := answer.Parts[0]; part.Status < 200 || part.Status > 299 {
		inner := *res
		inner.Status, inner.Body = part.Status, part.Body
		return connectors.JudgeForget(&inner, refused(&inner, "object"))
	}
	var found struct {
		Records []struct {
			ID      string `json:"Id"`
			Contact string `json:"ConvertedContactId"`
		} `json:"records"`
	}
	if json.Unmarshal(answer.Parts[0].Body, &found) != nil || found.Records == nil {
		return connectors.TryAgain("the answer is not Salesforce's")
	}
	var ids []string
	for _, r := range found.Records {
		for _, id := range []string{r.ID, r.Contact} {
			if recordID.MatchString(id) && len(ids) < maxErased {
				ids = append(ids, id)
			}
		}
	}
	if len(ids) == 0 {
		return connectors.Forgotten(connectors.NobodyKnown)
	}
	return connectors.Then(connectors.Delete(o.at("/composite/sobjects?ids=" + strings.Join(ids, ",") + "&allOrNone=false")).
		As(o.auth()).Named(erased).Forgetting())
}

// judgeErased returns the verdict on the deletion of records, which answers with one result for each.
func judgeErased(res *connectors.Response) connectors.Verdict {
	results := read(res, strings.Count(res.To.URL, ",")+1)
	if results == nil {
		return connectors.TryAgain("the answer is not Salesforce's")
	}
	for _, r := range results {
		if code := r.code(); r.Success || code == entityDeleted || code == notFound {
			continue
		}
		if len(r.Errors) == 0 {
			return connectors.TryAgain("the answer is not Salesforce's")
		}
		return connectors.JudgeForget(res, r.Errors[0].verdict(res, connectors.Reject(refusedRecord)))
	}
	if len(results) >= maxSought {
		return connectors.TryAgain("more records may have the address")
	}
	return connectors.Forgotten(binned)
}

// subrequest is one request of a composite one.
// https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/resources_composite_composite.htm
type subrequest struct {
	Method      string `json:"method"`
	URL         string `json:"url"`
	ReferenceID string `json:"referenceId"`
	Body        record `json:"body,omitempty"`
}

// composite returns a request that makes several, all or none.
func (o *Org) composite(parts ...subrequest) *connectors.Request {
	return connectors.Post(o.at("/composite"), struct {
		AllOrNone bool         `json:"allOrNone"`
		Requests  []subrequest `json:"compositeRequest"`
	}{true, parts}).As(o.auth())
}
