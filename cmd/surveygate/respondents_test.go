package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// respondent is one response of one person, on one of the five platforms.
type respondent struct {
	platform string
	name     string // it tells the respondent from all others, and is part of the address and of the response's id
	score    int
}

func (r respondent) email() string    { return r.name + "@example.com" }
func (r respondent) response() string { return "response" + r.name }

// respondents are n on each platform. first numbers them.
func respondents(first, n int) (all []respondent) {
	for _, platform := range []string{"pollqr", "popsee", "pollarix", "poltio", "chattosurvey"} {
		for i := first; i < first+n; i++ {
			all = append(all, respondent{platform, fmt.Sprintf("%sno%dx", platform, i), i % 11})
		}
	}
	return all
}

// body is the response as the platform posts it.
func (r respondent) body() string {
	return strings.NewReplacer("RESPONSE", r.response(), "EMAIL", r.email(), "NAME", r.name, "SCORE", fmt.Sprint(r.score), "NOW", now()).Replace(map[string]string{
		"pollqr": `{"event":"response.created","survey_id":"s1","response_id":"RESPONSE","timestamp":"NOW","business_id":"b1",` +
			`"survey":{"title":"Onboarding","template_type":"nps"},"response":{"answers":{"1":SCORE,"2":"Fast & <friendly>","3":"EMAIL","5":"yes"},` +
			`"nps_score":SCORE,"completion_time":45}}`,
		"popsee": `{"event":"response.completed","timestamp":"NOW","origin":"web","survey":{"id":"s2","name":"Checkout"},` +
			`"response":{"id":"RESPONSE","answers":[{"questionId":"q1","value":SCORE},{"questionId":"q2","value":"Fast & <friendly>"}],` +
			`"customParams":{"email":"EMAIL","name":"Jo NAME"},"completedAt":"NOW"}}`,
		"pollarix": `{"event":"SURVEY_COMPLETED","timestamp":"NOW","webhookId":"wh_1","departmentId":"dept_1","data":{"surveyId":"s3","surveyName":"Support",` +
			`"responseId":"RESPONSE","collectorId":"col_1","collectorType":"email","completedAt":"NOW","contact":{"id":"cNAME","email":"EMAIL",` +
			`"customFields":{"firstName":"Jo","lastName":"NAME"}},"responses":[{"questionId":"q3","questionTitle":"Comments","questionType":"text","answer":"Fast & <friendly>"}]}}`,
		"poltio": `{"poltio_user_id":1,"session_id":"RESPONSE","session_start_date":"NOW","session_end_date":"NOW","event_time":1,"content_type":"content","content_id":"s4",` +
			`"complete_session":true,"answers":[{"question_id":1,"question":"Which?","answers":[{"answer_id":1,"answer":"The blue one"}]}],` +
			`"leads":[{"user_id":1,"email":"EMAIL","name":"Jo NAME","comment":"Fast & <friendly>","created_at":"NOW","tc_checked":true}]}`,
		"chattosurvey": `{"id":"eventNAME","event":"conversation.completed","created_at":"NOW","data":{"event_type":"conversation.completed",` +
			`"survey":{"id":"s5","name":"Feedback","company_id":"c1"},"respondent":{"id":"cNAME","first_name":"Jo","last_name":"NAME","email":"EMAIL","verified":true},` +
			`"conversation":{"id":"RESPONSE","channel_type":"embedded_chat","state":"completed","started_at":"NOW","completed_at":"NOW"},` +
			`"question_responses":[{"id":"a1","question":{"id":"q1","text":"How likely are you to recommend us?"},"value":SCORE}]}}`,
	}[r.platform])
}

const (
	pollarixSecret = "pollarix-secret-of-this-test"
	sourceToken    = "path-token-of-more-than-22-characters"
)

// respondentSources is the part of a configuration that takes in the responses of all platforms.
var respondentSources = fmt.Sprintf(`
sources:
  pollqr: {profile: pollqr, secrets: [%q], roles: {"2": feedback, "3": email, "5": consent}}
  popsee: {profile: popsee, secrets: [%q], roles: {q1: nps_score, q2: feedback}}
  pollarix: {profile: pollarix, secrets: [%q], roles: {q3: feedback}}
  poltio: {profile: poltio, path_token: %[4]s}
  chattosurvey: {profile: chattosurvey, path_token: %[4]s, roles: {q1: nps_score}}
`, pollqrSecret, popseeSecret, pollarixSecret, sourceToken)

// answerAs sends the response as its platform does, with the proof that the platform gives.
func (p *process) answerAs(t *testing.T, r respondent) {
	t.Helper()
	path, body := "/in/"+r.platform, []byte(r.body())
	header := http.Header{"Content-Type": {"application/json"}}
	sign := func(secret string) string {
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write(body)
		return hex.EncodeToString(mac.Sum(nil))
	}
	switch r.platform {
	case "pollqr":
		header.Set("X-PollQR-Signature", sign(pollqrSecret))
	case "popsee":
		header.Set("X-Popsee-Signature", "sha256="+sign(popseeSecret))
	case "pollarix":
		header.Set("X-Webhook-Secret", pollarixSecret)
	default:
		path += "/" + sourceToken
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+p.address+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = header
	if status, text, err := do(req); err != nil || status != http.StatusOK {
		t.Fatalf("%s: %d %s, %v", r.response(), status, text, err)
	}
}
