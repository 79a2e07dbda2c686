package teams

import (
	"bytes"
	"regexp"

	"github.com/surveygate/surveygate/connectors"
)

var (
	// code matches the trigger's error codes. Any other text of an answer may contain personal data.
	code = regexp.MustCompile(`^[A-Z][A-Za-z]{2,59}$`)
	// runID matches the id of a workflow's run.
	runID = regexp.MustCompile(`^[A-Za-z0-9-]{1,64}$`)
)

// accepted is the reason of a delivered card: the workflow posts it later.
const accepted = "accepted, not confirmed: the workflow posts the card later"

// Judge treats 2xx as accepted. A workflow that no longer takes requests is revoked, whatever the status.
func (c *Connector) Judge(res *connectors.Response) connectors.Verdict {
	v := connectors.ByStatus(res)
	if v.Kind == connectors.Delivered {
		if res.Status != 202 && bytes.HasPrefix(bytes.TrimSpace(res.Body), []byte("<")) { // a sign-in page, or a proxy's
			return connectors.TryAgain("the answer is not a workflow's")
		}
		v.Reason = accepted
		if id := res.Header.Get("X-Ms-Workflow-Run-Id"); runID.MatchString(id) {
			v.Ref = id
		}
		return v
	}
	var answer struct {
		Error struct {
			Code string `json:"code"`
		} `json:"error"`
	}
	_ = res.JSON(&answer) // without a code the status decides
	if code.MatchString(answer.Error.Code) {
		v.Reason += ": " + answer.Error.Code
	}
	if forAll[answer.Error.Code] || res.Status == 404 || res.Status == 410 {
		v.Kind, v.After = connectors.Revoked, 0
	}
	return v
}

// forAll are the codes with which a workflow refuses every card.
var forAll = func() map[string]bool {
	all := make(map[string]bool, len(causes))
	for _, c := range causes {
		all[c.Code] = c.Kind == connectors.Revoked
	}
	return all
}()
