package event

import "testing"

func TestResponseKey(t *testing.T) {
	t.Parallel()
	of := func(source, survey, response, verified string) Header {
		return Header{ID: "e", Tenant: "acme", Source: source, SurveyID: survey, ResponseID: response, Verified: verified}
	}
	// No two of these are the same response.
	seen := map[string]Header{}
	for _, h := range []Header{
		of("limesurvey", "1", "1", "hmac"),
		of("limesurvey", "2", "1", "hmac"),
		of("wufoo", "1", "1", "hmac"),
		of("limesurvey", "", "1", "hmac"),
		of("limesurvey", "1", "2", "hmac"),
		of("a", "b:c", "d", "hmac"),
		of("a", "b", "c:d", "hmac"),
		of("a", "b", "c", "hmac"),
		of("a", "bc", "", "hmac"),
		of("a1", "b", "c", "hmac"),
		of("a", "1:bc", "d", "hmac"),
		of("a", "1", "bcd", "hmac"),
		of("a", "\x00b", "c", "hmac"),
		of("a\x00", "b", "c", "hmac"),
		of("1:a", "b", "c", "hmac"),
		of("limesurvey", "1", "1", "none"), // named by somebody who proved nothing
		of("limesurvey", "1", "1", "api"),
	} {
		key := h.ResponseKey()
		if (key == "") != (h.ResponseID == "") {
			t.Errorf("%+v has the key %q", h, key)
		}
		if other, taken := seen[key]; taken {
			t.Errorf("%q is the key of %+v and %+v", key, h, other)
		}
		seen[key] = h
	}
	// How the source proves its requests may change, and what the event tells too.
	for _, verified := range []string{"token", "basic", "path"} {
		h := of("limesurvey", "1", "1", verified)
		h.ID, h.Type, h.OrigID = "f", TypeResponseCompleted, "x"
		if key := h.ResponseKey(); seen[key].Verified != "hmac" {
			t.Errorf("%s: the key is %q", verified, key)
		}
	}
}

// A new event and the decoded event have the same response key.
func TestResponseKeyIsKept(t *testing.T) {
	t.Parallel()
	made := sample(t)
	kept, err := Decode(made.Envelope(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if key := made.ResponseKey(); key == "" || kept.ResponseKey() != key {
		t.Errorf("made %q, kept %q", key, kept.ResponseKey())
	}
}

func TestSubject(t *testing.T) {
	t.Parallel()
	for want, h := range map[string]Header{
		"":      {},
		"s1":    {SurveyID: "s1"},
		"/r1":   {ResponseID: "r1"},
		"s1/r1": {SurveyID: "s1", ResponseID: "r1"},
	} {
		if got := h.Subject(); got != want {
			t.Errorf("subject %q, want %q", got, want)
		}
	}
}
