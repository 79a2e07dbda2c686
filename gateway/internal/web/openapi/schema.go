package openapi

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/route"
)

// shapes are the types whose JSON is not that of their fields.
var shapes = map[reflect.Type]func() *Object{
	reflect.TypeFor[time.Time]():       moment,
	reflect.TypeFor[view.Time]():       moment,
	reflect.TypeFor[json.RawMessage](): func() *Object { return object() },
	reflect.TypeFor[any]():             func() *Object { return object() },
}

func moment() *Object { return object("type", "string", "format", "date-time") }

// schema returns the schema of a value of In or Out.
func (d *deriver) schema(value any) *Object {
	switch v := value.(type) {
	case route.OneOf:
		var forms []any
		for _, each := range v {
			forms = append(forms, d.schema(each))
		}
		return object("anyOf", forms)
	case route.Events:
		return d.events()
	case route.Text:
		o := object("type", "string")
		if v != "" {
			o.set("description", capital(string(v))+".")
		}
		return o
	case route.CloudEvent:
		return d.cloudEvent()
	case route.CloudEventList:
		return object("type", "array", "items", d.cloudEvent())
	case route.Document:
		return d.document(string(v))
	case route.Patch:
		of := documentName(string(v))
		if v == route.TenantPatch {
			of = "TenantSpec"
		}
		return object("type", "object", "description", "A merge patch (RFC 7396) of "+of+
			": null takes a setting out, an absent one stays as it is, and a list is replaced whole.")
	default:
		return d.typed(reflect.TypeOf(value))
	}
}

func ref(name string) string { return "#/components/schemas/" + name }

// typed returns the schema of a type: a reference for a struct with a name.
func (d *deriver) typed(t reflect.Type) *Object {
	if shape, ok := shapes[t]; ok {
		return shape()
	}
	if t.Implements(reflect.TypeFor[json.Marshaler]()) && t.Kind() != reflect.Pointer {
		d.fault("%s writes its own JSON: say in `shapes` of package openapi which", t)
		return object()
	}
	if t.Implements(reflect.TypeFor[encoding.TextMarshaler]()) && t.Kind() != reflect.Pointer {
		return object("type", "string")
	}
	switch t.Kind() {
	case reflect.Pointer:
		return d.typed(t.Elem())
	case reflect.Bool:
		return object("type", "boolean")
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Uint8, reflect.Uint16, reflect.Uint32:
		return object("type", "integer")
	case reflect.Uint, reflect.Uint64:
		return object("type", "integer", "minimum", 0)
	case reflect.Float32, reflect.Float64:
		return object("type", "number")
	case reflect.String:
		o := object("type", "string")
		if words := d.comments.Words(t); len(words) > 0 {
			o.set("enum", words)
		}
		return o
	case reflect.Slice, reflect.Array:
		if t.Elem().Kind() == reflect.Uint8 {
			return object("type", "string", "contentEncoding", "base64")
		}
		items := d.typed(t.Elem())
		if t.Elem().Kind() == reflect.Pointer && scalar(t.Elem().Elem()) { // it has no value, among others that have one
			items = nullable(items)
		}
		o := object("type", "array", "items", items)
		if t.Kind() == reflect.Array {
			o.set("minItems", t.Len())
			o.set("maxItems", t.Len())
		}
		return o
	case reflect.Map:
		if t.Elem() == reflect.TypeFor[any]() {
			return object("type", "object")
		}
		return object("type", "object", "additionalProperties", d.typed(t.Elem()))
	case reflect.Interface:
		return object()
	case reflect.Struct:
		if t.Name() == "" {
			return d.structure(t)
		}
		name := componentName(t)
		if known, ok := d.types[name]; !ok {
			d.types[name] = t // before its fields, which may lead back to it
			d.schemas[name] = d.structure(t)
		} else if known != t {
			d.fault("two types are %s in the description of the API: %s and %s", name, known, t)
		}
		return object("$ref", ref(name))
	default:
		d.fault("%s has no JSON", t)
		return object()
	}
}

// field is a field as encoding/json writes it.
type field struct {
	name     string
	optional bool         // omitempty or omitzero: nil is left out
	within   bool         // of an embedded pointer, without which it is left out
	in       reflect.Type // the struct that declares it
	reflect.StructField
	depth int
}

