package document

import (
	"fmt"
	"reflect"
	"strings"
	"sync"
)

// Field is one setting of a struct, as its yaml tag says.
type Field struct {
	// Name is the key; empty for Rest and Self.
	Name     string
	Required bool
	// Index leads to the field, through embedded structs.
	Index []int
	Type  reflect.Type
	// Owner and Go are the struct's and the field's names in Go, which documentation is found by.
	Owner reflect.Type
	Go    string
	// Rest is an inline Map, which takes every other key; Self the node the struct was bound from.
	Rest, Self bool
	// Later says that the setting has its place and cannot be set yet: the tag later:"true".
	Later bool
}

var fieldsOf sync.Map // reflect.Type → []Field

// Fields are the settings of a struct, those of embedded structs included.
func Fields(t reflect.Type) []Field {
	if known, ok := fieldsOf.Load(t); ok {
		return known.([]Field)
	}
	var fields []Field
	for i := range t.NumField() {
		sf := t.Field(i)
		tag, tagged := sf.Tag.Lookup("yaml")
		name, flags, _ := strings.Cut(tag, ",")
		if !tagged || name == "-" || (!sf.IsExported() && !sf.Anonymous) {
			continue
		}
		f := Field{Name: name, Index: []int{i}, Type: sf.Type, Owner: t, Go: sf.Name, Later: sf.Tag.Get("later") == "true"}
		switch flags {
		case "inline":
			if sf.Type.Implements(freeType) {
				f.Rest, f.Name = true, ""
				break
			}
			for _, inner := range Fields(sf.Type) {
				inner.Index = append([]int{i}, inner.Index...)
				fields = append(fields, inner)
			}
			continue
		case "node":
			f.Self, f.Name = true, ""
		case "":
			f.Required = true
		case "omitempty":
		default:
			panic(fmt.Sprintf("document: %s.%s has the tag %q, whose flags are not known", t, sf.Name, tag))
		}
		fields = append(fields, f)
	}
	fieldsOf.Store(t, fields)
	return fields
}

// Names are the keys of fields that can be set.
func Names(fields []Field) []string {
	var names []string
	for _, f := range fields {
		if f.Name != "" && !f.Later {
			names = append(names, f.Name)
		}
	}
	return names
}

// Missing are the required settings of a struct that are still unset, as faults of the node they should stand
// in. A setting that stands there and is at fault already is not missing.
func Missing(bound any, n *Node, name string) Faults {
	var faults Faults
	v := reflect.ValueOf(bound).Elem()
	for _, f := range Fields(v.Type()) {
		if !f.Required || !v.FieldByIndex(f.Index).IsZero() || n.Named(f.Name) != nil {
			continue
		}
		message := fmt.Sprintf("`%s` is missing", f.Name)
		if own := n.Key("name"); own != nil && own.Kind == Scalar {
			name = own.Text
		}
		if name != "" {
			message += fmt.Sprintf(" in `%s`", name)
		}
		faults = append(faults, n.Fault(message, fmt.Sprintf("add %s:", f.Name)))
	}
	return faults
}

// FieldsOf are the settings of the struct that a value points to.
func FieldsOf(pointer any) []Field { return Fields(reflect.TypeOf(pointer).Elem()) }
