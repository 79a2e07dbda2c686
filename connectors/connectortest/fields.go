package connectortest

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/surveygate/surveygate/connectors"
)

// Field is one line of a table that can be held beside a product's contract.
type Field struct {
	// To is a place in the request: `method`, `url`, `header.NAME`, or a path in the body (`events.0.name`).
	To string
	// From is where it comes from: a path of the event (`respondent.email`), or words about what is always so.
	From string
	// Sample is what stands there in the event; nil where From is no path.
	Sample any
	// Want is what is sent, where it is not the sample itself.
	Want any
}

// CheckFields makes an event of a table's samples and nothing else, and holds each place of the request that Build makes
// of it against the table. A place of the body that the table has not is a fault, as is one that is not sent.
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

// CheckRequest holds a request against what is wanted at each of its places.
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
	places := map[string]any{"method": req.Method, "url": req.URL}
	for _, f := range req.Header {
		places["header."+f.Name] = f.Value
	}
	for place, value := range places {
		if _, asked := want[place]; asked {
			got[place] = value
		}
	}
	// Both as JSON reads them, where numbers are of one kind.
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
