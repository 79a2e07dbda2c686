package signature_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/signature"
)

// TestPartsKeepTheirPlaces: of a request that was signed nobody makes another by moving bytes from one part of what is
// signed into the next, in whatever style.
func TestPartsKeepTheirPlaces(t *testing.T) {
	t.Parallel()
	at := time.Unix(1767225600, 0)
	stamp := strconv.FormatInt(at.Unix(), 10)
	styles := map[string]struct {
		sig       connectors.Signature
		secret    string
		separator string // behind {id}
	}{
		"standard": {named("standard"), whsec, "."},
		"ed25519":  {named("ed25519"), seed32, "."},
		"colons":   {connectors.Signature{Header: "X-Sign", Signed: "{id}:{timestamp}:{body}"}, "s", ":"},
		"words":    {connectors.Signature{Header: "X-Sign", Signed: "v1 {id}; {timestamp}; {body}"}, "s", "; "},
		"dots":     {connectors.Signature{Header: "X-Sign", Signed: "{id}..{timestamp}..{body}"}, "s", ".."},
		// Read from the back: the body may hold anything.
		"body first": {connectors.Signature{Header: "X-Sign", Signed: "{body}:{timestamp}:{id}"}, "s", ""},
		"pollqr":     {named("pollqr"), "s", ""},
		"popsee":     {named("popsee"), "s", ""},
		"github":     {named("github"), "s", ""},
		"stripe":     {named("stripe"), "s", ""},
	}
	for _, name := range connectors.SignatureStyles {
		if _, ok := styles[name]; !ok && !named(name).Unsigned() {
			t.Errorf("style %s is not among those tried", name)
		}
	}
	for name, c := range styles {
		body := `{}`
		if c.separator != "" {
			body = stamp + c.separator + "{}" // begins as the parts before it end
		}
		fields, err := signature.Sign(c.sig, secrets(c.secret), signature.Message{ID: "dl_1", At: at, Body: []byte(body)})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := signature.Verify(c.sig, secrets(c.secret), get(fields), []byte(body), at); err != nil {
			t.Errorf("%s: the genuine one is refused: %v", name, err)
		}
		if c.separator == "" {
			continue
		}
		forged := func(header string) string {
			if http.CanonicalHeaderKey(header) == "Webhook-Id" {
				return "dl_1" + c.separator + stamp
			}
			return get(fields)(header)
		}
		err = signature.Verify(c.sig, secrets(c.secret), forged, []byte("{}"), at)
		if refused, ok := err.(*signature.Refused); !ok || refused.Reason != "the webhook-id holds what separates the parts that are signed" { //nolint:errorlint // it is never wrapped
			t.Errorf("%s: an id that took the time into it: %#v", name, err)
		}
	}
}

// TestSeparatorsOfSchemes: the same for what platforms sign.
func TestSeparatorsOfSchemes(t *testing.T) {
	t.Parallel()
	now := time.Unix(1767225600, 0)
	stamped := &signature.Timestamp{Header: "X-Time", Format: "rfc3339"}
	for _, c := range []struct {
		signed    string
		timestamp *signature.Timestamp
		header    string // X-ID
		field     string
		time      string
		refused   bool
	}{
		{"{header:X-ID}.{body}", nil, "a-b", "", "", false},
		{"{header:X-ID}.{body}", nil, "a.b", "", "", true},
		{"{header:X-ID}.{body}", nil, ".", "", "", true},
		{"{header:X-ID}..{body}", nil, "a.b", "", "", false},
		{"{header:X-ID}..{body}", nil, "a.", "", "", true}, // a...b is a. and b, or a and .b
		{"{body}..{header:X-ID}", nil, ".a", "", "", true},
		{"{body}.{header:X-ID}", nil, "a-b", "", "", false},
		{"{body}.{header:X-ID}", nil, "a.b", "", "", true},
		{"{header:X-ID}&{field:a}", nil, "a-b", "x&y", "", false}, // the last may hold anything
		{"{field:a}&{header:X-ID}", nil, "a-b", "x&y", "", true},
		{"{header:X-ID}{body}", nil, "a.b", "", "", false}, // nothing to tell them by
		{"v0:{body}.", nil, "a.b", "", "", false},
		{"{timestamp}.{body}", stamped, "", "", "2026-01-01T00:00:00.125Z", false}, // a time ends where it ends
		{"{header:X-ID}.{timestamp}.{body}", stamped, "a.b", "", "2026-01-01T00:00:00.125Z", true},
	} {
		v := compile(t, signature.Scheme{Kind: "hmac", Header: "X-Sign", Signed: c.signed, Timestamp: c.timestamp})
		r := request{header: http.Header{"X-Id": {c.header}, "X-Time": {c.time}}, body: []byte("{}"), form: map[string][]string{"a": {c.field}}}
		keys := signature.Keys{Secrets: secrets("s")}
		// A scheme that signs the very bytes as one text stands for a platform that does not look.
		text := strings.NewReplacer("{header:X-ID}", c.header, "{field:a}", c.field, "{timestamp}", c.time).Replace(c.signed)
		sign, err := compile(t, signature.Scheme{Kind: "hmac", Header: "X-Sign", Signed: text + map[bool]string{true: "{body}"}[!strings.Contains(text, "{body}")]}).Sign(request{
			body: map[bool][]byte{true: []byte("{}")}[strings.Contains(text, "{body}")],
		}, keys)
		if err != nil {
			t.Fatalf("%s: %v", c.signed, err)
		}
		r.header.Set("X-Sign", sign)
		_, err = v.Verify(r, keys, now)
		if (err != nil) != c.refused {
			t.Errorf("%s with %q %q: %v, want refused = %t", c.signed, c.header, c.field, err, c.refused)
		}
		if _, err := v.Sign(r, keys); (err != nil) != c.refused {
			t.Errorf("%s with %q %q: signed all the same: %v", c.signed, c.header, c.field, err)
		}
	}
}

// TestSeparatorsOfOnesOwnStyle: a separator that our own ids may hold is refused before anything is signed with it.
func TestSeparatorsOfOnesOwnStyle(t *testing.T) {
	t.Parallel()
	for signed, want := range map[string]string{
		"{id}.{timestamp}.{body}":  "",
		"{id}-{timestamp}-{body}":  "",
		"{timestamp}_{body}":       "",
		"{body}_":                  "",
		"{id}_{timestamp}_{body}":  "signature signed: `_` beside {id} may be part of an id, so that receivers could not tell where it ends; put a `.` there",
		"{body}id{id}.{timestamp}": "signature signed: `id` beside {id} may be part of an id, so that receivers could not tell where it ends; put a `.` there",
	} {
		got := ""
		if err := signature.Check(connectors.Signature{Header: "X-Sign", Signed: signed}, secrets("s")); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s: %q, want %q", signed, got, want)
		}
	}
}
