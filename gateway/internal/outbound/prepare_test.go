package outbound

import (
	"net/url"
	"testing"

	"github.com/surveygate/surveygate/connectors"
)

func TestAddField(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{}`:                            `{"api_key":"a\"b"}`,
		" {\n} ":                        `{"api_key":"a\"b"}`,
		`{"events":[{}]}`:               `{"events":[{}],"api_key":"a\"b"}`,
		"\n{ \"a\" : \"}\" \n}\r\n":     `{ "a" : "}","api_key":"a\"b"}`,
		`{"api_key":"of a respondent"}`: `{"api_key":"of a respondent","api_key":"a\"b"}`,
		``:                              "",
		`[]`:                            "",
		`{`:                             "",
		`"{}"`:                          "",
	} {
		given := []byte(body)
		got, err := addField(given, "api_key", `a"b`)
		if string(got) != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v; want %q", body, got, err, want)
		}
		if string(given) != body {
			t.Errorf("%q was changed", body)
		}
	}
}

// TestSetReplacesEverySpelling: credentials stand over whatever a step wrote in their place.
func TestSetReplacesEverySpelling(t *testing.T) {
	t.Parallel()
	w := &wire{fields: []connectors.Field{
		{Name: "authorization", Value: "a"}, {Name: "X", Value: "x"}, {Name: "AUTHORIZATION", Value: "b"},
	}}
	w.set("Authorization", "Bearer t", true)
	w.set("x", "not this", false)
	w.set("Y", "y", false)
	want := []connectors.Field{{Name: "Authorization", Value: "Bearer t"}, {Name: "X", Value: "x"}, {Name: "Y", Value: "y"}}
	if len(w.fields) != len(want) {
		t.Fatalf("%v", w.fields)
	}
	for i := range want {
		if w.fields[i] != want[i] {
			t.Errorf("%v, want %v", w.fields[i], want[i])
		}
	}
}

func TestDialAddress(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"https://a.example": "a.example:443", "http://a.example/": "a.example:80", "https://a.example:8443/x": "a.example:8443",
		"https://[2606:4700::1]/": "[2606:4700::1]:443", "http://[2606:4700::1]:81": "[2606:4700::1]:81",
	} {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := dialAddress(u); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}
