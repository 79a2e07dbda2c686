package pipedrive

import (
	"regexp"
	"strconv"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/rules/event"
)

var _ connectors.Retracter = (*Note)(nil)

// noteID matches the id of a note.
var noteID = regexp.MustCompile(`^[1-9][0-9]{0,17}$`)

// CanAmend returns nil: a note may be changed with the token that writes it.
func (n *Note) CanAmend() error { return nil }

// Amend changes the note, whose id is the receipt, in one request: without the search for the person and the note.
func (n *Note) Amend(ev *event.Event, receipt string) (*connectors.Request, error) {
	content, _, err := n.content(ev)
	if err != nil {
		return nil, err
	}
	req, err := n.change(receipt, content)
	if err != nil {
		return nil, err
	}
	return req.Amending(receipt), nil
}

// Retract lets the note begin with NoLongerSo.
func (n *Note) Retract(ev *event.Event, receipt string) (*connectors.Request, error) {
	content, _, err := n.marked(ev, connectors.RetractedNoteHTML)
	if err != nil {
		return nil, err
	}
	req, err := n.change(receipt, content)
	if err != nil {
		return nil, err
	}
	return req.Retracting(receipt), nil
}

func (n *Note) change(receipt, content string) (*connectors.Request, error) {
	if !noteID.MatchString(receipt) {
		return nil, connectors.BadReceipt("the id of a note")
	}
	id, err := strconv.ParseInt(receipt, 10, 64)
	if err != nil {
		return nil, connectors.BadReceipt("the id of a note")
	}
	return n.put(id, content), nil
}

// judgeAmendment returns the verdict on the change of a note. Pipedrive keeps a deleted note with its active_flag off; its page does not
// say whether a change of it is refused.
// https://developers.pipedrive.com/docs/api/v1/Notes#updateNote
func (n *Note) judgeAmendment(res *connectors.Response) connectors.Verdict {
	var p problem
	if gone := res.Status == 404 || res.Status == 410; gone && res.JSON(&p) == nil && p.Success != nil {
		return connectors.JudgeGone(n, res)
	}
	if v, ok := accepted(res); !ok {
		return v
	}
	var answer struct {
		Data struct {
			ID     int64 `json:"id"`
			Active *bool `json:"active_flag"`
		} `json:"data"`
	}
	readable := res.JSON(&answer) == nil
	switch {
	case readable && answer.Data.Active != nil && !*answer.Data.Active:
		return connectors.JudgeGone(n, res)
	case answer.Data.ID == 0 && !res.Truncated: // the answer repeats the note, which may be long
		return unreadable
	}
	v := connectors.Deliver()
	v.Ref = res.Receipt("")
	return v
}
