package pipedrive

import (
	"slices"
	"strconv"
	"strings"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/rules/event"
)

var _ connectors.Forgetter = (*Connector)(nil)

const (
	// deleted is the name of the request that deletes a person.
	deleted = "delete"
	// maxDeleted is the number of persons that one attempt deletes, beside the search and the newest persons.
	maxDeleted = 3
	// trashed is the reason of a delivered erasure.
	trashed = "deleted, and gone for good after 30 days; notes and leads stay"
)

// CanForget returns nil. The token's user needs the permission to delete persons.
func (c *Connector) CanForget() error { return nil }

// Forget looks for the persons with the respondent's e-mail address. Judge continues with their deletion, one after the other.
func (c *Connector) Forget(ev *event.Event) (*connectors.Request, error) {
	p, err := newPerson(ev, c.Fields)
	if err != nil {
		return nil, err
	}
	return c.search(p).Forgetting(), nil
}

// judgeForgotten continues from the search to the newest persons, which the search may not know yet, and to the deletion of each person
// that was found.
func (c *Connector) judgeForgotten(res *connectors.Response) connectors.Verdict {
	step := nameOf(res)
	var p problem
	gone := step == deleted && (res.Status == 404 || res.Status == 410) && res.JSON(&p) == nil && p.Success != nil
	if v, ok := accepted(res); !ok && !gone {
		return connectors.JudgeForget(res, v)
	}
	if len(res.Events) == 0 {
		return connectors.Forgotten("")
	}
	who, err := newPerson(res.Events[0], c.Fields)
	if err != nil {
		return unbuildable(err)
	}
	answers := append(slices.Clip(res.Trail), res)
	var left []int64
	done := 0
	for _, answer := range answers {
		if nameOf(answer) == deleted {
			left = slices.DeleteFunc(left, func(id int64) bool { return strings.HasSuffix(answer.To.URL, personPath(id)) })
			done++
			continue
		}
		persons, ok := personsIn(answer, who.Email)
		if !ok {
			return unreadable
		}
		for _, one := range persons {
			another := len(one.Emails) > 0 && !slices.ContainsFunc(one.Emails, func(e string) bool { return strings.EqualFold(e, who.Email) })
			if !another && !slices.Contains(left, one.ID) {
				left = append(left, one.ID)
			}
		}
	}
	switch {
	case step == "": // also if some were found: the newest ones may have the address too
		return connectors.Then(c.listNewest().Forgetting())
	case len(left) == 0 && done == 0:
		return connectors.Forgotten(connectors.NobodyKnown)
	case len(left) == 0:
		return connectors.Forgotten(trashed)
	case done == maxDeleted:
		return connectors.TryAgain(strconv.Itoa(len(left)) + " more persons have the e-mail address")
	}
	return connectors.Then(c.delete(left[0]).Forgetting())
}

// delete returns the request that deletes a person.
// https://developers.pipedrive.com/docs/api/v1/Persons#deletePerson
func (a *Account) delete(id int64) *connectors.Request {
	return connectors.Delete(a.at(personPath(id))).Named(deleted).As(a.auth())
}
