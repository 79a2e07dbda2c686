package docs

import (
	"fmt"
	"slices"
	"strings"

	"github.com/surveygate/surveygate/gateway/internal/web/openapi"
)

// page is one page: the overview, a resource with its operations, or the schemas.
type page struct {
	Path, Title string
	Intro       []string // paragraphs
	Menu        []link
	Operations  []operation
	Schemas     []schema
	// Overview lists the operations of all resources.
	Overview []overview
}

type link struct {
	To, Text string
	Here     bool
}

type overview struct {
	link
	For        string
	Operations []operation
}

type operation struct {
	ID, Method, Path, To, Summary, Description string
	Parameters                                 []field
	Bodies                                     []body
	Answers                                    []answerOf
	Samples                                    []string
}

type answerOf struct {
	Status, For string
	// Headers are those that say something of what is shown or made.
	Headers []string
	Bodies  []body
}

// body is one form of a body.
type body struct {
	Media   string
	Schema  schema
	Example string
}

// schema is a type: in a sentence, and its fields where it is an object of its own.
type schema struct {
	Name   string
	Type   []part
	For    string
	Fields []field
}

type field struct {
	Name, In string
	Type     []part
	Required bool
	For      string
}

// part is a piece of a sentence: plain, strong, code, or a link.
type part struct {
	Text, To     string
	Code, Strong bool
}

// parts splits a text at its backticks, and what is plain at the asterisks of what is strong.
func parts(text string) []part {
	var all []part
	for i, piece := range strings.Split(text, "`") {
		if i%2 == 1 {
			all = append(all, part{Text: piece, Code: true})
			continue
		}
		for j, plain := range strings.Split(piece, "**") {
			if plain != "" {
				all = append(all, part{Text: plain, Strong: j%2 == 1})
			}
		}
	}
	return all
}

// paragraphs splits a text at its empty lines.
func paragraphs(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n\n")
}

const schemasPath = "/docs/schemas"

// pagesOf returns all pages of a document.
func pagesOf(document *openapi.Object) []page {
	r := reader{document}
	byTag := map[string][]operation{}
	paths := document.Object("paths")
	for _, path := range paths.Names() {
		for _, method := range paths.Object(path).Names() {
			o := paths.Object(path).Object(method)
			tag := fmt.Sprint(o.List("tags")[0])
			byTag[tag] = append(byTag[tag], r.operation(path, method, tag, o))
		}
	}
	menu := func(here string) []link {
		all := []link{{"/docs", "overview", here == "/docs"}}
		for _, each := range document.List("tags") {
			tag := each.(*openapi.Object).Text("name")
			all = append(all, link{"/docs/" + tag, tag, here == "/docs/"+tag})
		}
		return append(all, link{schemasPath, "schemas", here == schemasPath})
	}
	first := page{Path: "/docs", Title: "The API of surveygate", Intro: paragraphs(document.Object("info").Text("description")), Menu: menu("/docs")}
	all := []page{}
	for _, each := range document.List("tags") {
		tag, about := each.(*openapi.Object).Text("name"), each.(*openapi.Object).Text("description")
		path := "/docs/" + tag
		// Those of the whole collection come before those of one item, and these before what belongs to it.
		slices.SortStableFunc(byTag[tag], func(a, b operation) int { return strings.Count(a.Path, "/") - strings.Count(b.Path, "/") })
		first.Overview = append(first.Overview, overview{link{To: path, Text: tag}, about, byTag[tag]})
		all = append(all, page{Path: path, Title: tag, Intro: paragraphs(about), Menu: menu(path), Operations: byTag[tag]})
	}
	last := page{Path: schemasPath, Title: "Schemas", Menu: menu(schemasPath)}
	schemas := document.Object("components").Object("schemas")
	for _, name := range schemas.Names() {
		s := r.schema(schemas.Object(name))
		s.Name = name
		last.Schemas = append(last.Schemas, s)
	}
	return append([]page{first}, append(all, last)...)
}

// reader makes pages of a document.
type reader struct{ document *openapi.Object }

