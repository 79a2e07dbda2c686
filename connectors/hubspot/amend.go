package hubspot

import (
	"regexp"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/expression"
)

var _ connectors.Retracter = (*Note)(nil)

// recordID matches the ids of HubSpot's records.
var recordID = regexp.MustCompile(`^[0-9]{1,20}$`)

// CanAmend returns nil: a note may be changed with the scopes that write it.
func (n *Note) CanAmend() error { return nil }

// Amend changes the text of the note. The receipt is the note's id. Its time and its contact stay as they are.
func (n *Note) Amend(ev *event.Event, receipt string) (*connectors.Request, error) {
	body, err := n.body(ev)
	if err != nil {
		return nil, err
	}
	req, err := n.change(receipt, body)
	if err != nil {
		return nil, err
	}
	return req.Amending(receipt), nil
}

// Retract lets the note begin with NoLongerSo.
func (n *Note) Retract(ev *event.Event, receipt string) (*connectors.Request, error) {
	body, err := connectors.RetractedNoteHTML(ev, n.Text, mark(ev), maxText)
	if err != nil {
		return nil, err
	}
	req, err := n.change(receipt, body)
	if err != nil {
		return nil, err
	}
	return req.Retracting(receipt), nil
}

// change returns the request that changes the text of a note.
// https://developers.hubspot.com/docs/guides/api/crm/engagements/notes#update-notes
func (n *Note) change(receipt, body string) (*connectors.Request, error) {
	if !recordID.MatchString(receipt) {
		return nil, connectors.BadReceipt("the id of a note")
	}
	return connectors.Patch(n.at("notes/"+receipt), struct {
		Properties expression.Object `json:"properties"`
	}{expression.Object{{Key: "hs_note_body", Value: body}}}).LimitResponse(maxNoteBytes).As(connectors.Bearer(n.Token)), nil
}

// judgeAmendment returns the verdict on the change of a note.
func (n *Note) judgeAmendment(res *connectors.Response) connectors.Verdict {
	switch {
	case res.Status == 404 && isProblem(res):
		return connectors.JudgeGone(n, res)
	case res.Status < 200 || res.Status > 299:
		return refused(res)
	case !isObject(res):
		return connectors.TryAgain("the answer is not HubSpot's")
	}
	return n.wrote(res)
}

// isProblem reports whether an answer is an error of HubSpot's, and not one of a server before it.
func isProblem(res *connectors.Response) bool {
	var p problem
	return res.JSON(&p) == nil && (p.Category != "" || p.Message != "")
}

// wrote returns the verdict on a note that was written, with its id. A change has that of its receipt, in case the answer, which
// repeats the note, is too long to read.
func (n *Note) wrote(res *connectors.Response) connectors.Verdict {
	var answer struct {
		ID string `json:"id"`
	}
	v := connectors.Deliver()
	if res.JSON(&answer) == nil && recordID.MatchString(answer.ID) {
		v.Ref = answer.ID
	}
	v.Ref = res.Receipt(v.Ref)
	return v
}
