// Package openapi derives the description of the API, an OpenAPI 3.1 document, from the table of routes, the types of their
// bodies with their comments, the schema of the configuration, and the examples of the API's page.
package openapi

import (
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/route"
)

// Comments reads the source of the types.
type Comments interface {
	// Type returns the comment of a type, Field that of a struct's field; empty without one.
	Type(t reflect.Type) string
	Field(owner reflect.Type, field string) string
	// Words returns the constants of a type of texts.
	Words(t reflect.Type) []string
}

// Options are what a document is derived from; all are required.
type Options struct {
	Routes   []route.Route
	Comments Comments
	// Configuration is the schema of the configuration, configs/schema.json.
	Configuration []byte
	// Page is gateway/API.md, whose requests are the examples.
	Page []byte
}

// deriver holds the schemas that the operations refer to.
type deriver struct {
	comments      Comments
	configuration *Object
	examples      map[string][]Example
	schemas       map[string]*Object
	types         map[string]reflect.Type
	// reading: schemas of requests are made, in which null stands for what is absent.
	reading bool
	faults  []error
}

const intro = "The HTTP API of surveygate: publish survey events, ask what became of them and why, and set where they are sent.\n\n" +
	"**Authentication.** `Authorization: Bearer TOKEN`. Each operation names the scope that its token needs. A token acts in its own tenant; one of all " +
	"tenants names another than `default` with `?tenant=NAME`. What belongs to another tenant is answered 404.\n\n" +
	"**Bodies** are JSON. A field or a parameter that is not known is refused.\n\n" +
	"**Lists** are `{\"data\": […], \"next\": cursor or null}`: pass `next` as `cursor` to get the next page. `limit` is 50 by default, and at most 200.\n\n" +
	"**Errors** are `{\"status\", \"detail\": [{\"msg\", \"type\", \"loc\"}], \"request_id\"}`. `loc` is the path of the value, or the parameter, that is refused.\n\n" +
	"**Versions.** Settings and tenants have an `ETag`. A write with it as `If-Match` is answered 412 if somebody else has written in between: read again, and repeat the " +
	"change. Without `If-Match` the last writer wins.\n\n" +
	"**Repeating.** A `PUT` can be repeated as it is. Where a `POST` takes an `Idempotency-Key`, the same request with the same key gets the first answer for 24 hours.\n\n" +
	"**Rates.** A token may make 50 requests a second that read (200 at once) and 10 that change something (50 at once). Above it, the answer is 429: wait the seconds of " +
	"`Retry-After`. `RateLimit-Remaining` says what is left.\n\n" +
	"**Jobs.** What takes longer is answered 202 with a job: ask `GET /v1/replays/{id}`, `GET /v1/drops/{id}` or `GET /v1/erasures/{id}`, or for the deletion of a tenant `GET /v1/jobs/{id}`, until its `state` is " +
	"`done`, `failed` or `cancelled`."

