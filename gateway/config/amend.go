package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/config/checks"
	"github.com/surveygate/surveygate/rules/event"
)

// amends applies `amend` and `retract` of a step. A rule with such a step is asked of the response as it stands.
func (l *loader) amends(r *Rule, step *Step, set *stepSettings) {
	step.Amend, step.Retract = set.amend != nil, set.retract != nil
	switch {
	case step.Retract && !step.Amend:
		l.fault(set.retract.Fault("`retract` has no effect without `amend`", "add amend: true"))
	case !step.Amend:
		return
	case r.Once:
		l.fault(set.amend.Fault("`once` and `amend` exclude each other: with `once` a change is not sent", "remove one of them"))
	}
	r.Match.Deferred = r.Match.Events
	changes := []string{event.TypeResponseUpdated, event.TypeResponsePartial, event.TypeAnswerUpserted, event.TypeResponseReviewed}
	if step.Amend && !slices.ContainsFunc(changes, r.Match.AcceptsType) {
		l.warning(checks.NoChange, set.amend.Fault(fmt.Sprintf("`amend` of `%s` hears of no change: the rule's events are only those of the first answer", step.Name), "add events: [response.completed, response.updated]"))
	}
}

// canAmend refuses `amend` and `retract` of a product that cannot change what it made.
func (l *loader) canAmend(step *Step, set *stepSettings, c connectors.Connector) {
	if !step.Amend {
		return
	}
	a, ok := c.(connectors.Amender)
	if !ok {
		l.fault(set.amend.Fault(fmt.Sprintf("`%s` cannot change what it sent", step.Name), "remove `amend`"))
		return
	}
	if err := a.CanAmend(); err != nil {
		message, remedy, _ := strings.Cut(err.Error(), "; ")
		if invalid, ok := errors.AsType[*connectors.InvalidError](err); ok {
			message, remedy, _ = strings.Cut("`"+invalid.Setting+"` "+invalid.Reason, "; ")
		}
		l.fault(set.amend.Fault(fmt.Sprintf("`%s` cannot change what it sent: %s", step.Name, message), remedy))
		return
	}
	if _, ok := c.(connectors.Retracter); step.Retract && !ok {
		l.fault(set.retract.Fault(fmt.Sprintf("`%s` cannot mark what it sent as no longer so", step.Name), "remove `retract`"))
	}
}
