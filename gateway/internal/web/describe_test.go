package web

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/surveygate/surveygate/configs"
	"github.com/surveygate/surveygate/gateway/internal/web/openapi"
)

// The document is valid OpenAPI 3.1, and has all routes and nothing else. Each operation has what clients are made of.
func TestDescription(t *testing.T) {
	t.Parallel()
	loaded, err := openapi3.NewLoader().LoadFromData(configs.OpenAPI)
	if err != nil {
		t.Fatal(err)
	}
	if err := loaded.Validate(t.Context(), openapi3.IsOpenAPI31OrLater()); err != nil {
		t.Error(err)
	}
	d := described()
	routes := map[string]bool{}
	for _, r := range Routes() {
		routes[strings.ToLower(r.Method)+" "+openapi.Path(r.Path)] = true
	}
	ids := map[string]bool{}
	paths := d.document.Object("paths")
	for _, path := range paths.Names() {
		for _, method := range paths.Object(path).Names() {
			if !routes[method+" "+path] {
				t.Errorf("%s %s is described and is no route: go run ./cmd/docgen", method, path)
			}
			delete(routes, method+" "+path)
			o := paths.Object(path).Object(method)
			id := o.Text("operationId")
			if id == "" || ids[id] || o.Text("summary") == "" || len(o.List("tags")) != 1 || len(o.List("security")) == 0 {
				t.Errorf("%s %s: its operationId (%s), summary, tags or security is missing or not its own", method, path, id)
			}
			ids[id] = true
			for _, status := range []string{"401", "403", "404", "429", "503"} {
				if o.Object("responses").Object(status) == nil {
					t.Errorf("%s %s has no answer %s", method, path, status)
				}
			}
			if !slices.ContainsFunc(o.Object("responses").Names(), func(status string) bool { return status < "400" }) {
				t.Errorf("%s %s always fails", method, path)
			}
			d.examplesHold(t, method, path)
			if body := o.Object("requestBody").Object("content").Object("application/json"); body != nil && body.Value("examples") == nil {
				t.Errorf("%s %s shows no body", method, path)
			}
		}
	}
	for missing := range routes {
		t.Errorf("%s is not described: go run ./cmd/docgen", missing)
	}
	for _, name := range d.document.Object("components").Object("schemas").Names() {
		if _, err := d.schema("/components/schemas/" + escaped(name)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The description is one that generators of clients understand: an object without declared properties may have any, since they take it
// for an empty one, no property has a default, since they take one for always there, and each group of operations says what it is.
func TestDescriptionIsForGenerators(t *testing.T) {
	t.Parallel()
	d := described()
	var walk func(at string, value any)
	walk = func(at string, value any) {
		switch v := value.(type) {
		case []any:
			for i, each := range v {
				walk(fmt.Sprintf("%s/%d", at, i), each)
			}
		case *openapi.Object:
			isObject := v.Text("type") == "object" || slices.Contains(v.List("type"), any("object"))
			if isObject && v.Value("properties") == nil && v.Value("additionalProperties") == nil {
				t.Errorf("%s is an object without properties", at)
			}
			for _, name := range v.Object("properties").Names() {
				if v.Object("properties").Object(name).Value("default") != nil {
					t.Errorf("%s/%s has a default", at, name)
				}
			}
			for _, name := range v.Names() {
				if name != "examples" {
					walk(at+"/"+name, v.Value(name))
				}
			}
		}
	}
	walk("", d.document)
	for _, tag := range d.document.List("tags") {
		if tag.(*openapi.Object).Text("description") == "" {
			t.Errorf("the tag %s has no description", tag.(*openapi.Object).Text("name"))
		}
	}
	if d.document.Object("info").Object("license") == nil {
		t.Error("no license is named")
	}
}

// Settings that are a text or something else have both forms.
func TestDescriptionHasBothForms(t *testing.T) {
	t.Parallel()
	d := described()
	for _, c := range []struct {
		schema, body string
		fits         bool
	}{
		{"WebhookDocument", `{"url":"https://hook.example.com/in","body":"event"}`, true},
		{"WebhookDocument", `{"url":"https://hook.example.com/in","body":{"id":"response.id"}}`, true},
		{"WebhookDocument", `{"url":"https://hook.example.com/in","body":[]}`, false},
		{"SlackSettings", `{"blocks":[{"type":"'section'"}]}`, true},
		{"SlackSettings", `{"blocks":"[]"}`, true},
		{"SlackSettings", `{"blocks":[1]}`, false},
	} {
		if fault := d.schemaFault("/components/schemas/"+c.schema, []byte(c.body)); (fault == "") != c.fits {
			t.Errorf("%s %s: %q", c.schema, c.body, fault)
		}
	}
}

// examplesHold holds the examples of one operation against its schemas.
func (d *description) examplesHold(t *testing.T, method, path string) {
	t.Helper()
	o := d.document.Object("paths").Object(path).Object(method)
	at := "/paths/" + escaped(path) + "/" + method
	check := func(at string, content *openapi.Object) {
		for _, media := range content.Names() {
			example, ok := content.Object(media).Object("examples").Object("page").Value("value").(*openapi.Object)
			if !ok {
				continue
			}
			text, err := example.Indented()
			if err != nil {
				t.Error(err)
			}
			if fault := d.bodyFault(at, media, text); fault != "" {
				t.Errorf("%s %s: an example of gateway/API.md is not as the schema says: %s\n%s", method, path, fault, text)
			}
		}
	}
	check(at+"/requestBody", o.Object("requestBody").Object("content"))
	for _, status := range o.Object("responses").Names() {
		check(at+"/responses/"+status, o.Object("responses").Object(status).Object("content"))
	}
}
