package event

import (
	"maps"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/surveygate/surveygate/rules/jsonpath"
)

// TestAttributesAreTheEnvelopes: an envelope has the attributes of the table in its order, and its binary form says the same.
func TestAttributesAreTheEnvelopes(t *testing.T) {
	t.Parallel()
	h, d, raw := sampleParts(t)
	h.OrigID, h.Tenant = `or"ig`, "acmé"
	first, err := New(h, d, raw)
	if err != nil {
		t.Fatal(err)
	}
	ev, err := first.WithRevision(2)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	values := map[string]string{}
	jsonpath.Parse(ev.Envelope()).Each(func(key []byte, v jsonpath.Result) bool {
		names = append(names, string(key))
		values[string(key)] = string(v.Raw())
		if v.Kind() == jsonpath.String {
			values[string(key)] = v.Text()
		}
		return true
	})
	var want []string
	for _, a := range attributes {
		if a.name != "data_base64" { // which only others send
			want = append(want, a.name)
		}
	}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("the envelope has other attributes than the table (-table +envelope):\n%s", diff)
	}
	delete(values, "datacontenttype")
	delete(values, "data")
	if diff := cmp.Diff(values, maps.Collect(ev.Attributes)); diff != "" {
		t.Errorf("the binary form says something else (-envelope +binary):\n%s", diff)
	}
	for name := range first.Attributes {
		if name == "revision" {
			t.Error("an event that was never revised has the attribute `revision`")
		}
	}
}
