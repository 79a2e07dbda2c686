// Package mixpanel records survey responses in a Mixpanel project as events.
//
// Each event has the time at which it happened, and an id (`$insert_id`) with which Mixpanel recognises a repeated one. Many
// events share a request, and one that Mixpanel refuses does not keep the others back. Two steps that send the same survey
// event to one project count once, unless `event` gives them different names.
//
// An erasure changes nothing in Mixpanel, whose deletions take the personal token of an owner of the project, and not the connection's
// credentials. Ask for the deletion there (Project Settings, Data & Privacy), with the `distinct_id` that the request of a delivery
// shows.
package mixpanel

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
	_ connectors.Judge     = (*Connector)(nil)
	_ connectors.Batcher   = (*Connector)(nil)
	_ connectors.Validator = (*Connector)(nil)
	_ connectors.Checker   = (*Connector)(nil)
)

func init() {
	connectors.Register("mixpanel", func() connectors.Connector {
		return &Connector{Account: Account{Region: US}, Event: "survey_response"}
	})
}

// Account is a Mixpanel project with its credentials: the project's token, or a service account.
type Account struct {
	// Token is the project's token, which Mixpanel shows in the Project Settings. Write it, or else `service_account`, `secret`
	// and `project`.
	Token connectors.Secret `yaml:"token,omitempty"`

	// ServiceAccount is the user name of a service account, which must be Owner or Admin of the project. Mixpanel makes one in
	// the Organization Settings, Service Accounts.
	ServiceAccount string `yaml:"service_account,omitempty"`

	// Secret is the service account's secret.
	Secret connectors.Secret `yaml:"secret,omitempty"`

	// Project is the project's id, a number, which a service account needs.
	Project string `yaml:"project,omitempty"`

	// Region is where the project's data lives: `us` (the default), `eu` or `in`. Mixpanel loses what is sent to another one.
	Region Region `yaml:"region,omitempty"`

	// BaseURL is the address before `/import`; the default is the region's, such as `https://api.mixpanel.com`.
	BaseURL connectors.BaseURL `yaml:"base_url,omitempty"`
}

// Connector records one event per survey event.
type Connector struct {
	Account `yaml:",inline"`

	// Event is the name of the event in Mixpanel; the default is `survey_response`.
	Event string `yaml:"event,omitempty"`

	// Properties are added to `survey_type nps_score survey_id response_id csat_score ces_score`, or replace them. Numbers,
	// booleans, lists and objects keep their types; texts are cut to 255 characters. Mixpanel takes at most 254 properties, items
	// of a list and fields of an object, and three levels of objects. Write `ip: context.ip` to let Mixpanel find the
	// respondent's city and country.
	Properties expression.Values `yaml:"properties,omitempty"`

	// DistinctID is the person's id in Mixpanel, at most 255 characters, such as `respondent.external_id`. Without it, a stable id
	// is derived, which Mixpanel does not know from your website: from the e-mail address, the phone number or your own id;
	// or else from the platform's id of the respondent, or else from the response. An id that Mixpanel forbids, such as
	// `undefined` or `null`, is replaced by one for this event alone.
	DistinctID expression.Value `yaml:"distinct_id,omitempty"`
}

// Limits: https://docs.mixpanel.com/reference/import-events
const (
	maxEvents = 2_000
	// maxBytes is the limit that the documented 413 answer names; the page says 10 MB.
	maxBytes = 2 << 20
	maxText  = 255
	// answerSize bounds what an answer says about one event.
	answerSize = 512
)

// record is one event of the body.
type record struct {
	Event      string            `json:"event"`
	Properties expression.Object `json:"properties"`
}

// Build records one event.
func (c *Connector) Build(ev *event.Event) (*connectors.Request, error) {
	return c.BuildBatch([]*event.Event{ev})
}

// BuildBatch records all events.
func (c *Connector) BuildBatch(events []*event.Event) (*connectors.Request, error) {
	records := make([]record, len(events))
	for i, ev := range events {
		properties, err := c.properties(ev)
		if err != nil {
			return nil, err
		}
		records[i] = record{c.Event, properties}
	}
	return c.post(records), nil
}

// Batch returns the limits of one request.
func (c *Connector) Batch() connectors.BatchLimit {
	return connectors.BatchLimit{Events: maxEvents, Bytes: maxBytes}
}

// Key returns "": Mixpanel orders events by their time, so they may arrive in any order.
func (c *Connector) Key(*event.Event) string { return "" }

// post sends records to be validated (strict=1): without it, Mixpanel answers 200 and drops the bad ones.
func (a *Account) post(records []record) *connectors.Request {
	address, auth := a.BaseURL.At(hosts[a.Region], "/import?strict=1"), connectors.BasicToken(a.Token)
	if a.Token.IsZero() {
		address, auth = address+"&project_id="+a.Project, connectors.Basic(a.ServiceAccount, a.Secret)
	}
	return connectors.Post(address, records).As(auth).
		LimitResponse(max(connectors.DefaultResponseLimit, len(records)*answerSize))
}

// ip is the property from which Mixpanel finds the place of a person. With "0" it finds none, instead of the gateway's.
// https://docs.mixpanel.com/reference/import-events#geoip-enrichment
const ip = "ip"

// reserved are the properties that Mixpanel needs for itself.
var reserved = []string{"time", "distinct_id", "$insert_id"}

func (c *Connector) properties(ev *event.Event) (expression.Object, error) {
	facts, err := connectors.Properties(ev, c.Properties, maxText)
	if err != nil {
		return nil, err
	}
	id := connectors.RecordID(ev, c.Event)
	person, err := c.person(ev, id)
	if err != nil {
		return nil, err
	}
	all := make(expression.Object, 0, len(facts)+4)
	all = append(all,
		expression.Member{Key: reserved[0], Value: occurred(ev).UnixMilli()},
		expression.Member{Key: reserved[1], Value: person},
		expression.Member{Key: reserved[2], Value: id})
	if _, given := facts.Lookup(ip); !given {
		all = append(all, expression.Member{Key: ip, Value: "0"})
	}
	return append(all, facts...), nil
}

// occurred returns the time of the event, or of its receipt if the platform's clock is ahead. Mixpanel replaces a time in the future
// by its own, so that a repeated event would not be recognised, and refuses one that is more than an hour ahead.
// https://docs.mixpanel.com/reference/import-events#properties-time
func occurred(ev *event.Event) time.Time {
	if ev.Time.After(ev.Received) {
		return ev.Received
	}
	return ev.Time
}

// forbidden are ids that Mixpanel refuses, because they are mistakes of the program that sends them.
// https://docs.mixpanel.com/reference/import-events#properties-distinct-id
var forbidden = strings.Fields("00000000-0000-0000-0000-000000000000 anon anonymous nil none null n/a na undefined unknown <nil> 0 -1 true false [] {}")

// person returns the operator's id of the respondent, or a pseudonym. record is the event's own id, which replaces a forbidden one.
func (c *Connector) person(ev *event.Event, record string) (string, error) {
	given, err := connectors.PersonID("distinct_id", c.DistinctID, ev, maxText)
	switch {
	case err != nil:
		return "", err
	case slices.Contains(forbidden, strings.ToLower(given)):
		return record, nil
	case given != "":
		return given, nil
	}
	sum := connectors.Pseudonym(ev, "mixpanel")
	return hex.EncodeToString(sum[:16]), nil
}
