package openapi

import (
	"cmp"
	"slices"
	"strings"

	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/rules/event"
)

// The schemas of events as callers publish them.
const (
	publishedBody  = "PublishedBody"  // one or several
	publishedEvent = "PublishedEvent" // as an object of its own
	publishedData  = "PublishedData"  // as the data of a CloudEvent
	cloudEvent     = "CloudEvent"
	answerSchema   = "PublishedAnswer"
)

// events returns a reference to the schema of what is published in JSON. It has a name, because generated clients cannot send a union
// without one.
func (d *deriver) events() *Object {
	if d.schemas[publishedBody] == nil {
		either := []any{d.event(), d.cloudEvent()}
		d.schemas[publishedBody] = object("description", "One event, a CloudEvent, a list of them, or, with `ce-` headers, the data of a CloudEvent.",
			"anyOf", append(slices.Clone(either), object("type", "array", "items", object("anyOf", either)), d.eventData()))
	}
	return object("$ref", ref(publishedBody))
}

// event returns a reference to the schema of an event.
func (d *deriver) event() *Object {
	if d.schemas[publishedEvent] == nil {
		properties := head()
		for _, part := range []*Object{d.groups(), shortcuts()} {
			for _, name := range part.Names() {
				properties.set(name, part.Value(name))
			}
		}
		d.schemas[publishedEvent] = object("type", "object", "description", "An event as it is published.",
			"properties", properties, "required", []string{"type"}, "additionalProperties", false)
	}
	return object("$ref", ref(publishedEvent))
}

// eventData returns a reference to the schema of a CloudEvent's data.
func (d *deriver) eventData() *Object {
	if d.schemas[publishedData] == nil {
		properties := d.groups()
		for _, part := range []*Object{shortcuts(), head()} {
			for _, name := range part.Names() {
				properties.set(name, part.Value(name))
			}
		}
		properties.set("raw", object("type", []string{"object", "null"}, "description", "In what a webhook of surveygate sent: it is left out."))
		d.schemas[publishedData] = object("type", "object", "description", "The content of a CloudEvent. The attributes of the CloudEvent count before what it repeats of them.",
			"properties", properties, "additionalProperties", false)
	}
	return object("$ref", ref(publishedData))
}

// cloudEvent returns a reference to the schema of a CloudEvent in structured form.
func (d *deriver) cloudEvent() *Object {
	if d.schemas[cloudEvent] == nil {
		properties := object("specversion", object("type", "string", "const", "1.0"))
		attributes := head()
		for _, name := range attributes.Names() {
			properties.set(name, attributes.Value(name))
		}
		properties.set("id", object("type", "string", "description", "The id of the event, unique within `source`: a repeated one is a duplicate."+ofNumber))
		properties.set("source", object("type", "string", "description", "Who sends it: a source that the token may publish as, or any URI, within which `id` is unique."))
		properties.set("data", object("anyOf", []any{d.eventData(), object("type", "null")}))
		d.schemas[cloudEvent] = object("type", "object", "description", "A CloudEvent 1.0 in structured form. Other attributes are ignored.",
			"properties", properties, "required", []string{"specversion", "id", "source", "type"})
	}
	return object("$ref", ref(cloudEvent))
}

// head are the properties that an event has beside its data.
func head() *Object {
	return object(
		"type", object("type", "string", "enum", event.Types, "description", "A canonical type."),
		"id", object("type", []string{"string", "null"}, "description", "Your own id, unique within tenant and source: a repeated one is a duplicate."+ofNumber),
		"source", object("type", []string{"string", "null"}, "description", "A source that the token may publish as; without it, `"+event.DefaultSource+"`."),
		"tenant", object("type", []string{"string", "null"}, "description", "The tenant, for a token of all tenants; without it, `"+access.DefaultTenant+"`."),
		"time", object("type", []string{"string", "null"}, "description", "When it happened. A time that cannot be read is left out, with a warning."),
	)
}

