package webhook

import (
	"encoding/json"
	"maps"
	"strings"
	"time"

	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/jsonpath"
)

// pollarix is the name of the platform, its profile, its preset and its body.
const pollarix = "pollarix"

// PollarixPreset delivers as Pollarix does.
const PollarixPreset PresetName = pollarix

// pollarixEvents maps canonical types to the names of Pollarix' events: https://docs.pollarix.com/docs/guides/webhooks/webhooks-events
var pollarixEvents = map[string]string{
	event.TypeResponseCompleted:   "SURVEY_COMPLETED",
	event.TypeSurveyStatusChanged: "SURVEY_STATUS_CHANGED",
	event.TypeRewardRedeemed:      "COUPON_REDEEMED",
}

// PollarixEvents returns the names of Pollarix' events by their canonical types.
func PollarixEvents() map[string]string { return maps.Clone(pollarixEvents) }

// pollarixName returns the name of an event in Pollarix' envelope. A type that the platform does not have keeps its own name, in the
// platform's spelling, so that its receivers can tell it from theirs and ignore it: RESPONSE_UPDATED.
func pollarixName(canonical string) string {
	if name, ok := pollarixEvents[canonical]; ok {
		return name
	}
	return strings.ToUpper(strings.ReplaceAll(canonical, ".", "_"))
}

// pollarixEnvelope is the body of Pollarix' webhooks.
type pollarixEnvelope struct {
	Event        string `json:"event"`
	Timestamp    string `json:"timestamp"`
	WebhookID    string `json:"webhookId"`
	DepartmentID string `json:"departmentId"`
	Data         any    `json:"data"`
}

// pollarixResponse is the data of SURVEY_COMPLETED. Every member of the published example is there, null if the event has no value:
// receivers written from the example read them without a check.
type pollarixResponse struct {
	SurveyID      *string          `json:"surveyId"`
	SurveyName    *string          `json:"surveyName"`
	ResponseID    *string          `json:"responseId"`
	CollectorID   *string          `json:"collectorId"`
	CollectorType *string          `json:"collectorType"`
	CompletedAt   *string          `json:"completedAt"`
	Contact       pollarixContact  `json:"contact"`
	Responses     []pollarixAnswer `json:"responses"`
	Metadata      pollarixMetadata `json:"metadata"`
}

type pollarixContact struct {
	ID           *string        `json:"id"`
	Email        *string        `json:"email"`
	Phone        *string        `json:"phone"`
	CustomFields map[string]any `json:"customFields"`
}

type pollarixAnswer struct {
	QuestionID    string          `json:"questionId"`
	QuestionTitle *string         `json:"questionTitle"`
	QuestionType  *string         `json:"questionType"`
	Answer        json.RawMessage `json:"answer"`
}

type pollarixMetadata struct {
	IPAddress *string  `json:"ipAddress"`
	UserAgent *string  `json:"userAgent"`
	Duration  *float64 `json:"duration"`
	Language  *string  `json:"language"`
}

// pollarixOther is the data of all other events, whose fields are not published.
type pollarixOther struct {
	SurveyID   string           `json:"surveyId,omitempty"`
	SurveyName string           `json:"surveyName,omitempty"`
	ResponseID string           `json:"responseId,omitempty"`
	Contact    *pollarixContact `json:"contact,omitempty"`
}

// pollarix returns the body of an event in Pollarix' envelope. An event of Pollarix keeps the members of its original body, but for the
// two that name the subscription: those are this webhook and its tenant. Any other event is written as Pollarix writes its own.
func (c *Connector) pollarix(ev *event.Event) ([]byte, error) {
	if ev.SourceKind == pollarix {
		body, ok, err := c.readdressed(ev)
		if ok || err != nil {
			return body, err
		}
	}
	d := ev.Data()
	envelope := pollarixEnvelope{
		Event: pollarixName(ev.Type), Timestamp: ev.Time.UTC().Format(time.RFC3339Nano), WebhookID: c.name, DepartmentID: ev.Tenant,
	}
	switch prefix, _, _ := strings.Cut(ev.Type, "."); prefix {
	case "response", "answer", event.TypeTest:
		r := c.pollarixResponse(d)
		if r.CompletedAt == nil && ev.Type == event.TypeResponseCompleted {
			r.CompletedAt = &envelope.Timestamp
		}
		envelope.Data = r
	default:
		other := pollarixOther{SurveyID: d.Survey.ID, SurveyName: d.Survey.Title, ResponseID: d.Response.ID}
		if r := d.Respondent; r.ID != "" || r.Email != "" || r.Phone != "" {
			contact := newPollarixContact(&r)
			other.Contact = &contact
		}
		envelope.Data = other
	}
	return event.MarshalDigits(envelope, c.digits())
}

