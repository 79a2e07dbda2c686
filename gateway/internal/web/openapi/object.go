package openapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// Object is a JSON object that keeps the order of its names, so that fields stand as their struct has them. The zero value is
// empty; it is not safe for concurrent changes.
type Object struct {
	names  []string
	values map[string]any
}

// object makes an Object of names and values in turn.
func object(pairs ...any) *Object {
	o := &Object{}
	for i := 0; i < len(pairs); i += 2 {
		o.set(pairs[i].(string), pairs[i+1])
	}
	return o
}

func (o *Object) set(name string, value any) {
	if o.values == nil {
		o.values = map[string]any{}
	}
	if _, there := o.values[name]; !there {
		o.names = append(o.names, name)
	}
	o.values[name] = value
}

func (o *Object) remove(name string) {
	delete(o.values, name)
	o.names = slices.DeleteFunc(o.names, func(each string) bool { return each == name })
}

// Names returns the names in their order.
func (o *Object) Names() []string {
	if o == nil {
		return nil
	}
	return o.names
}

// Value returns the value of a name; nil without one.
func (o *Object) Value(name string) any {
	if o == nil {
		return nil
	}
	return o.values[name]
}

// Object returns the object of a name; nil without one.
func (o *Object) Object(name string) *Object {
	v, _ := o.Value(name).(*Object)
	return v
}

// Text returns the text of a name; empty without one.
func (o *Object) Text(name string) string {
	v, _ := o.Value(name).(string)
	return v
}

// List returns the list of a name; nil without one.
func (o *Object) List(name string) []any {
	v, _ := o.Value(name).([]any)
	return v
}

// MarshalJSON writes the object in its order.
func (o *Object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	for i, name := range o.names {
		if i > 0 {
			b.WriteByte(',')
		}
		if err := enc.Encode(name); err != nil {
			return nil, err
		}
		b.WriteByte(':')
		if err := enc.Encode(o.values[name]); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// Indented returns the object as lines.
func (o *Object) Indented() ([]byte, error) {
	text, err := o.MarshalJSON()
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := json.Indent(&b, text, "", " "); err != nil {
		return nil, err
	}
	b.WriteByte('\n')
	return b.Bytes(), nil
}

// Parse reads a JSON object. Objects within are *Object, lists []any, numbers json.Number.
func Parse(text []byte) (*Object, error) {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	v, err := parse(dec)
	if err != nil {
		return nil, err
	}
	o, ok := v.(*Object)
	if !ok {
		return nil, errors.New("this is no JSON object")
	}
	return o, nil
}

func parse(dec *json.Decoder) (any, error) {
	t, err := dec.Token()
	if err != nil {
		return nil, err
	}
	switch t {
	case json.Delim('{'):
		o := &Object{}
		for dec.More() {
			name, err := dec.Token()
			if err != nil {
				return nil, err
			}
			value, err := parse(dec)
			if err != nil {
				return nil, err
			}
			o.set(name.(string), value)
		}
		_, err = dec.Token()
		return o, err
	case json.Delim('['):
		list := []any{}
		for dec.More() {
			value, err := parse(dec)
			if err != nil {
				return nil, err
			}
			list = append(list, value)
		}
		_, err = dec.Token()
		return list, err
	default:
		return t, nil
	}
}
