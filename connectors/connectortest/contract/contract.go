// Package contract checks requests against the API documents that vendors publish, in OpenAPI 3 or Swagger 2.
//
// It is stricter than the documents, so that a typing error does not pass: a parameter or a property that a document does not
// name is an error, unless the document says explicitly that it allows more.
package contract

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi2"
	"github.com/getkin/kin-openapi/openapi2conv"
	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
)

// EnvVar is the environment variable that names the folder of the documents.
const EnvVar = "SURVEYGATE_SPECS"

// Document is one API document of a vendor.
type Document struct {
	// Name is the name of its file, without the extension.
	Name string

	doc *openapi3.T
}

// Documents are all documents of one product. They describe different paths, or different versions.
type Documents []*Document

// Load loads the documents of a product from a folder: PRODUCT.json or PRODUCT.yaml, and the files with names PRODUCT-….
func Load(folder, product string) (Documents, error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, fmt.Errorf("vendors' documents: %w", err)
	}
	var all Documents
	for _, entry := range entries {
		ext := filepath.Ext(entry.Name())
		name := strings.TrimSuffix(entry.Name(), ext)
		if ext != ".json" && ext != ".yaml" || name != product && !strings.HasPrefix(name, product+"-") {
			continue
		}
		d, err := load(filepath.Join(folder, entry.Name()), name)
		if err != nil {
			return nil, fmt.Errorf("document %s: %w", entry.Name(), err)
		}
		all = append(all, d)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("no document of %s in %s", product, folder)
	}
	return all, nil
}

// TakesBodies reports whether an operation of the document has a request body.
func (d *Document) TakesBodies() bool {
	for _, item := range d.doc.Paths.Map() {
		for _, operation := range item.Operations() {
			if operation.RequestBody != nil {
				return true
			}
		}
	}
	return false
}

// open maps documents that are incomplete to the sentence in which they say so.
var open = map[string]string{
	"slack-webhook": "the real service accepts more optional fields than listed here",
}

func load(path, name string) (*Document, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var version struct {
		Swagger string `json:"swagger"`
	}
	loader := openapi3.NewLoader()
	doc := &openapi3.T{}
	if json.Unmarshal(text, &version) == nil && version.Swagger != "" {
		var old openapi2.T
		if err := json.Unmarshal(text, &old); err != nil {
			return nil, err
		}
		if doc, err = openapi2conv.ToV3(&old); err != nil {
			return nil, err
		}
	} else if doc, err = loader.LoadFromData(text); err != nil {
		return nil, err
	}
	if len(doc.Servers) == 0 {
		return nil, errors.New("it names no server")
	}
	if open[name] != "" {
		return &Document{Name: name, doc: doc}, nil
	}
	seen := map[*openapi3.Schema]bool{}
	for _, item := range doc.Paths.Map() {
		for _, operation := range item.Operations() {
			if operation.RequestBody == nil || operation.RequestBody.Value == nil {
				continue
			}
			for _, media := range operation.RequestBody.Value.Content {
				closeSchema(media.Schema, seen)
			}
		}
	}
	return &Document{Name: name, doc: doc}, nil
}

// closeSchema forbids additional properties in an object's schema, unless the document allows or forbids them explicitly, or
// has them in the schema's own example.
func closeSchema(ref *openapi3.SchemaRef, seen map[*openapi3.Schema]bool) {
	if ref == nil || ref.Value == nil || seen[ref.Value] {
		return
	}
	s := ref.Value
	seen[s] = true
	parts := slices.Concat(s.AllOf, s.OneOf, s.AnyOf)
	shared := slices.ContainsFunc(parts, func(p *openapi3.SchemaRef) bool { return p.Value != nil && len(p.Value.Properties) > 0 })
	extra := &s.AdditionalProperties
	if len(s.Properties) > 0 && extra.Has == nil && extra.Schema == nil && !shared && !exampleHasMore(s) {
		extra.Has = new(bool)
	}
	for _, part := range parts {
		if len(s.AllOf) > 0 && part.Value != nil { // each part of allOf validates the properties of all parts
			seen[part.Value] = true
			for _, property := range part.Value.Properties {
				closeSchema(property, seen)
			}
			continue
		}
		closeSchema(part, seen)
	}
	for _, property := range s.Properties {
		closeSchema(property, seen)
	}
	closeSchema(s.Items, seen)
	closeSchema(extra.Schema, seen)
}

// exampleHasMore reports whether the example of an object has properties that its schema does not name.
func exampleHasMore(s *openapi3.Schema) bool {
	example, _ := s.Example.(map[string]any)
	for name := range example {
		if s.Properties[name] == nil {
			return true
		}
	}
	return false
}

// Check validates a request and returns the document that describes it; nil if none does. body is the request's body, which has
// been read already. A host that ends in .example, or a loopback address, matches any server.
func (all Documents) Check(r *http.Request, body []byte) (*Document, error) {
	var searched []string
	for _, d := range all {
		route, params := d.find(r)
		if route == nil {
			searched = append(searched, d.Name)
			continue
		}
		if err := d.check(r, body, route, params); err != nil {
			return d, fmt.Errorf("%s: %s %s: %w", d.Name, route.Method, route.Path, err)
		}
		return d, nil
	}
	return nil, fmt.Errorf("%s %s on %s is in no document (%s)", r.Method, r.URL.Path, r.URL.Host, strings.Join(searched, ", "))
}

func (d *Document) check(r *http.Request, body []byte, route *routers.Route, params map[string]string) error {
	known := slices.Concat(route.PathItem.Parameters, route.Operation.Parameters)
	for name := range r.URL.Query() {
		if known.GetByInAndName(openapi3.ParameterInQuery, name) == nil && !d.authorises(openapi3.ParameterInQuery, name) {
			return fmt.Errorf("the query's %q is in no parameter", name)
		}
	}
	r = r.Clone(r.Context())
	r.Body, r.ContentLength = readerOf(body), int64(len(body))
	options := &openapi3filter.Options{
		AuthenticationFunc: authenticate, RejectWhenRequestBodyNotSpecified: true, SkipSettingDefaults: true, MultiError: true,
	}
	// The validator's own message repeats the whole schema and body.
	options.WithCustomSchemaErrorFunc(func(err *openapi3.SchemaError) string {
		return "/" + strings.Join(err.JSONPointer(), "/") + ": " + err.Reason
	})
	return openapi3filter.ValidateRequest(r.Context(), &openapi3filter.RequestValidationInput{
		Request: r, PathParams: params, Route: route, Options: options,
	})
}
