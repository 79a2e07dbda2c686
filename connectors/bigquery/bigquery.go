// Package bigquery streams survey events into a Google BigQuery table, one row per event.
//
// The table must exist: `surveygate check --live` prints the statement that creates it, or that adds the missing columns. Give the
// service account the role BigQuery Data Editor on the dataset. Streaming needs a project with billing. BigQuery may go on
// refusing a new table or column for some minutes; rows that it refuses for that are tried again.
//
// BigQuery drops a row that is sent twice within about a minute, and does not promise even that. So a row may be there twice:
// count by `event_id`, as in `SELECT … QUALIFY ROW_NUMBER() OVER (PARTITION BY event_id ORDER BY received_at) = 1`.
package bigquery

import (
	"hash/fnv"
	"net/url"
	"regexp"
	"strconv"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/expression"
)

var (
	_ connectors.Judge     = (*Connector)(nil)
	_ connectors.Batcher   = (*Connector)(nil)
	_ connectors.Validator = (*Connector)(nil)
	_ connectors.Checker   = (*Connector)(nil)
	_ connectors.Advisor   = (*Connector)(nil)
)

func init() {
	connectors.Register("bigquery", func() connectors.Connector { return &Connector{Standard: true} })
}

// Account is a table, and the service account that writes to it.
type Account struct {
	// Credentials are the service account's key file in JSON, whole: `${file:/path/key.json}`, or a variable with its content,
	// in which `\n` stays as it is. Google's console makes the file under IAM & Admin, Service Accounts, Keys.
	Credentials connectors.ServiceAccount `yaml:"credentials"`

	// Project is the id of the project that holds the dataset; the default is the service account's own project.
	Project string `yaml:"project,omitempty"`

	// Dataset is the dataset's id.
	Dataset string `yaml:"dataset"`

	// Table is the table's id. A rule may set another one. `table$20260131` writes to the partition of a day.
	Table string `yaml:"table"`

	// BaseURL is the address before `/projects/…`; the default is `https://bigquery.googleapis.com/bigquery/v2`.
	BaseURL connectors.BaseURL `yaml:"base_url,omitempty"`
}

// Connector writes one row per event.
type Connector struct {
	Account `yaml:",inline"`

	// Row adds columns to the standard ones, or replaces them: `event_id event_type event_time received_at tenant source`,
	// `survey_id survey_title survey_type response_id response_key started_at submitted_at duration_s`, `nps_score nps_group
	// csat_score ces_score custom_score feedback`, `respondent_id external_id email name language`, and `answers` as JSON text.
	// Values keep their types: a list is for a REPEATED column, a mapping for a RECORD. A column without a value is left out, which
	// BigQuery stores as NULL. Nothing is cut; a row over 10 MB is refused.
	Row expression.Values `yaml:"row,omitempty"`

	// Standard is whether the standard columns are written, which is the default. `false` is for a table that lacks them: it
	// leaves all of them out that `row` does not have.
	Standard bool `yaml:"standard,omitempty"`
}

const (
	api = "https://bigquery.googleapis.com/bigquery/v2"
	// scope includes reading a table's schema, which `check --live` needs, unlike bigquery.insertdata.
	// https://developers.google.com/identity/protocols/oauth2/scopes#bigquery
	scope = "https://www.googleapis.com/auth/bigquery"

	// maxRows and maxBytes are the advised size of a request, and half of the largest one.
	// https://cloud.google.com/bigquery/quotas#streaming_inserts
	maxRows  = 500
	maxBytes = 5 << 20
	// errorsOfRow is an upper bound in bytes for what an answer says about one row.
	errorsOfRow = 4 << 10
	// rowSize is the usual size of a row in bytes.
	rowSize = 768
)

// Build writes one row.
func (c *Connector) Build(ev *event.Event) (*connectors.Request, error) {
	return c.BuildBatch([]*event.Event{ev})
}

// BuildBatch writes one row per event. Without skipInvalidRows, one invalid row would stop all others.
// https://cloud.google.com/bigquery/docs/reference/rest/v2/tabledata/insertAll
func (c *Connector) BuildBatch(events []*event.Event) (*connectors.Request, error) {
	body := append(make([]byte, 0, rowSize*len(events)), `{"skipInvalidRows":true,"rows":[`...)
	for i, ev := range events {
		values, err := c.values(ev)
		if err != nil {
			return nil, err
		}
		row, err := values.MarshalJSON()
		if err != nil {
			return nil, err
		}
		if i > 0 {
			body = append(body, ',')
		}
		body = append(appendInsertID(append(body, `{"insertId":"`...), ev, row), `","json":`...)
		body = append(append(body, row...), '}')
	}
	req := connectors.Post(c.at(c.Table)+"/insertAll", append(body, `]}`...)).As(c.Credentials.OAuth2(scope))
	if limit := len(events) * errorsOfRow; limit > connectors.DefaultResponseLimit {
		req.LimitResponse(limit)
	}
	return req, nil
}

// appendInsertID appends the id by which BigQuery recognises a repeated row: the event's, and a hash of the row, because another
// rule may write another row about the event to the same table. It has less than the 128 characters that BigQuery takes.
func appendInsertID(b []byte, ev *event.Event, row []byte) []byte {
	hash := fnv.New64a()
	_, _ = hash.Write(row)
	return strconv.AppendUint(append(append(b, ev.ID...), '-'), hash.Sum64(), 36)
}

// at returns the address of a table.
func (a *Account) at(table string) string {
	return a.BaseURL.At(api, "/projects/"+url.PathEscape(a.project())+"/datasets/"+url.PathEscape(a.Dataset)+"/tables/"+url.PathEscape(table))
}

func (a *Account) project() string {
	if a.Project != "" {
		return a.Project
	}
	return a.Credentials.Project()
}

// Batch returns the limits of a request. The answer names only the rows that were refused.
func (c *Connector) Batch() connectors.BatchLimit {
	return connectors.BatchLimit{Events: maxRows, Bytes: maxBytes, Silent: true}
}

// Key returns no key: rows are only added.
func (c *Connector) Key(*event.Event) string { return "" }

// The forms of ids and names.
// https://cloud.google.com/resource-manager/docs/creating-managing-projects
// https://cloud.google.com/bigquery/docs/datasets#dataset-naming
// https://cloud.google.com/bigquery/docs/tables#table_naming
// https://cloud.google.com/bigquery/docs/schemas#column_names
var (
	projectID  = regexp.MustCompile(`^([a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]$`)
	datasetID  = regexp.MustCompile(`^[A-Za-z0-9_]+$`)
	tableID    = regexp.MustCompile(`^[\p{L}\p{M}\p{N}\p{Pc}\p{Pd} ]+(\$[0-9]{4,10})?$`)
	columnName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,299}$`)
)

// Validate checks the ids, and the names of the columns.
func (c *Connector) Validate() error {
	switch {
	case c.project() == "":
		return connectors.Invalid("project", "is missing, and the service account's key names none; write the id of the project that holds the dataset")
	case !projectID.MatchString(c.project()):
		return connectors.Invalid("project", "`"+c.project()+"` is no project's id; the console shows it beside the project's name, such as `acme-surveys`")
	case !datasetID.MatchString(c.Dataset):
		return connectors.Invalid("dataset", "`"+c.Dataset+"` is no dataset's id, which has letters, digits and `_` only; write the project into `project`")
	case !tableID.MatchString(c.Table):
		return connectors.Invalid("table", "`"+c.Table+"` is no table's id; write project and dataset into `project` and `dataset`")
	}
	return c.validateRow()
}