// Derive returns the document. The error names all that a declaration lacks, and what to write.
func Derive(o Options) (*Object, error) {
	configuration, err := Parse(o.Configuration)
	if err != nil {
		return nil, fmt.Errorf("schema of the configuration: %w", err)
	}
	d := &deriver{
		comments: o.Comments, configuration: configuration, examples: examplesOf(o.Page, NewPaths(o.Routes)),
		schemas: map[string]*Object{}, types: map[string]reflect.Type{},
	}
	paths, used := &Object{}, &Object{}
	ids := map[string]string{}
	for i := range o.Routes {
		r := &o.Routes[i]
		path := Path(r.Path)
		if paths.Object(path) == nil {
			paths.set(path, &Object{})
		}
		operation := d.operation(r)
		id := operation.Text("operationId")
		if other, taken := ids[id]; taken {
			d.fault("%s %s and %s have the operationId %s: give one an ID in its route", r.Method, r.Path, other, id)
		}
		ids[id] = r.Method + " " + r.Path
		paths.Object(path).set(strings.ToLower(r.Method), operation)
		used.set(tagOf(r.Path), true)
	}
	d.typed(reflect.TypeFor[view.Problem]())
	tagList, unknown := tagsOf(used.Names())
	for _, name := range unknown {
		d.fault("say in `tags` of package openapi what /%s is", name)
	}
	schemas := &Object{}
	for _, name := range sorted(d.schemas) {
		schemas.set(name, d.schemas[name])
	}
	document := object(
		"openapi", "3.1.0",
		"info", object("title", "surveygate", "version", "1", "description", intro,
			"license", object("name", "Apache License 2.0", "identifier", "Apache-2.0")),
		"servers", []any{object("url", "/")},
		"tags", tagList,
		"paths", paths,
		"components", object(
			"securitySchemes", object("bearer", object("type", "http", "scheme", "bearer", "description",
				"A token. Each operation names the scope that it needs: "+strings.Join(access.Every.Names(), ", ")+"."), "session", sessions()),
			"parameters", requestHeaders(),
			"headers", answerHeaders(),
			"responses", refusals(o.Routes),
			"schemas", schemas,
		),
	)
	openObjects(document)
	return document, errors.Join(d.faults...)
}

// openObjects says of objects without declared properties that they may have any: generators of clients take them for empty ones.
func openObjects(of any) {
	switch v := of.(type) {
	case []any:
		for _, each := range v {
			openObjects(each)
		}
	case *Object:
		kinds, _ := v.Value("type").([]string)
		isObject := v.Text("type") == "object" || slices.Contains(kinds, "object") || slices.Contains(v.List("type"), any("object"))
		if isObject && v.Value("properties") == nil && v.Value("additionalProperties") == nil {
			v.set("additionalProperties", true)
		}
		for _, name := range v.Names() {
			if name != "examples" && name != "default" {
				openObjects(v.Value(name))
			}
		}
	}
}

func sorted[V any](m map[string]V) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

var segment = regexp.MustCompile(`:([a-z_]+)`)

// Path returns a route's path as the document has it: /v1/events/{id}. It has no slash at its end, which no route needs.
func Path(path string) string { return strings.TrimSuffix(segment.ReplaceAllString(path, "{$1}"), "/") }

func (d *deriver) operation(r *route.Route) *Object {
	id := operationID(r)
	o := object("operationId", id, "summary", capital(r.For), "tags", []string{tagOf(r.Path)})
	if r.For == "" {
		d.fault("%s %s: write in For what it is for", r.Method, r.Path)
	}
	scope := "It needs the scope `" + r.Scope.String() + "`"
	if r.Anyone {
		scope = "It needs no scope: every token may ask, and every session"
	}
	if r.Operator {
		scope += " of a token of all tenants"
	}
	if r.AllTenants {
		scope += "; a token of all tenants may ask with `tenant=*`"
	}
	o.set("description", scope+".")
	o.set("security", securityOf(r))
	if parameters := d.parameters(r); len(parameters) > 0 {
		o.set("parameters", parameters)
	}
	examples := d.examples[r.Method+" "+Path(r.Path)]
	if r.In != nil {
		d.reading = true
		content := d.content(r.In)
		d.reading = false
		if body := content.Object("application/json"); body != nil {
			d.exampleOf(r, examples, body)
		}
		_, optional := r.In.(route.Optional)
		o.set("requestBody", object("required", !optional, "content", content))
	}
	o.set("responses", d.responses(r, examples))
	if len(examples) > 0 {
		var samples []any
		for _, e := range examples {
			samples = append(samples, object("lang", "Shell", "source", e.Command))
		}
		o.set("x-codeSamples", samples)
	}
	return o
}

