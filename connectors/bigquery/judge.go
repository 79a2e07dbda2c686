package bigquery

import (
	"bytes"
	"regexp"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/rules/event"
)

// These match the parts of an answer that a reason may quote: a code, the path of a column, and the message about a column that
// the table lacks. Any other text may contain a respondent's words.
var (
	code        = regexp.MustCompile(`^[a-z][A-Za-z]{2,39}$`)
	columnPath  = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.\[\]]{0,99}$`)
	noSuchField = regexp.MustCompile(`(?i)^no such field: ([A-Za-z_][A-Za-z0-9_.\[\]]{0,99}?)\.?$`)
)

// problem is one error of Google's, for a request or for a row of it.
// https://cloud.google.com/bigquery/docs/error-messages
type problem struct {
	Reason   string `json:"reason"`
	Location string `json:"location"`
	Message  string `json:"message"`
}

// Judge returns the verdict on each row.
func (c *Connector) Judge(res *connectors.Response) connectors.Verdict {
	if res.Status < 200 || res.Status > 299 {
		return refused(res)
	}
	var answer struct {
		Kind   string `json:"kind"`
		Errors []struct {
			Index  int       `json:"index"`
			Errors []problem `json:"errors"`
		} `json:"insertErrors"`
	}
	switch err := res.JSON(&answer); {
	case res.Truncated: // it does not say which rows were refused
		return connectors.Reject(connectors.StatusReason(res.Status) + " with an answer that is too long to read")
	case err != nil, answer.Kind != "bigquery#tableDataInsertAllResponse" && !bytes.Equal(bytes.TrimSpace(res.Body), []byte("{}")):
		return connectors.TryAgain("the answer is not BigQuery's")
	}
	named := map[int]connectors.Verdict{}
	for _, e := range answer.Errors {
		if e.Index < 0 || e.Index >= len(res.Events) {
			return connectors.Reject(connectors.StatusReason(res.Status) + ", but the answer refuses a row that was not sent")
		}
		named[e.Index] = verdict(res, e.Errors)
	}
	return connectors.JudgeEach(res, func(i int, _ *event.Event) (connectors.Verdict, bool) {
		if v, refused := named[i]; refused {
			return v, true
		}
		return connectors.Deliver(), true
	})
}

// verdict returns the verdict on one row. A row that was only stopped by another one may be sent again. One with a column that the
// table lacks may be sent again too: BigQuery goes on refusing a new column for some minutes.
// https://cloud.google.com/bigquery/docs/troubleshoot-streaming-inserts
func verdict(res *connectors.Response, errors []problem) connectors.Verdict {
	v := connectors.TryAgain(connectors.StatusReason(res.Status) + ": without a reason")
	for _, p := range errors {
		v = connectors.Reject(connectors.StatusReason(res.Status))
		if code.MatchString(p.Reason) {
			v.Reason += ": " + p.Reason
		}
		if p.Reason == "stopped" {
			v = connectors.Resend(v.Reason)
			continue
		}
		if missing := noSuchField.FindStringSubmatch(p.Message); missing != nil {
			v.Reason += ": no such field: " + missing[1]
			v.Kind = connectors.Retry
			continue
		}
		if columnPath.MatchString(p.Location) {
			v.Reason += ": " + p.Location
		}
		if kind, known := kinds[p.Reason]; known {
			v.Kind = kind
		}
		if v.Kind != connectors.Retry {
			return v
		}
	}
	return v
}

// quotaDelay is the wait after quotaExceeded, which names none. Quotas are refilled within minutes.
// https://cloud.google.com/bigquery/docs/troubleshoot-quotas
const quotaDelay = 5 * time.Minute

// refused returns the verdict on a whole request, with Google's code as the reason.
func refused(res *connectors.Response) connectors.Verdict {
	var answer struct {
		Error struct {
			Errors []problem `json:"errors"`
		} `json:"error"`
	}
	_ = res.JSON(&answer) // without a code the status decides
	v := connectors.ByStatus(res)
	if len(answer.Error.Errors) == 0 || !code.MatchString(answer.Error.Errors[0].Reason) {
		return v
	}
	reason := answer.Error.Errors[0].Reason
	v.Reason += ": " + reason
	kind, known := kinds[reason]
	if reason == "notFound" { // also of a table that was created some minutes ago
		kind, known = connectors.Retry, true
	}
	if !known || kind == connectors.Rejected {
		return v
	}
	v.Kind = kind
	switch {
	case kind != connectors.Retry:
		v.After = 0
	case v.After == 0 && reason == "quotaExceeded":
		v.After = quotaDelay
	case v.After == 0:
		v.After = connectors.RetryAfter(res)
	}
	return v
}