// fieldsOf returns the fields that are written, those of embedded structs in their place.
func fieldsOf(t reflect.Type, depth int) []field {
	var all []field
	for f := range t.Fields() {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		embedded := f.Type
		if embedded.Kind() == reflect.Pointer {
			embedded = embedded.Elem()
		}
		switch {
		case name == "-" && options == "":
		case f.Anonymous && name == "" && embedded.Kind() == reflect.Struct && shapes[embedded] == nil:
			for _, inner := range fieldsOf(embedded, depth+1) {
				inner.within = inner.within || f.Type.Kind() == reflect.Pointer
				all = append(all, inner)
			}
		case f.IsExported():
			if name == "" {
				name = f.Name
			}
			all = append(all, field{name: name, optional: strings.Contains(options, "omit"), in: t, StructField: f, depth: depth})
		}
	}
	if depth > 0 {
		return all
	}
	var out []field
	for _, f := range all { // of several with a name the outermost is written
		if i := slices.IndexFunc(out, func(o field) bool { return o.name == f.name }); i < 0 {
			out = append(out, f)
		} else if f.depth < out[i].depth {
			out[i] = f
		}
	}
	return out
}

func (d *deriver) structure(t reflect.Type) *Object {
	o := object("type", "object")
	if text := d.comments.Type(t); text != "" {
		o.set("description", text)
	}
	properties := &Object{}
	var required []string
	fields := fieldsOf(t, 0)
	for _, f := range fields {
		p := d.typed(f.Type)
		switch f.Type.Kind() {
		case reflect.Pointer:
			if !f.optional || d.reading {
				p = nullable(p)
			}
		case reflect.Map, reflect.Slice:
			if d.reading { // null reads as none
				p = nullable(p)
			}
		}
		if text := d.comments.Field(f.in, f.Name); text != "" {
			p.set("description", inJSON(text, fields))
		}
		properties.set(f.name, p)
		if !f.optional && !f.within {
			required = append(required, f.name)
		}
	}
	o.set("properties", properties)
	if len(required) > 0 {
		o.set("required", required)
	}
	return o
}

// scalar reports whether a type is a number, a text or a boolean.
func scalar(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Struct, reflect.Map, reflect.Slice, reflect.Array, reflect.Interface, reflect.Pointer:
		return false
	default:
		return true
	}
}

// nullable also allows null.
func nullable(o *Object) *Object {
	if kind := o.Text("type"); kind != "" {
		o.set("type", []string{kind, "null"})
		return o
	}
	if o.Text("$ref") != "" {
		return object("anyOf", []any{o, object("type", "null")})
	}
	return o
}

var word = regexp.MustCompile(`\b[A-Z][A-Za-z0-9]*\b`)

// inJSON writes the names of fields in a comment as JSON has them.
func inJSON(text string, fields []field) string {
	return word.ReplaceAllStringFunc(text, func(name string) string {
		for _, f := range fields {
			if f.Name == name {
				return "`" + f.name + "`"
			}
		}
		return name
	})
}

var argument = regexp.MustCompile(`[A-Za-z0-9_]+$`)

// componentName returns the name of a struct's schema: Page[view.Event] is EventPage, and the types of packages other than view
// have their package before them.
func componentName(t reflect.Type) string {
	name, arguments, generic := strings.Cut(t.Name(), "[")
	if pkg := t.PkgPath()[strings.LastIndexByte(t.PkgPath(), '/')+1:]; pkg != "view" {
		name = strings.ToUpper(pkg[:1]) + pkg[1:] + strings.ToUpper(name[:1]) + name[1:]
	}
	if !generic {
		return name
	}
	var before strings.Builder
	for each := range strings.SplitSeq(strings.TrimSuffix(arguments, "]"), ",") {
		before.WriteString(argument.FindString(each))
	}
	return before.String() + name
}

// document returns a reference to the schema of a kind of document.
func (d *deriver) document(kind string) *Object {
	name := documentName(kind)
	if d.schemas[name] == nil {
		list := d.configuration.Object("properties").Object(kind + "s")
		of := list.Object("items")
		if of == nil {
			of = list.Object("additionalProperties")
		}
		if of == nil {
			d.fault("the schema of the configuration has no %ss", kind)
			return object()
		}
		d.schemas[name] = object() // before what it refers to
		copied := d.copy(of).(*Object)
		d.dropName(copied)
		copied.set("type", "object")
		copied.set("description", "A "+kind+" as configuration files have it, without its name.")
		d.schemas[name] = copied
	}
	return object("$ref", ref(name))
}

