package connectors

import (
	"slices"
	"strings"

	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/expression"
)

// FactNames are the names of the facts that Facts returns, in order.
var FactNames = []string{"survey_type", "nps_score", "survey_id", "response_id"}

// Facts returns what an analytics product records about a response without a mapping: FactNames, as far as the event has values
// for them and own does not set them. Texts are clipped to limit characters. The result has room for the fields of own.
func Facts(ev *event.Event, own expression.Values, limit int) expression.Object {
	d, set := ev.Data(), own.Keys()
	all := make(expression.Object, 0, len(FactNames)+len(set)+2)
	put := func(name string, value any) {
		if !slices.Contains(set, name) {
			all = append(all, expression.Member{Key: name, Value: value})
		}
	}
	if d.Survey.Type != "" {
		put("survey_type", Clip(d.Survey.Type, limit))
	}
	if nps := d.Response.Score.NPS; nps != nil {
		put("nps_score", *nps)
	}
	if d.Survey.ID != "" {
		put("survey_id", Clip(d.Survey.ID, limit))
	}
	if d.Response.ID != "" {
		put("response_id", Clip(d.Response.ID, limit))
	}
	return all
}

// Properties returns Facts and the values of own, for a product that records values of any type. All texts are clipped to limit
// characters, also those in lists and objects. Empty texts are left out.
func Properties(ev *event.Event, own expression.Values, limit int) (expression.Object, error) {
	values, err := own.Evaluate(ev)
	if err != nil {
		return nil, err
	}
	all := Facts(ev, own, limit)
	for _, m := range values {
		if m.Value = ClipTexts(m.Value, limit); m.Value != "" {
			all = append(all, m)
		}
	}
	return all, nil
}

// ClipTexts returns an evaluated value with its texts clipped to limit characters, and without empty texts in lists and objects. It
// does not change v.
func ClipTexts(v any, limit int) any {
	switch v := v.(type) {
	case string:
		return Clip(strings.TrimSpace(v), limit)
	case []any:
		items := make([]any, 0, len(v))
		for _, item := range v {
			if item = ClipTexts(item, limit); item != "" {
				items = append(items, item)
			}
		}
		return items
	case expression.Object:
		members := make(expression.Object, 0, len(v))
		for _, m := range v {
			if m.Value = ClipTexts(m.Value, limit); m.Value != "" {
				members = append(members, m)
			}
		}
		return members
	}
	return v
}
