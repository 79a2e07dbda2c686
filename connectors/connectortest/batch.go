package connectortest

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"testing"

	"github.com/surveygate/surveygate/connectors"
)

// checkBatchAnswers checks that a connector compares the answer to a batch with its events. Each answer in its transcripts that
// delivers all events is judged again with a part left out: one item of a list, all items, or a lower count. Then at least one
// event must not be delivered. Connectors with BatchLimit.Silent are exempt, and so are settings with which every event is sent
// alone. With its numbers written as texts, an answer must refuse no other events than before.
func checkBatchAnswers(t *testing.T, name string, cases []example) {
	c, _ := connectors.New(name)
	batcher, ok := c.(connectors.Batcher)
	if !ok {
		return
	}
	alone, together := batcher.Batch().Silent, batcher.Batch().Silent
	for _, e := range cases {
		c, events := e.ready(t, name)
		if e.forgets || e.digest != nil || c.(connectors.Batcher).Batch().Events == 1 {
			continue
		}
		req, err := e.build(c, events)
		if err != nil {
			t.Fatalf("%s: %v", e.name, err)
		}
		for _, answer := range e.answers {
			res, err := parseResponse(answer)
			if err != nil {
				t.Fatalf("%s: %v", e.name, err)
			}
			res.To, res.Events = req, events
			v := judge(c, res)
			if i, misread := misread(c, *res, v); misread {
				t.Errorf("%s: event %d is refused by %s once its numbers are texts", e.name, i+1, res.Body)
			}
			if !allDelivered(v) || batcher.Batch().Silent {
				continue
			} else if len(events) > 1 {
				together = true
				if len(v.Each) != len(events) {
					t.Errorf("%s: a batch is delivered as a whole, without a verdict on each event; use connectors.JudgeEach", e.name)
				}
			} else {
				alone = true
			}
			if shorter := unnoticed(c, *res); shorter != "" {
				t.Errorf("%s: all events are delivered by %s, and also by\n%s", e.name, res.Body, shorter)
			}
		}
	}
	if !alone || !together {
		t.Error("a Batcher needs a transcript with one event and one with several events that are all delivered")
	}
}

func allDelivered(v connectors.Verdict) bool {
	for _, each := range v.Each {
		if each.Kind != connectors.Delivered {
			return false
		}
	}
	return v.Kind == connectors.Delivered
}

// misread judges an answer with its numbers written as texts. It returns an event that is refused only then, such as the one at
// index 0 in place of the one at index "1".
func misread(c connectors.Connector, res connectors.Response, v connectors.Verdict) (event int, ok bool) {
	var body any
	if json.Unmarshal(res.Body, &body) != nil {
		return 0, false
	}
	res.Body, _ = json.Marshal(numbersAsTexts(body))
	for i, each := range judge(c, &res).Each {
		refusedBefore := v.Kind == connectors.Rejected || i < len(v.Each) && v.Each[i].Kind == connectors.Rejected
		if each.Kind == connectors.Rejected && !each.RetryAlone && !refusedBefore {
			return i, true
		}
	}
	return 0, false
}

// numbersAsTexts returns a copy of a value with its numbers as texts.
func numbersAsTexts(v any) any {
	switch v := v.(type) {
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case []any:
		list := slices.Clone(v)
		for i := range list {
			list[i] = numbersAsTexts(list[i])
		}
		return list
	case map[string]any:
		object := maps.Clone(v)
		for key := range object {
			object[key] = numbersAsTexts(object[key])
		}
		return object
	}
	return v
}

// unnoticed returns a shortened answer that still delivers all events. It returns "" if there is a list or a count whose
// shortened forms are all noticed.
func unnoticed(c connectors.Connector, res connectors.Response) (shorter string) {
	var body any
	if json.Unmarshal(res.Body, &body) != nil {
		return "any body: it is not JSON"
	}
	shorter = "any body: it has no list and no count"
	for _, part := range shortenable(body, len(res.Events)) {
		missed := ""
		for _, less := range part.less {
			var err error
			if res.Body, err = json.Marshal(replaced(body, part.path, less)); err != nil {
				return err.Error()
			}
			if allDelivered(judge(c, &res)) {
				missed = string(res.Body)
			}
		}
		if missed == "" {
			return ""
		}
		shorter = missed
	}
	return shorter
}

// part is a list or a count in an answer. less holds its shortened forms.
type part struct {
	path []any
	less []any
}

// shortenable returns the lists that have items, and the numbers that may count the events.
func shortenable(v any, events int) (all []part) {
	below := func(key, v any) {
		for _, p := range shortenable(v, events) {
			p.path = append([]any{key}, p.path...)
			all = append(all, p)
		}
	}
	switch v := v.(type) {
	case float64:
		if v == float64(events) {
			all = append(all, part{less: []any{v - 1, 0.0}})
		}
	case []any:
		if len(v) == 0 {
			break
		}
		p := part{less: []any{[]any{}}}
		for i := range v {
			p.less = append(p.less, slices.Delete(slices.Clone(v), i, i+1))
		}
		all = append(all, p)
		for i, item := range v {
			below(i, item)
		}
	case map[string]any:
		for key, item := range v {
			below(key, item)
		}
	}
	return all
}

// replaced returns a copy of a value with another value at a path.
func replaced(v any, path []any, by any) any {
	if len(path) == 0 {
		return by
	}
	switch v := v.(type) {
	case []any:
		list := slices.Clone(v)
		at := path[0].(int)
		list[at] = replaced(list[at], path[1:], by)
		return list
	case map[string]any:
		object := maps.Clone(v)
		key := path[0].(string)
		object[key] = replaced(object[key], path[1:], by)
		return object
	}
	panic(fmt.Sprintf("%v leads into %T", path, v))
}