// exampleOf adds the example of a request: that of the API's page, or of `requests`.
func (d *deriver) exampleOf(r *route.Route, examples []Example, body *Object) {
	for _, e := range examples {
		if e.Body != nil {
			body.set("examples", object("page", object("value", e.Body)))
			return
		}
	}
	example, err := Parse([]byte(requests[r.Method+" "+Path(r.Path)]))
	if err != nil {
		d.fault("%s %s takes a body: show one on the API's page, or in `requests` of package openapi", r.Method, r.Path)
		return
	}
	body.set("examples", object("page", object("value", example)))
}

func capital(text string) string {
	if text == "" || text[0] == '`' {
		return text
	}
	return strings.ToUpper(text[:1]) + text[1:]
}

func (d *deriver) parameters(r *route.Route) []any {
	var all []any
	for _, match := range segment.FindAllStringSubmatch(r.Path, -1) {
		all = append(all, object("name", match[1], "in", "path", "required", true, "description", segmentFor(match[1], r), "schema", object("type", "string")))
	}
	declared, unknown := r.Parameters()
	for _, name := range unknown {
		d.fault("%s %s takes `%s`, which nothing declares: add it to `parameters` in gateway/internal/web/route/parameter.go", r.Method, r.Path, name)
	}
	for _, p := range declared {
		all = append(all, object("name", p.Name, "in", "query", "description", p.For, "schema", parameterSchema(&p)))
	}
	return append(all, headerParameters(r)...)
}

func segmentFor(name string, r *route.Route) string {
	if name == r.TenantIn {
		return "The name of the tenant."
	}
	before, _, _ := strings.Cut(r.Path, "/:"+name)
	what := singular(before[strings.LastIndexByte(before, '/')+1:])
	if name == "name" {
		return "The name of the " + what + "."
	}
	return "The id of the " + what + "."
}

func parameterSchema(p *route.Parameter) *Object {
	o := object("type", "string")
	switch p.Type {
	case route.Free:
	case route.Flag:
		return object("type", "boolean", "default", false)
	case route.Length:
		return object("type", "integer", "minimum", 1, "maximum", route.MaxLimit)
	case route.Word:
		o.set("enum", p.Words)
	case route.WordList:
		o = object("type", "string", "pattern", "^(("+strings.Join(p.Words, "|")+")(,|$))*$")
	case route.Moment:
		o.set("examples", []string{"24h", "7d", "2026-01-02T03:04:05Z"})
	}
	if p.Default != "" {
		o.set("default", p.Default)
	}
	return o
}

// content returns the forms of a body by their media types.
func (d *deriver) content(value any) *Object {
	if optional, ok := value.(route.Optional); ok {
		value = optional.Body
	}
	if patch, ok := value.(route.Patch); ok {
		value = route.Media{"application/json": patch, "application/merge-patch+json": patch}
	}
	media, ok := value.(route.Media)
	if !ok {
		return object("application/json", object("schema", d.schema(value)))
	}
	o := &Object{}
	names := sorted(media)
	slices.SortStableFunc(names, func(a, b string) int { return place(a) - place(b) })
	for _, name := range names {
		o.set(name, object("schema", d.schema(media[name])))
	}
	return o
}

// place puts JSON before the other media types, and what stands for any type behind them.
func place(media string) int {
	switch media {
	case "application/json":
		return 0
	case "*/*":
		return 2
	}
	return 1
}

// everyRefusal are the statuses of refusals that every route has. 413 and 431 are the server's own.
var everyRefusal = []int{
	http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusRequestEntityTooLarge,
	http.StatusUnprocessableEntity, http.StatusTooManyRequests, http.StatusRequestHeaderFieldsTooLarge, http.StatusInternalServerError, http.StatusServiceUnavailable,
}