func (r reader) operation(path, method, tag string, o *openapi.Object) operation {
	op := operation{
		ID: o.Text("operationId"), Method: strings.ToUpper(method), Path: path, Summary: o.Text("summary"), Description: o.Text("description"),
	}
	op.To = "/docs/" + tag + "#" + op.ID
	for _, each := range o.List("parameters") {
		p := openapi.Resolve(r.document, each.(*openapi.Object))
		required, _ := p.Value("required").(bool)
		op.Parameters = append(op.Parameters, field{
			Name: p.Text("name"), In: p.Text("in"), Type: r.typeOf(p.Object("schema")), Required: required, For: p.Text("description"),
		})
	}
	op.Bodies = r.bodies(o.Object("requestBody").Object("content"))
	answers := o.Object("responses")
	for _, status := range answers.Names() {
		a := answers.Object(status)
		if name, ok := strings.CutPrefix(a.Text("$ref"), "#/components/responses/"); ok {
			a = r.document.Object("components").Object("responses").Object(name)
			op.Answers = append(op.Answers, answerOf{Status: status, For: a.Text("description")})
			continue
		}
		var headers []string
		for _, name := range a.Object("headers").Names() {
			if name == "ETag" || name == "Location" {
				headers = append(headers, name)
			}
		}
		op.Answers = append(op.Answers, answerOf{status, a.Text("description"), headers, r.bodies(a.Object("content"))})
	}
	for _, each := range o.List("x-codeSamples") {
		op.Samples = append(op.Samples, each.(*openapi.Object).Text("source"))
	}
	if len(op.Samples) == 0 {
		op.Samples = []string{sample(op)}
	}
	return op
}

// sample returns a command for an operation that the API's page has none of.
func sample(op operation) string {
	command := "curl -sS "
	if op.Method != "GET" {
		command += "-X " + op.Method + " "
	}
	path := strings.NewReplacer("{name}", "NAME", "{id}", "ID").Replace(op.Path)
	command += exampleAddress + path + ` -H "Authorization: Bearer $TOKEN"`
	if len(op.Bodies) > 0 {
		command += " -d @body.json"
	}
	return command
}

func (r reader) bodies(content *openapi.Object) []body {
	var all []body
	for _, media := range content.Names() {
		b := body{Media: media, Schema: r.schema(content.Object(media).Object("schema"))}
		if example := content.Object(media).Object("examples").Object("page").Value("value"); example != nil {
			if o, ok := example.(*openapi.Object); ok {
				if text, err := o.Indented(); err == nil {
					b.Example = string(text)
				}
			}
		}
		all = append(all, b)
	}
	return all
}

func (r reader) schema(o *openapi.Object) schema {
	s := schema{Type: r.typeOf(o), For: o.Text("description")}
	var required []string
	for _, each := range o.List("required") {
		required = append(required, fmt.Sprint(each))
	}
	properties := o.Object("properties")
	for _, name := range properties.Names() {
		p := properties.Object(name)
		s.Fields = append(s.Fields, field{Name: name, Type: r.typeOf(p), Required: slices.Contains(required, name), For: p.Text("description")})
	}
	return s
}

// maxDepth bounds how deep a type is written out.
const maxDepth = 4

func (r reader) typeOf(o *openapi.Object) []part { return r.typeAt(o, 0) }

func (r reader) typeAt(o *openapi.Object, depth int) []part {
	if name, ok := strings.CutPrefix(o.Text("$ref"), "#/components/schemas/"); ok {
		return []part{{Text: name, To: schemasPath + "#" + name}}
	}
	if depth > maxDepth {
		return []part{{Text: "…"}}
	}
	for _, key := range []string{"anyOf", "oneOf"} {
		if forms := o.List(key); len(forms) > 0 {
			var all []part
			for i, form := range forms {
				if i > 0 {
					all = append(all, part{Text: " or "})
				}
				if each, ok := form.(*openapi.Object); ok {
					all = append(all, r.typeAt(each, depth+1)...)
				}
			}
			return all
		}
	}
	if words := o.List("enum"); len(words) > 0 {
		var all []part
		for i, word := range words {
			if i > 0 {
				all = append(all, part{Text: ", "})
			}
			all = append(all, part{Text: fmt.Sprint(word), Code: true})
		}
		return all
	}
	kinds := []string{o.Text("type")}
	for _, each := range o.List("type") {
		kinds = append(kinds, fmt.Sprint(each))
	}
	var all []part
	for _, kind := range kinds {
		if kind == "" {
			continue
		}
		if len(all) > 0 {
			all = append(all, part{Text: " or "})
		}
		all = append(all, r.named(kind, o, depth)...)
	}
	if len(all) == 0 {
		return []part{{Text: "any value"}}
	}
	return all
}

var plain = map[string]string{"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false", "null": "null"}

func (r reader) named(kind string, o *openapi.Object, depth int) []part {
	switch kind {
	case "array":
		return append([]part{{Text: "list of "}}, r.typeAt(o.Object("items"), depth+1)...)
	case "object":
		if values := o.Object("additionalProperties"); values != nil && len(o.Object("properties").Names()) == 0 {
			return append([]part{{Text: "object of "}}, r.typeAt(values, depth+1)...)
		}
		return []part{{Text: "object"}}
	case "string":
		if o.Text("format") == "date-time" {
			return []part{{Text: "time"}}
		}
	}
	return []part{{Text: plain[kind]}}
}
