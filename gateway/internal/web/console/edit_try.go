package console

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
	"github.com/surveygate/surveygate/gateway/internal/web/page"
)

// exampleOf begins the choice of an example in place of an event that was received.
const exampleOf = "example:"

// trialOutcome is what the text does with one event.
type trialOutcome struct {
	view.Tried
	// Rules are those that the document concerns, and of a source those that match.
	Rules []view.ExplainedRule
	// Event is how the event reads.
	Event *view.ExplainedEvent
	Tests []view.RuleTest
	// Busy: another trial is running, and this one was not done.
	Busy bool
}

// difference is what the text changes for the newest events.
type difference struct {
	view.Difference
	Tried *view.Tried
	// Groups are the samples by what becomes of the delivery.
	Groups []sampleGroup
	Busy   bool
}

type sampleGroup struct {
	Name, State string
	Samples     []view.DifferenceSample
}

// lastEvents is how many of the newest events a draft is compared with.
const lastEvents = 500

// try asks what the text does. A nil answer without an error means that the editor says why there is none; busy, that another trial is running.
func (c *Console) try(r *page.Request, e *editor, events view.TrialEvents, show ...string) (tried *view.Tried, busy bool, err error) {
	if !e.parse() {
		return nil, false, nil
	}
	name := e.draftName()
	a, err := r.Ask(page.Ask{
		Method: fiber.MethodPost, Path: "/v1/try", Body: view.Trial{Draft: e.draft(name, e.parsed.json()), Variables: e.IsCopy(), Events: events, Show: show},
	})
	if err != nil {
		problem := answer.FromError(err)
		switch {
		case problem.Status == fiber.StatusTooManyRequests:
			return nil, true, nil
		case problem.Status == fiber.StatusUnprocessableEntity && inEvents(problem.Detail):
			e.Problem = r.Refusal(err)
			r.Status = 0
			return nil, false, nil
		case problem.Status == fiber.StatusUnprocessableEntity:
			e.Faults = e.parsed.refused(problem.Detail, "draft", e.collection(), name)
			return nil, false, nil
		}
		if e.Problem = r.Refusal(err); e.Problem != nil {
			r.Status = 0 // the text is not refused, only the trial
			return nil, false, nil
		}
		return nil, false, err
	}
	tried = &view.Tried{}
	return tried, false, a.Decode(tried)
}

// inEvents reports whether a refusal is of the events, and not of the draft.
func inEvents(details []view.Detail) bool {
	return len(details) > 0 && len(details[0].Loc) > 0 && details[0].Loc[0] == "events"
}

// draft is a draft of one document; nil as its JSON deletes it.
func (k *editable) draft(name string, spec json.RawMessage) *view.Draft {
	if spec == nil {
		spec = json.RawMessage("null")
	}
	of := map[string]view.Document{name: spec}
	d := &view.Draft{}
	switch k.Kind {
	case "rule":
		d.Rules = of
	case "webhook":
		d.Webhooks = of
	case "connection":
		d.Connections = of
	case "source":
		d.Sources = of
	}
	return d
}

// tryEvent asks what the text does with the chosen event.
func (c *Console) tryEvent(r *page.Request, e *editor) error {
	events, err := e.chosen(r)
	if err != nil {
		return err
	}
	tried, busy, err := c.try(r, e, events, "explain", "requests")
	if err != nil || tried == nil && !busy {
		return err
	}
	e.Outcome = &trialOutcome{Busy: busy}
	if busy {
		return nil
	}
	o := e.Outcome
	o.Tried = *tried
	for _, d := range tried.Draft {
		o.Tests = append(o.Tests, d.Tests...)
	}
	if len(tried.Explain) == 0 {
		return nil
	}
	o.Event = &tried.Explain[0].Event
	name := e.draftName()
	for _, rule := range tried.Explain[0].Rules {
		concerned := rule.Name == name && string(rule.Kind) == e.Kind
		switch e.Kind {
		case "connection":
			concerned = slices.ContainsFunc(rule.Steps, func(s view.ExplainedStep) bool { return s.Destination == name })
		case "source":
			concerned = rule.Matched
		}
		if concerned {
			o.Rules = append(o.Rules, rule)
		}
	}
	return nil
}

// chosen is the event that the text is tried with. Without a choice it is the newest.
func (e *editor) chosen(r *page.Request) (view.TrialEvents, error) {
	if e.Kind == "source" && e.Sample != "" {
		body := json.RawMessage(e.Sample)
		if !json.Valid(body) {
			text, err := json.Marshal(e.Sample)
			if err != nil {
				return view.TrialEvents{}, err
			}
			body = text
		}
		return view.TrialEvents{Body: body, Source: e.draftName()}, nil
	}
	kind, isExample := strings.CutPrefix(e.Event, exampleOf)
	switch {
	case isExample:
		if err := r.Read("/v1/event-types", nil, &e.Types); err != nil {
			return view.TrialEvents{}, err
		}
		for _, t := range e.Types.Data {
			if t.Name == kind {
				body, err := ownExample(t.Example)
				return view.TrialEvents{Body: body}, err
			}
		}
	case e.Event != "":
		return view.TrialEvents{IDs: []string{e.Event}}, nil
	}
	return view.TrialEvents{Last: 1}, nil
}

// ownExample is the example of a type as an event of the tenant that asks.
func ownExample(example json.RawMessage) (json.RawMessage, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(example, &members); err != nil {
		return nil, fmt.Errorf("read the example of a type: %w", err)
	}
	delete(members, "tenant")
	return json.Marshal(members)
}

// tryLast compares what the newest events owe with and without the text.
func (c *Console) tryLast(r *page.Request, e *editor) error {
	tried, busy, err := c.try(r, e, view.TrialEvents{Last: lastEvents}, "difference")
	if err != nil {
		return err
	}
	if busy {
		e.Difference = &difference{Busy: true}
	}
	if tried != nil {
		e.Difference = newDifference(tried)
	}
	return nil
}

func newDifference(tried *view.Tried) *difference {
	d := &difference{Tried: tried}
	if tried.Difference == nil {
		return d
	}
	d.Difference = *tried.Difference
	groups := []sampleGroup{{Name: "would be sent too", State: "matched"}, {Name: "would no longer be sent", State: "dead"}, {Name: "would be sent differently", State: "warn"}}
	for _, s := range tried.Difference.Samples {
		switch {
		case !s.Before:
			groups[0].Samples = append(groups[0].Samples, s)
		case !s.Now:
			groups[1].Samples = append(groups[1].Samples, s)
		default:
			groups[2].Samples = append(groups[2].Samples, s)
		}
	}
	d.Groups = slices.DeleteFunc(groups, func(g sampleGroup) bool { return len(g.Samples) == 0 })
	return d
}
