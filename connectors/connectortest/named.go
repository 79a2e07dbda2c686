package connectortest

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/surveygate/surveygate/connectors"
)

// namesEach proves that a connector holds the answer to a batch against what was asked. Each answer in its transcripts by
// which everybody is delivered is given once more with something left out: an item of a list, all of them, or a count that
// is lower. Then no longer everybody may be delivered. Products whose answers name nothing are exempt (Limit.Silent).
func namesEach(t *testing.T, name string, cases []example) {
	c, _ := connectors.New(name)
	batcher, ok := c.(connectors.Batcher)
	if !ok || batcher.Batch().Silent {
		return
	}
	alone, together := false, false
	for _, e := range cases {
		c, events := e.ready(t, name)
		req, err := build(c, events)
		if err != nil {
			t.Fatalf("%s: %v", e.name, err)
		}
		for _, answer := range e.answers {
			res, err := parseResponse(answer)
			if err != nil {
				t.Fatalf("%s: %v", e.name, err)
			}
			res.To, res.Events = req, events
			if v := judge(c, res); !allDelivered(v) {
				continue
			} else if len(events) > 1 {
				together = true
				if len(v.Each) != len(events) {
					t.Errorf("%s: a batch is delivered as a whole, without a verdict on each event; use connectors.EachOf", e.name)
				}
			} else {
				alone = true
			}
			if left := unnoticed(c, *res); left != "" {
				t.Errorf("%s: everybody is delivered by %s, and also by\n%s", e.name, res.Body, left)
			}
		}
	}
	if !alone || !together {
		t.Error("a connector that batches has a transcript of one event and one of several that are all delivered")
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

// unnoticed is an answer with something left out by which everybody is still delivered; empty where there is a list or a
// count of which everything that was left out was noticed.
func unnoticed(c connectors.Connector, res connectors.Response) (left string) {
	var body any
	if json.Unmarshal(res.Body, &body) != nil {
		return "anything: it is no JSON"
	}
	left = "anything: there is no list and no count in it"
	for _, place := range places(body, len(res.Events)) {
		missed := ""
		for _, less := range place.less {
			var err error
			if res.Body, err = json.Marshal(replaced(body, place.path, less)); err != nil {
				return err.Error()
			}
			if allDelivered(judge(c, &res)) {
				missed = string(res.Body)
			}
		}
		if missed == "" {
			return ""
		}
		left = missed
	}
	return left
}

// place is a list or a count in an answer, with what is less of it.
type place struct {
	path []any
	less []any
}

// places are the lists that have items, and the numbers that may count the events.
func places(v any, events int) (all []place) {
	below := func(key, v any) {
		for _, p := range places(v, events) {
			p.path = append([]any{key}, p.path...)
			all = append(all, p)
		}
	}
	switch v := v.(type) {
	case float64:
		if v == float64(events) {
			all = append(all, place{less: []any{v - 1, 0.0}})
		}
	case []any:
		if len(v) == 0 {
			break
		}
		p := place{less: []any{[]any{}}}
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

// replaced is a copy of a value with another at a path.
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
