package source

import (
	"bytes"
	"encoding/json"
	"flag"
	"maps"
	"mime/multipart"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/surveygate/surveygate/rules/event"
)

var update = flag.Bool("update", false, "write the golden files anew; read what changed")

// published are the payloads of a platform that are requests to us, by file name.
func published(t testing.TB, platform string) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/payloads/" + platform + "-*")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, file := range files {
		name := filepath.Base(file)
		switch {
		case name == "surveymonkey-response-details.json": // an answer of their API, not a webhook
		case strings.HasPrefix(name, "pollarix-api-"): // of its management API
		case strings.Contains(name, "malformed"): // among the bad bodies
		default:
			names = append(names, name)
		}
	}
	return names
}

// requestOf is a published payload as a request.
func requestOf(t testing.TB, name string) *Request {
	t.Helper()
	platform, _, _ := strings.Cut(name, "-")
	req := request(payload(t, name))
	decoder := profile(t, platform).Decode
	req.ContentType = contentTypes[profile(t, platform).DecoderOf(req.Body)]
	if decoder == DecodeJSON || strings.HasSuffix(name, ".txt") {
		return req
	}
	// A form as it is after decoding: it is put into one again.
	var fields map[string]string
	if err := json.Unmarshal(req.Body, &fields); err != nil {
		t.Fatal(err)
	}
	var form bytes.Buffer
	writer := multipart.NewWriter(&form)
	if err := writer.SetBoundary("always-the-same"); err != nil {
		t.Fatal(err)
	}
	values := url.Values{}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		values.Set(name, fields[name])
		if err := writer.WriteField(name, fields[name]); err != nil {
			t.Fatal(err)
		}
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	if decoder == DecodeForm {
		req.Body = []byte(values.Encode())
		return req
	}
	req.Body, req.ContentType = form.Bytes(), writer.FormDataContentType()
	return req
}

// TestGolden holds each published payload against the event that was made of it when a person last read it. What is
// right is said by TestPublished; this shows what a change changes.
func TestGolden(t *testing.T) {
	t.Parallel()
	schema := schema(t)
	var all []string
	for _, platform := range Builtin().Names() {
		for _, name := range published(t, platform) {
			all = append(all, name+".golden")
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				events, err := open(t, profile(t, platform), Settings{}).Normalise(requestOf(t, name), noon)
				if err != nil {
					t.Fatal(err)
				}
				var got bytes.Buffer
				for _, ev := range events {
					conforms(t, schema, ev)
					if err := json.Indent(&got, ev.Envelope(), "", "  "); err != nil {
						t.Fatal(err)
					}
					got.WriteByte('\n')
				}
				golden := filepath.Join("testdata", "golden", name+".golden")
				if *update {
					if err := os.WriteFile(golden, got.Bytes(), 0o600); err != nil {
						t.Fatal(err)
					}
				}
				want, err := os.ReadFile(golden)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(string(want), got.String()); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			})
		}
	}
	files, err := os.ReadDir("testdata/golden")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if !slices.Contains(all, file.Name()) {
			t.Errorf("testdata/golden/%s is of no payload", file.Name())
		}
	}
}

// told is what rules, connectors and people go by, of one event.
type told struct {
	file                    string
	typ, verified           string
	survey, response        string
	time, completed         string
	email                   string
	nps, csat, ces, custom  any
	answers                 int
	dedupe                  string
	first, last, phone, why string
}

// odd are payloads whose events have warnings: a time that cannot be read, and a file under a name that no pattern fits.
var odd = map[string]bool{"poltio-legacy.json": true, "jotform-upload.multipart.txt": true}

