package view

// Suggestions are what stored events suggest to change in the settings of sources and rules.
type Suggestions struct {
	// Events is how many of the newest events were looked at for Rules. Stopped is why not more: events (as many as one request looks
	// at) or time; absent where there are no older ones.
	Events  int    `json:"events"`
	Stopped string `json:"stopped,omitempty"`
	// Sources are the sources that were looked at, by name.
	Sources []SourceSuggestions `json:"sources"`
	// Rules are enabled rules and webhooks with a condition that none of the events matched that they were asked about, if these were 50
	// at least; at most 50. More is how many others there are.
	Rules []SilentRule `json:"rules"`
	More  int          `json:"more_rules,omitempty"`
}

// SourceSuggestions are roles that the questions of a source suggest.
type SourceSuggestions struct {
	Source  string `json:"source"`
	Profile string `json:"profile,omitempty"`
	// Events is how many of its newest events were looked at, at most 1,000, back to Back. Stopped is that of Suggestions.
	Events  int    `json:"events"`
	Back    Time   `json:"back,omitzero"`
	Stopped string `json:"stopped,omitempty"`
	// Note is why nothing can be suggested.
	Note string `json:"note,omitempty"`
	// Roles are the suggestions, those with the most answers first.
	Roles []SuggestedRole `json:"roles"`
	// YAML are the roles of the source as they are now and with all suggestions; Where is where they belong. Both are empty without one.
	YAML  string `json:"yaml,omitempty"`
	Where string `json:"where,omitempty"`
}

// SuggestedRole is a question that no role reads, and what it looks like.
type SuggestedRole struct {
	// Survey is the platform's id of the survey, where the role belongs to that alone.
	Survey string `json:"survey,omitempty"`
	// Question is what the role names it by: its id, or its text where the platform sends no id. Title is its text, Type its type.
	Question string `json:"question"`
	Title    string `json:"title,omitempty"`
	Type     string `json:"type,omitempty"`
	// Kind is email, phone, consent, score or comment; Field is what the role makes of it.
	Kind  string `json:"kind"`
	Field string `json:"field"`
	// Answers counts the answers that were not empty; Fit those of them that look like Kind.
	Answers int `json:"answers"`
	Fit     int `json:"fit"`
	// Evidence is what was seen, a sentence each.
	Evidence []string `json:"evidence"`
	// Example is one of the answers; of a text, of an address and of a number only the shape.
	Example string `json:"example,omitempty"`
	// Line is the line of YAML; Path is the setting that it belongs below.
	Line string `json:"line"`
	Path string `json:"path"`
	// Also are other questions of the same survey that look the same: a field has one question.
	Also []string `json:"also,omitempty"`
}

// SilentRule is a rule or webhook that matched no event.
type SilentRule struct {
	// Kind is rule or webhook.
	Kind string `json:"kind"`
	Name string `json:"name"`
	When string `json:"when"`
	// Asked is how many events it was asked about, at most 1,000; Explained of how many of them Parts were counted.
	Asked     int `json:"asked"`
	Explained int `json:"explained"`
	// Parts are the parts of the condition that said no most often, at most 3.
	Parts []SilentPart `json:"parts"`
	// Hints say which names no event had, and what is there in their place.
	Hints []string `json:"hints,omitempty"`
}

// SilentPart is a part of a condition that decided that it is not true.
type SilentPart struct {
	Text string `json:"text"`
	// False, True and Unknown count the events in which the part had this value and decided: a true part is one behind `not`.
	False   int `json:"false"`
	True    int `json:"true"`
	Unknown int `json:"unknown"`
	// Missing are the names that were absent where it was unknown.
	Missing []string `json:"missing,omitempty"`
	// Why says all of this in a sentence.
	Why string `json:"why"`
}
