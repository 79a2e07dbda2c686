// Package declared reads what a struct of settings declares: names and types from the struct itself, comments
// from its source. Pages, the schema and the suite of connectors are made of it, so that a setting is said once.
package declared

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
)

// Setting is one name in YAML that a struct declares.
type Setting struct {
	Name string
	// Required settings have no omitempty in their tag.
	Required bool
	// Index leads to the field, through embedded structs.
	Index []int
	Field reflect.StructField
	// In is the struct that declares the field, by which its comment is found.
	In reflect.Type
}

// Settings are all that a struct declares, in order, those of embedded structs where they stand. A pointer
// stands for what it points to.
func Settings(t reflect.Type) []Setting {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return settings(t, nil)
}

func settings(t reflect.Type, index []int) []Setting {
	var all []Setting
	for i := range t.NumField() {
		field := t.Field(i)
		name, options, _ := strings.Cut(field.Tag.Get("yaml"), ",")
		here := append(append([]int(nil), index...), i)
		switch {
		case field.Anonymous && options == "inline":
			all = append(all, settings(field.Type, here)...)
		case name != "" && name != "-":
			all = append(all, Setting{Name: name, Required: options != "omitempty", Index: here, Field: field, In: t})
		}
	}
	return all
}

// Package is what the source of one package says.
type Package struct {
	// Comment is the package comment.
	Comment string
	types   map[string]map[string]declaration
}

// declaration is a field as its source says it.
type declaration struct{ comment, setting string }

// Read parses the source of the package in a folder, without its tests.
func Read(dir string) (*Package, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	p := &Package{types: map[string]map[string]declaration{}}
	set := token.NewFileSet()
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		file, err := parser.ParseFile(set, name, text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, fmt.Errorf("read declarations: %w", err)
		}
		if file.Doc != nil {
			p.Comment = join(file.Doc)
		}
		ast.Inspect(file, p.look)
	}
	if len(p.types) == 0 && p.Comment == "" {
		return nil, fmt.Errorf("no Go source in %s", dir)
	}
	return p, nil
}

func (p *Package) look(node ast.Node) bool {
	declared, ok := node.(*ast.TypeSpec)
	if !ok {
		return true
	}
	body, ok := declared.Type.(*ast.StructType)
	if !ok {
		return true
	}
	fields := map[string]declaration{}
	for _, field := range body.Fields.List {
		setting := ""
		if field.Tag != nil {
			if tag, err := strconv.Unquote(field.Tag.Value); err == nil {
				setting, _, _ = strings.Cut(reflect.StructTag(tag).Get("yaml"), ",")
			}
		}
		for _, name := range field.Names {
			fields[name.Name] = declaration{join(field.Doc), setting}
		}
	}
	p.types[declared.Name.Name] = fields
	return true
}

// Field is the comment of a struct's field, without its line breaks; empty where there is none.
func (p *Package) Field(structName, field string) string { return p.types[structName][field].comment }

// Describe is the same comment as pages show it, which know the name in YAML and not the one in Go: `Text is the
// message.` becomes `The message.`, and `Secrets sign the body.` begins with the setting's name in backquotes.
func (p *Package) Describe(structName, field string) string {
	of := p.types[structName][field]
	if rest, ok := strings.CutPrefix(of.comment, field+" is "); ok && rest != "" {
		if first, next, _ := strings.Cut(rest, " "); strings.HasSuffix(first, ",") || strings.HasPrefix(next, "(") {
			return rest // a list of words to write: `sha1, sha256 (the default) or sha512`
		}
		return strings.ToUpper(rest[:1]) + rest[1:]
	}
	if rest, ok := strings.CutPrefix(of.comment, field+" "); ok {
		return "`" + of.setting + "` " + rest
	}
	return of.comment
}

// join makes paragraphs of a comment's lines.
func join(group *ast.CommentGroup) string {
	if group == nil {
		return ""
	}
	var paragraphs []string
	for paragraph := range strings.SplitSeq(strings.TrimSpace(group.Text()), "\n\n") {
		paragraphs = append(paragraphs, strings.Join(strings.Fields(paragraph), " "))
	}
	return strings.Join(paragraphs, "\n\n")
}
