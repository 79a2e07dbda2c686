package view

import "encoding/json"

// EventTypes are the types of events.
type EventTypes struct {
	Data []EventType `json:"data"`
	// Next is null.
	Next *string `json:"next"`
	// Fields describes the names that `fields` of the types refer to.
	Fields []EventField `json:"fields"`
}

// EventType is a canonical type of events.
type EventType struct {
	Name string `json:"name"`
	// Words are what happened.
	Words string `json:"words"`
	// Named: `*` does not stand for it; a rule or webhook has to name it.
	Named bool `json:"named,omitempty"`
	// Fields are the names that conditions and mappings can use for these events.
	Fields []string `json:"fields"`
	// Example is an event of the type as a webhook gets it with `body: event`.
	Example json.RawMessage `json:"example"`
}

// EventField is a name of the rule language.
type EventField struct {
	Name string `json:"name"`
	// Path is its path in the data of an event, where that differs.
	Path string `json:"path,omitempty"`
	// Kind is text, number, `true or false`, list, object or any.
	Kind string `json:"kind"`
	// Open: further names may follow, which the platform or the publisher chooses.
	Open  bool   `json:"open,omitempty"`
	Words string `json:"words"`
}
