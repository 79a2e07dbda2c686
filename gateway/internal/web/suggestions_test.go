package web

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/view"
)

// suggestRig is a rig with a source whose questions have no roles, and so many responses.
func suggestRig(t *testing.T, responses int) *rig {
	t.Helper()
	r := newRigOf(t, `sources:
  forms: {profile: surveyjs, secrets: ["0123456789-0123456789-0123456789"]}
  others: {profile: surveyjs, secrets: ["0123456789-0123456789-0123456789"]}
connections: {alarms: {slack: {webhook: "https://hooks.slack.com/services/T1/B1/abcdefghijkl"}}}
`)
	for i := range responses {
		r.does(t, ask{
			method: "POST", path: "/in/forms", header: map[string]string{"X-Surveygate-Token": "0123456789-0123456789-0123456789"},
			body: fmt.Sprintf(`{"id": "r%d", "surveyId": "s1", "data": {"mail": "jo%d@example.com", "why": "<img src=x onerror=alert(1)> for the %dth time", "rate": %d}}`, i, i, i, i%11),
		}, 200)
	}
	return r
}

// The questions of one source, or of all, are suggested, and rules of the tenant that matched nothing.
func TestSuggestions(t *testing.T) {
	t.Parallel()
	r := suggestRig(t, 60)
	r.keep(t, "default", config.Document{Name: "rule/silent", Spec: []byte(`{"when": "email == \"x\" or csat_score < 2", "send": ["alarms"]}`)})
	got := decoded[view.Suggestions](t, r.does(t, ask{path: "/v1/suggestions?source=forms", token: readToken}, 200))
	if len(got.Sources) != 1 || got.Events != 60 || got.Sources[0].Events != 60 {
		t.Fatalf("%+v", got)
	}
	var lines []string
	for _, role := range got.Sources[0].Roles {
		lines = append(lines, role.Path+": "+role.Line+" "+role.Example)
	}
	if diff := cmp.Diff([]string{`sources.forms.roles: "mail": email j***@e***.com`, `sources.forms.roles: "why": feedback <i** s**=x o******=a****(*)> f** t** ***…`}, lines); diff != "" {
		t.Error(diff)
	}
	if len(got.Rules) != 1 || got.Rules[0].Name != "silent" || got.Rules[0].Asked != 60 || len(got.Rules[0].Parts) != 2 || len(got.Rules[0].Hints) != 2 {
		t.Errorf("%+v", got.Rules)
	}
	all := decoded[view.Suggestions](t, r.does(t, ask{path: "/v1/suggestions", token: readToken}, 200))
	if len(all.Sources) != 2 || len(all.Sources[0].Roles) != 2 || all.Sources[1].Source != "others" || all.Sources[1].Events != 0 {
		t.Errorf("%+v", all)
	}
	if diff := cmp.Diff(got.Rules, all.Rules); diff != "" {
		t.Error(diff)
	}
	r.does(t, ask{path: "/v1/suggestions?source=form", token: readToken}, 404, "did you mean `forms`")
	r.does(t, ask{path: "/v1/suggestions", token: publishToken}, 403)
	r.does(t, ask{path: "/v1/suggestions", token: acmeToken}, 200, `"events":0,"sources":[]`)
}

// For a source that a document defines, the YAML is a part of that document.
func TestSuggestionsForADocument(t *testing.T) {
	t.Parallel()
	r := suggestRig(t, 0)
	const spec = `{"profile": "surveyjs", "secrets": ["0123456789-0123456789-0123456789"], "roles": {"other": "respondent.id"}}`
	r.keep(t, "default", config.Document{Name: "source/mine", Spec: []byte(spec)})
	for i := range 6 {
		r.does(t, ask{
			method: "POST", path: "/in/mine", header: map[string]string{"X-Surveygate-Token": "0123456789-0123456789-0123456789"},
			body: fmt.Sprintf(`{"id": "r%d", "surveyId": "s1", "data": {"mail": "jo%d@example.com"}}`, i, i),
		}, 200)
	}
	got := decoded[view.Suggestions](t, r.does(t, ask{path: "/v1/suggestions?source=mine", token: readToken}, 200)).Sources[0]
	if got.YAML != "roles:\n  \"mail\": email\n  \"other\": respondent.id\n" || got.Where != "in the document source/mine, in place of its `roles`" {
		t.Errorf("%s:\n%s", got.Where, got.YAML)
	}
}

// The page looks when it is told to, shows the YAML to copy, and is no markup of a respondent.
func TestSuggestionsPage(t *testing.T) {
	t.Parallel()
	r := suggestRig(t, 60)
	r.keep(t, "default", config.Document{Name: "rule/silent", Spec: []byte(`{"when": "email == \"x\"", "send": ["alarms"]}`)})
	who := r.visitor(t, readToken)
	const one = "/console/t/default/sources/forms/suggestions"
	r.does(t, ask{path: "/console/t/default/sources/forms", header: who}, 200, `href="`+one+`?look=yes"`)
	lacks(t, r.does(t, ask{path: one, header: who}, 200, "were not looked at yet", `name="look" value="yes"`), "&#34;mail&#34;: email")
	got := r.does(t, ask{path: one + "?look=yes", header: who}, 200, "newest 60 events", "60 of 60 answers are e-mail addresses", "data-copy",
		"sources:\n  forms:\n    roles:\n      &#34;mail&#34;: email\n", `/rules/silent"`, "<code>email == &#34;x&#34;</code> was unknown in 60")
	noMarkup(t, got)
	lacks(t, got, "jo1@example.com")
	r.does(t, ask{path: "/console/t/default/sources/others/suggestions?look=yes", header: who}, 200, "newest 0 events", "No question to suggest")
	for _, query := range []string{"", "?look=yes"} {
		r.does(t, ask{path: "/console/t/default/sources/nothing/suggestions" + query, header: who}, 404, "no such source")
	}
}
