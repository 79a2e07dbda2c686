package source

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/signature"
	"github.com/surveygate/surveygate/rules/event"
)

// TestSixFeatures is what the language needs beyond paths, each on the platforms that need it, with what they may send.
func TestSixFeatures(t *testing.T) {
	t.Parallel()
	scores := func(e *event.Event) any {
		s := e.Data().Response.Score
		return []any{value(s.NPS), value(s.CSAT), value(s.CES)}
	}
	typ := func(e *event.Event) any { return e.Type }
	answers := func(e *event.Event) any { return answersOf(e) }
	warned := func(e *event.Event) any { return strings.Join(e.Data().Warnings, "; ") }
	phone := func(e *event.Event) any { return e.Data().Respondent.Phone }
	phoneOf := func(answer string) string {
		return formPart("submissionID", "1") + formPart("rawRequest", `{"q5_phoneNumber":`+answer+`}`) + "--b--\r\n"
	}
	person := func(e *event.Event) any {
		d := e.Data().Respondent
		return strings.Join([]string{d.Email, d.FirstName, d.LastName, d.Phone}, " ")
	}
	unsubscribed := func(e *event.Event) any {
		d := e.Data()
		return strings.Join([]string{e.Type, d.Respondent.ID, d.Respondent.Email, d.Respondent.Name, timeText(e.Time), d.Response.ID + d.Response.CompletedAt}, " ")
	}
	ids := func(e *event.Event) any {
		d := e.Data()
		return strings.Join([]string{e.Type, d.Survey.ID, d.Response.ID, d.Context.CollectorID}, " ")
	}
	tests := []struct {
		name, profile string
		roles         map[string]string
		body          string
		pick          func(*event.Event) any
		want          any
	}{
		{"json_fields: plain fields in their place", "qualtrics", nil, "Topic=surveyengine.completedResponse.SV_1&SurveyID=SV_1&ResponseID=R_1&CompletedDate=2026-01-02+03%3A04%3A05", func(e *event.Event) any {
			return e.Type + " " + e.SurveyID + " " + e.ResponseID + " " + timeText(e.Time)
		}, "response.completed SV_1 R_1 2026-01-02T03:04:05Z"},
		{"json_fields: no JSON in it", "qualtrics", nil, "Topic=b.surveyengine.completedResponse.SV_1&MSG=%7Bbroken", warned, "the field `MSG` should contain JSON and does not; neither a survey id nor a response id was found"},
		{"json_fields: another topic", "qualtrics", nil, "Topic=b.threesixty.created&MSG=%7B%7D", typ, "unknown"},
		{"json_fields: a survey switched off", "qualtrics", nil, "Topic=b.controlpanel.deactivateSurvey&MSG=%7B%7D", typ, "survey.closed"},
		{"json_fields: without metadata", "wufoo", nil, "Field1=Jane&EntryId=7&HandshakeKey=x&FieldStructure=", answers, []answer{{"Field1", "", "", `"Jane"`}}},

		{"object: a matrix", "surveyjs", nil, `{"surveyId":"s","resultId":"r","data":{"m":{"a":"1"},"n":null,"p":[{"x":1}]}}`, answers, []answer{{"m", "", "", `{"a":"1"}`}, {"p", "", "", `[{"x":1}]`}}},
		{"object: of the whole body", "kobotoolbox", nil, `{"_uuid":"u","_id":1,"meta/x":1,"formhub/uuid":"f","start":"2026-01-01","g/a":"1 2","rep":[{"rep/b":"x"}]}`, answers, []answer{{"g/a", "", "", `"1 2"`}, {"rep", "", "", `[{"rep/b":"x"}]`}}},
		{"object: entities only", "odk", nil, `{"type":"submission.create","id":"u","data":{"xml":"<a/>"}}`, func(e *event.Event) any { return len(e.Data().Response.Answers) }, 0},

		{"join: fields of a group", "typeform", nil, `{"event_type":"form_response","event_id":"e","form_response":{"definition":{"fields":[{"id":"a","title":"How likely?","type":"nps"}]},"answers":[{"type":"number","number":0,"field":{"id":"a","type":"nps","ref":"r"}}]}}`, func(e *event.Event) any {
			return []any{answersOf(e), scores(e)}
		}, []any{[]answer{{"r", "How likely?", "nps", "0"}}, []any{0.0, nil, nil}}},
		{"join: the part that shares its question's id", "wufoo", nil, "Field1=Jane&Field2=Doe&EntryId=7&FieldStructure=" +
			`{"Fields":[{"ID":"Field1","Title":"Your+Name","Type":"shortname","SubFields":[{"ID":"Field1","Label":"First"},{"ID":"Field2","Label":"Last"}]}]}`, answers, []answer{{"Field1", "Your Name / First", "shortname", `"Jane"`}, {"Field2", "Your Name / Last", "shortname", `"Doe"`}}},
		{"options: a matrix", "tally", nil, `{"eventType":"FORM_RESPONSE","eventId":"e","data":{"fields":[{"key":"m","value":{"r1":["c2","c9"],"r2":[]},"rows":[{"id":"r1","text":"Price"},{"id":"r2","text":"Speed"}],"columns":[{"id":"c2","text":"Good"}]}]}}`, answers, []answer{{"m", "", "", `{"Price":["Good","c9"],"Speed":[]}`}}},
		{"options: a matrix whose rows have no text", "tally", nil, `{"eventType":"FORM_RESPONSE","eventId":"e","data":{"fields":[{"key":"m","value":{"r1":["c2"]},"rows":[{"id":"r7","text":"Price"}],"columns":[{"id":"c2","text":"Good"}]}]}}`, answers, []answer{{"m", "", "", `{"r1":["c2"]}`}}},
		{"options: rows of one text", "tally", nil, `{"eventType":"FORM_RESPONSE","eventId":"e","data":{"fields":[{"key":"m","value":{"r1":["c2"],"r2":["c2"]},"rows":[{"id":"r1","text":"A"},{"id":"r2","text":"A"}],"columns":[{"id":"c2","text":"Good"}]}]}}`, answers, []answer{{"m", "", "", `{"r1":["c2"],"r2":["c2"]}`}}},
		{"options: an older plain id", "tally", nil, `{"eventType":"FORM_RESPONSE","eventId":"e","data":{"fields":[{"key":"m","value":"o1","options":[{"id":"o1","text":"Yes"}]}]}}`, answers, []answer{{"m", "", "", `"Yes"`}}},

		{"type rules: an update", "asknicely", nil, `{"count":"2","question":{"id":"1","score":"3"}}`, typ, "response.updated"},
		{"type rules: the original", "asknicely", nil, `{"count":1,"question":{"id":"1","score":"3"}}`, typ, "response.completed"},
		{"type rules: full quota", "click4survey", nil, `{"response_id":"r","completed":true,"disqualified":false,"quota_full":true}`, typ, "response.overquota"},
		{"type rules: neither", "click4survey", nil, `{"response_id":"r","completed":false,"disqualified":false,"quota_full":false}`, typ, "response.partial"},
		{"type rules: not yet completed", "refiner", nil, `{"uuid":"u","completed_at":null,"received_at":"2026-01-01 00:00:00"}`, typ, "response.partial"},
		{"type rules: a preview", "jotform", nil, "--b\r\nContent-Disposition: form-data; name=\"submissionID\"\r\n\r\n1\r\n--b\r\nContent-Disposition: form-data; name=\"rawRequest\"\r\n\r\n{\"preview\":\"true\"}\r\n--b--\r\n", typ, "test"},

		{"roles: AskNicely's score is no NPS by itself", "asknicely", nil, `{"count":1,"question":{"id":"1","score":"3","comment":"slow"}}`, scores, []any{nil, nil, nil}},
		{"roles: but by a role", "asknicely", map[string]string{"score": "nps_score"}, `{"count":1,"question":{"id":"1","score":"3"}}`, scores, []any{3.0, nil, nil}},
		{"roles: or another's", "asknicely", map[string]string{"score": "csat_score"}, `{"count":1,"question":{"id":"1","score":"3"}}`, scores, []any{nil, 3.0, nil}},
		{"roles: a rating is no NPS", "pollarix", nil, `{"event":"SURVEY_COMPLETED","data":{"responseId":"r","responses":[{"questionId":"q","questionType":"rating","answer":9}]}}`, scores, []any{nil, nil, nil}},
		{"roles: a linear scale is no NPS", "tally", nil, `{"eventType":"FORM_RESPONSE","eventId":"e","data":{"fields":[{"key":"m","label":"How was it?","type":"LINEAR_SCALE","value":9}]}}`, scores, []any{nil, nil, nil}},
		{"roles: Delighted's by its survey's type", "delighted", nil, `{"event_type":"survey_response.created","event_id":"e","event_data":{"id":"1","survey_type":"stars_five","score":4}}`, scores, []any{nil, 4.0, nil}},
		{"roles: of a type that nobody knows", "delighted", nil, `{"event_type":"survey_response.created","event_id":"e","event_data":{"id":"1","survey_type":"pmf","score":4}}`, scores, []any{nil, nil, nil}},
		{"roles: a part of a list", "formbricks", map[string]string{"contact_q.0": "first_name", "contact_q.2": "email", "contact_q.7": "phone"}, `{"event":"responseFinished","data":{"id":"r","data":{"contact_q":["Ana","Cruz","ana@example.com"]}}}`, func(e *event.Event) any {
			return e.Data().Respondent.FirstName + " " + e.Data().Respondent.Email + " " + e.Data().Respondent.Phone
		}, "Ana ana@example.com "},
		{"roles: a part of an object", "surveyjs", map[string]string{"who.mail": "email", "who.agree": "consent"}, `{"surveyId":"s","resultId":"r","data":{"who":{"mail":"a@b.c","agree":true}}}`, func(e *event.Event) any {
			return []any{e.Data().Respondent.Email, value(e.Data().Respondent.Consent)}
		}, []any{"a@b.c", true}},
		{"roles: a part that does not fit", "formbricks", map[string]string{"q.0": "nps_score"}, `{"event":"responseFinished","data":{"id":"r","data":{"q":["eleven"]}}}`, warned, "response.score.nps: the answer to `q.0` is not a number from 0 to 10"},
		{"roles: no part of a text", "formbricks", map[string]string{"q.0": "feedback"}, `{"event":"responseFinished","data":{"id":"r","data":{"q":"text"}}}`, func(e *event.Event) any { return e.Data().Response.Feedback }, ""},
		{"roles: a variable", "formbricks", map[string]string{"v1": "response.score.custom"}, `{"event":"responseFinished","data":{"id":"r","data":{},"variables":{"v1":7}}}`, func(e *event.Event) any { return value(e.Data().Response.Score.Custom) }, 7.0},
		{"no_time: dates switched off", "limesurvey", nil, `{"event":"afterSurveyComplete","respondId":1,"submitDate":"1980-01-01 00:00:00","response":{"submitdate":"1980-01-01 00:00:00"}}`, func(e *event.Event) any {
			return timeText(e.Time) + e.Data().Response.CompletedAt + strings.Join(e.Data().Warnings, "")
		}, timeText(noon)},
		{"an open answer", "questionpro", nil, `{"responseID":1,"responseStatus":"Completed","responseSet":[{"questionCode":"Q1","answerValues":[{"answerID":5,"answerText":"","value":{"text":"tea","other":""}}]},{"questionCode":"Q2","answerValues":[]}]}`, answers, []answer{{"Q1", "", "", `["tea"]`}}},
		{"an open answer", "smartsurvey", nil, `[{"id":1,"status":"completed","pages":[{"questions":[{"id":1,"answers":[{"type":"essay","value":"tea"}]}]},{"questions":[{"id":2,"answers":[{"type":"comment","value":"only"}]}]}]}]`, func(e *event.Event) any {
			d := e.Data().Response.Answers
			return []any{answersOf(e)[0], d[1].Comment}
		}, []any{answer{"1", "", "", `["tea"]`}, "only"}},

		{
			"nothing lost: labels and one's own words", "typeform", nil, `{"event_type":"form_response","event_id":"e","form_response":{"answers":[{"type":"choices","choices":{"ids":["x"],"labels":["London"],"other":"Rome"},"field":{"id":"a","type":"multiple_choice"}},{"type":"choices","choices":{"other":"Oslo"},"field":{"id":"b","type":"multiple_choice"}},{"type":"choice","choice":{"label":"Other","other":"Paris"},"field":{"id":"c","type":"multiple_choice"}}]}}`, answers,
			[]answer{{"a", "", "multiple_choice", `["London","Rome"]`}, {"b", "", "multiple_choice", `"Oslo"`}, {"c", "", "multiple_choice", `"Paris"`}},
		},
		{
			"nothing lost: what was written beside a choice", "smartsurvey", nil, `[{"id":1,"status":"completed","pages":[{"questions":[` +
				`{"id":1,"answers":[{"type":"checkbox","choice_title":"A","choice_id":7},{"type":"other","choice_title":"Other","choice_id":8,"value":"mine"}]},` +
				`{"id":2,"answers":[{"type":"text","choice_title":"Name","value":"Jo"},{"type":"text","choice_title":"City","value":"Rome"}]},` +
				`{"id":3,"answers":[{"type":"text","choice_title":"","value":"free"}]},` +
				`{"id":4,"answers":[{"type":"radio","choice_title":"B","value":""}]},` +
				`{"id":5,"answers":[{"type":"slider","choice_title":"","value":7}]}]}]}]`, answers,
			[]answer{{"1", "", "", `["A","mine"]`}, {"2", "", "", `["Jo","Rome"]`}, {"3", "", "", `["free"]`}, {"4", "", "", `["B"]`}, {"5", "", "", `[7]`}},
		},
		{
			"nothing lost: what was written beside a choice", "questionpro", nil, `{"responseID":1,"responseStatus":"Completed","responseSet":[` +
				`{"questionCode":"Q1","answerValues":[{"answerText":"A","value":{"other":"","text":""}},{"answerText":"Other","value":{"other":"mine","text":""}}]},` +
				`{"questionCode":"Q2","answerValues":[{"answerText":"Row 1","value":{"text":"Good"}}]},` +
				`{"questionCode":"Q3","answerValues":[{"answerText":"","value":{"scale":"4","text":"","other":""}}]}]}`, answers,
			[]answer{{"Q1", "", "", `["A","Other","mine"]`}, {"Q2", "", "", `["Row 1","Good"]`}, {"Q3", "", "", `["4"]`}},
		},
		{"nothing lost: the file's address", "wufoo", nil, "EntryId=7&Field6=pic.png&Field6-url=https%3A%2F%2Fx%2Fpic.png", answers, []answer{{"Field6", "", "", `"pic.png"`}, {"Field6-url", "", "", `"https://x/pic.png"`}}},
		{"nothing lost: several choices with a comment", "survicate", nil, `{"messageId":"m","event":{"questionAnswered":{"question":{"id":1},"choices":[{"id":1,"body":"A","comment":null},{"id":2,"body":"B","comment":"why"}]}}}`, func(e *event.Event) any {
			return []any{answersOf(e), e.Data().Response.Answers[0].Comment}
		}, []any{[]answer{{"1", "", "", `["A","B"]`}}, "why"}},
		{"nothing lost: a date", "survicate", nil, `{"messageId":"m","event":{"questionAnswered":{"question":{"id":1},"date":"2019-05-22"}}}`, answers, []answer{{"1", "", "", `"2019-05-22"`}}},
		{"nothing lost: a matrix", "survicate", nil, `{"messageId":"m","event":{"questionAnswered":{"question":{"id":1},"matrix":[{"id":4,"body":"Price","value":"Neutral"}]}}}`, answers, []answer{{"1", "", "", `[{"id":4,"body":"Price","value":"Neutral"}]`}}},
		{"nothing lost: a ranking", "survicate", nil, `{"messageId":"m","event":{"questionAnswered":{"question":{"id":1},"ranking":[{"body":"Price","value":1}]}}}`, answers, []answer{{"1", "", "", `[{"body":"Price","value":1}]`}}},
		{"no answer unseen: an answer of another shape", "survicate", nil, `{"messageId":"m","event":{"questionAnswered":{"responseUuid":"r","question":{"id":1,"body":"q"},"slider":{"position":"secret words"}}}}`, warned, "answers: the profile can read none; the body is kept"},
		{"no answer unseen: at another place", "chattosurvey", nil, `{"id":"e","event":"question_response.upserted","data":{"conversation":{"id":"c"},"response":{"value":"x"}}}`, warned, "answers: the profile can read none; the body is kept"},
		{"no answer unseen: of the whole conversation", "chattosurvey", nil, `{"id":"e","event":"conversation.completed","data":{"conversation":{"id":"c"},"question_responses":[{"question":{"id":"q"},"content":"x"},{"question":{"id":"p"},"content":"y"}]}}`, warned, "answers: `data.question_responses` holds 2, and the profile can read none of them"},
		{"no answer unseen: of a conversation, at another place", "chattosurvey", nil, `{"id":"e","event":"conversation.completed","data":{"conversation":{"id":"c"},"responses":[{"question":"q","answer":"x"}]}}`, warned, "answers: the profile can read none; the body is kept"},
		{"no answer unseen: of one that only began", "chattosurvey", nil, `{"id":"e","event":"conversation.started","data":{"conversation":{"id":"c"}}}`, warned, ""},
		{"no answer unseen: but nothing was asked", "chattosurvey", nil, `{"id":"e","event":"conversation.completed","data":{"conversation":{"id":"c"},"question_responses":[]}}`, warned, ""},

		{"a phone in parts", "jotform", nil, phoneOf(`{"area":"555","phone":"010-0100"}`), phone, "555 010-0100"},
		{"a phone in parts, with its country", "jotform", nil, phoneOf(`{"country":"+90","area":"212","phone":"5550100"}`), phone, "+90 212 5550100"},
		{"a phone in parts, with its country and no area", "jotform", nil, phoneOf(`{"country":"+90","area":"","phone":"2125550100"}`), phone, "+90 2125550100"},
		{"a phone in parts, of which one stands alone", "jotform", nil, phoneOf(`{"area":"","phone":"5550100"}`), phone, "5550100"},
		{"a phone in parts, and no number", "jotform", nil, phoneOf(`{"area":"555","phone":""}`), phone, ""},
		{"a phone as it was masked", "jotform", nil, phoneOf(`{"full":"(555) 010-0100"}`), phone, "(555) 010-0100"},
		{"a phone as text", "jotform", nil, phoneOf(`"+90 212 555 01 00"`), phone, "+90 212 555 01 00"},
		{"what only speaks of phones", "jotform", nil, phoneOf(`"I have none"`), phone, ""},

		{"an object that is no response", "surveymonkey", nil, `{"event_type":"survey_updated","event_id":"1","object_type":"survey","object_id":"77","event_datetime":"2016-01-01T21:56:31.182613+00:00","resources":{"survey_id":"77","user_id":"5"}}`, ids, "survey.updated 77  "},
		{"an object that is no response", "surveymonkey", nil, `{"event_type":"survey_deleted","event_id":"1","object_type":"survey","object_id":"77","resources":{}}`, ids, "survey.deleted 77  "},
		{"an object that is no response", "surveymonkey", nil, `{"event_type":"collector_created","event_id":"1","object_type":"collector","object_id":"88","resources":{"survey_id":"77"}}`, ids, "collector.created 77  88"},
		{"an object that is a response", "surveymonkey", nil, `{"event_type":"response_disqualified","event_id":"1","object_type":"response","object_id":"99","resources":{"survey_id":"77","collector_id":"88"}}`, ids, "response.disqualified 77 99 88"},
		{"one person: what is known of somebody", "survicate", nil, `{"messageId":"m","event":{"questionAnswered":{"question":{"id":1},"respondent":{"attributes":{"email":"ann@example.com","first_name":"Ann","last_name":"Lee","phone":"+1"}},"fields":{"email":"bob@example.com","firstName":"Bob","lastName":"Ray","phone":"+2"}}}}`, person, "ann@example.com Ann Lee +1"},
		{"one person: who is known by the e-mail alone", "survicate", nil, `{"messageId":"m","event":{"questionAnswered":{"question":{"id":1},"respondent":{"attributes":{"email":"ann@example.com"}},"fields":{"email":"ann.lee@example.com","firstName":"Ann"}}}}`, person, "ann@example.com Ann  "},
		{"one person: what somebody wrote", "survicate", nil, `{"messageId":"m","event":{"questionAnswered":{"question":{"id":1},"respondent":{"attributes":[]},"fields":{"email":"bob@example.com","firstName":"Bob","lastName":"Ray","phone":"+2"}}}}`, person, "bob@example.com Bob Ray +2"},
		{"one person: of a whole survey", "survicate", nil, `{"messageId":"m","event":{"surveyCompleted":{"respondent":{"id":"7","attributes":{"email":"ann@example.com","first_name":"Ann","last_name":"Lee","phone":"+1"}}}}}`, func(e *event.Event) any { return e.Data().Respondent.ID + " " + person(e).(string) }, "7 ann@example.com Ann Lee +1"},
		{"who unsubscribed", "delighted", nil, `{"event_type":"unsubscribe.created","event_id":"e","event_data":{"id":"9","created_at":1732186844,"person":{"id":"5975","email":"jo@example.com","name":"Jo"}}}`, unsubscribed, "respondent.unsubscribed 5975 jo@example.com Jo 2024-11-21T11:00:44Z "},
		{"who unsubscribed, as its API lists them", "delighted", nil, `{"event_type":"unsubscribe.created","event_id":"e","event_data":{"person_id":"5975","email":"jo@example.com","name":"Jo","unsubscribed_at":1732186844}}`, unsubscribed, "respondent.unsubscribed 5975 jo@example.com Jo 2024-11-21T11:00:44Z "},
		{"when nothing was completed", "questionpro", nil, `{"surveyID":1,"responseID":2,"responseStatus":"Started","utctimestamp":1769630453}`, func(e *event.Event) any { return timeText(e.Time) + e.Data().Response.CompletedAt }, "2026-01-28T20:00:53Z"},
		{"the whole survey", "survicate", nil, `{"messageId":"m","event":{"surveyCompleted":{"responseUuid":"r","survey":{"id":"s","name":"Satisfaction"},"url":"https://x","timestamp":"2019-05-10T06:46:02+00:00","respondent":{"uuid":"u","attributes":{"email":"jo@example.com"}}}}}`, func(e *event.Event) any {
			return []string{e.Type, e.SurveyID, e.ResponseID, timeText(e.Time), e.Data().Respondent.ID, e.Data().Respondent.Email}
		}, []string{"response.completed", "s", "r", "2019-05-10T06:46:02Z", "u", "jo@example.com"}},
	}
	for _, tt := range tests {
		t.Run(tt.profile+"/"+tt.name, func(t *testing.T) {
			t.Parallel()
			roles := map[string]Field{}
			for question, name := range tt.roles {
				roles[question] = field(t, name)
			}
			ev := one(t, open(t, profile(t, tt.profile), Settings{Roles: roles}), tt.body)
			if diff := cmp.Diff(tt.want, tt.pick(ev)); diff != "" {
				t.Errorf("(-want +got):\n%s\n%s", diff, ev.DataJSON())
			}
			conforms(t, schema(t), ev)
		})
	}
}