func (d *deriver) responses(r *route.Route, examples []Example) *Object {
	status := r.Status
	if status == 0 {
		status = http.StatusOK
	}
	good, bad := []int{}, slices.Clone(everyRefusal)
	if status < http.StatusBadRequest {
		good = append(good, status)
	} else {
		bad = append(bad, status)
	}
	if r.Once || r.Method != http.MethodGet {
		bad = append(bad, http.StatusConflict)
	}
	if r.Conditional {
		bad = append(bad, http.StatusPreconditionFailed)
	}
	if status == http.StatusCreated && slices.Contains(r.Query, "dry_run") {
		good = append(good, http.StatusOK) // nothing is made
	}
	for _, s := range r.Statuses {
		if s < http.StatusBadRequest {
			good = append(good, s)
		} else {
			bad = append(bad, s)
		}
	}
	slices.Sort(good)
	slices.Sort(bad)
	o := &Object{}
	for _, s := range slices.Compact(good) {
		answer := object("description", http.StatusText(s), "headers", headersOf(r, s))
		switch {
		case s == http.StatusNoContent, s == http.StatusNotModified, s == http.StatusSeeOther:
		case r.Out == nil:
			d.fault("%s %s: set Out to a value of the type of its answer", r.Method, r.Path)
		default:
			content := d.content(r.Out)
			if body := content.Object("application/json"); body != nil {
				for _, e := range examples {
					if e.Answer != nil && e.Answer.Value("detail") == nil && body.Value("examples") == nil {
						body.set("examples", object("page", object("value", e.Answer)))
					}
				}
			}
			answer.set("content", content)
		}
		o.set(strconv.Itoa(s), answer)
	}
	for _, s := range slices.Compact(bad) {
		o.set(strconv.Itoa(s), object("$ref", "#/components/responses/"+refusalName(s)))
	}
	return o
}

func refusalName(status int) string {
	return strings.Map(func(r rune) rune {
		if r == ' ' || r == '-' || r == '\'' {
			return -1
		}
		return r
	}, http.StatusText(status))
}

// refusals are the answers of 400 and more, by name.
func refusals(routes []route.Route) *Object {
	all := append(slices.Clone(everyRefusal), http.StatusConflict, http.StatusPreconditionFailed)
	for i := range routes {
		all = append(all, routes[i].Statuses...)
		all = append(all, routes[i].Status)
	}
	slices.Sort(all)
	o := &Object{}
	for _, s := range slices.Compact(all) {
		if s < http.StatusBadRequest {
			continue
		}
		o.set(refusalName(s), object("description", whyRefused[s], "headers", headersOfRefusal(s),
			"content", object("application/json", object("schema", object("$ref", ref("Problem"))))))
		if whyRefused[s] == "" {
			o.Object(refusalName(s)).set("description", http.StatusText(s))
		}
	}
	return o
}

var whyRefused = map[int]string{
	http.StatusBadRequest:                  "The request cannot be read.",
	http.StatusUnauthorized:                "The token is missing, unknown, expired or deleted.",
	http.StatusForbidden:                   "The token lacks the scope or does not reach the tenant; or what is to be changed is defined in a file, locked by its owner, or above a limit of the tenant. `type` says which.",
	http.StatusNotFound:                    "The tenant has nothing of this name or id.",
	http.StatusConflict:                    "It is being changed by another request, is needed by something else, or is in a state that does not allow this.",
	http.StatusPreconditionFailed:          "`If-Match` or `If-None-Match` does not hold: another version is there, or none.",
	http.StatusRequestEntityTooLarge:       "The body is too large.",
	http.StatusUnsupportedMediaType:        "The `Content-Type` or the `Content-Encoding` of the body is not supported.",
	http.StatusUnprocessableEntity:         "A value or a parameter is not valid; `loc` leads to it.",
	http.StatusTooManyRequests:             "There were too many requests; `Retry-After` says how many seconds to wait.",
	http.StatusRequestHeaderFieldsTooLarge: "The headers are too large.",
	http.StatusInternalServerError:         "The gateway failed. Its log has details under the request id.",
	http.StatusServiceUnavailable:          "The gateway cannot do this at the moment; `Retry-After` says after how many seconds to repeat the request.",
}
