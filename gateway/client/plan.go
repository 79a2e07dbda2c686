package client

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/view"
)

// The body and the answer of POST /v1/plans.
type (
	// PlanRequest asks what a new configuration would change.
	PlanRequest = view.PlanRequest
	// PlanFile is one file of a configuration.
	PlanFile = view.PlanFile
	// PlanProgress is how far a plan has come.
	PlanProgress = view.PlanProgress
	// Plan is what a new configuration would change.
	Plan = view.Plan
	// PlanRule, PlanItem, PlanField and PlanSample are parts of a Plan.
	PlanRule   = view.PlanRule
	PlanItem   = view.PlanItem
	PlanField  = view.PlanField
	PlanSample = view.PlanSample
	// PlanCounts, PlanOutcome and PlanWaiting are others.
	PlanCounts  = view.PlanCounts
	PlanOutcome = view.PlanOutcome
	PlanWaiting = view.PlanWaiting
	// ConditionPart is a part of a condition with its value.
	ConditionPart = view.ConditionPart
)

// PlanOf returns the request for the files of a configuration.
func PlanOf(b *config.Bundle) PlanRequest {
	files := func(all []config.BundleFile) (sent []PlanFile) {
		for _, f := range all {
			sent = append(sent, PlanFile{Name: f.Name, Text: string(f.Text)})
		}
		return sent
	}
	return PlanRequest{Files: files(b.Files), Profiles: files(b.Profiles)}
}

// Plan asks what a new configuration would change. progress, which may be nil, is called a few times in a second.
func (c *Client) Plan(ctx context.Context, request PlanRequest, progress func(*PlanProgress)) (*Plan, error) {
	body, err := json.Marshal(request)
	if err != nil {
		return nil, err
	}
	told := func(text []byte) error {
		p := &PlanProgress{}
		if err := json.Unmarshal(text, p); err != nil {
			return c.notUnderstood(err)
		}
		if progress != nil {
			progress(p)
		}
		return nil
	}
	plan := &Plan{}
	return plan, c.work(ctx, Call{Method: http.MethodPost, Path: "/v1/plans", Body: body, ContentType: "application/json"}, told, plan)
}
