package salesforce

import (
	"slices"
	"strings"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/expression"
)

var _ connectors.Retracter = (*Case)(nil)

const description = "Description"

// CanAmend returns nil: a case may be changed with the permissions that write it.
func (c *Case) CanAmend() error { return nil }

// Amend changes the fields of the case, whose id is the receipt. Its contact and its key stay as they are, and so do the fields that
// Salesforce does not let be changed.
// https://developer.salesforce.com/docs/atlas.en-us.object_reference.meta/object_reference/sforce_api_objects_case.htm
func (c *Case) Amend(ev *event.Event, receipt string) (*connectors.Request, error) {
	feedback, err := c.feedback(ev)
	if err != nil {
		return nil, err
	}
	feedback = slices.DeleteFunc(feedback, func(m expression.Member) bool {
		return len(m.Key) > len(supplied) && strings.EqualFold(m.Key[:len(supplied)], supplied) || c.CaseKey != "" && strings.EqualFold(m.Key, c.CaseKey)
	})
	if len(feedback) == 0 {
		return nil, connectors.Skip("no field has a value that can be changed")
	}
	req, err := c.change(receipt, feedback)
	if err != nil {
		return nil, err
	}
	return req.Amending(receipt), nil
}

// supplied is how the names of the fields begin that hold what was typed into a web form. They can only be set once.
const supplied = "Supplied"

// Retract lets the description of the case begin with NoLongerSo, and leaves its other fields and its status to people.
func (c *Case) Retract(ev *event.Event, receipt string) (*connectors.Request, error) {
	feedback, err := c.feedback(ev)
	if err != nil {
		return nil, err
	}
	var r record
	r.put(description, connectors.NoLongerSo+"\n"+feedback.text(description))
	req, err := c.change(receipt, r)
	if err != nil {
		return nil, err
	}
	return req.Retracting(receipt), nil
}

// change returns the request that changes fields of a case.
// https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/dome_update_fields.htm
func (c *Case) change(receipt string, fields record) (*connectors.Request, error) {
	if !recordID.MatchString(receipt) {
		return nil, connectors.BadReceipt("the id of a case")
	}
	return connectors.Patch(c.at("/sobjects/"+caseObject+"/"+receipt), fields).As(c.auth()), nil
}

// entityDeleted is the code for a record that is in the recycle bin.
const entityDeleted = "ENTITY_IS_DELETED"

// judgeAmendment returns the verdict on the change of a case. A success has the status 204 and no body.
func (c *Case) judgeAmendment(res *connectors.Response) connectors.Verdict {
	if res.Status >= 200 && res.Status <= 299 {
		if res.Status != 204 && read(res, 1) == nil {
			return unreadable(res)
		}
		v := connectors.Deliver()
		v.Ref = res.Receipt("")
		return v
	}
	if list := problems(res.Body); res.Status >= 400 && res.Status <= 499 && len(list) > 0 {
		if code := list[0].code(); code == entityDeleted || code == notFound {
			return connectors.JudgeGone(c, res)
		}
	}
	return refused(res, "fields")
}
