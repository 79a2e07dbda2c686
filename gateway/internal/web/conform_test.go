package web

import (
	"bytes"
	"encoding/json"
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
	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/openapi"
	"github.com/surveygate/surveygate/gateway/internal/web/route"
	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/jsonpath"
)

// conform is a transport that holds every request and every answer of a test against configs/openapi.json:
//   - an answer has a status, headers, a Content-Type and a body that the document has for its operation,
//   - a request that the document does not allow is refused,
//   - a header that changes what a request does is sent only where the document has it,
//   - an answer to the session of a portal link names no file of the configuration.
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
	if err != nil {
		return nil, err
	}
	if strings.HasPrefix(res.Header.Get("Content-Type"), "text/event-stream") { // its body has no end
		described().holds(c.t, req, sent, res, nil)
		return res, nil
	}
	got, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	_ = res.Body.Close()
	res.Body = io.NopCloser(bytes.NewReader(got))
	described().holds(c.t, req, sent, res, got)
	if cookies := req.Header.Get("Cookie"); strings.Contains(cookies, "sg-portal=") && !strings.Contains(cookies, "sg=") && namesFile.Match(got) {
		c.t.Errorf("%s %s: the answer to a portal session names a file: %.2000s", req.Method, req.URL.RequestURI(), got)
	}
	return res, nil
}

