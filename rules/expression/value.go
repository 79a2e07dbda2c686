package expression

import (
	"bytes"
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"
)

// kind is the type of a value at run time. The zero kind is absent, which means unknown.
type kind uint8

const (
	absent kind = iota
	number
	text
	boolean
	list
	object
)

var kindNames = [...]string{"absent", "a number", "a text", "true or false", "a list", "an object"}

func (k kind) String() string { return kindNames[k] }

// kinds is a set of kinds: the possible types of an expression, as far as they are known at load.
type kinds uint8

func (k kind) set() kinds { return 1 << k }

func (s kinds) has(k kind) bool { return s&k.set() != 0 }

const (
	numbers  kinds = 1 << number
	texts    kinds = 1 << text
	booleans kinds = 1 << boolean
	lists    kinds = 1 << list
	objects  kinds = 1 << object
	anything       = numbers | texts | booleans | lists | objects
)

func (s kinds) String() string {
	var names []string
	for k := number; k <= object; k++ {
		if s.has(k) {
			names = append(names, k.String())
		}
	}
	if len(names) > 1 {
		last := len(names) - 1
		return strings.Join(names[:last], ", ") + " or " + names[last]
	}
	return strings.Join(names, "")
}

// value is a number, text, boolean, list or object. The zero value is absent. A number is a float64, as in JavaScript. If a
// float64 does not represent a whole number exactly, str holds the digits, which are used to compare and to write the number.
type value struct {
	kind kind
	yes  bool
	num  float64
	// str is a text, the JSON of a list or object that came from the event, or the digits of a whole number.
	str string
	// tree is the parsed list or object. For one that came from the event it is nil until it is first accessed.
	tree *tree
}

// tree holds the items of a list or, with keys, the members of an object.
type tree struct {
	keys  []string
	items []value
}

func numberValue(n float64) value { return value{kind: number, num: n} }
func textValue(s string) value    { return value{kind: text, str: s} }
func truthValue(t Truth) value {
	if t == Unknown {
		return value{}
	}
	return value{kind: boolean, yes: t == True}
}

func truthOf(yes bool) Truth {
	if yes {
		return True
	}
	return False
}

// appendNumber writes a number in JavaScript's form.
func appendNumber(b []byte, n float64) []byte {
	if n == 0 {
		return append(b, '0') // also -0
	}
	format := byte('f')
	if abs := math.Abs(n); abs < 1e-6 || abs >= 1e21 {
		format = 'e'
	}
	at := len(b)
	b = strconv.AppendFloat(b, n, format, -1, 64)
	if format == 'e' { // e-07 is e-7 in JavaScript
		if i := slices.Index(b[at:], 'e') + at; len(b) == i+4 && b[i+2] == '0' {
			b = append(b[:i+2], b[i+3])
		}
	}
	return b
}

func formatAny(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case bool:
		return strconv.FormatBool(v)
	case int:
		return strconv.Itoa(v)
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		return string(appendNumber(nil, v))
	}
	b, err := marshal(v)
	if err != nil {
		return ""
	}
	return string(b)
}

// Object is an evaluated mapping, which keeps the order of its fields in the configuration.
type Object []Member

// Member is one field of an Object. Value has one of the types that Value.Evaluate returns, or is an Object or []any of them.
type Member struct {
	Key   string
	Value any
}

// Lookup returns the value of a field; false if there is none.
func (o Object) Lookup(key string) (any, bool) {
	for _, m := range o {
		if m.Key == key {
			return m.Value, true
		}
	}
	return nil, false
}

// MarshalJSON writes the fields in their order, without HTML escaping.
func (o Object) MarshalJSON() ([]byte, error) { return appendJSON(make([]byte, 0, 64*len(o)+2), o) }

// marshal is json.Marshal without HTML escaping, and numbers without the -0 that JavaScript does not write.
func marshal(v any) ([]byte, error) { return appendJSON(nil, v) }

func appendJSON(b []byte, v any) (_ []byte, err error) {
	switch v := v.(type) {
	case Object:
		b = append(b, '{')
		for i := range v {
			if i > 0 {
				b = append(b, ',')
			}
			if b, err = appendJSONText(b, v[i].Key); err != nil {
				return nil, err
			}
			if b, err = appendJSON(append(b, ':'), v[i].Value); err != nil {
				return nil, err
			}
		}
		return append(b, '}'), nil
	case []any:
		b = append(b, '[')
		for i, item := range v {
			if i > 0 {
				b = append(b, ',')
			}
			if b, err = appendJSON(b, item); err != nil {
				return nil, err
			}
		}
		return append(b, ']'), nil
	case string:
		return appendJSONText(b, v)
	case bool:
		return strconv.AppendBool(b, v), nil
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil, &json.UnsupportedValueError{Str: strconv.FormatFloat(v, 'g', -1, 64)}
		}
		return appendNumber(b, v), nil
	}
	return encode(b, v)
}

// appendJSONText writes a text as JSON. It has a fast path for a text without characters to escape.
func appendJSONText(b []byte, s string) ([]byte, error) {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= 0x7f {
			return encode(b, s)
		}
	}
	return append(append(append(b, '"'), s...), '"'), nil
}

func encode(b []byte, v any) ([]byte, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return append(b, bytes.TrimSuffix(out.Bytes(), []byte("\n"))...), nil
}
