package bigquery

import (
	"bytes"
	"regexp"
	"strings"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/rules/event"
)

var (
	// code matches a code. Any other text of an answer may contain a respondent's words, except the names of columns.
	code = regexp.MustCompile(`^[a-z][A-Za-z]{2,39}$`)
	// noSuchField matches the message about a column that the table lacks, or about a field that a column lacks.
	noSuchField = regexp.MustCompile(`(?i)^no such field: (\S+?)\.?$`)
)

// column returns the step's column at the beginning of a path, or "" if there is none: the names below a column may be a
// respondent's words.
func (c *Connector) column(path string) string {
	name, _, _ := strings.Cut(path, ".")
	name, _, _ = strings.Cut(name, "[")
	for _, sent := range c.names() {
		if strings.EqualFold(sent, name) {
			return sent
		}
	}
	return ""
}

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
		named[e.Index] = c.verdict(res, e.Errors)
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
func (c *Connector) verdict(res *connectors.Response, errors []problem) connectors.Verdict {
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
			v.Reason += ": no such field"
			if name := c.column(missing[1]); name != "" {
				v.Reason += ": " + name
			}
			v.Kind = connectors.Retry
			continue
		}
		if name := c.column(p.Location); name != "" {
			v.Reason += ": " + name
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