// TestPublished says of every published payload what matters, read from the platforms' pages and not from the code.
// Each is sent proved, as the platform proves it.
func TestPublished(t *testing.T) {
	t.Parallel()
	const (
		received = "2026-01-02T12:00:00.123Z"
		pollqr   = "550e8400-e29b-41d4-a716-446655440000"
		answered = "6ba7b810-9dad-11d1-80b4-00c04fd430c8"
		chat     = "3f0a4a8e-1111-4e2b-9c39-0a6a0a3d2b11"
		talk     = "3f0a4a8e-4444-4e2b-9c39-0a6a0a3d2b11"
		session  = "22ffdf18-1035-4e56-baa2-8327e3af5242"
		content  = "6caaa000-2bd8-4b28-8b9b-bfe1fca94f39"
	)
	sha := func(file string) string { return hash(payload(t, file)) }
	tests := []told{
		{
			file: "asknicely-response.json", typ: "response.completed", verified: "token", response: "345094", time: "2026-03-31T20:48:45Z", completed: "2026-03-31T20:48:45Z",
			email: "tester@asknice.ly", answers: 1, dedupe: "345094:1", first: "Firstname", last: "Lastname", why: "The gym was great, love it!",
		},
		{
			file: "bluemicrodot-survey.response_completed.json", typ: "response.completed", verified: "path", survey: "8d6b3c1e-0a4e-4c55-9a3c-0f5a6c1d2e3f", response: "8d6b3c1e-2222-4c55-9a3c-0f5a6c1d2e3f",
			time: "2025-01-15T10:30:00Z", completed: "2025-01-15T10:29:55Z", answers: 1, dedupe: "8d6b3c1e-1111-4c55-9a3c-0f5a6c1d2e3f",
		},
		{
			file: "chattosurvey-conversation.started.json", typ: "response.started", verified: "path", survey: "uuid", response: "uuid", time: "2024-03-06T12:00:00Z", dedupe: "uuid",
			first: "John", last: "Doe", phone: "+1234567890",
		},
		{
			file: "chattosurvey-conversation.completed.derived.json", typ: "response.completed", verified: "path", survey: chat, response: talk, time: "2024-03-06T12:00:00Z", completed: "2024-03-06T12:04:10Z",
			answers: 1, dedupe: "0b8e2f1e-6d3f-4f0e-9a53-1f0c4b7f2a01", first: "John", last: "Doe", phone: "+1234567890",
		},
		{
			file: "chattosurvey-question_response.upserted.derived.json", typ: "answer.upserted", verified: "path", survey: chat, response: talk, time: "2024-03-06T12:00:00Z",
			answers: 1, dedupe: "0b8e2f1e-6d3f-4f0e-9a53-1f0c4b7f2a02", first: "John", last: "Doe", phone: "+1234567890",
		},
		{file: "chattosurvey-test.webhook.derived.json", typ: "test", verified: "path", time: "2024-03-06T12:00:00Z", dedupe: "0b8e2f1e-6d3f-4f0e-9a53-1f0c4b7f2a03:" + received},
		{
			file: "click4survey-response_received.json", typ: "response.disqualified", verified: "path", survey: "4574", response: "DA453B67-791E-4D4D-9009-75B1ED8A33C1",
			time: "2022-08-21T10:30:00Z", completed: "2022-08-21T10:30:00Z", dedupe: "response_received:DA453B67-791E-4D4D-9009-75B1ED8A33C1:true:true:false:2022-08-21T10:30:00Z",
		},
		{
			file: "delighted-survey_response.updated.json", typ: "response.updated", verified: "hmac", response: "5435", time: "2024-11-21T11:10:44Z", completed: "2024-11-21T11:00:44Z",
			email: "charlie_gravis@example.com", nps: 9.0, answers: 2, dedupe: "b8d057c59327541d7ec2104c0a9a255ad1997fb00831b9c6bbf09561e6d5cbd0", first: "Charlie", last: "Gravis",
			why: "Your service is fast and flawless!",
		},
		{
			file: "feedbackspark-survey_answered.json", typ: "answer.upserted", verified: "path", survey: "183", response: "24943", time: "2024-06-24T07:47:34.837Z",
			csat: 5.0, answers: 1, dedupe: "7cf5a7cd-ee0e-42d6-bc0d-b03a256ea341:survey_answered2:24943:1719215254.837",
		},
		{
			file: "feedbackspark-survey_completed.json", typ: "response.completed", verified: "path", survey: "183", response: "24943", time: "2024-06-24T07:47:34.837Z",
			nps: 10.0, csat: 5.0, answers: 2, dedupe: "2189da30-1d73-43e3-b63f-e6d9b972ac25:survey_completed:24943:1719215254.837",
		},
		{
			file: "formbricks-responseCreated.json", typ: "response.started", verified: "hmac", survey: "surveyId", response: "responseId", time: "2025-07-24T07:47:29.507Z",
			answers: 1, dedupe: "responseCreated:responseId:2025-07-24T07:47:29.507Z",
		},
		{
			file: "formbricks-responseUpdated.json", typ: "response.partial", verified: "hmac", survey: "surveyId", response: "responseId", time: "2025-07-24T07:47:33.696Z",
			answers: 2, dedupe: "responseUpdated:responseId:2025-07-24T07:47:33.696Z",
		},
		{
			file: "formbricks-responseFinished.json", typ: "response.completed", verified: "hmac", survey: "surveyId", response: "responseId", time: "2025-07-24T07:47:56.116Z", completed: "2025-07-24T07:47:56.116Z",
			answers: 2, dedupe: "responseFinished:responseId:2025-07-24T07:47:56.116Z",
		},
		{
			file: "formbricks-responseFinished.contact.derived.json", typ: "response.completed", verified: "hmac", survey: "surveyId", response: "responseId", time: "2025-07-24T07:48:56.116Z", completed: "2025-07-24T07:48:56.116Z",
			email: "ana@example.com", answers: 5, dedupe: "responseFinished:responseId:2025-07-24T07:48:56.116Z",
		},
		{
			file: "formbricks-responseCreated.2023.json", typ: "response.started", verified: "hmac", survey: "cljsf3d7a000019cv9apt2t27", response: "r-formbricks-01-2023-person", time: "2023-07-10T14:16:17.115Z",
			email: "test@example.com", answers: 1, dedupe: "responseCreated:r-formbricks-01-2023-person:2023-07-10T14:16:17.115Z",
		},
		{
			file: "formbricks-responseFinished.kinds.json", typ: "response.completed", verified: "hmac", survey: "cljsf3d7a000019cv9apt2t27", response: "r-formbricks-03-value-kinds", time: "2023-07-10T14:16:17.115Z",
			completed: "2023-07-10T14:16:17.115Z", answers: 14, dedupe: "responseFinished:r-formbricks-03-value-kinds:2023-07-10T14:16:17.115Z",
		},
		{file: "formbricks-testEndpoint.json", typ: "test", verified: "hmac", time: received, dedupe: "testEndpoint:::" + received},
		{
			file: "googleforms-appsscript.json", typ: "response.completed", verified: "hmac", survey: "1FAIpQLSe_example", response: "2_ABaOnudExampleResponseId", time: "2026-01-10T09:15:00Z", completed: "2026-01-10T09:15:00Z",
			email: "ana@example.com", nps: 9.0, answers: 3, dedupe: "1FAIpQLSe_example:2_ABaOnudExampleResponseId:2026-01-10T09:15:00.000Z",
		},
		{
			file: "jotform-submission.multipart.txt", typ: "response.completed", verified: "path", survey: "70936128142151", response: "3859755280104305944", time: received,
			email: "kin@example.com", nps: 9.0, answers: 7, dedupe: "70936128142151:3859755280104305944:1510165948969_70936128142151_FE1smSr", first: "Kin", last: "Lane", phone: "555 0100",
		},
		{
			file: "jotform-submission.json", typ: "response.completed", verified: "path", survey: "70936128142151", response: "3859755280104305944", time: received,
			email: "kin@example.com", nps: 9.0, answers: 7, dedupe: "70936128142151:3859755280104305944:1510165948969_70936128142151_FE1smSr", first: "Kin", last: "Lane", phone: "555 0100",
		},
		{
			file: "jotform-submission.form.txt", typ: "response.completed", verified: "path", survey: "1", response: "5001", time: received,
			answers: 1, dedupe: "1:5001::6dfb1441e5ee03d4e7879ac5e8a0d5e75b4c6dcf9728bd8cdf2da527e01cc402",
		},
		{
			file: "jotform-submission.json.txt", typ: "response.completed", verified: "path", survey: "250192041974051", response: "61336242919199", time: received,
			email: "test@example.com", answers: 2, dedupe: "250192041974051:61336242919199::26d594560ec8853f6c6fd4f02080db739a521acd524edb28be7a542d53ec654c",
		},
		{
			file: "jotform-upload.multipart.txt", typ: "response.completed", verified: "path", survey: "253117572694059", response: "6384587270219720384",
			time: "2025-11-09T00:52:06.949Z", completed: "2025-11-09T00:52:06.949Z", answers: 6, dedupe: "253117572694059:6384587270219720384:1762649478626_253117572694059_PMS9aTq",
		},
		{
			file: "kobotoolbox-photo.json", typ: "response.completed", verified: "token", survey: "aXX", response: "e58da38d",
			time: "2021-11-16T23:46:27Z", completed: "2021-11-16T23:46:17.524Z", answers: 3, dedupe: "aXX:e58da38d",
		},
		{
			file: "kobotoolbox-renamed.json", typ: "response.completed", verified: "token", survey: "form-id-123", response: "submission-uuid-123",
			time: "2026-08-25T13:23:16Z", completed: "2026-08-25T13:23:16Z", answers: 7, dedupe: "form-id-123:submission-uuid-123",
		},
		{
			file: "kobotoolbox-submission.json", typ: "response.completed", verified: "token", survey: "afKfAnPYX3X7kojqM2cJDb", response: "uuid:faa38eee-4e3f-419e-bac0-e95f1085d998",
			time: "2020-04-06T11:11:47Z", completed: "2020-04-06T11:11:41.006Z", answers: 3, dedupe: "afKfAnPYX3X7kojqM2cJDb:faa38eee-4e3f-419e-bac0-e95f1085d998",
		},
		{
			file: "limesurvey-afterSurveyComplete.json", typ: "response.completed", verified: "token", survey: "123456", response: "42", time: "2024-12-04T15:30:00Z", completed: "2024-12-04T15:30:00Z",
			email: "john@example.com", nps: 9.0, answers: 3, dedupe: "123456:42:afterSurveyComplete:2024-12-04 15:30:00", first: "John", last: "Doe",
		},
		{
			file: "odk-submission.create.json", typ: "response.completed", verified: "token", response: "uuid:3c142a0d-37b9-4d37-baf0-e58876428181", time: received,
			dedupe: "submission.create:uuid:3c142a0d-37b9-4d37-baf0-e58876428181::" + sha("odk-submission.create.json"),
		},
		{
			file: "odk-submission.update.json", typ: "response.reviewed", verified: "token", response: "uuid:5ed3b610-a18a-46a2-90a7-8c80c82ebbe9", time: received,
			dedupe: "submission.update:uuid:5ed3b610-a18a-46a2-90a7-8c80c82ebbe9:hasIssues:" + sha("odk-submission.update.json"),
		},
		{
			file: "odk-entity.update.version.json", typ: "entity.updated", verified: "token", time: received, answers: 3,
			dedupe: "entity.update.version:uuid:3c142a0d-37b9-4d37-baf0-e58876428181::" + sha("odk-entity.update.version.json"),
		},
		{
			file: "pollarix-SURVEY_COMPLETED.json", typ: "response.completed", verified: "token", survey: "survey_123", response: "resp_456", time: "2024-01-15T10:30:00Z", completed: "2024-01-15T10:30:00Z",
			email: "customer@example.com", answers: 3, dedupe: "wh_abc123:SURVEY_COMPLETED:survey_123:resp_456:2024-01-15T10:30:00Z", first: "John", last: "Doe", phone: "+1234567890",
		},
		{
			file: "pollarix-SURVEY_STATUS_CHANGED.derived.json", typ: "survey.status_changed", verified: "token", survey: "survey_123", time: "2024-01-15T10:30:00Z",
			dedupe: "wh_abc123:SURVEY_STATUS_CHANGED:survey_123::2024-01-15T10:30:00Z:" + sha("pollarix-SURVEY_STATUS_CHANGED.derived.json"),
		},
		{
			file: "pollarix-COUPON_REDEEMED.derived.json", typ: "reward.redeemed", verified: "token", survey: "survey_123", response: "resp_456", time: "2024-01-15T10:30:00Z",
			dedupe: "wh_abc123:COUPON_REDEEMED:survey_123:resp_456:2024-01-15T10:30:00Z:" + sha("pollarix-COUPON_REDEEMED.derived.json"),
		},
		{
			file: "pollqr-response.created.json", typ: "response.completed", verified: "hmac", survey: pollqr, response: answered, time: "2024-01-01T12:00:00Z", completed: "2024-01-01T12:00:00Z",
			email: "john@example.com", nps: 9.0, answers: 4, dedupe: "response.created:" + pollqr + ":" + answered + ":2024-01-01T12:00:00.000Z", phone: "+1234567890",
		},
		{
			file: "pollqr-response.updated.derived.json", typ: "response.updated", verified: "hmac", survey: pollqr, response: answered, time: "2024-01-01T12:05:00Z",
			email: "john@example.com", nps: 4.0, answers: 4, dedupe: "response.updated:" + pollqr + ":" + answered + ":2024-01-01T12:05:00.000Z", phone: "+1234567890",
		},
		{file: "pollqr-survey.completed.derived.json", typ: "survey.closed", verified: "hmac", survey: pollqr, time: "2024-01-31T23:59:59Z", dedupe: "survey.completed:" + pollqr + "::2024-01-31T23:59:59.000Z"},
		{
			file: "poltio-complete.json", typ: "response.completed", verified: "path", survey: content, response: session, time: "2024-01-23T11:59:59Z", completed: "2024-01-23T11:59:59Z",
			email: "example@example.com", custom: 0.0, answers: 1, dedupe: content + ":" + session + ":true:" + sha("poltio-complete.json"), first: "Name", phone: "+1231231234",
		},
		{
			file: "poltio-incomplete.derived.json", typ: "response.partial", verified: "path", survey: content, response: session, time: "2019-09-16T09:07:55Z", answers: 1,
			dedupe: content + ":" + session + ":false:" + sha("poltio-incomplete.derived.json"),
		},
		{
			file: "poltio-legacy.json", typ: "response.completed", verified: "path", survey: "12345", response: "Poltio Session ID", time: "2019-09-16T09:07:55Z",
			email: "example@example.com", answers: 1, dedupe: "12345:Poltio Session ID:true:" + sha("poltio-legacy.json"), first: "Name", phone: "+1231231234",
		},
		{
			file: "popsee-response.completed.json", typ: "response.completed", verified: "hmac", survey: pollqr, response: "7c9e6679-7425-40de-944b-e07fc1f90ae7", time: "2024-01-22T12:00:00Z", completed: "2024-01-22T12:00:00Z",
			email: "customer@example.com", answers: 2, dedupe: "response.completed:7c9e6679-7425-40de-944b-e07fc1f90ae7",
		},
		{
			file: "productfruits-newsurveyanswer.json", typ: "response.completed", verified: "path", survey: pollqr, time: received,
			email: "jane.doe@example.com", nps: 9.0, answers: 4, dedupe: sha("productfruits-newsurveyanswer.json"), first: "Jane", last: "Doe",
		},
		{
			file: "qualtrics-completedResponse.form.txt", typ: "response.completed", verified: "hmac", survey: "SV_22VlHYNeldrrrkp", response: "R_1l9mcVuXubb4aGm", time: "2019-06-26T13:28:11Z", completed: "2019-06-26T13:28:11Z",
			dedupe: "Complete:SV_22VlHYNeldrrrkp:R_1l9mcVuXubb4aGm:2019-06-26 13:28:11",
		},
		{
			file: "qualtrics-completedResponse.json", typ: "response.completed", verified: "hmac", survey: "SV_22VlHYNeldrrrkp", response: "R_1l9mcVuXubb4aGm", time: "2019-06-26T13:28:11Z", completed: "2019-06-26T13:28:11Z",
			dedupe: "Complete:SV_22VlHYNeldrrrkp:R_1l9mcVuXubb4aGm:2019-06-26 13:28:11",
		},
		{
			file: "qualtrics-completedResponse.nosig.json", typ: "response.completed", verified: "hmac", survey: "SV_cVn9uBwheR9hz01", response: "R_suq806jn8LGzhx7", time: "2020-10-22T12:31:40Z", completed: "2020-10-22T12:31:40Z",
			dedupe: "Complete:SV_cVn9uBwheR9hz01:R_suq806jn8LGzhx7:2020-10-22 12:31:40",
		},
		{
			file: "questionpro-complete_response.json", typ: "response.completed", verified: "path", survey: "13383722", response: "202881004", time: "2026-01-28T20:00:53Z", completed: "2026-01-28T20:00:53Z",
			answers: 1, dedupe: "13383722:202881004:Completed:1769630453",
		},
		{
			file: "refiner-response.json", typ: "response.completed", verified: "path", survey: "3894dc20-8fe9-11ea-892e-d13af52e06ae", response: "cb47c260-ed64-11ea-8187-a7fc8351fba4",
			time: "2020-09-02T21:53:33Z", completed: "2020-09-02T21:53:33Z", email: "jane@awesome.com", answers: 2, dedupe: "cb47c260-ed64-11ea-8187-a7fc8351fba4:2020-09-02 21:53:33:2020-09-02 21:53:33", first: "Jane", last: "Doe",
		},
		{
			file: "smartsurvey-response.json", typ: "response.completed", verified: "hmac", survey: "12345", response: "123456789", time: "2016-06-13T15:35:31Z", completed: "2016-06-13T15:35:31Z",
			answers: 1, dedupe: "12345:123456789:completed:2016-06-13T15:35:31Z",
		},
		{
			file: "surveyjs-oncomplete.json", typ: "response.completed", verified: "token", survey: "nps-2026", response: "9b2f6d3c-0c7b-4d0a-8f5e-52f0f4d7a111", time: "2026-01-10T09:15:00Z", completed: "2026-01-10T09:15:00Z",
			email: "ana@example.com", nps: 9.0, answers: 6, dedupe: "nps-2026:9b2f6d3c-0c7b-4d0a-8f5e-52f0f4d7a111",
		},
		{
			file: "surveymonkey-response_completed.json", typ: "response.completed", verified: "hmac", survey: "123456789", response: "123456", time: "2016-01-01T21:56:31.182613Z",
			dedupe: "response_completed:123456789:123456:2016-01-01T21:56:31.182613+00:00",
		},
		{
			file: "survicate-questionAnswered.json", typ: "answer.upserted", verified: "hmac", survey: "b92b6ecae6dd7207", response: "3fa85f64-5717-4562-b3fc-2c963f66afa6", time: "2019-05-10T06:46:02Z",
			answers: 1, dedupe: "c0101a21572ca643fd9f9ad40a5a4650",
		},
		{
			file: "survicate-questionAnswered.nps.derived.json", typ: "answer.upserted", verified: "hmac", survey: "b92b6ecae6dd7207", response: "3fa85f64-5717-4562-b3fc-2c963f66afa6", time: "2019-05-10T06:46:02Z",
			nps: 9.0, answers: 1, dedupe: "c0101a21572ca643fd9f9ad40a5a4651",
		},
		{
			file: "tally-FORM_RESPONSE.json", typ: "response.completed", verified: "hmac", survey: "VwbNEw", response: "2wgx4n", time: "2023-06-28T15:00:21Z", completed: "2023-06-28T15:00:21Z",
			email: "alice@example.com", csat: 4.0, custom: 20.0, answers: 23, dedupe: "a4cb511e-d513-4fa5-baee-b815d718dfd1", phone: "+32491223344",
		},
		{
			file: "typeform-form_response.json", typ: "response.completed", verified: "hmac", survey: "lT4Z3j", response: "a3a12ec67a1365927098a606107fac15", time: "2018-01-18T18:17:02Z", completed: "2018-01-18T18:17:02Z",
			email: "laura@example.com", csat: 3.0, custom: 9.0, answers: 11, dedupe: "LtWXD3crgy", first: "Laura",
		},
		{
			file: "wufoo-entry.form.txt", typ: "response.completed", verified: "token", survey: "z5pkt3w03lj0nv", response: "42", time: "2026-05-21T11:08:01Z", completed: "2026-05-21T11:08:01Z",
			email: "jane@example.com", answers: 4, dedupe: "z5pkt3w03lj0nv:42", first: "Jane", last: "Doe",
		},
		{
			file: "wufoo-entry.json", typ: "response.completed", verified: "token", survey: "z5pkt3w03lj0nv", response: "42", time: "2026-05-21T11:08:01Z", completed: "2026-05-21T11:08:01Z",
			email: "jane@example.com", answers: 4, dedupe: "z5pkt3w03lj0nv:42", first: "Jane", last: "Doe",
		},
	}
	var said []string
	for _, tt := range tests {
		said = append(said, tt.file)
		t.Run(tt.file, func(t *testing.T) {
			t.Parallel()
			platform, _, _ := strings.Cut(tt.file, "-")
			req := requestOf(t, tt.file)
			ev := prove(t, open(t, profile(t, platform), secretsOf(t, platform)), Sample{Body: req.Body, ContentType: req.ContentType})
			if diff := cmp.Diff(tt, tellOf(tt.file, ev), cmp.AllowUnexported(told{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if warned := len(ev.Data().Warnings) > 0; warned != odd[tt.file] {
				t.Errorf("warnings %q", ev.Data().Warnings)
			}
		})
	}
	for _, platform := range Builtin().Names() {
		for _, name := range published(t, platform) {
			if !slices.Contains(said, name) {
				t.Errorf("nothing is said of %s", name)
			}
		}
	}
}

func tellOf(file string, ev *event.Event) told {
	d := ev.Data()
	return told{
		file: file, typ: ev.Type, verified: ev.Verified, survey: d.Survey.ID, response: d.Response.ID,
		time: timeText(ev.Time), completed: d.Response.CompletedAt, email: d.Respondent.Email,
		nps: value(d.Response.Score.NPS), csat: value(d.Response.Score.CSAT), ces: value(d.Response.Score.CES), custom: value(d.Response.Score.Custom),
		answers: len(d.Response.Answers), dedupe: ev.DedupeKey,
		first: d.Respondent.FirstName, last: d.Respondent.LastName, phone: d.Respondent.Phone, why: d.Response.Feedback,
	}
}
