package source

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/surveygate/surveygate/rules/jsonpath"
)

// TestNothingIsDroppedUnseen: of every profile and each of its bodies, a value is read, or the profile says that it leaves it
// out, or the event lists its place as unread. It holds for the bodies as they are, for a member that no profile knows in
// each of their objects, and for a text, a number, a list or an object in place of each of their values.
func TestNothingIsDroppedUnseen(t *testing.T) {
	t.Parallel()
	for _, platform := range Builtin().Names() {
		s := open(t, profile(t, platform), Settings{})
		for _, name := range published(t, platform) {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				req := requestOf(t, name)
				var in content
				if err := s.decode(req, &in); err != nil {
					t.Fatal(err)
				}
				elements := []jsonpath.Result{in.doc.Root()}
				if found := jsonpath.Read(in.doc.JSON(), s.Profile.Split.text); found.Kind() == jsonpath.Array {
					elements = nil
					found.Each(func(_ []byte, element jsonpath.Result) bool { elements = append(elements, element); return true })
				}
				for _, element := range elements {
					k := keeping{t: t, s: s, req: req, in: &in}
					k.asItCame(element)
					k.members(element.Raw())
					k.values(element)
				}
			})
		}
	}
}

// keeping tries bodies on one source.
type keeping struct {
	t   *testing.T
	s   *Source
	req *Request
	in  *content
}

// made is all of the event but its list of what is unread, and that list.
func (k *keeping) made(body []byte) (event string, unread []string, ok bool) {
	ev, err := k.s.renormaliseBody(k.req, noon, k.in, body)
	if err != nil {
		return "", nil, false // an error is seen by whoever sent it
	}
	text, err := k.s.without(k.req, noon, k.in, body)
	if err != nil {
		k.t.Fatal(err)
	}
	return text, ev.Data().Unread, true
}

// seen says whether a place is on a list of what is unread, or one below it is.
func seen(unread []string, place string) bool {
	return slices.ContainsFunc(unread, func(u string) bool {
		return u == andMore || leads(u, place) || strings.HasPrefix(u, clippedTo(place, maxPlaceSize-4))
	})
}

// asItCame: what is listed as unread is what changes nothing, and no profile's own sample has any.
func (k *keeping) asItCame(element jsonpath.Result) {
	_, unread, _ := k.made(element.Raw())
	for _, place := range unread {
		k.t.Errorf("`%s` is unread: map it, or say in unmapped why not", place)
	}
}

const novelty = "surveygate-novelty"

// members puts a member that no profile knows into each object.
func (k *keeping) members(body []byte) {
	k.t.Helper()
	var doc any
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if err := d.Decode(&doc); err != nil {
		k.t.Fatal(err)
	}
	write := func() []byte {
		text, err := json.Marshal(doc)
		if err != nil {
			k.t.Fatal(err)
		}
		return text
	}
	before, _, _ := k.made(write())
	var walk func(at string, value any)
	walk = func(at string, value any) {
		switch v := value.(type) {
		case []any:
			for i := range v {
				walk(join(at, "#"), v[i])
			}
		case map[string]any:
			for _, added := range []any{novelty, map[string]any{novelty: []any{novelty}}} {
				v[novelty] = added
				place := join(at, novelty)
				after, unread, ok := k.made(write())
				if ok && after == before && !seen(unread, place) && k.s.Profile.reason(place) == "" {
					k.t.Errorf("`%s` is dropped unseen; unread: %q", place, unread)
				}
				delete(v, novelty)
			}
			for key, member := range v {
				walk(join(at, keyName.Replace(key)), member)
			}
		}
	}
	walk("", doc)
}

