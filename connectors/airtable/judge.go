package airtable

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/rules/event"
)

// repeated is the name of the request that follows ROW_DOES_NOT_EXIST: the row was deleted while it was being changed, so the same
// request adds it.
const repeated = "again"

const (
	// throttledDelay is how long a base refuses everything after a 429. https://airtable.com/developers/web/api/rate-limits
	throttledDelay = 30 * time.Second
	// quotaDelay is the longest wait for the next month's calls. The quota ends earlier when the plan changes.
	// https://support.airtable.com/docs/managing-api-call-limits-in-airtable
	quotaDelay = connectors.MaxRetryAfter
)

// Judge returns the verdict on each row. Airtable writes all rows of a request or none, and does not tell which one it refuses.
func (c *Connector) Judge(res *connectors.Response) connectors.Verdict {
	if res.Status >= 200 && res.Status <= 299 {
		return written(res)
	}
	p := read(res)
	v := connectors.ByStatus(res)
	v.Reason = c.reason(res, p)
	_, amends := res.Amendment()
	switch {
	case amends && p.Type == "ROW_DOES_NOT_EXIST" && res.Status <= 499:
		return connectors.JudgeGone(c, res)
	case res.Status == 429 && p.Type == "PUBLIC_API_BILLING_LIMIT_EXCEEDED":
		v.After = untilNextMonth(res.At)
	case res.Status == 429:
		v.After = max(v.After, throttledDelay)
	case res.Status == 402:
		v.Kind = connectors.Revoked
	case p.Type == "ROW_DOES_NOT_EXIST" && len(c.MergeOn) > 0 && res.To != nil && res.To.Name != repeated:
		again := *res.To
		return connectors.Then(again.Named(repeated))
	case p.Type == "ROW_DOES_NOT_EXIST": // also with 404, which speaks of the table otherwise
		v.Kind = connectors.Rejected
	case res.Status == 403 && p.Type == "INVALID_PERMISSIONS_OR_MODEL_NOT_FOUND", res.Status == 404 && p.Type != "":
		return connectors.Revoke(v.Reason).ForSetting("table")
	}
	return v
}

// written compares a successful answer with the rows that were sent. Airtable answers in the order of the request.
// https://airtable.com/developers/web/api/update-multiple-records
func written(res *connectors.Response) connectors.Verdict {
	var answer struct {
		Records []struct {
			ID string `json:"id"`
		} `json:"records"`
		Details struct {
			Message string `json:"message"`
		} `json:"details"`
	}
	if err := res.JSON(&answer); err != nil || answer.Records == nil {
		if !res.Truncated || !bytes.HasPrefix(bytes.TrimSpace(res.Body), []byte(`{"records":[{`)) {
			return connectors.TryAgain("the answer is not Airtable's")
		}
		return connectors.JudgeEach(res, func(int, *event.Event) (connectors.Verdict, bool) { return connectors.Deliver(), true })
	}
	return connectors.JudgeEach(res, func(i int, _ *event.Event) (connectors.Verdict, bool) {
		if len(answer.Records) != len(res.Events) || answer.Records[i].ID == "" {
			return connectors.Verdict{}, false
		}
		v := connectors.Deliver()
		v.Ref = answer.Records[i].ID
		if answer.Details.Message == "partialSuccess" {
			v.Reason = "Airtable could not upload all attachments"
		}
		return v, true
	})
}

// problem is Airtable's error. https://airtable.com/developers/web/api/errors
type problem struct{ Type, Message string }

// read decodes an error in each of its forms: {"error":{"type":…,"message":…}}, {"error":"NOT_FOUND"} and
// {"errors":[{"error":…,"message":…}]}. The result is empty if the answer is not Airtable's.
func read(res *connectors.Response) (p problem) {
	var body struct {
		Error  json.RawMessage `json:"error"`
		Errors []struct {
			Error   string `json:"error"`
			Message string `json:"message"`
		} `json:"errors"`
	}
	if res.JSON(&body) != nil {
		return problem{}
	}
	switch {
	case json.Unmarshal(body.Error, &p.Type) == nil:
	case json.Unmarshal(body.Error, &p) == nil:
	case len(body.Errors) > 0:
		p = problem{body.Errors[0].Error, body.Errors[0].Message}
	}
	if !errorType.MatchString(p.Type) {
		return problem{}
	}
	return p
}

var errorType = regexp.MustCompile(`^[A-Z][A-Z0-9_]{2,63}$`)

// reason returns the status, Airtable's type of error, and those columns of the request that its message names. The rest of the
// message may contain an answer.
func (c *Connector) reason(res *connectors.Response, p problem) string {
	text := connectors.StatusReason(res.Status)
	if p.Type == "" {
		return text
	}
	text += ": " + p.Type
	for _, name := range c.names() {
		if quoted := `"` + name + `"`; strings.Contains(p.Message, quoted) && len(text)+len(quoted) < maxReason {
			text += " " + quoted
		}
	}
	return text
}

// maxReason bounds a reason in bytes.
const maxReason = 200

// untilNextMonth returns the wait until the monthly quota is renewed, at most quotaDelay.
func untilNextMonth(at time.Time) time.Duration {
	next := time.Date(at.UTC().Year(), at.UTC().Month()+1, 1, 0, 0, 0, 0, time.UTC)
	return min(next.Sub(at), quotaDelay)
}