func documentName(kind string) string { return strings.ToUpper(kind[:1]) + kind[1:] + "Document" }

// dropName takes out what a document does not have, because its name and its tenant are in the path, and adds that its secrets can be
// sent back as they were shown.
func (d *deriver) dropName(o *Object) {
	properties := &Object{}
	for _, name := range o.Object("properties").Names() {
		if name != "name" && name != "tenant" {
			properties.set(name, o.Object("properties").Value(name))
		}
	}
	if secrets := properties.Object("secrets"); secrets.Object("items") != nil {
		shown := object("type", "object", "description", "A secret that stays, as an answer shows it.", "properties", object("id", object("type", "string")), "required", []any{"id"})
		secrets.set("items", object("anyOf", []any{secrets.Object("items"), shown}))
	}
	o.set("properties", properties)
	var required []any
	for _, name := range o.List("required") {
		if name != "name" {
			required = append(required, name)
		}
	}
	o.remove("required")
	if len(required) > 0 {
		o.set("required", required)
	}
}

const configurationDefs = "#/$defs/"

// inDocument takes out of a schema what only YAML files need: texts that YAML reads as numbers or as true and
// false, settings with nothing behind their colon, and ${NAME}.
func inDocument(o *Object) *Object {
	var kinds []any
	for _, kind := range o.List("type") {
		if kind == "string" || kind == "object" || kind == "array" {
			kinds = append(kinds, kind)
		}
	}
	if len(kinds) == 1 {
		o.set("type", kinds[0])
	} else if len(kinds) > 1 { // each a form of its own, with what is said of it
		var forms []any
		for _, kind := range kinds {
			form := object("type", kind)
			for _, of := range keywords[kind.(string)] {
				if value := o.Value(of); value != nil {
					form.set(of, value)
					o.remove(of)
				}
			}
			forms = append(forms, form)
		}
		o.remove("type")
		o.set("anyOf", forms)
		return o
	}
	forms := slices.DeleteFunc(o.List("anyOf"), func(form any) bool {
		each, ok := form.(*Object)
		return ok && each.Text("pattern") == variable
	})
	if len(forms) > 0 {
		o.set("anyOf", forms)
	}
	if len(forms) == 1 {
		only := forms[0].(*Object)
		o.remove("anyOf")
		for _, name := range only.Names() {
			o.set(name, only.Value(name))
		}
	}
	if properties := o.Object("properties"); properties != nil {
		for _, name := range slices.Clone(properties.Names()) {
			if properties.Object(name).Value("not") != nil { // it cannot be set yet
				properties.remove(name)
			}
		}
	}
	return o
}

// keywords are those that say something of one type only.
var keywords = map[string][]string{
	"string": {"pattern", "format", "minLength", "maxLength"},
	"object": {"properties", "required", "additionalProperties", "patternProperties", "propertyNames"},
	"array":  {"items", "minItems", "maxItems", "uniqueItems"},
}

// variable is the pattern of the texts that stand for another value with ${NAME}.
const variable = `\$\{`

// copy copies a part of the configuration's schema with what it refers to.
func (d *deriver) copy(of any) any {
	switch v := of.(type) {
	case []any:
		list := make([]any, len(v))
		for i := range v {
			list[i] = d.copy(v[i])
		}
		return list
	case *Object:
		o := &Object{}
		for _, name := range v.Names() {
			if def, ok := strings.CutPrefix(v.Text(name), configurationDefs); ok && name == "$ref" {
				component := strings.ToUpper(def[:1]) + def[1:] + "Settings"
				if d.schemas[component] == nil {
					d.schemas[component] = object()
					d.schemas[component] = d.copy(d.configuration.Object("$defs").Value(def)).(*Object)
				}
				o.set("$ref", ref(component))
				continue
			}
			o.set(name, d.copy(v.Value(name)))
		}
		return inDocument(o)
	default:
		return of
	}
}

func (d *deriver) fault(format string, args ...any) {
	d.faults = append(d.faults, fmt.Errorf(format, args...))
}
