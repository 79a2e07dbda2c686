package source

import (
	"fmt"
	"strings"

	"github.com/surveygate/surveygate/gateway/internal/document"
	"github.com/surveygate/surveygate/gateway/signature"
	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/jsonpath"
)

// Profile says, as data, how one platform's requests are proved and what they mean. It is bound from YAML
// with unknown keys refused; every path, pattern and template in it is compiled while it is bound, so that a
// fault has its file, line and column. Make it with Parse; it is not changed afterwards.
type Profile struct {
	// Name is the platform's name, in configurations and on events (sourcekind).
	Name string `yaml:"source"`
	// Decode is how the body becomes JSON: json, form or multipart.
	Decode Decoder `yaml:"decode,omitempty"`
	// Accept are other forms in which the body may come, of a platform that sends a form. Which one it is shows in how the
	// body begins; its content type is not signed, and says nothing.
	Accept []Decoder `yaml:"accept,omitempty"`
	// JSONFields are fields of a form that hold JSON text.
	JSONFields []string `yaml:"json_fields,omitempty"`
	// Split is the path of an array of which each element is one event; @this is the body itself.
	Split Path `yaml:"split,omitempty"`
	// Handshake are requests that are answered and publish nothing, or become a test.
	Handshake []Handshake `yaml:"handshake,omitempty"`
	// Reply is the status that the platform wants to see; 200 without it.
	Reply int `yaml:"reply,omitempty"`
	// Verify must all pass.
	Verify []signature.Scheme `yaml:"verify"`
	// Hints are fields of a form that its signature leaves out, and that may yet say the event's type. Nothing else reads
	// them: they are no part of a key, an id or a field of the event.
	Hints []string `yaml:"hints,omitempty"`
	// Type finds the platform's event name and what it means.
	Type TypeOf `yaml:"type"`
	// ID is the platform's own id of the event.
	ID Paths `yaml:"id,omitempty"`
	// Time is when it happened.
	Time Paths `yaml:"time,omitempty"`
	// Dedupe is the key that two deliveries of one event share.
	Dedupe Template `yaml:"dedupe"`
	// DedupeByType is the key of one canonical type, in place of Dedupe.
	DedupeByType map[CanonicalType]Template `yaml:"dedupe_by_type,omitempty"`
	// Map fills fields of the event: with a path, a list of alternatives, or {path, prefix, except}.
	Map map[Field]*document.Node `yaml:"map,omitempty"`
	// MapByType are additions for one canonical type, which stand before Map.
	MapByType map[CanonicalType]map[Field]*document.Node `yaml:"map_by_type,omitempty"`
	// Params are objects merged into respondent.params; of two values for one name the first stays.
	Params Paths `yaml:"params,omitempty"`
	// Answers says where answers are; all entries are read, in this order.
	Answers []Answers `yaml:"answers,omitempty"`
	// Answered are canonical types whose events hold answers, be it none: one that has none of the places of Answers says so in
	// its warnings. An answer.upserted does so by itself.
	Answered []CanonicalType `yaml:"answered,omitempty"`
	// Score fills scores under a condition.
	Score []Score `yaml:"score,omitempty"`
	// Roles turn answers into fields; each fills only what is still absent.
	Roles []Role `yaml:"roles,omitempty"`
	// Leads says where lead forms are.
	Leads *Leads `yaml:"leads,omitempty"`
	// NoTime is what the platform writes where it has no time: such a text is absent, not a time.
	NoTime *Pattern `yaml:"no_time,omitempty"`

	About `yaml:",inline"`
	program
}

// Handshake answers a request that is no event. With Method it is answered before verification, with When
// after it, and becomes a test.
type Handshake struct {
	Method string     `yaml:"method,omitempty"`
	When   *Condition `yaml:"when,omitempty"`
	Reply  int        `yaml:"reply"`
	// ReplyBody is the answer's text; it may hold {query:name} and {header:name}.
	ReplyBody Template `yaml:"reply_body,omitempty"`
}

// TypeOf finds the event's type. Rules come before the map, the first match wins.
type TypeOf struct {
	Path    Path                     `yaml:"path,omitempty"`
	Const   string                   `yaml:"const,omitempty"`
	Rules   []TypeRule               `yaml:"rules,omitempty"`
	Map     map[string]CanonicalType `yaml:"map,omitempty"`
	Default CanonicalType            `yaml:"default,omitempty"`
}

