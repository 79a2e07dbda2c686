package offline

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/source"
	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/expression"
	"github.com/surveygate/surveygate/rules/jsonpath"
)

// Field is a name of the rule language.
type Field struct {
	Name string `json:"name"`
	// Path is its full path; empty if the name has no other form.
	Path  string `json:"path,omitempty"`
	Type  string `json:"type"`
	About string `json:"about,omitempty"`
}

// FieldValue is a name with its value in one event.
type FieldValue struct {
	Field
	// Value is JSON; null if the event does not have the field.
	Value json.RawMessage `json:"value"`
}

// Missing reports that the event does not have the field.
func (v *FieldValue) Missing() bool { return v.Value == nil }

// EventFields holds the values of one event.
type EventFields struct {
	Type   string       `json:"type"`
	Fields []FieldValue `json:"fields"`
}

// BodyFields holds the values of a body, as a source or a profile reads it.
type BodyFields struct {
	// Source is the configured source; empty if only a profile was used.
	Source  string `json:"source,omitempty"`
	Profile string `json:"profile"`
	// Note explains that the configuration was not used, because it has faults.
	Note   string        `json:"note,omitempty"`
	Events []EventFields `json:"events"`
}

// Fields returns all names of the rule language that have a value.
func Fields() []Field {
	var all []Field
	for _, n := range event.Glossary() {
		all = append(all, Field{n.Name, n.Path, n.Kind.Words(), n.About})
	}
	return all
}

// FieldsOf returns every name with its value in a body. The body is read through a source of the configuration, with its roles, or else
// through a profile, which is built-in or a file. Each name is followed by its parts that have names: answers, hidden fields and the
// parts of a result. The configuration may be missing.
func FieldsOf(o Options, tenant, name string, body []byte) (*BodyFields, error) {
	s, result, err := o.reader(cmp.Or(tenant, config.DefaultTenant), name)
	if err != nil {
		return nil, err
	}
	events, err := normalise(s, body, clock.System().Now().UTC())
	if err != nil {
		return nil, fmt.Errorf("the body cannot be read as an event: %w", err)
	}
	for _, ev := range events {
		one, err := fieldsOf(ev)
		if err != nil {
			return nil, err
		}
		result.Events = append(result.Events, *one)
	}
	return result, nil
}

// reader returns the configured source of a name, or else the profile of that name.
func (o Options) reader(tenant, name string) (*source.Source, *BodyFields, error) {
	c, fault := o.load(true)
	var names []string
	if fault == nil {
		for _, s := range c.Sources {
			if s.Name == name && s.Tenant == tenant {
				return s.Receiver, &BodyFields{Source: name, Profile: s.Receiver.Profile.Name}, nil
			}
		}
		names = namesOf(c, tenant)
	}
	profile, err := loadProfile(name)
	switch {
	case err == nil:
	case fault != nil && !errors.Is(fault, config.ErrNone):
		return nil, nil, fault // the faulty configuration may contain the source
	case len(names) > 0:
		return nil, nil, fmt.Errorf("tenant %s has no source `%s`, but has %s; %w", tenant, name, strings.Join(names, ", "), err)
	default:
		return nil, nil, err
	}
	s, problems := source.New(source.Settings{Tenant: tenant, Name: profile.Name, Profile: profile, Unverified: true})
	if len(problems) > 0 {
		return nil, nil, problems[0]
	}
	result := &BodyFields{Profile: profile.Name}
	if fault != nil && !errors.Is(fault, config.ErrNone) {
		result.Note = "the configuration has faults (`surveygate check` shows them), so roles of sources were not applied"
	}
	return s, result, nil
}

// fieldsOf returns the values of one event.
func fieldsOf(ev *event.Event) (*EventFields, error) {
	result := &EventFields{Type: ev.Type}
	add := func(f Field) error {
		v, err := expression.CompileValue(f.Name)
		if err != nil {
			return fmt.Errorf("%s: %w", f.Name, err)
		}
		out, present, err := v.Evaluate(ev)
		if err != nil {
			return fmt.Errorf("%s: %w", f.Name, err)
		}
		value := FieldValue{Field: f}
		if present {
			if value.Value, err = plainJSON(out); err != nil {
				return fmt.Errorf("%s: %w", f.Name, err)
			}
			if f.Type == "" {
				value.Type = typeOf(value.Value)
			}
		}
		result.Fields = append(result.Fields, value)
		return nil
	}
	for _, f := range Fields() {
		if err := add(f); err != nil {
			return nil, err
		}
		for _, part := range partsOf(f, ev) {
			if err := add(part); err != nil {
				return nil, err
			}
		}
	}
	return result, nil
}

// partsOf returns the names of the parts of a field in this event.
func partsOf(f Field, ev *event.Event) []Field {
	var parts []Field
	switch path := cmp.Or(f.Path, f.Name); path {
	case "response.answers":
		seen := map[string]bool{}
		for _, a := range ev.Data().Response.Answers {
			key := a.QuestionID
			if key == "" {
				key = a.Question
			}
			if key == "" || seen[key] { // answer() finds the first answer of a name
				continue
			}
			seen[key] = true
			part := Field{Name: "answer(" + quoted(key) + ")"}
			if a.Question != key {
				part.About = a.Question
			}
			parts = append(parts, part)
		}
	case "respondent.params", "response.result":
		jsonpath.Read(ev.DataJSON(), path).ForEach(func(key string, _ jsonpath.Result) bool {
			name := f.Name + "." + key
			if !plainName(key) {
				name = f.Name + "[" + quoted(key) + "]"
			}
			parts = append(parts, Field{Name: name})
			return true
		})
	}
	return parts
}

// quoted returns a text as a string literal of an expression; `{{` is escaped, so that it does not begin a hole.
func quoted(text string) string { return strings.ReplaceAll(strconv.Quote(text), "{{", `{\u007b`) }

// plainName reports whether a key may follow a dot.
func plainName(key string) bool {
	for i := range len(key) {
		c := key[i] | 0x20
		if (c < 'a' || c > 'z') && key[i] != '_' && (i == 0 || key[i] < '0' || key[i] > '9') {
			return false
		}
	}
	_, err := expression.CompileValue("params." + key)
	return key != "" && err == nil // words such as `in` and `not` need brackets
}

func plainJSON(v any) (json.RawMessage, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return bytes.TrimSpace(b.Bytes()), err
}

func typeOf(value json.RawMessage) string {
	switch value[0] {
	case '"':
		return event.String.Words()
	case '[':
		return event.Array.Words()
	case '{':
		return event.Object.Words()
	case 't', 'f':
		return event.Bool.Words()
	}
	return event.Number.Words()
}

// FieldsOfEvent returns every name with its value in an event, as the gateway's API shows it.
func FieldsOfEvent(envelope []byte) (*EventFields, error) {
	ev, err := event.Decode(envelope, nil)
	if err != nil {
		return nil, fmt.Errorf("the event cannot be read: %w", err)
	}
	return fieldsOf(ev)
}
