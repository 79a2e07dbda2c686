package airtable

import (
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/expression"
)

const (
	responseID = "Response ID"

	// maxText is the largest length of a long text in characters.
	// https://support.airtable.com/docs/airtable-plan-limits
	maxText = 100_000

	// clock is Airtable's form of a time. https://airtable.com/developers/web/api/field-model#dateandtime
	clock = "2006-01-02T15:04:05.000Z"
)

// column is a standard column. kind is its type in the words of Airtable's pages.
type column struct {
	name, kind string
	value      func(ev *event.Event, d *event.Data) any
}

var columns = []column{
	{responseID, "single line text", func(ev *event.Event, _ *event.Data) any { return identity(ev) }},
	{"Email", "email", func(_ *event.Event, d *event.Data) any { return text(strings.ToLower(d.Respondent.Email)) }},
	{"Name", "single line text", func(_ *event.Event, d *event.Data) any { return text(d.Respondent.Name) }},
	{"Phone", "phone number", func(_ *event.Event, d *event.Data) any { return text(d.Respondent.Phone) }},
	{"NPS", "number", func(_ *event.Event, d *event.Data) any { return number(d.Response.Score.NPS) }},
	{"CSAT", "number", func(_ *event.Event, d *event.Data) any { return number(d.Response.Score.CSAT) }},
	{"CES", "number", func(_ *event.Event, d *event.Data) any { return number(d.Response.Score.CES) }},
	{"Feedback", "long text", func(_ *event.Event, d *event.Data) any { return text(d.Response.Feedback) }},
	{"Survey", "single line text", func(_ *event.Event, d *event.Data) any {
		if d.Survey.Title != "" {
			return text(d.Survey.Title)
		}
		return text(d.Survey.ID)
	}},
	{"Submitted at", "date and time", func(ev *event.Event, d *event.Data) any { return submitted(ev, d) }},
}

// standard returns the standard columns that are written: those that `fields` does not replace.
func (c *Connector) standard() []column {
	own, kept := c.Fields.Keys(), make([]column, 0, len(columns))
	for _, column := range columns {
		if !slices.Contains(own, column.name) && (c.Standard || slices.Contains(c.MergeOn, column.name)) {
			kept = append(kept, column)
		}
	}
	return kept
}

// names returns the columns that are written.
func (c *Connector) names() []string {
	names := c.Fields.Keys()
	for _, column := range c.standard() {
		names = append(names, column.name)
	}
	return names
}

// fields returns the row of an event: the standard columns and the operator's, without those that are empty.
func (c *Connector) fields(ev *event.Event) (expression.Object, error) {
	own, err := c.Fields.Evaluate(ev, guard)
	if err != nil {
		return nil, err
	}
	d := ev.Data()
	row := make(expression.Object, 0, len(columns)+len(own))
	put := func(name string, v any) {
		if !isEmpty(v) {
			row = append(row, expression.Member{Key: name, Value: v})
		}
	}
	for _, column := range c.standard() {
		put(column.name, column.value(ev, d))
	}
	for _, m := range own {
		put(m.Key, connectors.ClipTexts(m.Value, maxText))
	}
	return row, nil
}

// identity returns the platform's id of the response, for people, and the code that identifies it: ids of two surveys may be equal.
func identity(ev *event.Event) string {
	code := connectors.ResponseCode(ev)
	if ev.ResponseID == "" {
		return code
	}
	return guard(ev.ResponseID + " " + code)
}

// submitted returns the time at which the response was completed, or else the event's.
func submitted(ev *event.Event, d *event.Data) string {
	at := ev.Time
	if completed, err := time.Parse(time.RFC3339, d.Response.CompletedAt); err == nil {
		at = completed
	}
	return at.UTC().Format(clock)
}

func text(s string) string { return connectors.Clip(guard(s), maxText) }

func number(n *float64) any {
	if n == nil {
		return nil
	}
	return *n
}

// isEmpty reports whether a value would clear the column.
func isEmpty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case []any:
		return !slices.ContainsFunc(v, func(item any) bool { return !isEmpty(item) })
	case expression.Object:
		return len(v) == 0
	}
	return false
}

// digits matches a number or a phone number, which no spreadsheet turns into anything but a number.
var digits = regexp.MustCompile(`^[+-]?[0-9 ().,/-]*$`)

// guard puts an apostrophe before a respondent's text that a spreadsheet would run as a formula, also one that begins with
// characters that nobody sees, or with the full-width form of a sign.
// https://owasp.org/www-community/attacks/CSV_Injection
func guard(s string) string {
	s = strings.TrimSpace(s)
	seen := strings.TrimLeftFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.In(r, unicode.Cc, unicode.Cf) })
	if first, _ := utf8.DecodeRuneInString(seen); !strings.ContainsRune("=+-@＝＋－＠", first) || digits.MatchString(s) {
		return s
	}
	return "'" + s
}
