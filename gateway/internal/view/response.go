package view

import (
	"encoding/json"

	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/responses"
)

// Response is one response as it stands: what all its events say together, its events, and the deliveries of all of them.
type Response struct {
	ID       string `json:"id"`
	Source   string `json:"source"`
	SurveyID string `json:"survey_id,omitempty"`
	// Status is started, partial, completed, disqualified, overquota or deleted; absent where no event says so.
	Status string `json:"status,omitempty"`
	// Version begins with 1; each change of a submitted response adds 1.
	Version int `json:"version"`
	// FirstAt and LastAt are when its first and its last event were received, StartedAt and CompletedAt what its platform says.
	FirstAt     Time `json:"first_at"`
	LastAt      Time `json:"last_at"`
	StartedAt   Time `json:"started_at,omitzero"`
	CompletedAt Time `json:"completed_at,omitzero"`
	// More: it has older events, which are not looked at.
	More bool `json:"more,omitempty"`
	// Envelope is the whole as an event, with the id and the raw body's description of the newest one.
	Envelope json.RawMessage `json:"event"`
	// Events are its events, oldest first; Deliveries those of all of them, in their order.
	Events     []Event    `json:"events"`
	Deliveries []Delivery `json:"deliveries"`
}

// Responses are the responses with one id: platforms number those of each survey.
type Responses struct {
	Data []Response `json:"data"`
}

// NewResponse makes the view of a response of which something is kept. Plan is the running configuration.
func NewResponse(kept *responses.Kept, plan *decide.Plan) (Response, error) {
	newest := kept.Records[len(kept.Records)-1].Event
	fold := kept.Fold()
	whole, err := fold.Event(newest)
	if err != nil {
		return Response{}, err
	}
	v := Response{
		ID: newest.ResponseID, Source: newest.Source, SurveyID: newest.SurveyID, Status: fold.Status, Version: fold.Version,
		FirstAt: Time{fold.First}, LastAt: Time{fold.Last}, StartedAt: Time{fold.Began}, CompletedAt: Time{fold.Submitted},
		More: kept.More, Envelope: whole.Envelope(), Events: []Event{}, Deliveries: []Delivery{},
	}
	for _, r := range kept.Records {
		v.Events = append(v.Events, NewEvent(r))
		if r.Outcome == nil {
			continue
		}
		for i := range r.Outcome.Deliveries {
			v.Deliveries = append(v.Deliveries, NewListedDelivery(&r.Outcome.Deliveries[i], plan))
		}
	}
	return v, nil
}
