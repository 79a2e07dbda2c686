// Package amplitude records survey responses in an Amplitude project as events, with the HTTP V2 API.
//
// Each event has the time at which it happened, and an id (`insert_id`) by which Amplitude ignores a repeated one for 7 days;
// what is replayed later counts again. Many events share a request, and one that Amplitude refuses does not keep the others
// back. Two steps that send the same survey event to one project count once, unless `event` gives them different names.
//
// An erasure changes nothing in Amplitude, whose deletions take the project's secret key, which is no setting. Ask for the deletion
// there, with the `user_id` or `device_id` that the request of a delivery shows.
package amplitude

import (
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/expression"
)

var (
	_ connectors.Judge       = (*Connector)(nil)
	_ connectors.Batcher     = (*Connector)(nil)
	_ connectors.RateLimiter = (*Connector)(nil)
	_ connectors.Validator   = (*Connector)(nil)
	_ connectors.Checker     = (*Connector)(nil)
)

func init() {
	connectors.Register("amplitude", func() connectors.Connector {
		return &Connector{Account: Account{Region: US}, Event: "survey_response"}
	})
}

// Account is an Amplitude project.
type Account struct {
	// APIKey is the project's API key, which Amplitude shows in the Organization settings, Projects, not its secret key.
	APIKey connectors.Secret `yaml:"api_key"`

	// Region is where the project's data lives: `us` (the default) or `eu`.
	Region Region `yaml:"region,omitempty"`

	// BaseURL is the address before `/2/httpapi`; the default is the region's, such as `https://api2.amplitude.com`.
	BaseURL connectors.BaseURL `yaml:"base_url,omitempty"`
}

// Connector records one event per survey event.
type Connector struct {
	Account `yaml:",inline"`

	// Event is the name (`event_type`) of the event in Amplitude; the default is `survey_response`.
	Event string `yaml:"event,omitempty"`

	// Properties are added to `survey_type nps_score survey_id response_id csat_score ces_score`, or replace them. Numbers,
	// booleans, lists and objects keep their types; texts are cut to 1,024 characters.
	Properties expression.Values `yaml:"properties,omitempty"`

	// UserID is the person's id in Amplitude, at most 1,024 characters, such as `respondent.external_id`. Without it, and for an
	// id that Amplitude forbids, such as `undefined` or `null`, the event belongs to an anonymous person. Their `device_id` is
	// stable, and derived from the e-mail address, the phone number or your own id; or else from the platform's id of the
	// respondent, or else from the response.
	UserID expression.Value `yaml:"user_id,omitempty"`
}

const (
	// maxEvents and maxBytes stay below the limits of 2,000 events and 1 MB, because Amplitude recommends small batches.
	// https://amplitude.com/docs/apis/analytics/http-v2#upload-limit
	maxEvents = 100
	maxBytes  = 500_000
	// maxText is the limit of any text in characters. https://amplitude.com/docs/apis/analytics/http-v2#string-character-limit
	maxText = 1_024
	// answerSize bounds what an answer says about one event: a person's id with up to 6 bytes for a character, in several lists.
	answerSize = 32 << 10
)

// upload is the body without the key. https://amplitude.com/docs/apis/analytics/http-v2
type upload struct {
	Options options  `json:"options"`
	Events  []record `json:"events"`
}

// options allow ids of any length: without them, Amplitude removes those of fewer than 5 characters.
type options struct {
	MinIDLength int `json:"min_id_length"`
}

// record has a user id, or else a device id: Amplitude derives the missing one of a known user.
type record struct {
	UserID     string            `json:"user_id,omitempty"`
	DeviceID   string            `json:"device_id,omitempty"`
	Type       string            `json:"event_type"`
	Time       int64             `json:"time"`
	InsertID   string            `json:"insert_id"`
	Properties expression.Object `json:"event_properties,omitempty"`
}

// Build records one event.
func (c *Connector) Build(ev *event.Event) (*connectors.Request, error) {
	return c.BuildBatch([]*event.Event{ev})
}

// BuildBatch records all events.
func (c *Connector) BuildBatch(events []*event.Event) (*connectors.Request, error) {
	records := make([]record, len(events))
	for i, ev := range events {
		var err error
		if records[i], err = c.record(ev); err != nil {
			return nil, err
		}
	}
	return c.post(records), nil
}

func (c *Connector) record(ev *event.Event) (r record, err error) {
	if r.UserID, r.DeviceID, err = c.person(ev); err != nil {
		return r, err
	}
	r.Type, r.Time, r.InsertID = c.Event, ev.Time.UnixMilli(), connectors.RecordID(ev, c.Event)
	r.Properties, err = connectors.Properties(ev, c.Properties, maxText)
	return r, err
}

// forbidden are ids that Amplitude refuses, because they are mistakes of the program that sends them.
// https://amplitude.com/docs/apis/analytics/http-v2#device-ids-and-user-ids-minimum-length
var forbidden = strings.Fields("anonymous nil none null n/a na undefined unknown 00000000-0000-0000-0000-000000000000 {} lmy47d 0 -1")

// person returns the operator's id of the respondent, or else the id of a device that only this respondent has.
func (c *Connector) person(ev *event.Event) (user, device string, err error) {
	user, err = connectors.PersonID("user_id", c.UserID, ev, maxText)
	if err != nil || user != "" && !slices.Contains(forbidden, strings.ToLower(user)) {
		return user, "", err
	}
	sum := connectors.Pseudonym(ev, "amplitude")
	return "", hex.EncodeToString(sum[:16]), nil
}

func (a *Account) post(records []record) *connectors.Request {
	return connectors.Post(a.BaseURL.At(hosts[a.Region], "/2/httpapi"), upload{options{MinIDLength: 1}, records}).
		As(connectors.BodyField("api_key", a.APIKey)).
		LimitResponse(max(connectors.DefaultResponseLimit, len(records)*answerSize))
}

// Batch returns the limits of one request.
func (c *Connector) Batch() connectors.BatchLimit {
	return connectors.BatchLimit{Events: maxEvents, Bytes: maxBytes}
}

// Key returns "": Amplitude orders events by their time, so they may arrive in any order.
func (c *Connector) Key(*event.Event) string { return "" }

// Rate keeps full batches within the 1,000 events per second of the smallest plan.
// https://amplitude.com/docs/apis/analytics/http-v2#upload-limit
func (a *Account) Rate() connectors.Rate {
	return connectors.Rate{Requests: 1_000 / maxEvents, Per: time.Second}
}
