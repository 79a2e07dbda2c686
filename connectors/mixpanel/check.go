package mixpanel

import (
	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/rules/expression"
)

// Check sends an event from 1970, which Mixpanel refuses after it has accepted the credentials.
// https://docs.mixpanel.com/reference/import-events#properties-time
func (c *Connector) Check() []*connectors.Request {
	return []*connectors.Request{c.post([]record{{c.Event, expression.Object{
		{Key: "time", Value: 0}, {Key: "distinct_id", Value: ""}, {Key: "$insert_id", Value: "surveygate-check"}, {Key: ip, Value: "0"},
	}}})}
}

// unchecked names the setting that no request can prove.
const unchecked = "region: Mixpanel may accept the credentials in a region where the project is not, and lose its events"

// JudgeCheck returns what is wrong with the credentials.
func (c *Connector) JudgeCheck(res *connectors.Response) connectors.Proof {
	var a answer
	switch known := res.JSON(&a) == nil && a.Imported != nil; {
	case known && (res.Status == 400 && len(a.Failed) > 0 || res.Status == 200):
		return connectors.Proof{Unproved: []string{unchecked}}
	case res.Status >= 200 && res.Status <= 299:
		return connectors.UnexpectedAnswer("Mixpanel", "the validation of an event", res)
	case res.Status == 401 && c.Token.IsZero():
		return connectors.Missing("a service account that Mixpanel accepts (" + connectors.StatusReason(res.Status) + ")")
	case res.Status == 401:
		return connectors.Missing("a token that Mixpanel accepts (" + connectors.StatusReason(res.Status) + ")")
	case res.Status == 403:
		return connectors.Missing("the role Owner or Admin of the service account (" + connectors.StatusReason(res.Status) + ")")
	}
	return connectors.ProofByStatus(res)
}
