package bigquery

import (
	"slices"
	"strings"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/expression"
)

// Check asks for the table, which writes nothing.
// https://cloud.google.com/bigquery/docs/reference/rest/v2/tables/get
func (c *Connector) Check() []*connectors.Request {
	return []*connectors.Request{connectors.Get(c.at(c.bareTable())).As(c.Credentials.OAuth2(scope)).LimitResponse(maxSchema)}
}

// maxSchema is the largest schema in bytes that is read; a table has at most 10,000 columns.
// https://cloud.google.com/bigquery/quotas#standard_tables
const maxSchema = 4 << 20

// bareTable returns the table's id without the partition.
func (a *Account) bareTable() string {
	table, _, _ := strings.Cut(a.Table, "$")
	return table
}

// existing is a column of the table.
type existing struct {
	Name string `json:"name"`
	Type string `json:"type"`
	Mode string `json:"mode"`
}

// unchecked is what no harmless request proves.
const unchecked = "the permission to add rows to the table (bigquery.tables.updateData)"

// JudgeCheck returns the table or the columns that are missing, with the statement that makes them.
func (c *Connector) JudgeCheck(res *connectors.Response) connectors.Proof {
	var table struct {
		Schema struct {
			Fields []existing `json:"fields"`
		} `json:"schema"`
		Kind  string `json:"kind"`
		Error struct {
			Message string `json:"message"`
		} `json:"error"`
	}
	err := res.JSON(&table)
	switch {
	case res.Status == 404 && strings.Contains(table.Error.Message, "Dataset"):
		return connectors.Missing("the dataset " + c.Dataset + " in the project " + c.project())
	case res.Status == 404 && strings.Contains(table.Error.Message, "Table"):
		return connectors.Missing("the table " + c.bareTable() + "; create it " + c.with())
	case res.Status == 404:
		return connectors.Missing("the project " + c.project() + ", its dataset or its table; create the table " + c.with())
	case res.Status == 401:
		return connectors.Missing("a key that Google accepts (" + refused(res).Reason + ")")
	case res.Status == 403:
		return connectors.Missing("permission to read the table: give the service account the role BigQuery Data Editor on the dataset (" + refused(res).Reason + ")")
	case res.Status < 200 || res.Status > 299:
		return connectors.ProofByStatus(res)
	case err != nil || table.Kind != "bigquery#table":
		return connectors.UnexpectedAnswer("BigQuery", "the table", res)
	}
	return connectors.Proof{Missing: c.compare(table.Schema.Fields), Unproved: []string{unchecked}}
}

// compare returns what the table's columns lack for the rows of this step.
func (c *Connector) compare(has []existing) (missing []string) {
	wanted := c.columns()
	var names, additions []string
	for _, w := range wanted {
		if !slices.ContainsFunc(has, func(e existing) bool { return strings.EqualFold(e.Name, w.name) }) {
			names = append(names, w.name)
			additions = append(additions, "ADD COLUMN "+w.name+" "+w.kind)
		}
	}
	if len(names) > 0 {
		missing = append(missing, "the columns "+strings.Join(names, ", ")+" of the table "+c.bareTable()+"; add them with: ALTER TABLE "+c.name()+" "+strings.Join(additions, ", "))
	}
	for _, e := range has {
		if e.Mode == "REQUIRED" && !slices.ContainsFunc(wanted, func(w column) bool { return strings.EqualFold(e.Name, w.name) }) {
			missing = append(missing, "a value for the column "+e.Name+", which the table requires")
		}
	}
	return missing
}

// with returns how to create the table. A connection with `standard: false` leaves its columns to its steps.
func (c *Connector) with() string {
	if len(c.columns()) == 0 {
		return "with the columns that the rules have in `row`"
	}
	return "with: " + c.createTable()
}

// createTable returns the statement that creates the table.
// https://cloud.google.com/bigquery/docs/reference/standard-sql/data-definition-language#create_table_statement
func (c *Connector) createTable() string {
	wanted := c.columns()
	all := make([]string, len(wanted))
	for i, w := range wanted {
		all[i] = w.name + " " + w.kind
	}
	return "CREATE TABLE " + c.name() + " (" + strings.Join(all, ", ") + ")"
}

// name returns the table's full name in SQL.
func (a *Account) name() string {
	return "`" + a.project() + "." + a.Dataset + "." + a.bareTable() + "`"
}

// columns returns the names and types of the step's columns.
func (c *Connector) columns() []column {
	all := slices.Clone(c.standard())
	sample := c.sample()
	for _, name := range c.Row.Keys() {
		value, _ := sample.Lookup(name)
		all = append(all, column{name: name, kind: kindOf(value)})
	}
	return all
}

// complete is an event with every field that has one type for all surveys.
var complete = []byte(`{"type": "response.completed", "time": "2026-01-02T03:04:05Z", "nps_score": 9, "csat_score": 5, "ces_score": 5,
 "feedback": "x", "email": "jo@example.com", "name": "Jo Doe", "phone": "+905551234567", "consent": true,
 "survey": {"id": "x", "title": "x", "type": "nps", "version": "1"}, "account": {"id": "x"},
 "response": {"id": "x", "completed": true, "started_at": "2026-01-02T03:04:05Z", "completed_at": "2026-01-02T03:04:05Z",
  "updated_at": "2026-01-02T03:04:05Z", "duration_s": 42.5, "permalink": "https://polls.example", "review_state": "x", "score": {"custom": 1}},
 "respondent": {"id": "x", "external_id": "x", "verified": true},
 "context": {"ip": "192.0.2.1", "user_agent": "x", "page_url": "https://example.com", "channel": "x", "language": "en", "country": "TR", "collector_id": "x"}}`)

// sample returns the operator's row for a complete event, to tell the types of its columns.
func (c *Connector) sample() expression.Object {
	ev, err := event.ParseOne(complete, event.Defaults{Received: time.Unix(0, 0)})
	if err != nil {
		return nil
	}
	values, err := c.Row.Evaluate(ev)
	if err != nil {
		return nil
	}
	return values
}

// kindOf returns the type in SQL of a column for a value. It is STRING for one that a complete event lacks, such as an answer,
// whose type is known only to the survey.
func kindOf(value any) string {
	switch value := value.(type) {
	case bool:
		return "BOOL"
	case string:
		if _, err := time.Parse(time.RFC3339Nano, value); err == nil {
			return "TIMESTAMP"
		}
	case []any:
		if len(value) > 0 {
			return "ARRAY<" + kindOf(value[0]) + ">"
		}
		return "ARRAY<STRING>"
	case expression.Object:
		fields := make([]string, len(value))
		for i, m := range value {
			fields[i] = m.Key + " " + kindOf(m.Value)
		}
		return "STRUCT<" + strings.Join(fields, ", ") + ">"
	case nil:
	default:
		return "FLOAT64"
	}
	return "STRING"
}
