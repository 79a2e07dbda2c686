package airtable

import (
	"net/url"
	"regexp"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/rules/event"
)

var _ connectors.Amender = (*Connector)(nil)

// rowID matches the id of a row.
var rowID = regexp.MustCompile(`^rec[A-Za-z0-9]{14}$`)

// CanAmend returns nil: a row may be changed with the scope that writes it.
func (c *Connector) CanAmend() error { return nil }

// Amend changes the row whose id is the receipt, also one that `merge_on` would not find, because one of its values has changed or
// because there is none. Columns for which the event has no value stay as they are. A row cannot be retracted: no column of every
// table says that it is no longer so.
// https://airtable.com/developers/web/api/update-multiple-records
func (c *Connector) Amend(ev *event.Event, receipt string) (*connectors.Request, error) {
	if !rowID.MatchString(receipt) {
		return nil, connectors.BadReceipt("the id of a row")
	}
	fields, err := c.fields(ev)
	if err != nil {
		return nil, err
	}
	if len(fields) == 0 {
		return nil, connectors.Skip("no column has a value")
	}
	body := write{Records: []row{{ID: receipt, Fields: fields}}, Typecast: c.Typecast}
	address := c.BaseURL.At(api, "/"+c.Base+"/"+url.PathEscape(c.Table))
	return c.complete(connectors.Patch(address, body), 1).Amending(receipt), nil
}
