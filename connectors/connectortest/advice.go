package connectortest

import (
	"slices"
	"testing"

	"github.com/surveygate/surveygate/connectors"
)

// checkAdvice checks that a connector has a cause for each refusal in its transcripts, and that the fix of each cause fits its
// verdict: other credentials do not help a single rejected event, and a hold must be for something that a person can change.
func checkAdvice(t *testing.T, name string, cases []example) {
	c, _ := connectors.New(name)
	if advisor, ok := c.(connectors.Advisor); ok {
		for _, cause := range advisor.Causes() {
			if fault := causeFault(cause); fault != "" {
				t.Errorf("%+v: %s", cause, fault)
			}
		}
	}
	for _, e := range cases {
		c, events := e.ready(t, name)
		req, err := e.build(c, events)
		if err != nil {
			t.Fatalf("%s: %v", e.name, err)
		}
		var trail []*connectors.Response
		for _, answer := range e.answers {
			res, err := parseResponse(answer)
			if err != nil {
				t.Fatalf("%s: %v", e.name, err)
			}
			res.To, res.Events, res.Trail = req, events, trail
			v := judge(c, res)
			if v.Kind == connectors.Continue {
				trail, req = append(trail, res), v.Next
				continue
			}
			for _, each := range append(slices.Clone(v.Each), v) {
				if each.Kind != connectors.Rejected && each.Kind != connectors.Revoked {
					continue
				}
				cause, known := connectors.CauseOf(name, each.Reason)
				switch {
				case !known:
					t.Errorf("%s: no cause matches `%s`", e.name, each)
				case cause.Kind != "" && cause.Kind != each.Kind:
					t.Errorf("%s: `%s`, and the cause %s is %s", e.name, each, cause.Code, cause.Kind)
				}
			}
		}
	}
}

// causeFault returns what is wrong with a cause; "" for a good one.
func causeFault(c connectors.Cause) string {
	fixes := map[connectors.Kind][]connectors.Fix{
		connectors.Retry:    {connectors.FixWait},
		connectors.Skipping: {connectors.FixNone},
		connectors.Rejected: {connectors.FixConfiguration, connectors.FixProduct, connectors.FixNone},
		connectors.Revoked:  {connectors.FixCredentials, connectors.FixConfiguration, connectors.FixProduct},
		"":                  {connectors.FixCredentials, connectors.FixConfiguration, connectors.FixProduct},
	}
	switch {
	case c.Code == "" || c.Hint == "":
		return "a cause needs a code and a hint"
	case !slices.Contains(fixes[c.Kind], c.Fix):
		return "this fix does not help a delivery that is " + string(c.Kind)
	}
	return ""
}
