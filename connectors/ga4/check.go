package ga4

import (
	"regexp"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/rules/event"
)

// example is the event that Check sends.
var example = []byte(`{"type":"response.completed","nps_score":9,"survey":{"id":"example","type":"nps"},"response":{"id":"example"}}`)

// Check sends an example event to Google's validation server, which counts nothing.
// https://developers.google.com/analytics/devguides/collection/protocol/ga4/validating-events
func (c *Connector) Check() []*connectors.Request {
	ev, err := event.ParseOne(example, event.Defaults{Received: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)})
	if err != nil {
		return nil
	}
	p, err := c.payload(ev)
	if err != nil {
		return nil // the settings need a field that the example lacks
	}
	return []*connectors.Request{c.post("/debug/mp/collect", p)}
}

// unchecked names the settings that no request can prove, because Google accepts any pair of them.
const unchecked = "measurement_id and api_secret: the check server does not look at them"

// validationCode matches the server's codes. Its other texts may quote what it was sent.
var validationCode = regexp.MustCompile(`^[A-Z_]{1,40}$`)

// JudgeCheck returns what the validation server found wrong.
func (c *Connector) JudgeCheck(res *connectors.Response) connectors.Proof {
	if res.Status < 200 || res.Status > 299 {
		return connectors.ProofByStatus(res)
	}
	var answer struct {
		Messages *[]struct {
			Path string `json:"fieldPath"`
			Code string `json:"validationCode"`
		} `json:"validationMessages"`
	}
	if res.JSON(&answer) != nil || answer.Messages == nil {
		return connectors.UnexpectedAnswer("Google's check server", "what is wrong with an event", res)
	}
	proof := connectors.Proof{Unproved: []string{unchecked}}
	for _, m := range *answer.Messages {
		what := "a body that Google accepts"
		if validationCode.MatchString(m.Code) {
			what += " (" + m.Code + ")"
		}
		proof.Missing = append(proof.Missing, what)
	}
	return proof
}
