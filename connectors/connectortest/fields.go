package connectortest

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/surveygate/surveygate/connectors"
)

// Field is one row of a table that maps an event's fields to a request, for comparison with the product's documentation.
type Field struct {
	// To is a part of the request: `method`, `url`, `header.NAME`, or a path in the JSON body (`events.0.name`).
	To string
	// From is the source: a path of the event (`respondent.email`), or a comment on a constant.
	From string
	// Sample is the value of the event's field; nil if From is a comment.
	Sample any
	// Want is the value in the request; nil if it is the sample.
	Want any
}

// CheckFields builds the request for an event that has the samples of a table and nothing else, and compares each part of the
// request with the table. A field of the body that is not in the table is an error, as is one in the table that is not sent.
// config is the connector's settings in YAML.
func CheckFields(t *testing.T, name, config string, table []Field) {
	t.Helper()
	given := map[string]any{"type": "response.completed"}
	want := map[string]any{}
	for _, row := range table {
		if row.Sample != nil {
			put(given, strings.Split(row.From, "."), row.Sample)
		}
		if want[row.To] = row.Want; row.Want == nil {
			want[row.To] = row.Sample
		}
	}
	text, err := json.Marshal(given)
	if err != nil {
		t.Fatal(err)
	}
	ev, err := ParseEvent(text)
	if err != nil {
		t.Fatal(err)
	}
	c, ok := connectors.New(name)
	if !ok {
		t.Fatalf("no connector is registered as %s", name)
	}
	if err := Bind([]byte(config), c); err != nil {
		t.Fatal(err)
	}
	req, err := c.Build(ev)
	if err != nil {
		t.Fatal(err)
	}
	CheckRequest(t, req, want)
}

// CheckRequest compares a request with the wanted value of each of its parts (see Field.To). It compares the whole body, but only
// the wanted headers.
func CheckRequest(t *testing.T, req *connectors.Request, want map[string]any) {
	t.Helper()
	got := map[string]any{}
	var body any
	if len(req.Body) > 0 {
		if err := json.Unmarshal(req.Body, &body); err != nil {
			t.Fatal(err)
		}
		flatten(got, "", body)
	}
	others := map[string]any{"method": req.Method, "url": req.URL}
	for _, f := range req.Header {
		others["header."+f.Name] = f.Value
	}
	for to, value := range others {
		if _, wanted := want[to]; wanted {
			got[to] = value
		}
	}
	// Decode both from JSON, where all numbers have one type.
	text, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	plain := map[string]any{}
	if err := json.Unmarshal(text, &plain); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(plain, got); diff != "" {
		t.Errorf("fields (-want +got):\n%s", diff)
	}
}

func put(into map[string]any, path []string, value any) {
	for _, key := range path[:len(path)-1] {
		next, ok := into[key].(map[string]any)
		if !ok {
			next = map[string]any{}
			into[key] = next
		}
		into = next
	}
	into[path[len(path)-1]] = value
}

func flatten(into map[string]any, at string, v any) {
	below := func(key string) string { return strings.TrimPrefix(at+"."+key, ".") }
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			flatten(into, below(key), value)
		}
	case []any:
		for i, value := range v {
			flatten(into, below(strconv.Itoa(i)), value)
		}
	default:
		into[at] = v
	}
}
