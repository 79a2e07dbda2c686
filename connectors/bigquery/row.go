package bigquery

import (
	"slices"
	"strings"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/expression"
)

// column is a standard column. value returns nil for an event without a value.
type column struct {
	name  string
	kind  string // its type in SQL
	value func(ev *event.Event, d *event.Data) any
}

// columns are the standard columns. A response is identified by tenant and response_key together, because platforms number
// the responses of each survey from 1.
var columns = []column{
	{"event_id", "STRING", func(ev *event.Event, _ *event.Data) any { return text(ev.ID) }},
	{"event_type", "STRING", func(ev *event.Event, _ *event.Data) any { return text(ev.Type) }},
	{"event_time", "TIMESTAMP", func(ev *event.Event, _ *event.Data) any { return timestamp(ev.Time) }},
	{"received_at", "TIMESTAMP", func(ev *event.Event, _ *event.Data) any { return timestamp(ev.Received) }},
	{"tenant", "STRING", func(ev *event.Event, _ *event.Data) any { return text(ev.Tenant) }},
	{"source", "STRING", func(ev *event.Event, _ *event.Data) any { return text(ev.Source) }},
	{"survey_id", "STRING", func(_ *event.Event, d *event.Data) any { return text(d.Survey.ID) }},
	{"survey_title", "STRING", func(_ *event.Event, d *event.Data) any { return text(d.Survey.Title) }},
	{"survey_type", "STRING", func(_ *event.Event, d *event.Data) any { return text(d.Survey.Type) }},
	{"response_id", "STRING", func(_ *event.Event, d *event.Data) any { return text(d.Response.ID) }},
	{"response_key", "STRING", func(ev *event.Event, _ *event.Data) any { return text(ev.ResponseKey()) }},
	{"started_at", "TIMESTAMP", func(_ *event.Event, d *event.Data) any { return moment(d.Response.StartedAt) }},
	{"submitted_at", "TIMESTAMP", func(_ *event.Event, d *event.Data) any { return moment(d.Response.CompletedAt) }},
	{"duration_s", "FLOAT64", func(_ *event.Event, d *event.Data) any { return number(d.Response.DurationS) }},
	{"nps_score", "FLOAT64", func(_ *event.Event, d *event.Data) any { return number(d.Response.Score.NPS) }},
	{"nps_group", "STRING", func(_ *event.Event, d *event.Data) any { return group(d.Response.Score.NPS) }},
	{"csat_score", "FLOAT64", func(_ *event.Event, d *event.Data) any { return number(d.Response.Score.CSAT) }},
	{"ces_score", "FLOAT64", func(_ *event.Event, d *event.Data) any { return number(d.Response.Score.CES) }},
	{"custom_score", "FLOAT64", func(_ *event.Event, d *event.Data) any { return number(d.Response.Score.Custom) }},
	{"feedback", "STRING", func(_ *event.Event, d *event.Data) any { return text(d.Response.Feedback) }},
	{"respondent_id", "STRING", func(_ *event.Event, d *event.Data) any { return text(d.Respondent.ID) }},
	{"external_id", "STRING", func(_ *event.Event, d *event.Data) any { return text(d.Respondent.ExternalID) }},
	{"email", "STRING", func(_ *event.Event, d *event.Data) any { return text(d.Respondent.Email) }},
	{"name", "STRING", func(_ *event.Event, d *event.Data) any { return text(d.Respondent.Name) }},
	{"language", "STRING", func(_ *event.Event, d *event.Data) any { return text(d.Context.Language) }},
	{"answers", "JSON", func(_ *event.Event, d *event.Data) any { return answers(d.Response.Answers) }},
}

// standard returns the standard columns that are written: those that `row` does not replace. BigQuery compares names without regard
// to case.
func (c *Connector) standard() []column {
	if !c.Standard {
		return nil
	}
	own := c.Row.Keys()
	if len(own) == 0 {
		return columns
	}
	kept := make([]column, 0, len(columns))
	for _, column := range columns {
		if !slices.ContainsFunc(own, func(name string) bool { return strings.EqualFold(name, column.name) }) {
			kept = append(kept, column)
		}
	}
	return kept
}

// names returns the columns that are written.
func (c *Connector) names() []string {
	names := c.Row.Keys()
	for _, column := range c.standard() {
		names = append(names, column.name)
	}
	return names
}

// values returns the row: the standard columns and the operator's, without those that are empty.
func (c *Connector) values(ev *event.Event) (expression.Object, error) {
	own, err := c.Row.Evaluate(ev)
	if err != nil {
		return nil, err
	}
	standard := c.standard()
	d := ev.Data()
	all := make(expression.Object, 0, len(standard)+len(own))
	for i := range standard {
		if value := standard[i].value(ev, d); value != nil {
			all = append(all, expression.Member{Key: standard[i].name, Value: value})
		}
	}
	for _, m := range own {
		if m.Value != "" {
			all = append(all, m)
		}
	}
	if len(all) == 0 {
		return nil, connectors.Skip("no column has a value")
	}
	return all, nil
}

func text(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func number(f *float64) any {
	if f == nil {
		return nil
	}
	return *f
}

func group(nps *float64) any {
	if nps == nil {
		return nil
	}
	return text(event.NPSGroup(*nps))
}

// timestamp returns a time in microseconds; BigQuery refuses a finer one.
// https://cloud.google.com/bigquery/docs/reference/standard-sql/data-types#timestamp_type
func timestamp(t time.Time) any { return t.UTC().Format("2006-01-02T15:04:05.999999Z") }

// moment returns a time that the event has as text.
func moment(s string) any {
	if s == "" {
		return nil
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return nil
	}
	return timestamp(t)
}

// answers returns the answers as JSON text, which a column of the type JSON takes as well as one of the type STRING.
func answers(all []event.Answer) any {
	if len(all) == 0 {
		return nil
	}
	b, err := event.Marshal(all)
	if err != nil {
		return nil
	}
	return string(b)
}

// reserved are the prefixes of column names that BigQuery keeps for itself.
// https://cloud.google.com/bigquery/docs/schemas#column_names
var reserved = []string{"_TABLE_", "_FILE_", "_PARTITION", "_ROW_TIMESTAMP", "__ROOT__", "_COLIDENTIFIER", "_CHANGE_SEQUENCE_NUMBER", "_CHANGE_TYPE", "_CHANGE_TIMESTAMP"}

// validateRow checks the names of the columns, which BigQuery compares without regard to case.
func (c *Connector) validateRow() error {
	seen := map[string]bool{}
	for _, name := range c.Row.Keys() {
		if !columnName.MatchString(name) {
			return connectors.Invalid("row", "`"+name+"` is not a column's name that BigQuery takes; begin with a letter or `_`, then letters, digits and `_`")
		}
		upper := strings.ToUpper(name)
		for _, prefix := range reserved {
			if strings.HasPrefix(upper, prefix) {
				return connectors.Invalid("row", "`"+name+"` has a prefix that BigQuery reserves; choose another")
			}
		}
		if seen[upper] {
			return connectors.Invalid("row", "`"+name+"` is the name of two columns, because BigQuery does not tell upper case from lower")
		}
		seen[upper] = true
	}
	return nil
}