// TestPoltioSession: one session may come twice, first incomplete; both are events, of one response.
func TestPoltioSession(t *testing.T) {
	t.Parallel()
	s := open(t, profile(t, "poltio"), Settings{PathToken: connectors.NewSecret(pathToken)})
	send := func(body string) *event.Event {
		req := request([]byte(body))
		req.Token = pathToken
		if v, err := s.Verify(req); err != nil || v.Kind != KindPath {
			t.Fatal(v, err)
		}
		events, err := s.Normalise(req, noon)
		if err != nil {
			t.Fatal(err)
		}
		return events[0]
	}
	partial, complete := send(string(payload(t, "poltio-incomplete.derived.json"))), send(string(payload(t, "poltio-complete.json")))
	if partial.Type != "response.partial" || complete.Type != "response.completed" || partial.ID == complete.ID || partial.ResponseID != complete.ResponseID || partial.ResponseID == "" {
		t.Errorf("%s %s %s, then %s %s %s", partial.Type, partial.ID, partial.ResponseID, complete.Type, complete.ID, complete.ResponseID)
	}
	if *partial.Data().Response.Completed || !*complete.Data().Response.Completed {
		t.Error("completed")
	}
	if again := send(string(payload(t, "poltio-complete.json"))); again.ID != complete.ID {
		t.Error("the same delivery again is another event")
	}
	// The lead was filled in later: the second delivery must not be swallowed.
	late := send(strings.Replace(string(payload(t, "poltio-complete.json")), `"comment": "Comment"`, `"comment": "Call me"`, 1))
	if late.ID == complete.ID || late.ResponseID != complete.ResponseID {
		t.Errorf("with a later lead: %s %s", late.ID, late.ResponseID)
	}
	for body, terms := range map[string]string{
		`{"content_id":1,"session_id":"s","complete_session":true,"leads":[{"tc_checked":false}]}`:                       `{"terms_accepted":false}`,
		`{"content_id":1,"session_id":"s","complete_session":true,"leads":[{"tc_checked":1},{"email":"b@example.com"}]}`: `{"terms_accepted":true}{"email":"b@example.com"}`,
		`{"content_id":1,"session_id":"s","complete_session":true,"leads":[{"tc_checked":null}]}`:                        ``,
		`{"content_id":1,"session_id":"s","complete_session":true}`:                                                      ``,
	} {
		ev := send(body)
		got := ""
		for _, lead := range ev.Data().Response.Leads {
			got += string(lead)
		}
		if got != terms || ev.Data().Respondent.Consent != nil || len(ev.Data().Warnings) > 0 {
			t.Errorf("%s: %s, consent %v, %q", body, got, ev.Data().Respondent.Consent, ev.Data().Warnings)
		}
	}
	if ev := send(`{"content_id":1,"session_id":"s","complete_session":true,"result":{"result_image":""}}`); len(ev.Data().Response.Result) > 0 {
		t.Errorf("an image of nothing: %s", ev.Data().Response.Result)
	}
	if ev := send(`{"content_id":1,"session_id":"s"}`); ev.Type != "unknown" {
		t.Errorf("without the flag it is %s", ev.Type)
	}
}

