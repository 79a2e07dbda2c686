package source

import (
	"fmt"
	"strings"

	"github.com/surveygate/surveygate/gateway/internal/document"
	"github.com/surveygate/surveygate/gateway/signature"
	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/jsonpath"
)

// Profile describes, as data, how one platform's requests are verified and normalised. It is bound from YAML strictly. Paths,
// patterns and templates are compiled during binding, so that a fault has its file, line and column. Create it with Parse; it is
// immutable.
type Profile struct {
	// Name is the platform's name, in configurations and on events (sourcekind).
	Name string `yaml:"source"`
	// Decode is the format of the body: json, form or multipart.
	Decode Decoder `yaml:"decode,omitempty"`
	// Accept are further formats of the body, for platforms that send forms. The format is recognised by the beginning of the
	// body, because the content type is not signed.
	Accept []Decoder `yaml:"accept,omitempty"`
	// JSONFields are fields of a form that contain JSON.
	JSONFields []string `yaml:"json_fields,omitempty"`
	// Split is the path of an array whose elements are the events; @this is the body itself.
	Split Path `yaml:"split,omitempty"`
	// Handshake are requests that are answered without an event, or become a test.
	Handshake []Handshake `yaml:"handshake,omitempty"`
	// Reply is the status that the platform expects; the default is 200.
	Reply int `yaml:"reply,omitempty"`
	// Verify are the checks of a request; all must pass.
	Verify []signature.Scheme `yaml:"verify"`
	// Hints are fields of a form that the signature does not cover but that may determine the event's type. They are used for
	// nothing else: not in a key, an id or a field of the event.
	Hints []string `yaml:"hints,omitempty"`
	// Type finds the platform's event name and its canonical type.
	Type TypeOf `yaml:"type"`
	// ID is the platform's own id of the event.
	ID Paths `yaml:"id,omitempty"`
	// Time is the time of the event.
	Time Paths `yaml:"time,omitempty"`
	// Dedupe is the key that repeated requests of one event share.
	Dedupe Template `yaml:"dedupe"`
	// DedupeByType is the key of one canonical type, in place of Dedupe.
	DedupeByType map[CanonicalType]Template `yaml:"dedupe_by_type,omitempty"`
	// Map fills fields of the event: with a path, a list of alternatives, or {path, prefix, except}.
	Map map[Field]*document.Node `yaml:"map,omitempty"`
	// MapByType are additions for one canonical type, which take precedence over Map.
	MapByType map[CanonicalType]map[Field]*document.Node `yaml:"map_by_type,omitempty"`
	// Params are objects merged into respondent.params; the first value of a name wins.
	Params Paths `yaml:"params,omitempty"`
	// Answers describe where answers are; all entries are read, in this order.
	Answers []Answers `yaml:"answers,omitempty"`
	// Answered are canonical types whose events must have a place for answers, even an empty one: if none is found, the event has
	// a warning. This always applies to answer.upserted.
	Answered []CanonicalType `yaml:"answered,omitempty"`
	// Score fills scores, each under a condition.
	Score []Score `yaml:"score,omitempty"`
	// Roles map answers to fields that are still absent.
	Roles []Role `yaml:"roles,omitempty"`
	// Leads describes where lead forms are.
	Leads *Leads `yaml:"leads,omitempty"`
	// NoTime is what the platform writes where it has no time: such a text is absent, not a time.
	NoTime *Pattern `yaml:"no_time,omitempty"`

	About `yaml:",inline"`
	program
}

// Handshake describes a request that is not an event. With Method, it is answered before verification; with When, after
// verification, and becomes a test.
type Handshake struct {
	Method string     `yaml:"method,omitempty"`
	When   *Condition `yaml:"when,omitempty"`
	Reply  int        `yaml:"reply"`
	// ReplyBody is the text of the answer; it may contain {query:name} and {header:name}.
	ReplyBody Template `yaml:"reply_body,omitempty"`
}

// TypeOf finds the event's type. Rules take precedence over the map; the first match wins.
type TypeOf struct {
	Path    Path                     `yaml:"path,omitempty"`
	Const   string                   `yaml:"const,omitempty"`
	Rules   []TypeRule               `yaml:"rules,omitempty"`
	Map     map[string]CanonicalType `yaml:"map,omitempty"`
	Default CanonicalType            `yaml:"default,omitempty"`
}

// TypeRule assigns a type if a condition holds.
type TypeRule struct {
	When Condition     `yaml:"when"`
	Type CanonicalType `yaml:"type"`
}

// Condition tests one value of the body; all given tests must pass.
type Condition struct {
	Path   Path     `yaml:"path"`
	Equals *string  `yaml:"equals,omitempty"`
	In     []string `yaml:"in,omitempty"`
	Regex  *Pattern `yaml:"regex,omitempty"`
	Gt     *float64 `yaml:"gt,omitempty"`
	Exists *bool    `yaml:"exists,omitempty"`
}

