// Package ga4 sends survey responses to a Google Analytics 4 web stream as events, with the Measurement Protocol.
//
// Google answers 2xx to any request, even to one that it drops, and counts a repeated event twice. So names and values are
// checked against its limits before they are sent, a 4xx answer is final, and other failures are retried at most three times.
// Never send e-mail addresses, phone numbers or names: Google's terms forbid it.
package ga4

import (
	"net/url"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/expression"
)

var (
	_ connectors.Judge        = (*Connector)(nil)
	_ connectors.Validator    = (*Connector)(nil)
	_ connectors.RetryLimiter = (*Connector)(nil)
	_ connectors.Checker      = (*Connector)(nil)
)

func init() {
	connectors.Register("ga4", func() connectors.Connector {
		return &Connector{Account: Account{Region: Global}, Event: "survey_response"}
	})
}

// Account is a web stream with its secret.
type Account struct {
	// MeasurementID is the measurement id of the web stream (`G-…`), not the stream's number.
	MeasurementID string `yaml:"measurement_id"`

	// APISecret is created in Admin, Data streams, the stream, Measurement Protocol API secrets.
	APISecret connectors.Secret `yaml:"api_secret"`

	// Region is `global` (the default), or `eu`, which collects in the European Union.
	Region Region `yaml:"region,omitempty"`

	// BaseURL is the address before `/mp/collect`; the default is the region's.
	BaseURL connectors.BaseURL `yaml:"base_url,omitempty"`
}

// Connector sends one event per survey event.
type Connector struct {
	Account `yaml:",inline"`

	// Event is the name of the event in Google Analytics; the default is `survey_response`.
	Event string `yaml:"event,omitempty"`

	// Params are added to `survey_type nps_score survey_id response_id session_id engagement_time_msec`, or replace
	// them. Values are numbers and texts; true and false are sent as texts. Texts are cut to 100 characters (`page_location`
	// to 1,000, `page_referrer` to 420, `page_title` to 300). Platforms number `response_id` per survey: reports on several
	// sources in one stream need `survey_source: source` too.
	Params expression.Values `yaml:"params,omitempty"`

	// ClientID is the visitor's id from the `_ga` cookie, passed to the survey in a hidden field. Without it, a stable id is
	// derived, which Google does not know from the website: from the e-mail address, the phone number or your own id; or else
	// from the platform's id of the respondent, within its source; or else from the response, within its source and
	// survey. So renaming a source makes new users in reports.
	ClientID expression.Value `yaml:"client_id,omitempty"`

	// UserID is your own id of a visitor who is signed in: at most 256 characters, and never an e-mail address.
	UserID expression.Value `yaml:"user_id,omitempty"`
}

// payload is the body. https://developers.google.com/analytics/devguides/collection/protocol/ga4/reference
type payload struct {
	ClientID  string     `json:"client_id"`
	UserID    string     `json:"user_id,omitempty"`
	Timestamp int64      `json:"timestamp_micros,omitempty"`
	Events    [1]counted `json:"events"`
}

type counted struct {
	Name   string            `json:"name"`
	Params expression.Object `json:"params"`
}

// Build sends the event for its respondent, with the time at which it happened if Google accepts that time.
func (c *Connector) Build(ev *event.Event) (*connectors.Request, error) {
	p, err := c.payload(ev)
	if err != nil {
		return nil, err
	}
	if timely(ev) {
		p.Timestamp = ev.Time.UnixMicro()
	}
	return c.post("/mp/collect", p), nil
}

func (c *Connector) payload(ev *event.Event) (p payload, err error) {
	if p.ClientID, err = c.client(ev); err != nil {
		return p, err
	}
	if p.UserID, err = identity("user_id", c.UserID, ev); err != nil {
		return p, err
	}
	p.Events[0].Name = c.Event
	p.Events[0].Params, err = c.params(ev)
	return p, err
}

func (c *Connector) post(path string, p payload) *connectors.Request {
	return connectors.Post(c.BaseURL.At(c.Region.host(), path)+"?measurement_id="+url.QueryEscape(c.MeasurementID), p).
		As(connectors.Query("api_secret", c.APISecret))
}

// Judge treats 2xx as accepted, which does not prove that the event was counted. 300 to 499 are final, except 429.
// https://developers.google.com/analytics/devguides/collection/protocol/ga4/reference#response_codes
func (c *Connector) Judge(res *connectors.Response) connectors.Verdict {
	v := connectors.ByStatus(res)
	switch {
	case v.Kind == connectors.Delivered:
		v.Reason = "accepted, not confirmed"
		switch {
		case len(res.Events) == 0:
		case !timely(res.Events[0]):
			v.Reason += "; sent without its time, which is not of the past 72 hours"
		case res.At.Sub(res.Events[0].Time) > acceptedAge: // the delivery waited, or was replayed
			v.Reason += "; sent with its time, which is more than 72 hours ago by now: Google may drop it"
		}
	case res.Status < 500 && res.Status != 429:
		v = connectors.Reject(v.Reason)
	}
	return v
}

// MaxRetries is small, because Google has no idempotency key: a repeated event is counted twice.
func (c *Connector) MaxRetries() int { return 3 }
