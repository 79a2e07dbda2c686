package openapi

import (
	"strings"

	"github.com/surveygate/surveygate/rules/event"
)

const publishedEvent = "PublishedEvent"

// event returns a reference to the schema of an event as callers publish it. The types of its values are hints: one that does not
// fit is left out of the event, with a warning, and refuses nothing.
func (d *deriver) event() *Object {
	if d.schemas[publishedEvent] == nil {
		properties := object(
			"type", object("type", "string", "enum", event.Types, "description", "A canonical type."),
			"id", object("description", "Your own id, unique within tenant and source: a repeated one is a duplicate."),
			"source", object("type", "string", "description", "A source that the token may publish as.", "default", event.DefaultSource),
			"tenant", object("type", "string", "description", "The tenant, for a token of all tenants."),
			"time", object("description", "When it happened."),
		)
		for _, f := range event.Fields() {
			at := properties
			parts := strings.Split(f.Path, ".")
			for _, group := range parts[:len(parts)-1] {
				if at.Object(group).Object("properties") == nil {
					at.set(group, object("properties", object()))
				}
				at = at.Object(group).Object("properties")
			}
			name := parts[len(parts)-1]
			if at.Value(name) == nil && f.Path != "warnings" && f.Path != "unread" {
				at.set(name, object("description", kindOf(f.Kind)))
			}
		}
		for _, name := range sorted(event.Shortcuts) {
			properties.set(name, object("description", "Short for `"+event.Shortcuts[name]+"`."))
		}
		d.schemas[publishedEvent] = object("type", "object", "description", "An event as it is published.",
			"properties", properties, "required", []string{"type"})
	}
	return object("$ref", ref(publishedEvent))
}

func kindOf(k event.Kind) string {
	switch k {
	case event.Number:
		return "A number."
	case event.Bool:
		return "True or false."
	case event.Array:
		return "A list."
	case event.Object:
		return "An object."
	default:
		return "A text."
	}
}
