package document

import (
	"fmt"
	"reflect"
	"strings"
	"sync"
)

// Field is one setting of a struct, as declared by its yaml tag.
type Field struct {
	// Name is the key; empty for Rest and Self.
	Name     string
	Required bool
	// Index is the field's index for reflect.Value.FieldByIndex.
	Index []int
	Type  reflect.Type
	// Owner and Go are the struct and the field's name in Go. They identify the field's documentation.
	Owner reflect.Type
	Go    string
	// Rest marks an inline Map, which collects all other keys; Self marks the node that the struct was bound from.
	Rest, Self bool
	// Later marks a reserved setting that cannot be set yet: the tag later:"true".
	Later bool
}

var fieldsOf sync.Map // reflect.Type → []Field

// Fields returns the settings of a struct, including those of embedded structs.
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

// Names returns the keys of fields that can be set.
func Names(fields []Field) []string {
	var names []string
	for _, f := range fields {
		if f.Name != "" && !f.Later {
			names = append(names, f.Name)
		}
	}
	return names
}

// Missing returns a fault for each required setting of a struct that is absent from the node. A setting that is present but
// faulty is not missing.
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
		faults = append(faults, n.FaultOfMissing(f.Name, message, fmt.Sprintf("add %s:", f.Name)))
	}
	return faults
}

// FieldsOf returns the settings of the struct that a pointer refers to.
func FieldsOf(pointer any) []Field { return Fields(reflect.TypeOf(pointer).Elem()) }