func (c *Connector) pollarixResponse(d *event.Data) pollarixResponse {
	r := pollarixResponse{
		SurveyID: orNull(d.Survey.ID), SurveyName: orNull(d.Survey.Title), ResponseID: orNull(d.Response.ID),
		CollectorID: orNull(d.Context.CollectorID), CollectorType: orNull(d.Context.Channel), CompletedAt: orNull(d.Response.CompletedAt),
		Contact:   newPollarixContact(&d.Respondent),
		Responses: []pollarixAnswer{},
		Metadata: pollarixMetadata{
			IPAddress: orNull(d.Context.IP), UserAgent: orNull(d.Context.UserAgent), Duration: d.Response.DurationS, Language: orNull(d.Context.Language),
		},
	}
	if !c.SendAnswers {
		return r
	}
	for _, a := range d.Response.Answers {
		r.Responses = append(r.Responses, pollarixAnswer{a.QuestionID, orNull(a.Question), orNull(a.Type), a.Value})
	}
	return r
}

// newPollarixContact returns a respondent as a contact. Names are custom fields there.
func newPollarixContact(r *event.Respondent) pollarixContact {
	fields := map[string]any{}
	jsonpath.Parse(r.Params).ForEach(func(key string, value jsonpath.Result) bool {
		if _, there := fields[key]; !there {
			fields[key] = json.RawMessage(value.Raw())
		}
		return true
	})
	for key, name := range map[string]string{"firstName": r.FirstName, "lastName": r.LastName} {
		if _, there := fields[key]; name != "" && !there {
			fields[key] = name
		}
	}
	return pollarixContact{ID: orNull(r.ID), Email: orNull(r.Email), Phone: orNull(r.Phone), CustomFields: fields}
}

func orNull(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// envelopeMembers are those of Pollarix' envelope.
var envelopeMembers = []string{"event", "timestamp", "webhookId", "departmentId", "data"}

// readdressed returns the original body with this webhook and its tenant in place of the platform's; ok is false if the body is not
// Pollarix' envelope.
func (c *Connector) readdressed(ev *event.Event) (body []byte, ok bool, err error) {
	original := jsonpath.TrimBOM(ev.Raw.Body)
	if !jsonpath.Valid(original) || jsonpath.Read(original, "event").Kind() != jsonpath.String {
		return nil, false, nil
	}
	if original, err = jsonpath.Cut(original, c.unwanted(ev)); err != nil {
		return nil, false, err
	}
	data := jsonpath.Read(original, "data")
	if data.Kind() != jsonpath.Object {
		return nil, false, nil
	}
	envelope := struct {
		Event        json.RawMessage `json:"event"`
		Timestamp    json.RawMessage `json:"timestamp,omitempty"`
		WebhookID    string          `json:"webhookId"`
		DepartmentID string          `json:"departmentId"`
		Data         json.RawMessage `json:"data"`
	}{jsonpath.Read(original, "event").Raw(), jsonpath.Read(original, "timestamp").Raw(), c.name, ev.Tenant, data.Raw()}
	if body, err = event.MarshalDigits(envelope, c.digits()); err != nil {
		return nil, false, err
	}
	rest, err := jsonpath.Cut(original, envelopeMembers) // members beyond the published ones
	if err == nil {
		rest, err = event.StableJSON(rest, c.digits())
	}
	if err == nil && len(rest) > len("{}") {
		body = append(append(body[:len(body)-1:len(body)-1], ','), rest[1:]...)
	}
	return body, err == nil, err
}