var namesFile = regexp.MustCompile(`\.ya?ml\b`)

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
	if fault := d.headersFault(operation, req.Header); fault != "" {
		t.Errorf("%s: %s", asked, fault)
	}
	if fault := d.answerFault(operation, at, res, got); fault != "" {
		t.Errorf("%s: the answer is not as configs/openapi.json says: %s\n%d %.2000s", asked, fault, res.StatusCode, got)
	}
	if bytes.Contains(got, []byte(config.StorePrefix)) {
		t.Errorf("%s: the answer names the place of a document in the store as if it were a file:\n%.2000s", asked, got)
	}
	if path == "/v1/events" && method == "post" && res.StatusCode == http.StatusOK {
		if fault := d.publishFault(t, operation, at, req, sent, got); fault != "" {
			t.Errorf("%s: configs/openapi.json does not allow what was accepted: %s\n%.2000s", asked, fault, sent)
		}
	} else if fault := d.requestFault(operation, at, req, sent); fault != "" && (res.StatusCode < 400 || res.StatusCode >= 500) {
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
		answer = openapi.Resolve(d.document, answer)
	}
	if fault := d.answerHeadersFault(answer, res.Header); fault != "" {
		return fault
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
	if fault := d.parametersFault(operation, req.URL.Query()); fault != "" {
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
	media := content.Names()[0] // whatever its Content-Type: curl says that every body is a form
	if len(content.Names()) > 1 {
		if media, _, _ = strings.Cut(req.Header.Get("Content-Type"), ";"); content.Object(media) == nil {
			return ""
		}
	}
	return d.bodyFault(at+"/requestBody", media, sent)
}

// publishFault holds each event that was accepted against the schema of its form.
func (d *description) publishFault(t testing.TB, operation *openapi.Object, at string, req *http.Request, sent, got []byte) string {
	if fault := d.parametersFault(operation, req.URL.Query()); fault != "" || req.URL.Query().Get("source") != "" {
		return fault
	}
	media, _, _ := strings.Cut(strings.ToLower(req.Header.Get("Content-Type")), ";")
	var schema string
	switch {
	case strings.HasPrefix(media, "application/cloudevents"):
		schema = "CloudEvent"
	case req.Header.Get("ce-specversion") != "":
		media, schema = "application/json", "PublishedData"
	case operation.Object("requestBody").Object("content").Object(media) == nil:
		media = "application/json"
	}
	var items []json.RawMessage
	sent = jsonpath.TrimBOM(sent)
	switch {
	case (schema == "PublishedData" || media == "application/cloudevents+json") && json.Valid(sent): // one event, or its data
		items = []json.RawMessage{sent}
	case media != "application/x-ndjson" && json.Unmarshal(sent, &items) == nil && items != nil:
	case json.Valid(sent):
		items = []json.RawMessage{sent}
	case len(sent) > 0:
		media = "application/x-ndjson"
		for line := range bytes.Lines(sent) {
			if line = bytes.TrimSpace(jsonpath.TrimBOM(line)); len(line) > 0 {
				items = append(items, line)
			}
		}
	}
	var answer view.Results
	if err := json.Unmarshal(got, &answer); err != nil {
		return err.Error()
	}
	if len(answer.Results) != len(items) { // of a line that is a list, or null, the result is an error
		if len(sent) > 0 && slices.ContainsFunc(answer.Results, func(r view.Result) bool { return r.Error == nil }) {
			return fmt.Sprintf("%d events have %d results", len(items), len(answer.Results))
		}
		return ""
	}
	whole := len(sent) > 0 // all of them were accepted
	for i, item := range items {
		if answer.Results[i].Error != nil {
			whole = false
			continue
		}
		each := schema
		if each == "" {
			each = "PublishedEvent"
			var members map[string]json.RawMessage
			if json.Unmarshal(item, &members) == nil && members["specversion"] != nil {
				each = "CloudEvent"
			}
		}
		if fault := d.schemaFault("/components/schemas/"+each, asDescribed(t, item)); fault != "" {
			return fmt.Sprintf("event %d: %s", i, fault)
		}
	}
	if whole {
		return d.bodyFault(at+"/requestBody", media, asDescribed(t, sent))
	}
	return ""
}

// asDescribed writes ids and numbers of events in the form of the document. The server reads an id that is a number, and a number that
// is a text.
func asDescribed(t testing.TB, body []byte) []byte {
	t.Helper()
	isID, isNumber := map[string]bool{"id": true, "question_id": true}, map[string]bool{}
	for _, f := range event.Fields() {
		name := f.Path[strings.LastIndexByte(f.Path, '.')+1:]
		isID[name] = isID[name] || f.Identifier
		isNumber[name] = isNumber[name] || f.Kind == event.Number
	}
	for name, path := range event.Shortcuts {
		isNumber[name] = isNumber[path[strings.LastIndexByte(path, '.')+1:]]
	}
	var walk func(value any)
	walk = func(value any) {
		switch v := value.(type) {
		case []any:
			for _, each := range v {
				walk(each)
			}
		case map[string]any:
			for name, each := range v {
				number, ofNumber := each.(json.Number)
				text, ofText := each.(string)
				switch {
				case isID[name] && ofNumber:
					v[name] = number.String()
				case isNumber[name] && ofText && strings.TrimSpace(text) == "":
					v[name] = nil
				case isNumber[name] && ofText && jsonpath.IsNumber([]byte(strings.TrimSpace(text))):
					v[name] = json.Number(strings.TrimSpace(text))
				default:
					walk(each)
				}
			}
		}
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(jsonpath.TrimBOM(body)))
	if err != nil {
		return body // of lines
	}
	walk(value)
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func (d *description) parametersFault(operation *openapi.Object, query url.Values) string {
	known := map[string]*openapi.Object{}
	for _, each := range operation.List("parameters") {
		if p := openapi.Resolve(d.document, each.(*openapi.Object)); p.Text("in") == "query" {
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
		if err := textFault(schema, values[0]); err != nil {
			return fmt.Sprintf("parameter `%s`: %v", name, err)
		}
	}
	return ""
}

// textFault holds a text of a query or a header against its schema.
func textFault(schema *openapi.Object, text string) error {
	words, pattern, only := schema.List("enum"), schema.Text("pattern"), schema.Text("const")
	switch {
	case schema.Text("type") == "boolean":
		if text != "true" && text != "false" {
			return fmt.Errorf("%q", text)
		}
	case schema.Text("type") == "integer":
		_, err := strconv.Atoi(text)
		return err
	case only != "" && text != only:
		return fmt.Errorf("%q is not %q", text, only)
	case words != nil && !slices.Contains(words, any(text)):
		return fmt.Errorf("%q is none of %v", text, words)
	case pattern != "" && !regexp.MustCompile(pattern).MatchString(text):
		return fmt.Errorf("%q does not match %s", text, pattern)
	}
	return nil
}

// counted are the headers of requests that change what an operation does. Browsers send Sec-Fetch-Site with every request.
var counted = []string{"If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since", "Idempotency-Key"}

// headersFault holds the headers of a request against the parameters of its operation.
func (d *description) headersFault(operation *openapi.Object, sent http.Header) string {
	for _, name := range counted {
		known := slices.ContainsFunc(operation.List("parameters"), func(each any) bool {
			p := openapi.Resolve(d.document, each.(*openapi.Object))
			return p.Text("in") == "header" && p.Text("name") == name
		})
		if sent.Get(name) != "" && !known {
			return name + " is sent, and configs/openapi.json does not have it here: set Conditional or Once of the route, or do not send it"
		}
	}
	return ""
}

// transport are the headers that every server answers, which the document leaves out.
var transport = []string{"Cache-Control", "Connection", "Content-Length", "Content-Type", "Date", "Server", "Transfer-Encoding", "Vary", "X-Accel-Buffering"}

// answerHeadersFault holds the headers of an answer against the document.
func (d *description) answerHeadersFault(answer *openapi.Object, got http.Header) string {
	headers := answer.Object("headers")
	for name := range got {
		known := slices.ContainsFunc(headers.Names(), func(each string) bool { return http.CanonicalHeaderKey(each) == name })
		if !known && !slices.Contains(transport, name) {
			return "the header " + name + ": " + got.Get(name) + " is not declared: see headersOf in package openapi"
		}
	}
	for _, name := range headers.Names() {
		header := openapi.Resolve(d.document, headers.Object(name))
		value := got.Get(name)
		if required, _ := header.Value("required").(bool); required && value == "" {
			return "the header " + name + " is missing"
		}
		if fault := textFault(header.Object("schema"), value); value != "" && fault != nil {
			return fmt.Sprintf("the header %s: %v", name, fault)
		}
	}
	return ""
}

// bodyFault holds a body against the schema of a media type.
func (d *description) bodyFault(at, media string, body []byte) string {
	if !strings.HasSuffix(media, "json") || strings.Contains(media, "ndjson") {
		return ""
	}
	return d.schemaFault(at+"/content/"+escaped(media)+"/schema", body)
}

// schemaFault holds JSON against a schema of the document.
func (d *description) schemaFault(pointer string, text []byte) string {
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(jsonpath.TrimBOM(text)))
	if err != nil {
		return "the body is not JSON: " + err.Error()
	}
	schema, err := d.schema(pointer)
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

// What a handler answers beside its declaration is found.
func TestConformFinds(t *testing.T) {
	t.Parallel()
	d := described()
	header := func(pairs ...string) http.Header {
		h := http.Header{"X-Request-Id": {"req_1"}, "Content-Type": {"application/json"}}
		for i := 0; i < len(pairs); i += 2 {
			h.Set(pairs[i], pairs[i+1])
		}
		return h
	}
	refusal := `{"status":429,"detail":[{"msg":"m","type":"rate_limited"}],"request_id":"req_1"}`
	for _, c := range []struct {
		path, method string
		status       int
		header       http.Header
		body, fault  string
	}{
		{"/v1/tokens", "get", 429, header("Retry-After", "1"), refusal, ""},
		{"/v1/tokens", "get", 429, header(), refusal, "Retry-After is missing"},
		{"/v1/tokens", "get", 429, header("Retry-After", "soon"), refusal, "Retry-After"},
		{"/v1/tokens", "get", 429, header("Retry-After", "1", "ETag", `"1"`), refusal, "Etag"},
		{"/v1/tokens", "get", 200, header("ETag", `"1"`), `{"data":[],"next":null}`, "Etag"},
		{"/v1/tokens", "get", 200, http.Header{"Content-Type": {"application/json"}}, `{"data":[],"next":null}`, "X-Request-Id is missing"},
		{"/v1/webhooks", "post", 201, header("Location", "/v1/webhooks/x"), `{}`, "ETag is missing"},
		{"/v1/webhooks", "post", 201, header("ETag", `"1"`), `{}`, "Location is missing"},
		{"/v1/webhooks/{name}", "get", 200, header("ETag", "1"), `{}`, "ETag"},
		{"/v1/webhooks/{name}", "get", 304, header(), ``, "no answer 304"},
		{"/v1/webhooks", "get", 200, header("Set-Cookie", "a=b"), `{"data":[],"next":null}`, "Set-Cookie"},
		{"/department/{department}/webhook", "get", 200, header(), `{}`, "missing properties"},
	} {
		operation := d.document.Object("paths").Object(c.path).Object(c.method)
		got := d.answerFault(operation, "/paths/"+escaped(c.path)+"/"+c.method, &http.Response{StatusCode: c.status, Header: c.header}, []byte(c.body))
		if c.fault == "" && got != "" || !strings.Contains(got, c.fault) {
			t.Errorf("%s %s, %d with %v: %q, want %q", c.method, c.path, c.status, c.header, got, c.fault)
		}
	}
	for _, c := range []struct{ path, method, header, fault string }{
		{"/v1/tenants/{id}", "put", "If-Match", ""},
		{"/v1/tenants/{id}", "put", "If-None-Match", ""},
		{"/v1/webhooks", "post", "Idempotency-Key", ""},
		{"/v1/webhooks", "post", "If-Match", "If-Match is sent"},
		{"/v1/tenants/{id}", "get", "If-None-Match", "If-None-Match is sent"},
		{"/v1/tokens", "post", "Idempotency-Key", "Idempotency-Key is sent"},
	} {
		operation := d.document.Object("paths").Object(c.path).Object(c.method)
		if got := d.headersFault(operation, http.Header{c.header: {"x"}}); (got == "") != (c.fault == "") || !strings.Contains(got, c.fault) {
			t.Errorf("%s %s with %s: %q, want %q", c.method, c.path, c.header, got, c.fault)
		}
	}
	accepted := `{"results":[{"id":"x","status":"accepted"}]}`
	for _, c := range []struct{ media, ce, body, answer, fault string }{
		{"application/json", "", `{"type":"test","nps_score":"9","survey":{"id":7}}`, accepted, ""},
		{"application/json", "", `{"type":"test","nps_score":[9]}`, accepted, "nps_score"},
		{"text/plain", "", `[{"type":"test","feedbak":"x"}]`, accepted, "feedbak"},
		{"application/json", "", `[{"type":"test","feedbak":"x"}]`, `{"results":[{"status":"invalid","error":{"msg":"m","type":"t"}}]}`, ""},
		{"application/json", "", `{"type":"test","notice":{"act":"x"}}`, accepted, "notice"},
		{"application/x-ndjson", "", "\n{\"type\":\"nonsense\"}\n", accepted, "type"},
		{"application/cloudevents+json", "", `{"type":"test"}`, accepted, "specversion"},
		{"application/cloudevents-batch+json; charset=utf-8", "", `[{"specversion":"1.0","id":"a","source":"b","type":"test","data":{"feedbak":"x"}}]`, accepted, "feedbak"},
		{"application/json", "1.0", `{"feedback":"x"}`, accepted, ""},
		{"application/json", "1.0", `{"feedback":7}`, accepted, "feedback"},
		{"application/json", "", `[]`, accepted, "0 events have 1 results"},
	} {
		operation := d.document.Object("paths").Object("/v1/events").Object("post")
		req, err := http.NewRequest(http.MethodPost, "http://gateway/v1/events", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", c.media)
		req.Header.Set("ce-specversion", c.ce)
		if got := d.publishFault(t, operation, "/paths/~1v1~1events/post", req, []byte(c.body), []byte(c.answer)); (got == "") != (c.fault == "") || !strings.Contains(got, c.fault) {
			t.Errorf("%s as %s: %q, want %q", c.body, c.media, got, c.fault)
		}
	}
	for path, want := range map[string]string{"/department/a/webhook/": "/department/{department}/webhook", "/department/a/webhook": "/department/{department}/webhook", "/v1/tokens/": "/v1/tokens"} {
		if got := d.paths.Of(path); got != want {
			t.Errorf("%s is %q, want %q", path, got, want)
		}
	}
}
