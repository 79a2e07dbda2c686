package ga4

import (
	"fmt"
	"testing"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/connectors/connectortest"
	"github.com/surveygate/surveygate/rules/event"
)

// Platforms number respondents and responses alike: a response's id is unique only within its source and survey, a respondent's
// only within its source.
func TestStrangersAreNotOneVisitor(t *testing.T) {
	t.Parallel()
	made, _ := connectors.New("ga4")
	c := made.(*Connector)
	c.MeasurementID = "G-AB12CD34EF"
	client := func(tenant, source, survey, respondent string) string {
		body := fmt.Sprintf(`{"type":"response.completed","survey":{"id":%q},"response":{"id":"1"},"respondent":%s}`, survey, respondent)
		ev, err := event.ParseOne([]byte(body), event.Defaults{Tenant: tenant, Source: source, Received: connectortest.ReceivedAt, Verified: "hmac"})
		if err != nil {
			t.Fatal(err)
		}
		id, err := c.client(ev)
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	type who struct{ tenant, source, survey string }
	limesurvey, survey2 := who{"acme", "limesurvey", "1"}, who{"acme", "limesurvey", "2"}
	wufoo, zeta := who{"acme", "wufoo", "1"}, who{"zeta", "limesurvey", "1"}
	for respondent, others := range map[string]struct{ same, apart []who }{
		`{}`:                         {nil, []who{survey2, wufoo, zeta}},
		`{"id":"1"}`:                 {[]who{survey2}, []who{wufoo, zeta}},
		`{"external_id":"u1"}`:       {[]who{survey2, wufoo}, nil},
		`{"email":"jo@example.com"}`: {[]who{survey2, wufoo}, nil},
	} {
		one := client(limesurvey.tenant, limesurvey.source, limesurvey.survey, respondent)
		if again := client(limesurvey.tenant, limesurvey.source, limesurvey.survey, respondent); again != one {
			t.Errorf("%s: %s, then %s", respondent, one, again)
		}
		for _, w := range others.same {
			if client(w.tenant, w.source, w.survey, respondent) != one {
				t.Errorf("%s: %v is somebody else than %v", respondent, w, limesurvey)
			}
		}
		for _, w := range others.apart {
			if client(w.tenant, w.source, w.survey, respondent) == one {
				t.Errorf("%s: %v is taken for %v", respondent, w, limesurvey)
			}
		}
	}
}