// groups are the properties of an event's data.
func (d *deriver) groups() *Object {
	all := &Object{}
	for _, f := range event.Fields() {
		group, name, within := strings.Cut(f.Path, ".")
		if group == "notice" || event.IsOfWhole(f.Path) { // the gateway's own
			continue
		}
		if !within {
			if f.Kind == event.Array {
				all.set(group, d.leaf(&f))
			} else {
				all.set(group, object("anyOf", []any{object("$ref", ref(groupName(group))), object("type", "null")}))
				d.schemas[groupName(group)] = newGroup(group)
			}
			continue
		}
		at := d.schemas[groupName(group)]
		if part, leaf, deeper := strings.Cut(name, "."); deeper {
			at, name = d.schemas[groupName(part)], leaf
		}
		if f.Kind == event.Object && !f.Open {
			d.schemas[groupName(name)] = newGroup(f.Path)
			at.Object("properties").set(name, object("anyOf", []any{object("$ref", ref(groupName(name))), object("type", "null")}))
			continue
		}
		at.Object("properties").set(name, d.leaf(&f))
	}
	return all
}

func groupName(group string) string { return "Published" + pascal([]string{group}) }

func newGroup(path string) *Object {
	return object("type", "object", "description", "The fields `"+path+".…` of an event as it is published.", "properties", object(), "additionalProperties", false)
}

// abouts describe the fields, by their paths.
var abouts = func() map[string]string {
	all := map[string]string{}
	for _, entry := range event.Glossary() {
		all[cmp.Or(entry.Path, entry.Name)] = entry.About
	}
	return all
}()

// leaf returns the schema of a field, with its description.
func (d *deriver) leaf(f *event.Field) *Object {
	o := d.kind(f)
	if about := abouts[f.Path]; about != "" && o.Text("$ref") == "" {
		switch {
		case f.Kind == event.Number:
			about += " A text that is a number counts too."
		case f.Identifier:
			about += ofNumber
		}
		o.set("description", about)
	}
	return o
}

// ofNumber follows the description of an id.
const ofNumber = " A number counts too."

// kind returns the schema of a field's values in the form that clients should send. null is as if it were absent. The server also reads
// an id that is a number, and a number that is a text: with unions of those, generated clients would be hard to use.
func (d *deriver) kind(f *event.Field) *Object {
	switch f.Kind {
	case event.Number:
		return object("type", []string{"number", "null"})
	case event.Bool:
		return object("type", []string{"boolean", "null"})
	case event.Object:
		return object("type", []string{"object", "null"})
	case event.Array:
		switch f.Path {
		case "response.answers":
			return object("anyOf", []any{object("type", "array", "items", d.answer()), object("type", "object"), object("type", "null")})
		case "response.leads":
			return object("type", []string{"array", "null"}, "items", object("type", "object"))
		}
		return object("type", []string{"array", "null"}, "items", object("type", "string"))
	}
	return object("type", []string{"string", "null"})
}

// answer returns a reference to the schema of one answer.
func (d *deriver) answer() *Object {
	if d.schemas[answerSchema] == nil {
		text := func() *Object { return object("type", []string{"string", "null"}) }
		d.schemas[answerSchema] = object("type", "object", "description", "The answer to one question.", "properties", object(
			"question_id", object("type", "string", "description", "The id of the question."+ofNumber),
			"question", text(), "type", text(),
			"value", object("description", "What was answered, in the platform's form."),
			"value_ids", object("description", "The ids of the choices."),
			"comment", text(),
		), "required", []string{"question_id"}, "additionalProperties", false)
	}
	return object("$ref", ref(answerSchema))
}

// shortcuts are the short names of fields.
func shortcuts() *Object {
	d := &deriver{}
	all := &Object{}
	fields := event.Fields()
	for _, name := range sorted(event.Shortcuts) {
		i := slices.IndexFunc(fields, func(f event.Field) bool { return f.Path == event.Shortcuts[name] })
		short := d.leaf(&fields[i])
		short.set("description", "Short for `"+event.Shortcuts[name]+"`.")
		all.set(name, short)
	}
	return all
}

// attributeHeaders are the parameters of a CloudEvent in binary form, whose body is its data.
func attributeHeaders() []any {
	header := func(name, description string, schema *Object) any {
		return object("name", event.AttributeHeader+name, "in", "header", "description", description, "schema", schema)
	}
	return []any{
		header("specversion", "The body is the data of a CloudEvent in binary form, which has `ce-id`, `ce-source` and `ce-type` too.", object("type", "string", "const", "1.0")),
		header("id", "See CloudEvent.", object("type", "string")),
		header("source", "See CloudEvent.", object("type", "string")),
		header("type", "See CloudEvent.", object("type", "string", "enum", event.Types)),
		header("time", "See CloudEvent.", object("type", "string")),
	}
}
