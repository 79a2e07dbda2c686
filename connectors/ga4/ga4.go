// Package ga4 counts survey responses as events of a Google Analytics 4 web stream, through the Measurement Protocol.
//
// Google answers 2xx to whatever it gets, also to what it drops, and counts a repeated event twice. So names and
// values are held against its limits before they leave, an answer of 4xx is final, and anything else is tried at
// most three times more. Never map e-mail addresses, phone numbers or names: Google's terms forbid to send them.
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

// Account is a web stream and how it is reached.
type Account struct {
	// MeasurementID is the web stream's (`G-…`), not the number of the stream.
	MeasurementID string `yaml:"measurement_id"`

	// APISecret is made in Admin, Data streams, the stream, Measurement Protocol API secrets.
	APISecret connectors.Secret `yaml:"api_secret"`

	// Region is `global`, or `eu`: collected in the European Union.
	Region Region `yaml:"region,omitempty"`

	// BaseURL stands before `/mp/collect`, instead of the region's.
	BaseURL connectors.BaseURL `yaml:"base_url,omitempty"`
}

// Connector sends one event per survey event.
type Connector struct {
	Account `yaml:",inline"`

	// Event is the name that Google counts under.
	Event string `yaml:"event,omitempty"`

	// Params are added to `survey_type nps_score survey_id response_id session_id engagement_time_msec`, or replace
	// them. Numbers and texts; texts are cut to 100 characters (`page_location` to 1,000,
	// `page_referrer` to 420, `page_title` to 300), true and false are sent as texts. Platforms count
	// `response_id` for each survey: reports on several sources in one stream need `survey_source: source` beside it.
	Params expression.Values `yaml:"params,omitempty"`

	// ClientID is the visitor's, as the `_ga` cookie of the page has it, from a hidden field of the survey. Without
	// it, one that is made of the respondent and stays the same, but is nobody Google has seen before: of the e-mail
	// address, the phone number or your own id; else of the platform's id of the respondent, within its source; else
	// of the response, within its source and survey. So a source that is renamed makes new users in reports.
	ClientID expression.Value `yaml:"client_id,omitempty"`

	// UserID is your own number or word for a visitor who is signed in; at most 256 characters, and never an e-mail address.
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

// Build counts the event for its respondent, at the time it happened where Google takes that.
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

// Judge takes 2xx for what it is, a request that arrived. Everything from 300 to 499 is final but a throttle.
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
		case res.At.Sub(res.Events[0].Time) > takenFor: // it waited, or was replayed
			v.Reason += "; sent with its time, which is more than 72 hours ago by now: Google may drop it"
		}
	case res.Status < 500 && res.Status != 429:
		v = connectors.Reject(v.Reason)
	}
	return v
}

// MaxRetries are few, because nothing tells Google that an event is one it has counted already.
func (c *Connector) MaxRetries() int { return 3 }
