package expression

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/surveygate/surveygate/rules/event"
)

// Pair is one field of a mapping in the configuration, before compilation. Value is a bool, int, int64, float64, json.Number,
// string (an expression, or a text with holes), []any of these, or []Pair for a nested mapping.
type Pair struct {
	Key   string
	Value any
}

// Values is a compiled mapping. Its values are expressions, texts with holes, constants, lists or mappings. It keeps the order of
// the fields, and is safe for concurrent use. The zero value is an empty mapping.
type Values struct {
	members []member
	scope   *scope
}

// member is a field of a mapping, or an item of a list, which has no key.
type member struct {
	key    string
	value  Value
	list   []member
	nested []member
	isList bool
	isMap  bool
}

// CompileValues compiles a mapping. The error is of type Errors; each Error has the path of its value.
func CompileValues(pairs []Pair) (Values, error) {
	var faults Errors
	s := new(scope)
	members := s.pairs(pairs, nil, &faults)
	if len(faults) > 0 {
		return Values{}, faults
	}
	s.seal()
	return Values{members: members, scope: s}, nil
}

func (s *scope) pairs(pairs []Pair, path []string, faults *Errors) []member {
	members := make([]member, 0, len(pairs))
	for _, pair := range pairs {
		m := s.member(pair.Value, append(slices.Clip(path), pair.Key), faults)
		m.key = pair.Key
		members = append(members, m)
	}
	return members
}

func (s *scope) member(v any, path []string, faults *Errors) member {
	switch v := v.(type) {
	case []Pair:
		return member{isMap: true, nested: s.pairs(v, path, faults)}
	case []any:
		m := member{isList: true}
		for i, item := range v {
			m.list = append(m.list, s.member(item, append(slices.Clip(path), strconv.Itoa(i)), faults))
		}
		return m
	case string:
		value, err := compileValue(v, s)
		if found, ok := errors.AsType[Errors](err); ok {
			for _, fault := range found {
				fault.Path = path
				*faults = append(*faults, fault)
			}
		}
		return member{value: value}
	case bool, int, int64, float64, json.Number:
		return member{value: Constant(v)}
	}
	*faults = append(*faults, &Error{
		Path: path, Length: 1, Message: fmt.Sprintf("%T is not a value", v),
		Remedy: "write a number, true, false, an expression or a text; to leave the field out, leave the line out",
	})
	return member{}
}

// IsZero reports whether the mapping has no fields.
func (v Values) IsZero() bool { return len(v.members) == 0 }

// Keys returns the keys of the outermost mapping, in order.
func (v Values) Keys() []string {
	keys := make([]string, len(v.members))
	for i, m := range v.members {
		keys[i] = m.key
	}
	return keys
}

// Evaluate evaluates the mapping for an event. A field or list item with an absent value is left out; a nested mapping whose
// fields are all absent is kept, as an empty object. Texts that come from an expression or a hole are passed to escape, if it is
// given; literal texts of the configuration are not. The values have the types that Value.Evaluate returns.
func (v Values) Evaluate(ev *event.Event, escape ...func(string) string) (out Object, err error) {
	if v.scope == nil {
		return Object{}, nil
	}
	f, err := v.scope.beginBuilding(ev)
	if err != nil {
		return nil, err
	}
	defer f.end()
	defer rescue(&err)
	return objectOf(v.members, f, escape)
}

func objectOf(members []member, f *frame, escape []func(string) string) (Object, error) {
	out := make(Object, 0, len(members))
	for i := range members {
		got, present, err := members[i].evaluate(f, escape)
		if err == nil && present {
			err = f.build.Spend(0, len(members[i].key)+len(`"":,`))
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", members[i].key, err)
		}
		if present {
			out = append(out, Member{Key: members[i].key, Value: got})
		}
	}
	return out, nil
}

func (m *member) evaluate(f *frame, escape []func(string) string) (any, bool, error) {
	switch {
	case m.isMap:
		out, err := objectOf(m.nested, f, escape)
		return out, err == nil, err
	case m.isList:
		items := make([]any, 0, len(m.list))
		for i := range m.list {
			got, present, err := m.list[i].evaluate(f, escape)
			if err != nil {
				return nil, false, fmt.Errorf("%d: %w", i, err)
			}
			if present {
				items = append(items, got)
			}
		}
		return items, true, nil
	}
	return m.value.evaluate(f, escape)
}

// Missing returns the absent fields that leave a field out or a hole empty.
func (v Values) Missing(ev *event.Event) []string { return missingOf(v.members, ev, nil) }

func missingOf(members []member, ev *event.Event, out []string) []string {
	t := trace{missing: out}
	for i := range members {
		m := &members[i]
		t.missing = missingOf(m.nested, ev, t.missing)
		t.missing = missingOf(m.list, ev, t.missing)
		for _, name := range m.value.Missing(ev) {
			t.addMissing(name)
		}
	}
	return t.missing
}
