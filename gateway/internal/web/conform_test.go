package web

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/surveygate/surveygate/configs"
	"github.com/surveygate/surveygate/gateway/internal/web/openapi"
	"github.com/surveygate/surveygate/gateway/internal/web/route"
)

// conform is a transport that holds every request and every answer of a test against configs/openapi.json:
//   - an answer has a status, a Content-Type and a body that the document has for its operation,
//   - a request that the document does not allow is refused.
//
// It uses compiled schemas, because kin-openapi compiles each schema again for each body.
type conform struct {
	t    testing.TB
	next http.RoundTripper
}

func (c conform) RoundTrip(req *http.Request) (*http.Response, error) {
	var sent []byte
	if req.Body != nil {
		var err error
		if sent, err = io.ReadAll(req.Body); err != nil {
			return nil, err
		}
		_ = req.Body.Close()
		req.Body = io.NopCloser(bytes.NewReader(sent))
	}
	res, err := c.next.RoundTrip(req)
	if err != nil || strings.HasPrefix(res.Header.Get("Content-Type"), "text/event-stream") {
		return res, err
	}
	got, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	_ = res.Body.Close()
	res.Body = io.NopCloser(bytes.NewReader(got))
	described().holds(c.t, req, sent, res, got)
	return res, nil
}

// description is the document as tests use it.
type description struct {
	document *openapi.Object
	paths    openapi.Paths
	compiler *jsonschema.Compiler
	mu       sync.Mutex
	schemas  map[string]*jsonschema.Schema // by JSON pointer
}

const documentURL = "https://gateway/openapi.json"

var described = sync.OnceValue(func() *description {
	document, err := openapi.Parse(configs.OpenAPI)
	if err != nil {
		panic(err)
	}
	plain, err := jsonschema.UnmarshalJSON(bytes.NewReader(configs.OpenAPI))
	if err != nil {
		panic(err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	if err := compiler.AddResource(documentURL, plain); err != nil {
		panic(err)
	}
	return &description{
		document: document, paths: openapi.NewPaths(Routes()), compiler: compiler, schemas: map[string]*jsonschema.Schema{},
	}
})

// holds checks one request and its answer.
func (d *description) holds(t testing.TB, req *http.Request, sent []byte, res *http.Response, got []byte) {
	t.Helper()
	path := d.paths.Of(req.URL.EscapedPath())
	method := strings.ToLower(req.Method)
	if method == "head" {
		return
	}
	asked := req.Method + " " + req.URL.RequestURI()
	operation := d.document.Object("paths").Object(path).Object(method)
	if operation == nil {
		if path != "" && slices.ContainsFunc(Routes(), func(r route.Route) bool { return r.Method == req.Method && openapi.Path(r.Path) == path }) {
			t.Errorf("%s: configs/openapi.json lacks this route: go run ./cmd/docgen", asked)
		} else if strings.HasPrefix(req.URL.Path, "/v1/") && res.StatusCode < http.StatusBadRequest {
			t.Errorf("%s: answered %d, and no route is declared for it", asked, res.StatusCode)
		}
		return
	}
	at := "/paths/" + escaped(path) + "/" + method
	if fault := d.answerFault(operation, at, res, got); fault != "" {
		t.Errorf("%s: the answer is not as configs/openapi.json says: %s\n%d %.2000s", asked, fault, res.StatusCode, got)
	}
	if fault := d.requestFault(operation, at, req, sent); fault != "" && (res.StatusCode < 400 || res.StatusCode >= 500) {
		t.Errorf("%s: configs/openapi.json does not allow this request, which is answered %d: %s\n%.2000s", asked, res.StatusCode, fault, sent)
	}
}

func (d *description) answerFault(operation *openapi.Object, at string, res *http.Response, got []byte) string {
	status := strconv.Itoa(res.StatusCode)
	answer := operation.Object("responses").Object(status)
	if answer == nil {
		return "no answer " + status + " is declared: set Status or Statuses of its route"
	}
	at += "/responses/" + status
	if ref, ok := strings.CutPrefix(answer.Text("$ref"), "#"); ok {
		at = ref
		answer = d.document.Object("components").Object("responses").Object(ref[strings.LastIndexByte(ref, '/')+1:])
	}
	content := answer.Object("content")
	if content == nil {
		if len(got) > 0 {
			return "it has a body: set Out of its route"
		}
		return ""
	}
	media, _, _ := strings.Cut(res.Header.Get("Content-Type"), ";")
	if content.Object(media) == nil {
		return fmt.Sprintf("Content-Type %q is not declared: set Out of its route to a route.Media", media)
	}
	return d.bodyFault(at, media, got)
}

func (d *description) requestFault(operation *openapi.Object, at string, req *http.Request, sent []byte) string {
	if fault := parametersFault(operation, req.URL.Query()); fault != "" {
		return fault
	}
	body := operation.Object("requestBody")
	content := body.Object("content")
	if content == nil { // a body is read and ignored
		return ""
	}
	if required, _ := operation.Object("requestBody").Value("required").(bool); !required && len(sent) == 0 {
		return ""
	}
	if len(content.Names()) > 1 { // the server finds out by the body which form it has, whatever its Content-Type
		return ""
	}
	media := content.Names()[0] // whatever its Content-Type: curl says that every body is a form
	return d.bodyFault(at+"/requestBody", media, sent)
}

func parametersFault(operation *openapi.Object, query url.Values) string {
	known := map[string]*openapi.Object{}
	for _, each := range operation.List("parameters") {
		if p := each.(*openapi.Object); p.Text("in") == "query" {
			known[p.Text("name")] = p.Object("schema")
		}
	}
	for name, values := range query {
		schema := known[name]
		if schema == nil {
			return "no parameter `" + name + "` is declared"
		}
		if values[0] == "" {
			continue // as if it were absent
		}
		var err error
		words, pattern := schema.List("enum"), schema.Text("pattern")
		switch {
		case schema.Text("type") == "boolean":
			if values[0] != "true" && values[0] != "false" {
				err = fmt.Errorf("%q", values[0])
			}
		case schema.Text("type") == "integer":
			_, err = strconv.Atoi(values[0])
		case words != nil && !slices.Contains(words, any(values[0])):
			err = fmt.Errorf("%q is none of %v", values[0], words)
		case pattern != "":
			if !regexp.MustCompile(pattern).MatchString(values[0]) {
				err = fmt.Errorf("%q does not match %s", values[0], pattern)
			}
		}
		if err != nil {
			return fmt.Sprintf("parameter `%s`: %v", name, err)
		}
	}
	return ""
}

// bodyFault holds a body against the schema of a media type.
func (d *description) bodyFault(at, media string, body []byte) string {
	if !strings.HasSuffix(media, "json") || strings.Contains(media, "ndjson") {
		return ""
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		return "the body is not JSON: " + err.Error()
	}
	schema, err := d.schema(at + "/content/" + escaped(media) + "/schema")
	if err != nil {
		return err.Error()
	}
	if err := schema.Validate(value); err != nil {
		return err.Error()
	}
	return ""
}

func (d *description) schema(pointer string) (*jsonschema.Schema, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if s := d.schemas[pointer]; s != nil {
		return s, nil
	}
	s, err := d.compiler.Compile(documentURL + "#" + pointer)
	d.schemas[pointer] = s
	return s, err
}

// escaped is a part of a JSON pointer in a URL.
func escaped(part string) string {
	return url.PathEscape(strings.NewReplacer("~", "~0", "/", "~1").Replace(part))
}