// Answers describes where answers are and their format.
type Answers struct {
	// From is their place; the default is the whole body.
	From Path `yaml:"from,omitempty"`
	// Shape is array (the default; a lone object counts as one), object or single.
	Shape Shape `yaml:"shape,omitempty"`
	// Each holds the paths of the parts of an answer, within its element.
	Each map[Part]Paths `yaml:"each,omitempty"`
	// ValueByType reads the value under the key that the element's `type` names.
	ValueByType bool `yaml:"value_by_type,omitempty"`
	// Join is the element's key into Defs; for objects the key itself.
	Join Path `yaml:"join,omitempty"`
	// Defs are lists of question definitions; the texts of several that fit are joined, outermost first.
	Defs []Definitions `yaml:"defs,omitempty"`
	// Options replace ids of choices, and of a matrix's rows and columns, by their texts; the ids are kept in value_ids.
	Options *Options `yaml:"options,omitempty"`
	// Key selects keys of an object and splits them by its groups <id> and <name>.
	Key *Pattern `yaml:"key,omitempty"`
	// Skip drops keys of an object.
	Skip *Pattern `yaml:"skip,omitempty"`
	// Others accepts keys as answers that match neither Key nor Skip, and that the profile neither reads nor declares as
	// unmapped, under their own name and with a warning.
	Others bool `yaml:"others,omitempty"`
	// SkipEmpty also drops empty lists, empty objects and blank text; null and "" are never answers.
	SkipEmpty bool `yaml:"skip_empty,omitempty"`
	// Where is a condition on the whole body.
	Where *Condition `yaml:"where,omitempty"`

	elements jsonpath.Paths  // the plain paths of Each and Join, extracted in one walk over an element
	named    Path            // the path `type`, for ValueByType
	parts    parts           // of Each
	on       when            // the bit of Where
	known    map[string]bool // keys that are not Others
}

// parts are the paths of the parts of an answer.
type parts struct{ id, question, typ, comment, value, valueIDs Paths }

// Definitions is a list of questions inside the body.
type Definitions struct {
	From     Path `yaml:"from"`
	ID       Path `yaml:"id"`
	Question Path `yaml:"question,omitempty"`
	Type     Path `yaml:"type,omitempty"`
	// Sub are parts of a question with their own ids. Their texts are appended to the question's, as in `Your Name / First`. A
	// part with its question's id replaces the question.
	Sub *Parts `yaml:"sub,omitempty"`

	elements jsonpath.Paths
}

// Parts is a list of parts inside a question's definition.
type Parts struct {
	From     Path `yaml:"from"`
	ID       Path `yaml:"id"`
	Question Path `yaml:"question"`
}

// Options is a list of choices inside an answer.
type Options struct {
	From Path `yaml:"from"`
	ID   Path `yaml:"id"`
	Text Path `yaml:"text"`
	// Rows and Columns are such lists of a matrix, whose value is an object from row id to column ids.
	Rows    Path `yaml:"rows,omitempty"`
	Columns Path `yaml:"columns,omitempty"`
}

// Score fills a score from a path if a condition holds.
type Score struct {
	When *Condition `yaml:"when,omitempty"`
	Set  Field      `yaml:"set"`
	From Paths      `yaml:"from"`

	on when // the bit of When
}

// Role maps an answer to a field of the event; all given tests must match the answer.
type Role struct {
	Set      Field    `yaml:"set"`
	Type     []string `yaml:"type,omitempty"`
	Value    *Pattern `yaml:"value,omitempty"`
	Name     *Pattern `yaml:"name,omitempty"`
	Question []string `yaml:"question,omitempty"`
	// Part is a path within an answer that is an object or a list; the default is the whole answer.
	Part Path `yaml:"part,omitempty"`
	// Parts are several such paths, whose texts are joined by spaces; if one of them is empty, the role does not apply.
	Parts []Path `yaml:"parts,omitempty"`
}

// Leads is a list of lead forms.
type Leads struct {
	From Path             `yaml:"from"`
	Each map[string]Paths `yaml:"each"`
}

// Decoder is json, form or multipart.
type Decoder string

// The decoders.
const (
	DecodeJSON      Decoder = "json"
	DecodeForm      Decoder = "form"
	DecodeMultipart Decoder = "multipart"
)

// UnmarshalText takes one of the decoders.
func (d *Decoder) UnmarshalText(b []byte) error {
	return oneOf((*string)(d), b, "a decoder", "json", "form", "multipart")
}

// Shape is array, object or single.
type Shape string

// The shapes of answers.
const (
	ShapeArray  Shape = "array"
	ShapeObject Shape = "object"
	ShapeSingle Shape = "single"
)

// UnmarshalText takes one of the shapes.
func (s *Shape) UnmarshalText(b []byte) error {
	return oneOf((*string)(s), b, "a shape of answers", "array", "object", "single")
}

// Part is a part of an answer: question_id, question, type, value, value_ids or comment.
type Part string

// The parts of an answer.
const (
	PartID       Part = "question_id"
	PartQuestion Part = "question"
	PartType     Part = "type"
	PartValue    Part = "value"
	PartValueIDs Part = "value_ids"
	PartComment  Part = "comment"
)

// UnmarshalText takes one of the parts.
func (p *Part) UnmarshalText(b []byte) error {
	return oneOf((*string)(p), b, "a part of an answer", "question_id", "question", "type", "value", "value_ids", "comment")
}

// CanonicalType is one of the event types of the gateway.
type CanonicalType string

// UnmarshalText takes a canonical type.
func (t *CanonicalType) UnmarshalText(b []byte) error {
	if !event.IsCanonical(string(b)) || strings.HasPrefix(string(b), event.GatewayPrefix) {
		return fmt.Errorf("`%s` is not a canonical type; %s", b, document.DidYouMean(string(b), event.Types))
	}
	*t = CanonicalType(b)
	return nil
}

func oneOf(to *string, b []byte, what string, words ...string) error {
	for _, w := range words {
		if w == string(b) {
			*to = w
			return nil
		}
	}
	return fmt.Errorf("`%s` is not %s; one of: %s", b, what, strings.Join(words, ", "))
}
