package klaviyo

import (
	"fmt"
	"slices"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/expression"
)

var (
	_ connectors.Judge       = (*Event)(nil)
	_ connectors.RateLimiter = (*Event)(nil)
	_ connectors.Validator   = (*Event)(nil)
	_ connectors.Checker     = (*Event)(nil)
)

func init() {
	connectors.Register("klaviyo.event", func() connectors.Connector {
		return &Event{Account: defaults(), Metric: "Survey Completed"}
	})
}

// Event records the response as an event of the respondent's profile, which Klaviyo creates if it is new. Flows can start with it.
type Event struct {
	Account `yaml:",inline"`

	// Metric is the name of the event in Klaviyo; the default is `Survey Completed`.
	Metric string `yaml:"metric,omitempty"`

	// Properties are added to `survey_id survey_title response_id nps_score nps_group csat_score ces_score feedback`, or replace
	// them. Texts are cut to 20,000 characters.
	Properties expression.Values `yaml:"properties,omitempty"`
}

const (
	// maxMetric is the length of a metric's name in characters.
	// https://developers.klaviyo.com/en/reference/create_event
	maxMetric = 127
	// maxProperties is the number of an event's properties.
	// https://developers.klaviyo.com/en/reference/events_api_overview#limitations
	maxProperties = 400
	// standardProperties is the number of properties that facts returns at most.
	standardProperties = 8
)

// occurrence is an event. Klaviyo ignores one whose profile, metric and unique id it has already.
// https://developers.klaviyo.com/en/reference/create_event
type occurrence struct {
	Properties expression.Object `json:"properties"`
	Time       string            `json:"time"`
	UniqueID   string            `json:"unique_id"`
	Metric     document          `json:"metric"`
	Profile    document          `json:"profile"`
}

type metric struct {
	Name string `json:"name"`
}

// Build records one event.
func (e *Event) Build(ev *event.Event) (*connectors.Request, error) {
	if _, _, err := recipient(ev, e.Consent); err != nil {
		return nil, err
	}
	own, err := evaluate(e.Properties, ev)
	if err != nil {
		return nil, err
	}
	return e.post("/api/events", resource{Type: "event", Attributes: occurrence{
		Properties: append(facts(ev, e.Properties.Keys(), len(own)), own...),
		Time:       ev.Time.UTC().Format(time.RFC3339),
		UniqueID:   ev.ID,
		Metric:     document{resource{Type: "metric", Attributes: metric{e.Metric}}},
		Profile:    document{resource{Type: "profile", Attributes: person(ev, nil)}},
	}}), nil
}

// facts returns the properties of an event without a mapping, as far as the event has values and the operator does not set them.
// It leaves room for more properties.
func facts(ev *event.Event, mapped []string, room int) expression.Object {
	d := ev.Data()
	all := make(expression.Object, 0, standardProperties+room)
	add := func(name, text string, score *float64) {
		switch {
		case slices.Contains(mapped, name):
		case score != nil:
			all = append(all, expression.Member{Key: name, Value: *score})
		default:
			all = put(all, name, connectors.Clip(text, maxText))
		}
	}
	group := ""
	if nps := d.Response.Score.NPS; nps != nil {
		group = event.NPSGroup(*nps)
	}
	add("survey_id", d.Survey.ID, nil)
	add("survey_title", d.Survey.Title, nil)
	add("response_id", d.Response.ID, nil)
	add("nps_score", "", d.Response.Score.NPS)
	add("nps_group", group, nil)
	add("csat_score", "", d.Response.Score.CSAT)
	add("ces_score", "", d.Response.Score.CES)
	add("feedback", d.Response.Feedback, nil)
	return all
}

// Judge returns the verdict on the event, which Klaviyo has queued.
func (e *Event) Judge(res *connectors.Response) connectors.Verdict { return queued(res) }

// Validate checks the metric's name and the number of properties.
func (e *Event) Validate() error {
	if n := len([]rune(e.Metric)); n == 0 || n > maxMetric {
		return connectors.Invalid("metric", fmt.Sprintf("has %d characters; Klaviyo takes 1 to %d", n, maxMetric))
	}
	if n := len(e.Properties.Keys()); n > maxProperties-standardProperties {
		return connectors.Invalid("properties", fmt.Sprintf("has %d names; Klaviyo takes %d, with the %d of every event", n, maxProperties, standardProperties))
	}
	return e.Account.Validate()
}
