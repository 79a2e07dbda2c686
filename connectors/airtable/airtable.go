// Package airtable writes survey responses to an Airtable table, one row per response.
//
// A row is found again by the columns in `merge_on`, so a response that is repeated, changed or corrected changes its row. Without
// them every event adds a row, and an event that is sent twice, because the first answer was lost, adds two. Up to 10 rows go in
// one request, of which Airtable writes either all or none.
//
// Make the table with the standard columns, or name your own in `fields`; `check --live` says which are missing, and their types.
// The standard ones are Response ID, Name and Survey (single line text), Email (email), Phone (phone number), NPS, CSAT and CES
// (numbers), Feedback (long text) and Submitted at (date and time). Response ID is the platform's id and a code, which differs for
// the same id in another survey.
//
// A respondent's text that begins with `=`, `+`, `-` or `@`, or their full-width forms, gets an apostrophe before it, unless it is
// a number or a phone number: a spreadsheet would run it as a formula once the table is exported.
//
// `- {table: {…}, amend: true}` changes the row of a response that changes, also one that `merge_on` would not find. A row cannot be
// retracted, since no column of every table says that it is no longer so. An erasure changes nothing in Airtable: delete the rows
// about the person by hand.
package airtable

import (
	"math"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/expression"
)

var (
	_ connectors.Judge        = (*Connector)(nil)
	_ connectors.Batcher      = (*Connector)(nil)
	_ connectors.RetryLimiter = (*Connector)(nil)
	_ connectors.RateLimiter  = (*Connector)(nil)
	_ connectors.Validator    = (*Connector)(nil)
	_ connectors.Checker      = (*Connector)(nil)
	_ connectors.Advisor      = (*Connector)(nil)
)

func init() {
	connectors.Register("airtable", func() connectors.Connector {
		return &Connector{Account: Account{MergeOn: []string{responseID}}, Standard: true}
	})
}

// Account is a table with the token of a user who may edit it.
type Account struct {
	// Token is a personal access token (`pat…`) with the scope `data.records:write` and access to the base. A user who may edit
	// the base makes it in Airtable's Builder Hub, Personal access tokens. `check --live` also asks for `schema.bases:read`.
	Token connectors.Secret `yaml:"token"`

	// Base is the base's id (`app…`), as the address of its page shows it.
	Base string `yaml:"base"`

	// Table is the table's id (`tbl…`), which survives a new name, or its name.
	Table string `yaml:"table"`

	// MergeOn are the columns that identify a row, at most three; the default is `Response ID`. A row with the same values is
	// changed, else one is added. An event without one of the values is skipped. `[]` adds a row for every event.
	MergeOn []string `yaml:"merge_on,omitempty"`

	// Typecast lets Airtable convert texts to the column's type, and add new options to its select columns.
	Typecast bool `yaml:"typecast,omitempty"`

	// BaseURL is the address before `/BASE/TABLE`; the default is `https://api.airtable.com/v0`.
	BaseURL connectors.BaseURL `yaml:"base_url,omitempty"`
}

// Connector writes one row per event.
type Connector struct {
	Account `yaml:",inline"`

	// Fields are added to the standard columns, or replace them: Response ID, Email, Name, Phone, NPS, CSAT, CES, Feedback,
	// Survey and Submitted at. Write a column's name or id. Texts are cut to 100,000 characters.
	Fields expression.Values `yaml:"fields,omitempty"`

	// Standard is whether the standard columns are written, which is the default. `false` is for a table that lacks them: it
	// writes only `fields`, and the columns in `merge_on`.
	Standard bool `yaml:"standard,omitempty"`
}

const (
	api = "https://api.airtable.com/v0"

	// maxBatch is the largest number of rows in one request. https://airtable.com/developers/web/api/create-records
	maxBatch = 10
	// maxMerge is the largest number of columns that identify a row.
	// https://airtable.com/developers/web/api/update-multiple-records
	maxMerge = 3
	// ownFields is the assumed size in bytes of the other columns of one row in an answer.
	ownFields = 16 << 10
	// maxRepeats is the largest number of retries for rows that nothing identifies: each may add the row once more.
	maxRepeats = 3
)

// write is the body. https://airtable.com/developers/web/api/update-multiple-records
type write struct {
	Upsert   *upsert `json:"performUpsert,omitempty"`
	Records  []row   `json:"records"`
	Typecast bool    `json:"typecast,omitempty"`
}

type upsert struct {
	MergeOn []string `json:"fieldsToMergeOn"`
}

type row struct {
	// ID is set for a row that is amended.
	ID     string            `json:"id,omitempty"`
	Fields expression.Object `json:"fields"`
}

