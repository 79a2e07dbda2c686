package event

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// CatalogueEntry describes a canonical type, for documentation.
type CatalogueEntry struct {
	Name string
	// About is what happened, in one sentence.
	About string
	about subject
}

// subject is what events of a type are about. It decides which groups of the data they usually have.
type subject uint8

const (
	aboutResponse subject = iota
	aboutSurvey
	aboutPerson
	aboutGateway
)

// catalogue are all canonical types.
var catalogue = []CatalogueEntry{
	{TypeResponseStarted, "A respondent opened the survey or gave a first answer.", aboutResponse},
	{TypeResponsePartial, "Some answers of a response that is not finished.", aboutResponse},
	{TypeResponseCompleted, "A response was submitted.", aboutResponse},
	{TypeResponseUpdated, "Answers of a submitted response were changed.", aboutResponse},
	{TypeResponseReviewed, "Somebody reviewed a response; `response.review_state` is the decision.", aboutResponse},
	{TypeResponseDisqualified, "A respondent was screened out.", aboutResponse},
	{TypeResponseOverquota, "A response came after its quota was full.", aboutResponse},
	{TypeResponseDeleted, "A response was deleted at the platform.", aboutResponse},
	{TypeAnswerUpserted, "One answer was given or changed, before the response is submitted.", aboutResponse},
	{TypeSurveyClosed, "A survey takes no more responses.", aboutSurvey},
	{TypeSurveyStatusChanged, "A survey was opened, paused or closed.", aboutSurvey},
	{TypeSurveyCreated, "A survey was created.", aboutSurvey},
	{TypeSurveyUpdated, "A survey was changed.", aboutSurvey},
	{TypeSurveyDeleted, "A survey was deleted.", aboutSurvey},
	{TypeCollectorCreated, "A way to collect responses, such as a link, was created.", aboutSurvey},
	{TypeCollectorUpdated, "A way to collect responses was changed.", aboutSurvey},
	{TypeCollectorDeleted, "A way to collect responses was deleted.", aboutSurvey},
	{TypeRewardRedeemed, "A respondent redeemed a reward.", aboutPerson},
	{TypeUnsubscribed, "A person asked to get no more invitations.", aboutPerson},
	{TypeEntityUpdated, "Something else at the platform changed, such as a contact.", aboutPerson},
	{TypeTest, "The platform sent a test. Only rules that name this type get it.", aboutResponse},
	{TypeUnknown, "The platform sent something that its profile does not know. Only rules that name this type get it.", aboutResponse},
}

// notices are the types of the gateway's own notices.
var notices = []CatalogueEntry{
	{TypeDestinationUnhealthy, "Requests to a connection or webhook fail, and its deliveries wait.", aboutGateway},
	{TypeDestinationDisabled, "A connection or webhook is sent nothing until somebody acts.", aboutGateway},
	{TypeDestinationRecovered, "A connection or webhook accepts requests again.", aboutGateway},
	{TypeDeliveryDead, "Deliveries became dead letters.", aboutGateway},
	{TypeSourceSilent, "A source that usually sends events sent none for a while.", aboutGateway},
	{TypeSourceRejecting, "A source refused many of its last requests.", aboutGateway},
	{TypeSettingsChanged, "Somebody changed a setting of the tenant.", aboutGateway},
}

// Catalogue returns an entry for every type: the canonical ones (Types), and those of the gateway's own notices (NoticeTypes).
func Catalogue() []CatalogueEntry { return slices.Concat(catalogue, notices) }

// groups are the groups of the data that events of each subject have.
var groups = map[subject][]string{
	aboutResponse: {"account", "survey", "response", "respondent", "context"},
	aboutSurvey:   {"account", "survey", "context"},
	aboutPerson:   {"account", "survey", "respondent", "context"},
	aboutGateway:  {pathNotice},
}

// has reports whether events of the type usually have a name of the rule language, as Glossary has it.
func (t *CatalogueEntry) has(name GlossaryEntry) bool {
	path := name.Path
	if path == "" {
		path = name.Name
	}
	switch name.Name { // what they are made of
	case group:
		path = pathNPS
	case NameRate:
		path = pathAnswers
	case NameComplete:
		path = pathCompleted
	}
	if IsOfWhole(path) {
		return false
	}
	first, _, _ := strings.Cut(path, ".")
	return slices.Contains(DerivedNames, path) || slices.Contains(groups[t.about], first)
}

// Fields returns the names of the rule language that events of the type may have a value for, in the order of Glossary.
func (t *CatalogueEntry) Fields() []string {
	var names []string
	for _, entry := range Glossary() {
		if t.has(entry) {
			names = append(names, entry.Name)
		}
	}
	return names
}

// Example returns an event of the type as a webhook gets it with `body: event`, as JSON. It is the same at every call.
func (t *CatalogueEntry) Example() ([]byte, error) {
	received := time.Date(2026, 1, 2, 3, 4, 6, 0, time.UTC)
	if t.about == aboutGateway {
		ev, err := New(Header{
			Tenant: DefaultTenant, Source: NoticeSource, SourceKind: NoticeSource, Type: t.Name, Time: received, Received: received, DedupeKey: "example-1", Verified: VerifiedAPI,
		}, &Data{Notice: Notice{Summary: t.About}}, Raw{})
		if err != nil {
			return nil, fmt.Errorf("example of %s: %w", t.Name, err)
		}
		return ev.Envelope(), nil
	}
	data := map[string]json.RawMessage{
		"survey": json.RawMessage(`{"id": "s-204", "title": "Customer feedback"}`),
	}
	for _, name := range groups[t.about] {
		if value := exampleData[name]; value != "" {
			data[name] = json.RawMessage(value)
		}
	}
	for name, value := range map[string]string{"type": t.Name, "id": "example-1", "time": "2026-01-02T03:04:05Z"} {
		data[name] = json.RawMessage(`"` + value + `"`)
	}
	body, err := json.Marshal(data)
	if err != nil {
		return nil, fmt.Errorf("example of %s: %w", t.Name, err)
	}
	ev, err := ParseOne(body, Defaults{Tenant: DefaultTenant, Source: DefaultSource, Received: received, Verified: "token"})
	if err != nil {
		return nil, fmt.Errorf("example of %s: %w", t.Name, err)
	}
	return ev.Envelope(), nil
}

var exampleData = map[string]string{
	"response": `{"id": "r-1017", "score": {"nps": 9}, "feedback": "Quick and friendly.", "answers": [` +
		`{"question_id": "q1", "question": "How likely are you to recommend us?", "type": "nps", "value": 9}]}`,
	"respondent": `{"email": "jo@example.com", "name": "Jo Doe", "consent": true}`,
	"context":    `{"language": "en", "country": "DE"}`,
}