// values puts another value in the place of each.
func (k *keeping) values(element jsonpath.Result) {
	k.t.Helper()
	for _, place := range places(element) {
		absent, _, ok := k.made(replaced(element, place, "null"))
		if !ok {
			continue
		}
		for _, value := range []string{`"` + novelty + `"`, "7.25", "true", `["` + novelty + `"]`, fmt.Sprintf(`{%q:%q}`, novelty, novelty)} {
			after, unread, ok := k.made(replaced(element, place, value))
			if !ok || after != absent || seen(unread, place) || k.s.Profile.reason(place) != "" {
				continue
			}
			// A scalar may be an id that joins nothing; that the profile names its place is all that can be asked.
			if k.s.Profile.merged(place) {
				continue // a member of an object that is merged: the first one of its name counts
			}
			if !k.s.Profile.names(place) || value[0] == '[' || value[0] == '{' {
				k.t.Errorf("%s at `%s` is dropped unseen; unread: %q", value, place, unread)
			}
		}
	}
}

// merged says whether a place is in an object that is merged into respondent.params behind another.
func (p *Profile) merged(place string) bool {
	return len(p.Params) > 1 && slices.ContainsFunc(p.Params[1:], func(path Path) bool { return leads(place, path.text) })
}

// names says whether the profile reads a scalar at a place, under whatever condition.
func (p *Profile) names(place string) bool {
	for _, r := range append([]*reads{p.reads}, values(p.readsBy)...) {
		for _, spot := range spots(place) {
			for _, s := range spot.steps {
				if s.every {
					r = r.every
				} else {
					r = r.keys[s.key]
				}
				if r == nil || r.all != 0 {
					break
				}
			}
			if r != nil && r.all|r.leaf != 0 {
				return true
			}
		}
	}
	return false
}

// What a signature leaves out is not read, and is listed.
func TestBesideTheSignature(t *testing.T) {
	t.Parallel()
	s := open(t, profile(t, "qualtrics"), Settings{Secrets: secrets("the shared key of qualtrics")})
	proved := signedBody(t, s, Sample{Body: []byte("MSG=%7B%22Status%22%3A%22Complete%22%2C%22SurveyID%22%3A%22SV_1%22%2C%22ResponseID%22%3A%22R_1%22%7D&Topic=t&Status=Partial&a.b=1&undefined=x&none="), ContentType: contentTypes[DecodeForm]})
	req := proved.request()
	verified, err := s.Verify(req)
	if err != nil {
		t.Fatal(err)
	}
	req.Verified = verified
	events, err := s.Normalise(req, noon)
	if err != nil {
		t.Fatal(err)
	}
	if got := events[0].Data().Unread; !slices.Equal(got, []string{"Status", `a\.b`}) || events[0].SurveyID != "SV_1" {
		t.Errorf("unread %q of survey %q", got, events[0].SurveyID)
	}
}

// The list of what is unread is bounded in number and in bytes, whoever chose the names.
func TestUnreadIsBounded(t *testing.T) {
	t.Parallel()
	s := inline(t, "source: x\nverify: [{kind: none}]\ntype: {const: response.completed, default: response.completed}\ndedupe: '{id}'\nmap: {response.id: id}")
	var body strings.Builder
	body.WriteString(`{"id":"1","` + strings.Repeat("é", 500) + `":{"` + strings.Repeat("k", 500) + `":1}`)
	for i := range 3000 {
		fmt.Fprintf(&body, `,"k%d":[{"a":1},{"a":2}]`, i)
	}
	body.WriteString("}")
	got := one(t, s, body.String()).Data().Unread
	if len(got) != maxPlaces+1 || got[maxPlaces] != andMore || got[1] != "k0.#.a" {
		t.Errorf("%d places: %q", len(got), got)
	}
	for _, place := range got {
		if len(place) > maxPlaceSize+len("…") {
			t.Errorf("%d bytes: %s", len(place), place)
		}
	}
	if got := one(t, s, `{"id":"1","a":null,"b":"","c":{},"d":[[],{}]}`).Data().Unread; got != nil {
		t.Errorf("nothing stands there, and %q is unread", got)
	}
}