// TypeRule gives a type where a condition holds.
type TypeRule struct {
	When Condition     `yaml:"when"`
	Type CanonicalType `yaml:"type"`
}

// Condition is one test of one value of the body; all that is given must hold.
type Condition struct {
	Path   Path     `yaml:"path"`
	Equals *string  `yaml:"equals,omitempty"`
	In     []string `yaml:"in,omitempty"`
	Regex  *Pattern `yaml:"regex,omitempty"`
	Gt     *float64 `yaml:"gt,omitempty"`
	Exists *bool    `yaml:"exists,omitempty"`
}

// Answers says where and how answers are written.
type Answers struct {
	// From is the place; absent it is the whole body.
	From Path `yaml:"from,omitempty"`
	// Shape is array (the default; a lone object counts as one), object or single.
	Shape Shape `yaml:"shape,omitempty"`
	// Each says where the parts of one answer are within its element.
	Each map[Part]Paths `yaml:"each,omitempty"`
	// ValueByType says that the value stands under the key that the element's `type` names.
	ValueByType bool `yaml:"value_by_type,omitempty"`
	// Join is the element's key into Defs; for objects the key itself.
	Join Path `yaml:"join,omitempty"`
	// Defs are lists of question definitions; the texts of several that fit are joined, outermost first.
	Defs []Definitions `yaml:"defs,omitempty"`
	// Options turn ids of choices, and of a matrix's rows and columns, into their texts; the ids go to value_ids.
	Options *Options `yaml:"options,omitempty"`
	// Key picks keys of an object and splits them by its groups <id> and <name>.
	Key *Pattern `yaml:"key,omitempty"`
	// Skip drops keys of an object.
	Skip *Pattern `yaml:"skip,omitempty"`
	// Others says that keys which fit neither Key nor Skip, and which nothing else of the profile reads or leaves out, are
	// answers too, under their own name and with a warning.
	Others bool `yaml:"others,omitempty"`
	// SkipEmpty drops empty lists, empty objects and blank text too; null and "" are never answers.
	SkipEmpty bool `yaml:"skip_empty,omitempty"`
	// Where must hold for the whole body.
	Where *Condition `yaml:"where,omitempty"`

	elements jsonpath.Paths  // the plain paths of Each and Join, found in one walk over an element
	named    Path            // `type`, where the value stands under the key that it names
	parts    parts           // of Each
	on       when            // the bit of Where
	known    map[string]bool // keys that are no Others
}

// parts are where the parts of one answer are.
type parts struct{ id, question, typ, comment, value, valueIDs Paths }

// Definitions is a list of questions inside the body.
type Definitions struct {
	From     Path `yaml:"from"`
	ID       Path `yaml:"id"`
	Question Path `yaml:"question,omitempty"`
	Type     Path `yaml:"type,omitempty"`
	// Sub are parts of a question that have ids of their own. Their texts stand behind the question's, `Your Name / First`,
	// and a part that has its question's id stands for it.
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
	// Rows and Columns are such lists too, of a matrix whose value is an object: row id to column ids.
	Rows    Path `yaml:"rows,omitempty"`
	Columns Path `yaml:"columns,omitempty"`
}

// Score fills a score from a path where a condition holds.
type Score struct {
	When *Condition `yaml:"when,omitempty"`
	Set  Field      `yaml:"set"`
	From Paths      `yaml:"from"`

	on when // the bit of When
}

// Role turns an answer into a field of the event; all that is given must fit the answer.
type Role struct {
	Set      Field    `yaml:"set"`
	Type     []string `yaml:"type,omitempty"`
	Value    *Pattern `yaml:"value,omitempty"`
	Name     *Pattern `yaml:"name,omitempty"`
	Question []string `yaml:"question,omitempty"`
	// Part is the place within an answer that is an object or a list; without it the whole answer counts.
	Part Path `yaml:"part,omitempty"`
	// Parts are several such places, whose texts are put together with spaces; where one of them is empty, none counts.
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
		return fmt.Errorf("`%s` is no canonical type; %s", b, document.DidYouMean(string(b), event.Types))
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
