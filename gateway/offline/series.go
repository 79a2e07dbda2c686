package offline

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/source"
	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/jsonpath"
)

// Series makes many events of one. Make it with NewSeries or SampleSeries. It is safe for concurrent use.
type Series struct {
	body   []byte
	seed   string
	sample string // the platform; empty: body is an event
	vary   []varied
}

// varied is a field that has another value in each event.
type varied struct {
	keys  []string // the place in the event
	value func(n int) any
}

// SampleSeries makes samples of a platform, each with new ids. An empty seed is a random one; series with the same seed have the same ids.
func SampleSeries(platform, seed string) (*Series, error) {
	if seed == "" {
		seed = newSeed()
	}
	s := &Series{sample: platform, seed: seed}
	if _, err := s.Event(0); err != nil {
		return nil, err
	}
	return s, nil
}

// NewSeries makes events of one in surveygate's own format: each has an id and a response id of its own, and another value in the
// fields to vary. An empty seed is a random one; series with the same seed have the same ids.
func NewSeries(body []byte, fields []string, seed string) (*Series, error) {
	if jsonpath.Parse(body).Kind() != jsonpath.Object || !jsonpath.Valid(body) {
		return nil, errors.New("one event as a JSON object can be repeated, not a list or lines of events")
	}
	if jsonpath.Read(body, "specversion").Exists() {
		return nil, errors.New("an event in surveygate's own format can be repeated, and this is a CloudEvent")
	}
	if _, err := event.ParseOne(body, event.Defaults{Tenant: event.DefaultTenant, Received: clock.System().Now()}); err != nil {
		return nil, fmt.Errorf("the event: %w", err)
	}
	if seed == "" {
		seed = newSeed()
	}
	s := &Series{body: body, seed: seed}
	for _, name := range fields {
		v, err := s.varied(name)
		if err != nil {
			return nil, err
		}
		s.vary = append(s.vary, v)
	}
	_, err := s.Event(0)
	return s, err
}

// Event returns the event with a number, from 0. Events with different numbers have different ids.
func (s *Series) Event(n int) ([]byte, error) {
	if s.sample != "" {
		made, err := source.NewSample(s.sample, source.Variation{Seed: s.seed + "-" + strconv.Itoa(n), At: clock.System().Now()})
		return made.Body, err
	}
	var doc map[string]any
	dec := json.NewDecoder(strings.NewReader(string(s.body)))
	dec.UseNumber() // whose digits are kept
	if err := dec.Decode(&doc); err != nil {
		return nil, err
	}
	id := s.seed + "-" + strconv.Itoa(n+1)
	doc["id"] = id
	if kind, _ := doc["type"].(string); kind == "" || strings.HasPrefix(kind, "response.") || strings.HasPrefix(kind, "answer.") {
		if err := put(doc, []string{"response", "id"}, id); err != nil {
			return nil, err
		}
	}
	for _, v := range s.vary {
		if err := put(doc, v.keys, v.value(n)); err != nil {
			return nil, err
		}
	}
	return event.Marshal(doc)
}

// put sets a value, and makes the objects above it.
func put(doc map[string]any, keys []string, value any) error {
	at := doc
	for i, key := range keys[:len(keys)-1] {
		next, isObject := at[key].(map[string]any)
		if _, there := at[key]; there && !isObject {
			return fmt.Errorf("`%s` of the event is not an object", strings.Join(keys[:i+1], "."))
		}
		if next == nil {
			next = map[string]any{}
			at[key] = next
		}
		at = next
	}
	at[keys[len(keys)-1]] = value
	return nil
}

// scales are the ranges of the scores.
var scales = map[string][2]int{
	event.Shortcuts["nps_score"]: {0, 10}, event.Shortcuts["csat_score"]: {1, 5}, event.Shortcuts["ces_score"]: {1, 5},
}

// formed are texts with a form of their own, to which no number can be appended.
var formed = []string{"context.ip", "context.language", "context.country"}

// varied compiles a field to vary.
func (s *Series) varied(name string) (varied, error) {
	refused := func(why string) (varied, error) { return varied{}, fmt.Errorf("`%s` cannot be varied: %s", name, why) }
	path, ok := event.Resolve(name)
	if !ok {
		if slices.Contains(event.DerivedNames, name) {
			return refused("it is not a field of the response or the respondent")
		}
		hint := "`surveygate fields` lists them all"
		if near := event.Nearest(name, event.Names()); near != "" {
			hint = "did you mean `" + near + "`?"
		}
		return varied{}, fmt.Errorf("`%s` is not a field: %s", name, hint)
	}
	kind, _ := event.KindOf(name)
	switch {
	case path == "response.id":
		return refused("each event has a response id of its own anyway")
	case strings.HasPrefix(path, "notice.") || event.IsOfWhole(path):
		return refused("no event that is published has it")
	case strings.HasSuffix(path, "_at"):
		return refused("it is a time")
	case slices.Contains(formed, path):
		return refused("its values have a form of their own")
	case kind == event.Object || kind == event.Array || kind == event.Any && !strings.HasPrefix(path, event.Shortcuts["params"]+"."):
		return refused("it is no score, number, true or false, or text")
	}
	v := varied{keys: strings.Split(path, ".")}
	// A short name stays where the event has it: both forms of one field would be refused.
	if short, long := shortOf(path); short != "" && jsonpath.Read(s.body, short).Exists() {
		v.keys = strings.Split(short+strings.TrimPrefix(path, long), ".")
	}
	v.value = values(path, kind, jsonpath.Read(s.body, strings.Join(v.keys, ".")))
	return v, nil
}

// shortOf returns the short name of a path, or of the object that it is in, and the path that it stands for; empty: there is none.
func shortOf(path string) (short, long string) {
	for short, long := range event.Shortcuts {
		if path == long || strings.HasPrefix(path, long+".") {
			return short, long
		}
	}
	return "", ""
}

// values returns the values of a field, by the number of the event. now is its value in the event that is repeated.
func values(path string, kind event.Kind, now jsonpath.Result) func(n int) any {
	if scale, ok := scales[path]; ok {
		return func(n int) any { return scale[0] + n%(scale[1]-scale[0]+1) }
	}
	switch kind {
	case event.Number:
		from, _ := now.Number()
		return func(n int) any { return from + float64(n) }
	case event.Bool:
		return func(n int) any { return n%2 == 0 }
	}
	text := now.Text()
	switch {
	case path == "respondent.email":
		local, host, found := strings.Cut(text, "@")
		if !found {
			local, host = "person", "example.com"
		}
		return func(n int) any { return local + strconv.Itoa(n+1) + "@" + host }
	case path == "respondent.phone":
		return func(n int) any { return text + strconv.Itoa(n+1) }
	case text == "":
		text = path[strings.LastIndex(path, ".")+1:]
	}
	separator := "-"
	if strings.Contains(text, " ") || strings.HasSuffix(path, "name") || path == "response.feedback" || path == "survey.title" {
		separator = " "
	}
	return func(n int) any { return text + separator + strconv.Itoa(n+1) }
}