// TestChatToSurveyHeaders: what they say is neither proof nor needed; a retry is known by its id alone.
func TestChatToSurveyHeaders(t *testing.T) {
	t.Parallel()
	s := open(t, profile(t, "chattosurvey"), Settings{PathToken: connectors.NewSecret(pathToken)})
	body := string(payload(t, "chattosurvey-conversation.completed.derived.json"))
	send := func(body string, headers ...string) *event.Event {
		req := request([]byte(body), headers...)
		req.Token = pathToken
		if _, err := s.Verify(req); err != nil {
			t.Fatal(err)
		}
		events, err := s.Normalise(req, noon)
		if err != nil {
			t.Fatal(err)
		}
		return events[0]
	}
	plain := send(body)
	said := send(body, "User-Agent", "HS-Webhook/1.0", "X-Webhook-Event", "conversation.completed", "X-Webhook-ID", plain.OrigID, "X-Webhook-Timestamp", "1709812800")
	other := send(body, "X-Webhook-Event", "conversation.started", "X-Webhook-ID", "another", "X-Webhook-Timestamp", "0")
	retry := send(strings.Replace(body, `"delivered_at": "2024-03-06T12:00:00Z"`, `"delivered_at": "2024-03-06T13:00:00Z"`, 1))
	for _, ev := range []*event.Event{said, other, retry} {
		if ev.ID != plain.ID || ev.Type != "response.completed" || ev.OrigID != "0b8e2f1e-6d3f-4f0e-9a53-1f0c4b7f2a01" {
			t.Errorf("%s %s %s", ev.ID, ev.Type, ev.OrigID)
		}
	}
	if string(retry.Raw.Body) == string(plain.Raw.Body) {
		t.Fatal("the retry has the same body")
	}
	if ev := send(string(payload(t, "chattosurvey-test.webhook.derived.json"))); ev.Type != "test" || ev.Data().Response.ID != "" {
		t.Errorf("the test button is %s", ev.Type)
	}
}

