package source

import (
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/signature"
	"github.com/surveygate/surveygate/rules/event"
)

// TestProofs is every kind of proof, on a platform that carries it: with either of two secrets, and with neither.
func TestProofs(t *testing.T) {
	t.Parallel()
	const whsecOld = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
	const whsecNew = "whsec_ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA="
	tests := []struct {
		name, platform string
		verify         []signature.Scheme
		first, second  string
		kind           string
	}{
		{"hex", "pollqr", nil, "", "", "hmac"},
		{"hex with prefix", "popsee", nil, "", "", "hmac"},
		{"base64", "tally", nil, "", "", "hmac"},
		{"base64 with prefix", "typeform", nil, "", "", "hmac"},
		{"SHA-1, keyed with a var too", "surveymonkey", nil, "", "", "hmac"},
		{"SHA-512 over a field of the form", "qualtrics", nil, "", "", "hmac"},
		{"over id, time and body", "formbricks", nil, whsecNew, whsecOld, "hmac"},
		{"over an array", "smartsurvey", nil, "", "", "hmac"},
		{"header", "pollarix", nil, "", "", "token"},
		{"header with prefix", "odk", []signature.Scheme{{Kind: "token", Header: "Authorization", Prefix: "Bearer "}}, "", "", "token"},
		{"in the body", "limesurvey", nil, "", "", "token"},
		{"in a form", "wufoo", nil, "", "", "token"},
		{"user and password", "kobotoolbox", []signature.Scheme{{Kind: "basic"}}, "jo:new", "jo:old", "basic"},
		{"password alone", "kobotoolbox", []signature.Scheme{{Kind: "basic", User: "jo"}}, "", "", "basic"},
		{"two at once", "survicate", []signature.Scheme{{Kind: "hmac", Header: "Hmac"}, {Kind: "token", Header: "Token"}}, "", "", "hmac"},
	}
	for _, tt := range tests {
		t.Run(tt.platform+"/"+tt.name, func(t *testing.T) {
			t.Parallel()
			if tt.first == "" {
				tt.first, tt.second = "the new secret", "the old secret"
			}
			settings := func(texts ...string) Settings {
				return Settings{Secrets: secrets(texts...), Verify: tt.verify, Vars: map[string]connectors.Secret{"api_key": connectors.NewSecret("client")}}
			}
			p := profile(t, tt.platform)
			receiver := open(t, p, settings(tt.first, tt.second))
			sample, err := NewSample(tt.platform, Variation{Seed: "1", At: noon})
			if err != nil {
				t.Fatal(err)
			}
			send := func(sender *Source, spoil func(*Request)) (Verified, error) {
				sent, fields, err := sender.Prove(sample, noon)
				if err != nil {
					t.Fatal(err)
				}
				req := request(sent.Body)
				req.ContentType = sent.ContentType
				headers := map[string]string{}
				for _, f := range fields {
					headers[strings.ToLower(f.Name)] = f.Value
				}
				req.Header = func(name string) string { return headers[strings.ToLower(name)] }
				if spoil != nil {
					spoil(req)
				}
				return receiver.Verify(req)
			}
			for i, secret := range []string{tt.first, tt.second} {
				got, err := send(open(t, p, settings(secret)), nil)
				if want := (Verified{Kind: tt.kind, Secret: i + 1}); err != nil || got != want {
					t.Errorf("secret %d: %+v, %v", i+1, got, err)
				}
			}
			other := "another secret, of nobody"
			switch {
			case strings.HasPrefix(tt.first, "whsec_"):
				other = "whsec_MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI="
			case tt.kind == "basic":
				other = "jo:neither"
			}
			if got, err := send(open(t, p, settings(other)), nil); !errors.Is(err, ErrRefused) {
				t.Errorf("a secret of nobody: %+v, %v", got, err)
			}
			if got, err := send(receiver, func(r *Request) { r.Header, r.Body = nil, []byte(`{"a":1}`) }); !errors.Is(err, ErrRefused) {
				t.Errorf("nothing: %+v, %v", got, err)
			}
		})
	}
}

