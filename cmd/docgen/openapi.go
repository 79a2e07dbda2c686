package main

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/surveygate/surveygate/connectors/declared"
	"github.com/surveygate/surveygate/gateway"
)

// apiPage is the page whose requests are the examples of the description.
const apiPage = "gateway/API.md"

// description is configs/openapi.json. schema is configs/schema.json, as it is derived.
func description(src *source, schema []byte) (file, error) {
	page, err := os.ReadFile(filepath.Join(src.root, filepath.FromSlash(apiPage)))
	if err != nil {
		return file{}, err
	}
	comments := &comments{source: src}
	text, err := gateway.OpenAPI(comments, schema, page)
	if err == nil {
		err = comments.err
	}
	if err != nil {
		return file{}, fmt.Errorf("description of the API: %w", err)
	}
	return file{path: "configs/openapi.json", text: text}, nil
}

// comments reads the comments of types of this module.
type comments struct {
	source *source
	err    error
}

func (c *comments) of(t reflect.Type) (p *declared.Package, name string) {
	path, ours := strings.CutPrefix(t.PkgPath(), module)
	if !ours {
		return &declared.Package{}, ""
	}
	p, err := c.source.read(path)
	if err != nil {
		c.err = err
		return &declared.Package{}, ""
	}
	name, _, _ = strings.Cut(t.Name(), "[")
	return p, name
}

// Type implements gateway.Comments.
func (c *comments) Type(t reflect.Type) string {
	p, name := c.of(t)
	return p.Type(name)
}

// Field implements gateway.Comments.
func (c *comments) Field(owner reflect.Type, field string) string {
	p, name := c.of(owner)
	return p.Field(name, field)
}

// Words implements gateway.Comments.
func (c *comments) Words(t reflect.Type) []string {
	p, name := c.of(t)
	return p.Words(name)
}
