package connectortest

import (
	"reflect"
	"strings"
	"testing"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/connectors/declared"
	"github.com/surveygate/surveygate/rules/event"
)

// otherBase is what checkBaseURL sets every address of an account to.
const otherBase = "https://other.example/base"

// checkBaseURL checks that the settings of the type BaseURL replace all of the product's own addresses, that of its token endpoint
// too: tests and sandboxes must never reach the product. Addresses that are part of the credentials stay.
func checkBaseURL(t *testing.T, name string, cases []example) {
	for _, e := range cases {
		c, events := e.ready(t, name)
		v := reflect.ValueOf(c).Elem()
		found, keyFile := false, false
		for _, s := range declared.Settings(v.Type()) {
			switch field := v.FieldByIndex(s.Index); s.Field.Type {
			case reflect.TypeFor[connectors.BaseURL]():
				field.SetString(otherBase)
				found = true
			case reflect.TypeFor[connectors.ServiceAccount]():
				keyFile = true
			}
		}
		replaced := found || !hasURL(v.Type())
		for _, req := range requests(t, e, c, events) {
			if replaced && req.URL != "" && !strings.HasPrefix(req.URL, "/") && !strings.HasPrefix(req.URL, otherBase+"/") {
				t.Errorf("%s: %s %s although every BaseURL is %s; a connector has a setting `base_url`", e.name, req.Method, req.URL, otherBase)
			}
			if auth, ok := req.Auth.(connectors.OAuth2); ok && !keyFile && !strings.HasPrefix(auth.TokenURL, otherBase) {
				t.Errorf("%s: tokens are fetched from %s although every BaseURL is %s; derive the address from `base_url`, or add a setting `token_url` of that type",
					e.name, auth.TokenURL, otherBase)
			}
		}
	}
}

// requests returns all requests of a connector for a transcript: those that prove the settings, and those of the chain.
func requests(t *testing.T, e example, c connectors.Connector, events []*event.Event) (all []*connectors.Request) {
	t.Helper()
	if checker, ok := c.(connectors.Checker); ok {
		all = checker.Check()
	}
	req, err := e.build(c, events)
	if err != nil {
		t.Fatalf("%s: %v", e.name, err)
	}
	all = append(all, req)
	var trail []*connectors.Response
	for _, answer := range e.answers {
		res, err := parseResponse(answer)
		if err != nil {
			t.Fatalf("%s: %v", e.name, err)
		}
		res.To, res.Events, res.Trail = req, events, trail
		if v := judge(c, res); v.Kind == connectors.Continue {
			trail, req = append(trail, res), v.Next
			all = append(all, req)
		}
	}
	return all
}

// hasURL reports whether a setting is itself the address of the request.
func hasURL(t reflect.Type) bool {
	for _, s := range declared.Settings(t) {
		if s.Field.Type == reflect.TypeFor[connectors.URL]() {
			return true
		}
	}
	return false
}
