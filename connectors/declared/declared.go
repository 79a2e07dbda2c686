// Package declared lists the settings that a Go struct declares: names and types by reflection, comments from the source code.
// Documentation pages, the JSON schema and the tests of connectors are derived from it, so that a setting is declared once.
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

// Setting is one setting that a struct declares.
type Setting struct {
	// Name is the name in YAML.
	Name string
	// Required settings have no omitempty in their tag.
	Required bool
	// Index is the field's index for reflect.Value.FieldByIndex; it leads through embedded structs.
	Index []int
	Field reflect.StructField
	// In is the struct that declares the field itself; Package.Describe needs its name.
	In reflect.Type
}

// Settings returns the settings of a struct, or of the struct that t points to, in the order of their declaration. The settings
// of an inline embedded struct take its place.
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

// Package holds the comments of one package's source.
type Package struct {
	// Comment is the package comment.
	Comment string
	types   map[string]map[string]declaration
	// comments and words are those of types, by name.
	comments map[string]string
	words    map[string][]string
}

// declaration is a field's comment and its name in YAML.
type declaration struct{ comment, setting string }

// Read parses the source of the package in a folder, without its tests. A folder without Go files is an error.
func Read(dir string) (*Package, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	p := &Package{types: map[string]map[string]declaration{}, comments: map[string]string{}, words: map[string][]string{}}
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
	if group, ok := node.(*ast.GenDecl); ok {
		p.lookAtGroup(group)
		return true
	}
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

// lookAtGroup reads the comments of types, and the constants that have a type and a text.
func (p *Package) lookAtGroup(group *ast.GenDecl) {
	for _, spec := range group.Specs {
		switch spec := spec.(type) {
		case *ast.TypeSpec:
			comment := spec.Doc
			if comment == nil && !group.Lparen.IsValid() {
				comment = group.Doc
			}
			p.comments[spec.Name.Name] = join(comment)
		case *ast.ValueSpec:
			name, ok := spec.Type.(*ast.Ident)
			if !ok || group.Tok != token.CONST {
				continue
			}
			for _, value := range spec.Values {
				if literal, ok := value.(*ast.BasicLit); ok && literal.Kind == token.STRING {
					if text, err := strconv.Unquote(literal.Value); err == nil {
						p.words[name.Name] = append(p.words[name.Name], text)
					}
				}
			}
		}
	}
}

// Type returns the comment of a type, with line breaks only between paragraphs; "" without one.
func (p *Package) Type(name string) string { return p.comments[name] }

// Words returns the texts of the constants of a type, in their order.
func (p *Package) Words(typeName string) []string { return p.words[typeName] }

// Field returns the comment of a struct's field, with line breaks only between paragraphs; "" without one.
func (p *Package) Field(structName, field string) string { return p.types[structName][field].comment }

// Describe returns the same comment for a page, which shows the name in YAML instead of the Go name: `Text is the message.`
// becomes `The message.`, and `Secrets sign the body.` becomes “`secrets` sign the body.”
func (p *Package) Describe(structName, field string) string {
	d := p.types[structName][field]
	if rest, ok := strings.CutPrefix(d.comment, field+" is "); ok && rest != "" {
		if first, next, _ := strings.Cut(rest, " "); strings.HasSuffix(first, ",") || strings.HasPrefix(next, "(") {
			return rest // a list of words that an operator writes: `sha1, sha256 (the default) or sha512`
		}
		return strings.ToUpper(rest[:1]) + rest[1:]
	}
	if rest, ok := strings.CutPrefix(d.comment, field+" "); ok {
		return "`" + d.setting + "` " + rest
	}
	return d.comment
}

// join joins the lines of each paragraph of a comment. Indented paragraphs, which are commands to copy, stay as they are.
func join(group *ast.CommentGroup) string {
	if group == nil {
		return ""
	}
	var paragraphs []string
	for paragraph := range strings.SplitSeq(strings.TrimSpace(group.Text()), "\n\n") {
		if strings.HasPrefix(paragraph, "\t") {
			paragraphs = append(paragraphs, strings.ReplaceAll(strings.TrimRight(paragraph, "\n"), "\t", "    "))
			continue
		}
		paragraphs = append(paragraphs, strings.Join(strings.Fields(paragraph), " "))
	}
	return strings.Join(paragraphs, "\n\n")
}