// Build writes one row.
func (c *Connector) Build(ev *event.Event) (*connectors.Request, error) {
	return c.BuildBatch([]*event.Event{ev})
}

// BuildBatch writes one row per event.
func (c *Connector) BuildBatch(events []*event.Event) (*connectors.Request, error) {
	body := write{Records: make([]row, len(events)), Typecast: c.Typecast}
	for i, ev := range events {
		fields, err := c.fields(ev)
		if err != nil {
			return nil, err
		}
		if len(fields) == 0 {
			return nil, connectors.Skip("no column has a value")
		}
		for _, name := range c.MergeOn {
			if _, ok := fields.Lookup(name); !ok {
				return nil, connectors.Skip("no " + name)
			}
		}
		body.Records[i].Fields = fields
	}
	address := c.BaseURL.At(api, "/"+c.Base+"/"+url.PathEscape(c.Table))
	if len(c.MergeOn) == 0 {
		return c.complete(connectors.Post(address, body), len(events)), nil
	}
	body.Upsert = &upsert{MergeOn: c.MergeOn}
	return c.complete(connectors.Patch(address, body), len(events)), nil
}

// complete adds the credentials, and the limit of the answer: it repeats all that was sent, with up to 6 bytes (\u0000) for a
// character, and has the rows' other columns.
func (c *Connector) complete(req *connectors.Request, rows int) *connectors.Request {
	if limit := 6*len(req.Body) + rows*ownFields; limit > connectors.DefaultResponseLimit {
		req.LimitResponse(limit)
	}
	return req.As(connectors.Bearer(c.Token))
}

// Batch returns the limit of one request.
func (c *Connector) Batch() connectors.BatchLimit { return connectors.BatchLimit{Events: maxBatch} }

// Key returns the values that identify the row. Airtable does not document what two rows with the same values in one request do,
// and two requests at once might each add the row.
func (c *Connector) Key(ev *event.Event) string {
	switch {
	case len(c.MergeOn) == 0:
		return ""
	case len(c.MergeOn) == 1 && c.MergeOn[0] == responseID && !slices.Contains(c.Fields.Keys(), responseID):
		return connectors.ResponseCode(ev)
	}
	fields, err := c.fields(ev)
	if err != nil {
		return ""
	}
	values := make([]string, len(c.MergeOn))
	for i, name := range c.MergeOn {
		v, ok := fields.Lookup(name)
		if !ok {
			return ""
		}
		text, _ := connectors.PlainText(v)
		values[i] = strings.ToLower(text)
	}
	return strings.Join(values, "\x00")
}

// MaxRetries limits the retries of rows that are added, which a repeat would add twice.
func (c *Connector) MaxRetries() int {
	if len(c.MergeOn) == 0 {
		return maxRepeats
	}
	return math.MaxInt
}

// Rate stays below the limit of 5 requests a second per base, of which one is left to others.
// https://airtable.com/developers/web/api/rate-limits
func (c *Connector) Rate() connectors.Rate { return connectors.Rate{Requests: 4, Per: time.Second} }

// oldKey matches an API key of the kind that Airtable ended in February 2024.
// https://support.airtable.com/docs/airtable-api-key-deprecation-notice
var oldKey = regexp.MustCompile(`^key[A-Za-z0-9]{5,}$`)

var baseID = regexp.MustCompile(`^app[A-Za-z0-9]{14}$`)

// Validate checks the base's id, and that each column of `merge_on` gets a value from `fields`.
func (c *Connector) Validate() error {
	switch {
	case c.Token.Matches(oldKey):
		return connectors.Invalid("token", "is an API key (`key…`), which Airtable no longer accepts; create a personal access token (`pat…`) at airtable.com/create/tokens")
	case !baseID.MatchString(c.Base):
		return connectors.Invalid("base", "`"+c.Base+"` is no id of a base; write the `app…` from the address of the base's page")
	case strings.TrimSpace(c.Table) == "":
		return connectors.Invalid("table", "is empty; write the table's id or its name")
	case len(c.MergeOn) > maxMerge:
		return connectors.Invalid("merge_on", "Airtable merges on at most three columns")
	}
	names := c.names()
	for i, name := range c.MergeOn {
		switch {
		case slices.Contains(c.MergeOn[:i], name):
			return connectors.Invalid("merge_on", "`"+name+"` is written twice")
		case !slices.Contains(names, name) && !c.Fields.IsZero(): // a connection without fields gets them from its steps
			return connectors.Invalid("merge_on", "`"+name+"` is neither a standard column nor in `fields`, so no row would have a value for it")
		}
	}
	return nil
}