// TestPollarixHeaders: any header may carry the secret, and none is asked for during accept_test.
func TestPollarixHeaders(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		verify  []signature.Scheme
		headers []string
		want    Verified
	}{
		{"recommended", nil, []string{"X-Webhook-Secret", "tok"}, Verified{Kind: "token", Secret: 1}},
		{"bearer", []signature.Scheme{{Kind: "token", Header: "Authorization", Prefix: "Bearer "}}, []string{"Authorization", "Bearer tok"}, Verified{Kind: "token", Secret: 1}},
		{"key", []signature.Scheme{{Kind: "token", Header: "X-API-Key"}}, []string{"x-api-key", "tok"}, Verified{Kind: "token", Secret: 1}},
		{"own, rotated", []signature.Scheme{{Kind: "token", Header: "X-Custom-Header"}}, []string{"X-Custom-Header", "old"}, Verified{Kind: "token", Secret: 2}},
		{"test-send", nil, nil, Verified{Kind: "none", Test: true}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := open(t, profile(t, "pollarix"), Settings{Secrets: secrets("tok", "old"), Verify: tt.verify, AcceptTest: 10 * time.Minute, Loaded: noon.Add(-time.Minute)})
			for file, typ := range map[string]string{
				"pollarix-SURVEY_COMPLETED.json": "response.completed", "pollarix-SURVEY_STATUS_CHANGED.derived.json": "survey.status_changed",
				"pollarix-COUPON_REDEEMED.derived.json": "reward.redeemed",
			} {
				req := request(payload(t, file), tt.headers...)
				if got, err := s.Verify(req); err != nil || got != tt.want {
					t.Fatalf("%+v, %v", got, err)
				}
				if tt.want.Test {
					typ = "test"
				}
				events, err := s.Normalise(req, noon)
				if err != nil || events[0].Type != typ || events[0].Data().Survey.ID != "survey_123" {
					t.Errorf("%s: %s, %v", file, events[0].Type, err)
				}
			}
		})
	}
}