// A body without the id of a survey and of a response says so.
func TestNeitherIDIsFound(t *testing.T) {
	t.Parallel()
	const warning = "neither a survey id nor a response id was found"
	for platform, bodies := range map[string][2]string{
		"typeform": {`{"event_id":"e","event_type":"form_response","form_response":{"answers":[{"type":"email","email":"test@example.com"}]}}`, `{"event_id":"e","event_type":"form_response","form_response":{"form_id":"f"}}`},
		"tally":    {`{"eventId":"e","eventType":"FORM_RESPONSE","data":{"fields":[{"label":"School","value":"Test"}]}}`, `{"eventId":"e","eventType":"FORM_RESPONSE","data":{"responseId":"r","fields":[]}}`},
		"pollqr":   {`{"event":"response.created","response":{"answers":{"1":2}}}`, `{"event":"response.created","survey_id":"s"}`},
	} {
		s := open(t, profile(t, platform), Settings{})
		for i, body := range bodies {
			if ev := one(t, s, body); slices.Contains(ev.Data().Warnings, warning) != (i == 0) {
				t.Errorf("%s: warnings %q of %s", platform, ev.Data().Warnings, body)
			}
		}
	}
}

// JSON that comes where a form should is told of in words, and kept where nothing has to prove it.
func TestJSONInsteadOfAForm(t *testing.T) {
	t.Parallel()
	body := `{"topic":"surveyengine.completedResponse.SV_abc123","Status":"Complete","SurveyID":"SV_abc123","ResponseID":"R_xyz789"}`
	const words = "the body is JSON, but Qualtrics sends a form"
	ev := one(t, open(t, profile(t, "qualtrics"), Settings{}), body)
	if d := ev.Data(); ev.Type != "unknown" || len(d.Warnings) == 0 || !strings.HasPrefix(d.Warnings[0], words) || string(ev.Raw.Body) != body {
		t.Errorf("%s, warnings %q", ev.Type, d.Warnings)
	}
	s := open(t, profile(t, "qualtrics"), Settings{Secrets: secrets("the shared key of qualtrics")})
	req := request([]byte(body))
	if _, err := s.Verify(req); err == nil || !strings.Contains(err.Error(), words) {
		t.Errorf("refused with %v", err)
	}
	if checks := s.Inspect(req); !strings.Contains(checks[0].Reason, words) {
		t.Errorf("checks %+v", checks)
	}
}

func TestAccept(t *testing.T) {
	t.Parallel()
	const head = "source: x\nverify: [{kind: none}]\ntype: {const: e, default: response.completed}\ndedupe: '{id}'\n"
	for text, want := range map[string]string{
		"decode: json\naccept: [form]":             "accept needs decode: form or multipart, and lists the other formats",
		"accept: [form]":                           "accept needs decode: form or multipart, and lists the other formats",
		"decode: form\naccept: [json, form]":       "accept needs decode: form or multipart, and lists the other formats",
		"decode: form\naccept: [xml]":              "`xml` is not a decoder",
		"decode: form\naccept: [json]":             "",
		"answers: [{shape: object, others: true}]": "others applies to keys that `key` does not match",
	} {
		_, faults := Parse("x.yaml", []byte(head+text))
		if got := faults.Error(); want == "" && len(faults) > 0 || !strings.Contains(got, want) {
			t.Errorf("%q: %v, want %q", text, got, want)
		}
	}
}

// What stands beside the list of events is listed in each of them.
func TestBesideTheListOfEvents(t *testing.T) {
	t.Parallel()
	s := inline(t, "source: x\nverify: [{kind: none}]\nsplit: data.items\ntype: {const: response.completed, default: response.completed}\ndedupe: '{id}'\nmap: {response.id: id}\nunmapped: {meta.page: of the list}")
	events, err := s.Normalise(request([]byte(`{"meta":{"page":1,"form":"f"},"data":{"items":[{"id":"1"},{"id":"2","more":1}],"total":2}}`)), noon)
	if err != nil {
		t.Fatal(err)
	}
	var got [][]string
	for _, ev := range events {
		got = append(got, ev.Data().Unread)
	}
	if diff := cmp.Diff([][]string{{"meta.form", "data.total"}, {"meta.form", "data.total", "more"}}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