// TestSignedTime: a signature that covers its time is good for five minutes, both ways, by the source's clock.
func TestSignedTime(t *testing.T) {
	t.Parallel()
	s := open(t, profile(t, "formbricks"), Settings{Secrets: secrets("whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=")})
	body := payload(t, "formbricks-responseFinished.json")
	base := noon.Truncate(time.Second)
	fields, err := s.Sign(body, base)
	if err != nil {
		t.Fatal(err)
	}
	verify := func(at time.Time, change map[string]string) error {
		req := request(body)
		req.Received = at
		req.Header = func(name string) string {
			if text, ok := change[name]; ok {
				return text
			}
			for _, f := range fields {
				if strings.EqualFold(f.Name, name) {
					return f.Value
				}
			}
			return ""
		}
		_, err := s.Verify(req)
		return err
	}
	signed := ""
	for _, f := range fields {
		if f.Name == "webhook-signature" {
			signed = f.Value
		}
	}
	tests := []struct {
		name   string
		after  time.Duration
		change map[string]string
		good   bool
	}{
		{"at once", 0, nil, true},
		{"five minutes late", 5 * time.Minute, nil, true},
		{"later", 5*time.Minute + time.Second, nil, false},
		{"five minutes early", -5 * time.Minute, nil, true},
		{"earlier", -5*time.Minute - time.Second, nil, false},
		{"another time beside it", 0, map[string]string{"webhook-timestamp": strconv.FormatInt(base.Unix()+1, 10)}, false},
		{"another id beside it", 0, map[string]string{"webhook-id": "msg_1"}, false},
		{"no id", 0, map[string]string{"webhook-id": ""}, false},
		{"no time", 0, map[string]string{"webhook-timestamp": ""}, false},
		{"second of several", 0, map[string]string{"webhook-signature": "v1a,xxxx v1,AAAA " + signed}, true},
		{"of another version", 0, map[string]string{"webhook-signature": strings.Replace(signed, "v1,", "v2,", 1)}, false},
		{"the 17th of many", 0, map[string]string{"webhook-signature": strings.Repeat("v1,"+strings.Repeat("A", 43)+"= ", 16) + signed}, false},
	}
	for _, tt := range tests {
		if err := verify(base.Add(tt.after), tt.change); (err == nil) != tt.good {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

// TestAddressIsNotKept: Jotform repeats the address it sends to, whose token is the source's only secret.
func TestAddressIsNotKept(t *testing.T) {
	t.Parallel()
	s := open(t, profile(t, "jotform"), Settings{PathToken: connectors.NewSecret(pathToken)})
	body := strings.Replace(string(payload(t, "jotform-submission.multipart.txt")), "https://example.com/hooks/jotform", "https://example.com/in/jotform/"+pathToken, 1)
	if !strings.Contains(body, pathToken) {
		t.Fatal("the payload has changed")
	}
	req := request([]byte(body))
	req.ContentType, req.Token = "multipart/form-data", pathToken
	if _, err := s.Verify(req); err != nil {
		t.Fatal(err)
	}
	events, err := s.Normalise(req, noon)
	if err != nil {
		t.Fatal(err)
	}
	raw := events[0].Raw
	if !raw.Redacted || raw.SHA256 != hash([]byte(body)) || string(raw.Body) != strings.Replace(body, pathToken, "redacted", 1) {
		t.Errorf("redacted %v: %s", raw.Redacted, raw.Body)
	}
	if string(req.Body) != body {
		t.Error("the request's own bytes were changed")
	}
	if strings.Contains(string(events[0].EnvelopeWithRaw()), pathToken) {
		t.Error("the event shows the token")
	}
}

// TestSplitIsRedacted: parts of a request are kept without what the whole may not keep.
func TestSplitIsRedacted(t *testing.T) {
	t.Parallel()
	p, faults := Parse("x.yaml", []byte("source: x\nsplit: list\nverify: [{kind: token, path: list.0.key}]\ntype: {const: c, default: response.completed}\ndedupe: \"{id}\"\nmap: {response.id: id}\n"))
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	s := open(t, p, Settings{Secrets: secrets("s3cret"), PathToken: connectors.NewSecret(pathToken)})
	req := request([]byte(`{"list":[{"id":1,"key":"s3cret"},{"id":2,"url":"https://x/` + pathToken + `"}]}`))
	req.Token = pathToken
	if _, err := s.Verify(req); err != nil {
		t.Fatal(err)
	}
	events, err := s.Normalise(req, noon)
	if err != nil || len(events) != 2 {
		t.Fatal(len(events), err)
	}
	for i, want := range []string{`{"id":1,"key":"redacted"}`, `{"id":2,"url":"https://x/redacted"}`} {
		if string(events[i].Raw.Body) != want || !events[i].Raw.Redacted {
			t.Errorf("%s, redacted %v", events[i].Raw.Body, events[i].Raw.Redacted)
		}
	}
}

// TestNobodyIsSwallowed: a response that says nothing of its own id is never another's duplicate.
func TestNobodyIsSwallowed(t *testing.T) {
	t.Parallel()
	tests := []struct{ platform, one, two string }{
		{"popsee", `{"event":"response.completed","response":{"answers":[{"questionId":"q1","value":1}]}}`, `{"event":"response.completed","response":{"answers":[{"questionId":"q1","value":2}]}}`},
		{"surveyjs", `{"surveyId":"s","data":{"a":1}}`, `{"surveyId":"s","data":{"a":2}}`},
		{"pollqr", `{"event":"response.created","survey_id":"s","response":{"nps_score":1}}`, `{"event":"response.created","survey_id":"s","response":{"nps_score":2}}`},
		{"pollqr", `{"event":"response.deleted","survey_id":"s","a":1}`, `{"event":"response.deleted","survey_id":"s","a":2}`},
		{"asknicely", `{"count":1,"question":{"score":"1"}}`, `{"count":1,"question":{"score":"2"}}`},
		// What is there of the key is not enough to tell two apart.
		{"wufoo", "EntryId=7&Field1=a", "EntryId=7&Field1=b"},
		{"kobotoolbox", `{"_xform_id_string":"f","meta/rootUuid":"uuid:1","q":"a"}`, `{"_xform_id_string":"f","meta/rootUuid":"uuid:2","q":"b"}`},
		{"jotform", formPart("formID", "1") + formPart("rawRequest", `{"event_id":"e1","q1_a":"a"}`) + "--b--\r\n", formPart("formID", "1") + formPart("rawRequest", `{"event_id":"e2","q1_a":"b"}`) + "--b--\r\n"},
		{"pollarix", `{"event":"COUPON_REDEEMED","webhookId":"w","timestamp":"2026-01-01T00:00:00Z","data":{"surveyId":"s","couponCode":"A"}}`, `{"event":"COUPON_REDEEMED","webhookId":"w","timestamp":"2026-01-01T00:00:00Z","data":{"surveyId":"s","couponCode":"B"}}`},
		// What tells two coupons of one response apart is not published, and their times have no fractions.
		{"pollarix", `{"event":"COUPON_REDEEMED","webhookId":"w","timestamp":"2026-01-01T00:00:00Z","data":{"surveyId":"s","responseId":"r","code":"A"}}`, `{"event":"COUPON_REDEEMED","webhookId":"w","timestamp":"2026-01-01T00:00:00Z","data":{"surveyId":"s","responseId":"r","code":"B"}}`},
		{"pollarix", `{"event":"SURVEY_STATUS_CHANGED","webhookId":"w","timestamp":"2026-01-01T00:00:00Z","data":{"surveyId":"s","state":"A"}}`, `{"event":"SURVEY_STATUS_CHANGED","webhookId":"w","timestamp":"2026-01-01T00:00:00Z","data":{"surveyId":"s","state":"B"}}`},
		{"pollarix", `{"event":"CONTACT_ADDED","webhookId":"w","timestamp":"2026-01-01T00:00:00Z","data":{"surveyId":"s","responseId":"r","n":1}}`, `{"event":"CONTACT_ADDED","webhookId":"w","timestamp":"2026-01-01T00:00:00Z","data":{"surveyId":"s","responseId":"r","n":2}}`},
		// Its topic does not say which survey was switched off.
		{"qualtrics", "Topic=b.controlpanel.deactivateSurvey&MSG=%7B%22SurveyID%22%3A%22SV_1%22%7D", "Topic=b.controlpanel.deactivateSurvey&MSG=%7B%22SurveyID%22%3A%22SV_2%22%7D"},
		{"qualtrics", "Topic=b.controlpanel.activateSurvey&SurveyID=SV_1&At=1", "Topic=b.controlpanel.activateSurvey&SurveyID=SV_1&At=2"},
		{"formbricks", `{"event":"responseUpdated","data":{"id":"r","data":{"q":"a"}}}`, `{"event":"responseUpdated","data":{"id":"r","data":{"q":"b"}}}`},
		// The same response, changed or further on.
		{"refiner", `{"uuid":"u","received_at":"2026-01-01 00:00:00","data":{"q":"a"}}`, `{"uuid":"u","received_at":"2026-01-01 00:00:00","data":{"q":"b"}}`},
		{"refiner", `{"uuid":"u","last_data_reception_at":"2026-01-01 00:00:00","data":{"q":"a"}}`, `{"uuid":"u","last_data_reception_at":"2026-01-01 00:00:00","completed_at":"2026-01-01 00:00:00","data":{"q":"a"}}`},
		{"questionpro", `{"surveyID":1,"responseID":2,"responseStatus":"Completed","utctimestamp":1769630453}`, `{"surveyID":1,"responseID":2,"responseStatus":"Completed","utctimestamp":1769630999}`},
		{"jotform", formPart("formID", "1") + formPart("submissionID", "2") + formPart("rawRequest", `{"event_id":"e1","q1_a":"a"}`) + "--b--\r\n", formPart("formID", "1") + formPart("submissionID", "2") + formPart("rawRequest", `{"event_id":"e2","q1_a":"b"}`) + "--b--\r\n"},
		{"jotform", "--b\r\nContent-Disposition: form-data; name=\"formID\"\r\n\r\n1\r\n--b--\r\n", "--b\r\nContent-Disposition: form-data; name=\"formID\"\r\n\r\n1\r\n--b--\r\n\r\n"},
	}
	for _, tt := range tests {
		s := open(t, profile(t, tt.platform), Settings{})
		first, same, other := one(t, s, tt.one), one(t, s, tt.one), one(t, s, tt.two)
		if first.ID != same.ID {
			t.Errorf("%s: the same body twice has %q and %q", tt.platform, first.DedupeKey, same.DedupeKey)
		}
		if first.ID == other.ID {
			t.Errorf("%s: two bodies have %q", tt.platform, first.DedupeKey)
		}
	}
	// A key may say the same thing at one of two places, and have one that only some events fill.
	for _, tt := range []struct{ platform, body, want string }{
		{"qualtrics", "Topic=b.surveyengine.completedResponse.SV_1&Status=Complete&SurveyID=SV_1&ResponseID=R_1&CompletedDate=2026-01-02+03%3A04%3A05", "Complete:SV_1:R_1:2026-01-02 03:04:05"},
		{"feedbackspark", `{"event":"survey_completed","webhook_id":"w","answer_group_id":1,"answered_at":2,"qna":[{"order":0,"answer":"5"}]}`, "w:survey_completed:1:2"},
	} {
		if ev := one(t, open(t, profile(t, tt.platform), Settings{}), tt.body); ev.DedupeKey != tt.want {
			t.Errorf("%s: %q, want %q", tt.platform, ev.DedupeKey, tt.want)
		}
	}
	// A survey's own event has no response, and needs none.
	ev := one(t, open(t, profile(t, "pollqr"), Settings{}), `{"event":"survey.completed","survey_id":"s","timestamp":"2026-01-01T00:00:00Z"}`)
	if ev.Type != event.TypeSurveyClosed || ev.DedupeKey != "survey.completed:s::2026-01-01T00:00:00Z" {
		t.Errorf("%s %s", ev.Type, ev.DedupeKey)
	}
}

// formPart is one field of a multipart form, whose boundary is b.
func formPart(name, value string) string {
	return "--b\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + value + "\r\n"
}
