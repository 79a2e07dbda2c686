package amplitude

import (
	"strings"

	"github.com/surveygate/surveygate/connectors"
)

// Check sends an event of a device that Amplitude refuses.
// https://amplitude.com/docs/apis/analytics/http-v2#all-zero-device-ids-limit-ad-tracking-enabled
func (c *Connector) Check() []*connectors.Request {
	return []*connectors.Request{c.post([]record{{
		DeviceID: "00000000-0000-0000-0000-000000000000", Type: c.Event, InsertID: "surveygate-check",
	}})}
}

// unchecked names the setting that the check may not prove.
const unchecked = "api_key: Amplitude may have refused the check's event before it looked at the key"

// JudgeCheck returns what is wrong with the key or its region.
func (c *Connector) JudgeCheck(res *connectors.Response) connectors.Proof {
	var a answer
	known := res.JSON(&a) == nil
	switch {
	case known && res.Status == 400 && strings.HasPrefix(a.Error, invalidKey):
		return connectors.Missing("an API key that Amplitude accepts in the region " + string(c.Region) + " (" + invalidKey + ")")
	case known && res.Status == 400 && a.Error != "":
		return connectors.Proof{Unproved: []string{unchecked}}
	case res.Status >= 200 && res.Status <= 299 && (!known || a.Ingested == nil):
		return connectors.UnexpectedAnswer("Amplitude", "what is wrong with an event", res)
	}
	return connectors.ProofByStatus(res)
}
