package salesforce

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/expression"
)

var (
	_ connectors.Judge              = (*Case)(nil)
	_ connectors.Keyer              = (*Case)(nil)
	_ connectors.Chained            = (*Case)(nil)
	_ connectors.ChainComparer      = (*Case)(nil)
	_ connectors.Validator          = (*Case)(nil)
	_ connectors.Checker            = (*Case)(nil)
	_ connectors.ConcurrencyLimiter = (*Case)(nil)
)

// Case writes the feedback of a response as a case. If the connection has a `key` for contacts and the event an e-mail address, the
// contact is written first, and the case belongs to it; otherwise, or if Salesforce does not take the address, the case stands alone,
// and its description names the respondent.
type Case struct {
	Org `yaml:",inline"`

	// CaseKey is the API name of the case's field that identifies the response, a Text field of 32 characters or more that is
	// marked as External ID and as Unique, such as `SG_Response__c`. A repeated or corrected event then changes the same case.
	// Without it every delivery creates a case.
	CaseKey string `yaml:"case_key,omitempty"`

	// Fields are added to Subject, which is the score or the survey, and Description, which has the feedback and the survey, or
	// replace them. Texts are cut as in `fields` of a person.
	Fields expression.Values `yaml:"fields,omitempty"`
}

const (
	caseObject = "Case"
	// caseRequest and caseAgain are the names of the requests that write the case.
	caseRequest = "case"
	caseAgain   = "case again"
)

// Build writes the contact, with which Judge continues, or else the case.
func (c *Case) Build(ev *event.Event) (*connectors.Request, error) {
	feedback, err := c.feedback(ev)
	if err != nil {
		return nil, err
	}
	if !c.hasContact() {
		return c.write(ev, feedback), nil
	}
	person, err := c.person(ev, expression.Values{})
	if err != nil { // no address, or one that Salesforce does not take
		return c.write(ev, feedback), nil
	}
	return c.upsert(string(Contact), c.Org.Key, []record{person}), nil
}

// hasContact reports whether cases belong to contacts. A case cannot belong to a lead.
// https://developer.salesforce.com/docs/atlas.en-us.object_reference.meta/object_reference/sforce_api_objects_case.htm
func (c *Case) hasContact() bool { return c.Object == Contact && c.Org.Key != "" }

// feedback returns the case's record, without its key and its contact.
func (c *Case) feedback(ev *event.Event) (record, error) {
	d := ev.Data()
	if score := d.Response.Score; d.Response.Feedback == "" && d.Respondent.Email == "" && score == (event.Score{}) {
		return nil, connectors.Skip("no e-mail, feedback or score")
	}
	about := connectors.MessageFor(ev)
	var lines []string
	for _, f := range about.Fields {
		lines = append(lines, f.Name+": "+f.Value)
	}
	if d.Response.Permalink != "" {
		lines = append(lines, "Link: "+d.Response.Permalink)
	}
	return newRecord(ev, c.Fields,
		expression.Member{Key: "Subject", Value: about.Title}, expression.Member{Key: description, Value: strings.Join(lines, "\n")})
}

// write returns the request that writes the case.
func (c *Case) write(ev *event.Event, feedback record) *connectors.Request {
	if c.CaseKey == "" {
		return c.create(caseObject, feedback).Named(caseRequest)
	}
	if feedback.text(c.CaseKey) == "" {
		feedback = append(record{{Key: c.CaseKey, Value: responseID(ev)}}, feedback...)
	}
	return c.upsert(caseObject, c.CaseKey, []record{feedback}).Named(caseRequest)
}

// Key returns the key of the contact, or of the case that stands alone.
func (c *Case) Key(ev *event.Event) string {
	if c.hasContact() {
		if key := (&Connector{Org: c.Org}).Key(ev); key != "" {
			return key
		}
	}
	return responseID(ev)
}

// MaxRequests counts the contact and the case. A record with a key may need a second request.
func (c *Case) MaxRequests() int {
	n := 1
	if c.CaseKey != "" {
		n++
	}
	if c.hasContact() {
		n += 2
	}
	return n
}

// LaterContent returns the case.
func (c *Case) LaterContent(ev *event.Event) ([]byte, error) {
	feedback, err := c.feedback(ev)
	if err != nil {
		return nil, err
	}
	return c.write(ev, feedback).Body, nil
}

// Judge continues from the contact to the case.
func (c *Case) Judge(res *connectors.Response) connectors.Verdict {
	if _, amends := res.Amendment(); amends {
		return c.judgeAmendment(res)
	}
	switch step := stepOf(res); step {
	case caseRequest, caseAgain:
		return c.judgeCase(res, step)
	}
	v := c.judge(res, expression.Values{})
	alone := v.Kind == connectors.Rejected && addressRefused(res)
	if len(res.Events) == 0 || v.Kind != connectors.Delivered && !alone {
		return v
	}
	if v.Ref == "" && !alone {
		return connectors.TryAgain("the answer names no contact")
	}
	feedback, err := c.feedback(res.Events[0])
	switch {
	case err != nil:
		return connectors.Reject("the case cannot be built: " + err.Error())
	case alone:
		return connectors.Then(c.write(res.Events[0], feedback))
	}
	if feedback.text("ContactId") == "" {
		feedback = append(feedback, expression.Member{Key: "ContactId", Value: v.Ref})
	}
	return connectors.Then(c.write(res.Events[0], feedback))
}

// judgeCase returns the verdict on the case. One that another request created at the same moment is written once more.
func (c *Case) judgeCase(res *connectors.Response, step string) connectors.Verdict {
	if res.Status < 200 || res.Status > 299 {
		return refused(res, "case_key")
	}
	results := read(res, 1)
	switch {
	case results == nil:
		return unreadable(res)
	case results[0].code() == duplicateValue && step == caseRequest && c.CaseKey != "":
		repeat := *res.To
		return connectors.Then(repeat.Named(caseAgain))
	}
	v := connectors.JudgeEach(res, func(int, *event.Event) (connectors.Verdict, bool) { return results[0].verdict(res) })
	if v.Kind == connectors.Delivered && slices.ContainsFunc(res.Trail, addressRefused) {
		v.Reason = "without a contact, because Salesforce considers the e-mail address invalid"
	}
	return v
}

// addressRefused reports whether Salesforce refuses the contact because of the address, which nobody can correct.
func addressRefused(res *connectors.Response) bool {
	results := read(res, 1)
	return results != nil && results[0].code() == invalidAddress
}

// Validate checks the settings of the org and the names of fields.
func (c *Case) Validate() error {
	if err := c.validate(); err != nil {
		return err
	}
	if err := validateKey("case_key", c.CaseKey); err != nil {
		return err
	}
	return validateFields(c.Fields)
}

// responseID identifies the response, or an event without one, among all that several tenants write to one org: 128 bits of a hash,
// because a response's own id is not unique and may be longer than the field.
func responseID(ev *event.Event) string {
	kind, id := "response", ev.ResponseKey()
	if id == "" {
		kind, id = "event", ev.ID
	}
	sum := sha256.Sum256([]byte(kind + "\x00" + ev.Tenant + "\x00" + id))
	return hex.EncodeToString(sum[:16])
}
