package salesforce

import (
	"encoding/json"
	"net/url"
	"strings"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/expression"
)

const (
	// convertedLead is the code of an upsert of a lead that was converted, which cannot be changed any more.
	convertedLead = "CANNOT_UPDATE_CONVERTED_LEAD"
	// converted is the name of the request that changes the contact which the lead became.
	converted = "converted"
)

// followLead continues with the contact that a converted lead became. One composite request finds it and changes it.
func (o *Org) followLead(ev *event.Event, own expression.Values) connectors.Verdict {
	person, err := o.person(ev, own)
	if err != nil {
		return connectors.Reject("the record cannot be built: " + err.Error())
	}
	find := "SELECT ConvertedContactId FROM Lead WHERE " + o.Key + " = " + quoted(person.text(o.Key)) + " AND IsConverted = true LIMIT 1"
	return connectors.Then(o.composite(
		subrequest{Method: "GET", URL: api + "/query?q=" + url.QueryEscape(find), ReferenceID: "lead"},
		subrequest{Method: "PATCH", URL: api + "/sobjects/Contact/@{lead.records[0].ConvertedContactId}", ReferenceID: "contact", Body: o.ofContact(person)},
	).Named(converted))
}

// ofContact returns the fields of a lead's record that a contact has too. A composite request resolves references (`@{…}`) in its
// texts, so that those which a respondent wrote are broken.
func (o *Org) ofContact(person record) record {
	kept := make(record, 0, len(person))
	for _, m := range person {
		if strings.EqualFold(m.Key, company) || strings.EqualFold(m.Key, "Status") || strings.EqualFold(m.Key, o.Key) {
			continue
		}
		if text, ok := m.Value.(string); ok {
			m.Value = strings.ReplaceAll(text, "@{", "@ {")
		}
		kept = append(kept, m)
	}
	return kept
}

// quoted returns a text as a literal of SOQL.
// https://developer.salesforce.com/docs/atlas.en-us.soql_sosl.meta/soql_sosl/sforce_api_calls_soql_select_quotedstringescapes.htm
func quoted(text string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`, "\n", `\n`, "\r", `\r`).Replace(text) + "'"
}

// judgeConverted returns the verdict on the change of the contact, which is the last of the two answers.
func judgeConverted(res *connectors.Response) connectors.Verdict {
	if res.Status < 200 || res.Status > 299 {
		return refused(res, "")
	}
	var answer struct {
		Parts []struct {
			Status int             `json:"httpStatusCode"`
			Body   json.RawMessage `json:"body"`
		} `json:"compositeResponse"`
	}
	if res.JSON(&answer) != nil || len(answer.Parts) != 2 {
		return connectors.TryAgain("the answer is not Salesforce's")
	}
	if last := answer.Parts[1].Status; last >= 200 && last <= 299 {
		v := connectors.Deliver()
		v.Reason = "the lead was converted, so its contact was changed"
		return v
	}
	for _, part := range answer.Parts {
		if part.Status == 0 {
			return connectors.TryAgain("the answer is not Salesforce's")
		}
		for _, p := range problems(part.Body) {
			if p.code() != "PROCESSING_HALTED" && p.code() != "" { // halted by the other part
				return p.verdict(res, connectors.Reject(convertedLead))
			}
		}
	}
	return connectors.Reject(convertedLead) // no contact
}
