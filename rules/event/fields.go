package event

import (
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// Kind is the type of a field's value.
type Kind string

// The kinds of fields.
const (
	String Kind = "string"
	Number Kind = "number"
	Bool   Kind = "bool"
	Object Kind = "object"
	Array  Kind = "array"
	Any    Kind = "any"
)

// Field is one known field of an event's data.
type Field struct {
	// Path is the field's path in the data, such as `response.score.nps`.
	Path string
	Kind Kind
	// Open is set for objects with keys that the platform or the publisher chooses. The kind of everything below them is Any.
	Open bool
	// Identifier is set for texts that may be written as a number, whose digits are kept.
	Identifier bool
}

// Shortcuts maps short names to paths in the data. They are valid in the rule language, as targets of roles, in profiles, and at
// the top level of a published event.
var Shortcuts = map[string]string{
	"nps_score":  "response.score.nps",
	"csat_score": "response.score.csat",
	"ces_score":  "response.score.ces",
	"feedback":   "response.feedback",
	"email":      "respondent.email",
	"name":       "respondent.name",
	"first_name": "respondent.first_name",
	"last_name":  "respondent.last_name",
	"phone":      "respondent.phone",
	"consent":    "respondent.consent",
	"params":     "respondent.params",
}

// Aliases maps further words of the rule language to names of the data. Unlike Shortcuts, they are valid in expressions only.
var Aliases = map[string]string{
	"ces": "ces_score",
}

// DerivedNames are the names of the rule language that are not paths in the data: attributes of the header, and what is computed.
// DerivedKind returns the kind of each.
var DerivedNames = []string{
	"type", "source", "tenant", "time", "received", NameHour, NameWeekday, NameAge, "nps_group", NameComplete, NameRate,
}

// Names that are computed from the time of receipt, and from the answers.
const (
	NameHour    = "received.hour"
	NameWeekday = "received.weekday"
	NameAge     = "age_days"
	NameRate    = "completion_rate"
	// NameComplete is response.completed, or what follows from the type: see IsComplete.
	NameComplete = "is_complete"
)

// Weekdays are the values of received.weekday, from Sunday as in time.Weekday.
var Weekdays = []string{"sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"}

// DerivedKind returns the kind of one of DerivedNames.
func DerivedKind(name string) Kind {
	switch name {
	case NameHour, NameAge, NameRate:
		return Number
	case NameComplete:
		return Bool
	}
	return String
}

// IsComplete returns what an event's type says of whether the respondent reached the end; nil if it says nothing of it.
func IsComplete(eventType string) *bool {
	complete := false
	switch eventType {
	case TypeResponseCompleted, TypeResponseUpdated:
		complete = true
	case TypeResponseStarted, TypeResponsePartial:
	default:
		return nil
	}
	return &complete
}

// AgeDays returns how many full days passed between the time at which an event happened and its receipt: 0 if the platform's time is
// the later one. ok is false if one of them is unknown.
func (h *Header) AgeDays() (days int, ok bool) {
	if h.Time.IsZero() || h.Received.IsZero() {
		return 0, false
	}
	return max(int(h.Received.Sub(h.Time)/(24*time.Hour)), 0), true
}

// node is one known field or group of the data.
type node struct {
	Field
	name  string
	bit   uint64 // one per node
	below []*node
	index map[string]*node

	text    func(*Data) *string
	time    bool // text in RFC 3339
	whole   bool // known of a response as a whole, and of no single event
	number  func(*Data) **float64
	truth   func(*Data) **bool
	object  func(*Data) *json.RawMessage
	texts   func(*Data) *[]string
	special special
}

// special marks leaves that are lists.
type special uint8

const (
	answers special = iota + 1
	leads
	texts
)

// leaves are the fields in the order of an envelope.
var leaves = []node{
	{Field: Field{Path: "account.id", Kind: String, Identifier: true}, text: func(d *Data) *string { return &d.Account.ID }},
	{Field: Field{Path: "survey.id", Kind: String, Identifier: true}, text: func(d *Data) *string { return &d.Survey.ID }},
	{Field: Field{Path: "survey.title", Kind: String}, text: func(d *Data) *string { return &d.Survey.Title }},
	{Field: Field{Path: "survey.type", Kind: String}, text: func(d *Data) *string { return &d.Survey.Type }},
	{Field: Field{Path: "survey.version", Kind: String, Identifier: true}, text: func(d *Data) *string { return &d.Survey.Version }},
	{Field: Field{Path: "response.id", Kind: String, Identifier: true}, text: func(d *Data) *string { return &d.Response.ID }},
	{Field: Field{Path: "response.completed", Kind: Bool}, truth: func(d *Data) **bool { return &d.Response.Completed }},
	{Field: Field{Path: "response.started_at", Kind: String}, text: func(d *Data) *string { return &d.Response.StartedAt }, time: true},
	{Field: Field{Path: "response.completed_at", Kind: String}, text: func(d *Data) *string { return &d.Response.CompletedAt }, time: true},
	{Field: Field{Path: "response.updated_at", Kind: String}, text: func(d *Data) *string { return &d.Response.UpdatedAt }, time: true},
	{Field: Field{Path: "response.duration_s", Kind: Number}, number: func(d *Data) **float64 { return &d.Response.DurationS }},
	{Field: Field{Path: "response.permalink", Kind: String}, text: func(d *Data) *string { return &d.Response.Permalink }},
	{Field: Field{Path: "response.review_state", Kind: String}, text: func(d *Data) *string { return &d.Response.ReviewState }},
	{Field: Field{Path: "response.score.nps", Kind: Number}, number: func(d *Data) **float64 { return &d.Response.Score.NPS }},
	{Field: Field{Path: "response.score.csat", Kind: Number}, number: func(d *Data) **float64 { return &d.Response.Score.CSAT }},
	{Field: Field{Path: "response.score.ces", Kind: Number}, number: func(d *Data) **float64 { return &d.Response.Score.CES }},
	{Field: Field{Path: "response.score.custom", Kind: Number}, number: func(d *Data) **float64 { return &d.Response.Score.Custom }},
	{Field: Field{Path: "response.feedback", Kind: String}, text: func(d *Data) *string { return &d.Response.Feedback }},
	{Field: Field{Path: "response.answers", Kind: Array}, special: answers},
	{Field: Field{Path: "response.result", Kind: Object, Open: true}, object: func(d *Data) *json.RawMessage { return &d.Response.Result }},
	{Field: Field{Path: "response.leads", Kind: Array}, special: leads},
	{Field: Field{Path: pathCleared, Kind: Array}, special: texts, texts: func(d *Data) *[]string { return &d.Response.Cleared }},
	{Field: Field{Path: "response.status", Kind: String}, text: func(d *Data) *string { return &d.Response.Status }, whole: true},
	{Field: Field{Path: "response.version", Kind: Number}, number: func(d *Data) **float64 { return &d.Response.Version }, whole: true},
	{Field: Field{Path: "response.events", Kind: Number}, number: func(d *Data) **float64 { return &d.Response.Events }, whole: true},
	{Field: Field{Path: "response.first_at", Kind: String}, text: func(d *Data) *string { return &d.Response.FirstAt }, time: true, whole: true},
	{Field: Field{Path: "response.last_at", Kind: String}, text: func(d *Data) *string { return &d.Response.LastAt }, time: true, whole: true},
	{Field: Field{Path: "respondent.id", Kind: String, Identifier: true}, text: func(d *Data) *string { return &d.Respondent.ID }},
	{Field: Field{Path: "respondent.external_id", Kind: String, Identifier: true}, text: func(d *Data) *string { return &d.Respondent.ExternalID }},
	{Field: Field{Path: "respondent.email", Kind: String}, text: func(d *Data) *string { return &d.Respondent.Email }},
	{Field: Field{Path: "respondent.name", Kind: String}, text: func(d *Data) *string { return &d.Respondent.Name }},
	{Field: Field{Path: "respondent.first_name", Kind: String}, text: func(d *Data) *string { return &d.Respondent.FirstName }},
	{Field: Field{Path: "respondent.last_name", Kind: String}, text: func(d *Data) *string { return &d.Respondent.LastName }},
	{Field: Field{Path: "respondent.phone", Kind: String}, text: func(d *Data) *string { return &d.Respondent.Phone }},
	{Field: Field{Path: "respondent.verified", Kind: Bool}, truth: func(d *Data) **bool { return &d.Respondent.Verified }},
	{Field: Field{Path: "respondent.consent", Kind: Bool}, truth: func(d *Data) **bool { return &d.Respondent.Consent }},
	{Field: Field{Path: "respondent.params", Kind: Object, Open: true}, object: func(d *Data) *json.RawMessage { return &d.Respondent.Params }},
	{Field: Field{Path: "context.ip", Kind: String}, text: func(d *Data) *string { return &d.Context.IP }},
	{Field: Field{Path: "context.user_agent", Kind: String}, text: func(d *Data) *string { return &d.Context.UserAgent }},
	{Field: Field{Path: "context.page_url", Kind: String}, text: func(d *Data) *string { return &d.Context.PageURL }},
	{Field: Field{Path: "context.channel", Kind: String}, text: func(d *Data) *string { return &d.Context.Channel }},
	{Field: Field{Path: "context.language", Kind: String}, text: func(d *Data) *string { return &d.Context.Language }},
	{Field: Field{Path: "context.country", Kind: String}, text: func(d *Data) *string { return &d.Context.Country }},
	{Field: Field{Path: "context.collector_id", Kind: String, Identifier: true}, text: func(d *Data) *string { return &d.Context.CollectorID }},
	{Field: Field{Path: "notice.summary", Kind: String}, text: func(d *Data) *string { return &d.Notice.Summary }},
	{Field: Field{Path: "notice.destination", Kind: String}, text: func(d *Data) *string { return &d.Notice.Destination }},
	{Field: Field{Path: "notice.source", Kind: String}, text: func(d *Data) *string { return &d.Notice.Source }},
	{Field: Field{Path: "notice.setting", Kind: String}, text: func(d *Data) *string { return &d.Notice.Setting }},
	{Field: Field{Path: "notice.act", Kind: String}, text: func(d *Data) *string { return &d.Notice.Act }},
	{Field: Field{Path: "notice.by", Kind: String}, text: func(d *Data) *string { return &d.Notice.By }},
	{Field: Field{Path: "notice.reason", Kind: String}, text: func(d *Data) *string { return &d.Notice.Reason }},
	{Field: Field{Path: "notice.count", Kind: Number}, number: func(d *Data) **float64 { return &d.Notice.Count }},
	{Field: Field{Path: "notice.since", Kind: String}, text: func(d *Data) *string { return &d.Notice.Since }, time: true},
	{Field: Field{Path: "warnings", Kind: Array}, special: texts, texts: func(d *Data) *[]string { return &d.Warnings }},
	{Field: Field{Path: "unread", Kind: Array}, special: texts, texts: func(d *Data) *[]string { return &d.Unread }},
}

// pathCleared is the path of what an event answers with nothing.
const pathCleared = "response.cleared"

// IsOfWhole reports whether a path is known of a response as a whole, and of no single event.
func IsOfWhole(path string) bool {
	for i := range leaves {
		if leaves[i].Path == path {
			return leaves[i].whole
		}
	}
	return false
}

// schema is the tree of leaves.
var schema = tree()

func tree() *node {
	root := &node{Field: Field{Kind: Object}, index: map[string]*node{}}
	groups := len(leaves)
	for i := range leaves {
		at := root
		keys := strings.Split(leaves[i].Path, ".")
		for n, key := range keys {
			next := at.index[key]
			if next == nil {
				if n == len(keys)-1 {
					leaf := leaves[i]
					leaf.name, leaf.bit = key, 1<<i
					next = &leaf
				} else {
					next = &node{name: key, bit: 1 << groups, index: map[string]*node{}, Field: Field{Path: strings.Join(keys[:n+1], "."), Kind: Object}}
					groups++
				}
				at.index[key] = next
				at.below = append(at.below, next)
			}
			at = next
		}
	}
	return root
}

// Fields returns all known fields of the data in the envelope's order, each group before its fields.
func Fields() []Field {
	var fields []Field
	var walk func(n *node)
	walk = func(n *node) {
		for _, b := range n.below {
			fields = append(fields, b.Field)
			walk(b)
		}
	}
	walk(schema)
	return fields
}

// Resolve returns the path in the data of a name of the rule language: a shortcut, a known path, or any path below an open object
// or an array (params.plan, response.result.title, response.leads.0.email). ok is false for other names, also for DerivedNames.
func Resolve(name string) (path string, ok bool) {
	path, _, ok = lookup(name)
	return path, ok
}

// KindOf returns the kind of a name that Resolve accepts.
func KindOf(name string) (Kind, bool) {
	_, kind, ok := lookup(name)
	return kind, ok
}

func lookup(name string) (path string, kind Kind, ok bool) {
	first, rest, more := strings.Cut(name, ".")
	path = name
	if long, is := Shortcuts[first]; is {
		if path = long; more {
			path += "." + rest
		}
	}
	at := schema
	for left, more := path, true; more; {
		var key string
		key, left, more = strings.Cut(left, ".")
		if key == "" {
			return "", "", false
		}
		next := at.index[key]
		if next == nil {
			return "", "", false
		}
		if at = next; more && (at.Open || at.special != 0) {
			if strings.HasPrefix(left, ".") || strings.HasSuffix(left, ".") || left == "" || strings.Contains(left, "..") {
				return "", "", false
			}
			return path, Any, true
		}
	}
	return path, at.Kind, true
}

// Names returns all complete names of the rule language, sorted: Shortcuts, Aliases, the paths of Fields, and DerivedNames.
func Names() []string { return slices.Clone(names) }

var names = func() []string {
	all := slices.Clone(DerivedNames)
	for short := range Shortcuts {
		all = append(all, short)
	}
	for alias := range Aliases {
		all = append(all, alias)
	}
	for _, f := range Fields() {
		all = append(all, f.Path)
	}
	slices.Sort(all)
	return all
}()
