package event

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/surveygate/surveygate/rules/jsonpath"
)

func TestCompleteNames(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ given, want Respondent }{
		{Respondent{Name: "  Ada   Lovelace  King "}, Respondent{Name: "Ada   Lovelace  King", FirstName: "Ada", LastName: "Lovelace King"}},
		{Respondent{Name: "Ada"}, Respondent{Name: "Ada", FirstName: "Ada"}},
		{Respondent{FirstName: " Ada ", LastName: "King"}, Respondent{Name: "Ada King", FirstName: "Ada", LastName: "King"}},
		{Respondent{LastName: "King"}, Respondent{Name: "King", LastName: "King"}},
		{Respondent{Name: "Ada King", FirstName: "Augusta"}, Respondent{Name: "Ada King", FirstName: "Augusta"}},
		{Respondent{Name: "Ada King", LastName: "Byron"}, Respondent{Name: "Ada King", LastName: "Byron"}},
		{Respondent{Name: "\u00a0\t"}, Respondent{}},
		{Respondent{Email: " A@B.c "}, Respondent{Email: "A@B.c"}},
	} {
		d := Data{Respondent: c.given}
		d.Complete(nil)
		if diff := cmp.Diff(c.want, d.Respondent); diff != "" {
			t.Errorf("%+v (-want +got):\n%s", c.given, diff)
		}
		once := d.Respondent
		if d.Complete(nil); !cmp.Equal(once, d.Respondent) {
			t.Errorf("completed twice: %+v, then %+v", once, d.Respondent)
		}
	}
}

func TestCompleteScores(t *testing.T) {
	t.Parallel()
	for n, kept := range map[float64]bool{0: true, 10: true, 7.5: true, -1: false, 10.01: false, 42: false, math.Inf(1): false, math.NaN(): false} {
		d := Data{Response: Response{Score: Score{NPS: &n, CSAT: new(42.0), CES: new(-3.0)}}}
		d.Complete(nil)
		if (d.Response.Score.NPS != nil) != kept || (len(d.Warnings) == 0) != kept {
			t.Errorf("%v: kept %v, warnings %q", n, d.Response.Score.NPS, d.Warnings)
		}
		if d.Response.Score.CSAT == nil || d.Response.Score.CES == nil {
			t.Error("csat and ces do not keep the platform's scale")
		}
	}
}

func TestParseTime(t *testing.T) {
	t.Parallel()
	istanbul := time.FixedZone("", 3*60*60)
	for text, want := range map[string]string{
		"2024-01-01T12:00:00Z":             "2024-01-01T12:00:00Z",
		"2024-01-01T12:00:00.000Z":         "2024-01-01T12:00:00Z",
		"2024-01-01T12:00:00.120456+03:00": "2024-01-01T09:00:00.120456Z",
		"2024-01-01T12:00:00+0300":         "2024-01-01T09:00:00Z",
		"2024-01-01T12:00:00":              "2024-01-01T09:00:00Z", // without a zone: the source's
		"2024-01-01 12:00:00":              "2024-01-01T09:00:00Z",
		"2024-01-01 12:00:00.5":            "2024-01-01T09:00:00.5Z",
		"2024-01-01 12:00:00 UTC":          "2024-01-01T12:00:00Z",
		"2024-01-01 12:00:00 +0000":        "2024-01-01T12:00:00Z",
		"2024-01-01 12:00":                 "2024-01-01T09:00:00Z",
		"2024-01-01":                       "2023-12-31T21:00:00Z",
		"Mon, 01 Jan 2024 12:00:00 GMT":    "2024-01-01T12:00:00Z",
		"Mon, 01 Jan 2024 12:00:00 +0300":  "2024-01-01T09:00:00Z",
		" 1704110400 ":                     "2024-01-01T12:00:00Z",
		"1704110400123":                    "2024-01-01T12:00:00.123Z",
		"1719215254.837":                   "2024-06-24T07:47:34.837Z",
		"999999999":                        "2001-09-09T01:46:39Z",
	} {
		got, ok := ParseTime(text, istanbul)
		if !ok || got.Format(time.RFC3339Nano) != want || got.Location() != time.UTC {
			t.Errorf("%q is %v, %v; want %s", text, got, ok, want)
		}
	}
	for _, text := range []string{"", "01/02/2024", "soon", "2024", "12", "2024-13-01T00:00:00Z", "2024-02-30", "1e9", "0000-01-01T00:00:00Z", "0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00", "0x3b9aca00", "1704110400.5e1", "17041104001234", "-1704110400", "2024-01-01 12:00:00 EST", "Mon, 01 Jan 2024 12:00:00 EST", "170411040_0"} {
		if got, ok := ParseTime(text, nil); ok {
			t.Errorf("%q was read as %v", text, got)
		}
	}
	if got, ok := ParseTime("2024-01-01 12:00:00", nil); !ok || got.Hour() != 12 {
		t.Errorf("without any zone it is %v, %v", got, ok)
	}
}

func TestCompleteTimes(t *testing.T) {
	t.Parallel()
	d := Data{Response: Response{StartedAt: "2024-01-01 12:00:00", CompletedAt: "01/02/2024", UpdatedAt: "2024-01-01T12:00:00.100Z"}}
	d.Complete(time.FixedZone("", 3*60*60))
	if diff := cmp.Diff(Response{StartedAt: "2024-01-01T09:00:00Z", UpdatedAt: "2024-01-01T12:00:00.1Z"}, d.Response); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"response.completed_at left out: no time that can be read"}, d.Warnings); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
}

// New does not change its arguments.
func TestNewDoesNotChangeItsData(t *testing.T) {
	t.Parallel()
	h, d, raw := everything()
	d.Response.Answers = append(d.Response.Answers, Answer{QuestionID: "empty", Value: json.RawMessage(`null`)}, Answer{QuestionID: "c", Comment: "c"})
	d.Response.Leads = append(d.Response.Leads, json.RawMessage(`{}`), json.RawMessage(`{"a":1}`))
	before, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	answers := slices.Clone(d.Response.Answers)
	e, err := New(h, d, raw)
	if err != nil {
		t.Fatal(err)
	}
	after, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	if string(before) != string(after) || !cmp.Equal(answers, d.Response.Answers) {
		t.Errorf("changed from %s\nto %s", before, after)
	}
	if n := len(e.Data().Response.Answers); n != 3 {
		t.Errorf("%d answers", n)
	}
	if n := len(e.Data().Response.Leads); n != 3 {
		t.Errorf("%d leads", n)
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	good := Header{Type: TypeTest, Received: received}
	with := func(change func(*Header)) Header { h := good; change(&h); return h }
	for name, c := range map[string]struct {
		h Header
		d *Data
	}{
		"type":       {with(func(h *Header) { h.Type = "nope" }), nil},
		"no receipt": {with(func(h *Header) { h.Received = time.Time{} }), nil},
		"tenant":     {with(func(h *Header) { h.Tenant = "a/b" }), nil},
		"source":     {with(func(h *Header) { h.Source = "a\x00" }), nil},
		"verified":   {with(func(h *Header) { h.Verified = "trust me" }), nil},
		"value":      {good, &Data{Response: Response{Answers: []Answer{{QuestionID: "a", Value: json.RawMessage(`{"a":`)}}}}},
		"params":     {good, &Data{Respondent: Respondent{Params: json.RawMessage(`[1]`)}}},
		"result":     {good, &Data{Response: Response{Result: json.RawMessage(`"x"`)}}},
		"lead":       {good, &Data{Response: Response{Leads: []json.RawMessage{json.RawMessage(`1`)}}}},
		"answers":    {good, &Data{Response: Response{Answers: slices.Repeat([]Answer{{QuestionID: "a", Value: json.RawMessage(`1`)}}, MaxAnswers+1)}}},
	} {
		if e, err := New(c.h, c.d, Raw{}); err == nil {
			t.Errorf("%s: made %s", name, e.Envelope())
		}
	}
	if _, err := New(good, nil, Raw{}); err != nil {
		t.Errorf("the good one: %v", err)
	}
}

func TestNewCompletesTheHeader(t *testing.T) {
	t.Parallel()
	late := time.Date(2024, 5, 1, 12, 0, 0, 123_456_789, time.FixedZone("", 3600))
	e, err := New(Header{Type: TypeUnknown, Received: late}, nil, Raw{Body: []byte("x")})
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2024, 5, 1, 11, 0, 0, 123_000_000, time.UTC)
	if diff := cmp.Diff(Header{
		ID: IDs("default", "api", hash("x"))[unprovedSpace], Tenant: "default", Source: "api", SourceKind: "api", Type: TypeUnknown, Time: at, Received: at, DedupeKey: hash("x"), Verified: "none",
	}, e.Header); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	// Without a body the data decides, and two that differ are two.
	one, _ := New(Header{Type: TypeUnknown, Received: late}, &Data{Survey: Survey{ID: "1"}}, Raw{})
	two, _ := New(Header{Type: TypeUnknown, Received: late}, &Data{Survey: Survey{ID: "2"}}, Raw{})
	if one.ID == two.ID {
		t.Error("two events have one id")
	}
	if got := ID("acme", "pollqr-main", "response.created:550e8400-e29b-41d4-a716-446655440000:6ba7b810-9dad-11d1-80b4-00c04fd430c8:2024-01-01T12:00:00.000Z"); got != "98f112ad9000831e10656e02964b1bb9" {
		t.Errorf("the example's id is %s", got)
	}
	if ID("a", "b", "c") == ID("a", "bc", "") || ID("a", strings.Repeat("b", 300), "c") == ID("a", strings.Repeat("b", 300), "d") {
		t.Error("ids of different keys are alike")
	}
}

func TestNPSGroup(t *testing.T) {
	t.Parallel()
	for score, want := range map[float64]string{0: "detractor", 6: "detractor", 6.9: "detractor", 7: "passive", 8: "passive", 9: "promoter", 10: "promoter", -1: "", 11: ""} {
		if got := NPSGroup(score); got != want {
			t.Errorf("%v is %q, want %q", score, got, want)
		}
	}
	if NPSGroup(math.NaN()) != "" {
		t.Error("NaN has a group")
	}
}

func TestAnswer(t *testing.T) {
	t.Parallel()
	d := Data{Response: Response{Answers: []Answer{
		{QuestionID: "q1", Question: "q2", Value: json.RawMessage(`"first"`)},
		{QuestionID: "q2", Question: "Why?", Value: json.RawMessage(`["a","b, c",3,null,""]`)},
		{QuestionID: "q2", Question: "Why?", Value: json.RawMessage(`1`)},
	}}}
	for key, want := range map[string]string{"q1": "first", "q2": "a, b, c, 3", "Why?": "a, b, c, 3"} {
		if a, ok := d.Answer(key); !ok || a.Text() != want {
			t.Errorf("%s is %q, %v", key, a.Text(), ok)
		}
	}
	for _, key := range []string{"", "why?", "q3"} {
		if a, ok := d.Answer(key); ok {
			t.Errorf("%q is %q", key, a.Text())
		}
	}
	for raw, want := range map[string]string{
		`{"Speed":"good","Price":["high","fair"],"Empty":null}`: "Speed: good, Price: high, fair",
		`12345678901234567890`: "12345678901234567890", `true`: "true", `null`: "", `""`: "", `"a\u00e7\n"`: "aç\n", `[]`: "", ``: "",
	} {
		if got := (Answer{Value: json.RawMessage(raw)}).Text(); got != want {
			t.Errorf("%s reads %q, want %q", raw, got, want)
		}
	}
}

func TestTypes(t *testing.T) {
	t.Parallel()
	for _, name := range append(slices.Clone(Types), "gateway.paused", "gateway.destination_paused.x") {
		if !IsCanonical(name) {
			t.Errorf("%s is not canonical", name)
		}
	}
	for _, name := range []string{"", "response", "response.", "response.created", "Test", "gateway", "gateway.", "gateway.A", "gateway.1", "*", "response.*"} {
		if IsCanonical(name) {
			t.Errorf("%q is canonical", name)
		}
	}
}

// The table of fields, the struct and the published schema are consistent.
func TestFieldsAreTheSchemas(t *testing.T) {
	t.Parallel()
	file := read(t, "testdata/envelope.schema.json")
	kinds := map[string]Kind{"string": String, "number": Number, "boolean": Bool, "object": Object, "array": Array}
	var want []Field
	var walk func(path string, schema jsonpath.Result)
	walk = func(path string, schema jsonpath.Result) {
		jsonpath.Read(schema.Raw(), "properties").ForEach(func(key string, v jsonpath.Result) bool {
			at := key
			if path != "" {
				at = path + "." + key
			}
			if at == "raw" {
				return true // about the bytes, not a field of the language
			}
			kind := kinds[jsonpath.Read(v.Raw(), "type").Text()]
			want = append(want, Field{Path: at, Kind: kind, Open: kind == Object && !jsonpath.Read(v.Raw(), "properties").Exists()})
			walk(at, v)
			return true
		})
	}
	walk("", jsonpath.Read(file, "properties.data"))
	sorted := func(all []Field) []Field {
		all = slices.Clone(all)
		slices.SortFunc(all, func(a, b Field) int { return strings.Compare(a.Path, b.Path) })
		return all
	}
	got := sorted(Fields())
	for i := range got {
		got[i].Identifier = false // of what is published, whose numbers become texts
	}
	if diff := cmp.Diff(sorted(want), got); diff != "" {
		t.Errorf("(-schema +fields):\n%s", diff)
	}

	// Each field reaches the struct's member of the same JSON name, and nothing else.
	for _, f := range Fields() {
		if f.Kind == Object && !f.Open {
			continue
		}
		value := map[Kind]string{String: `"2024-01-01T00:00:00Z"`, Number: `1`, Bool: `true`, Object: `{"a":1}`, Array: `[{"question_id":"a","value":1}]`}[f.Kind]
		if f.Path == "warnings" || f.Path == "unread" || f.Path == "response.cleared" {
			value = `["w"]`
		}
		text := value
		keys := strings.Split(f.Path, ".")
		for _, key := range slices.Backward(keys) {
			text = `{"` + key + `":` + text + `}`
		}
		var want Data
		if err := json.Unmarshal([]byte(text), &want); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(&want, decodeData([]byte(text))); diff != "" {
			t.Errorf("%s (-encoding/json +ours):\n%s", f.Path, diff)
		}
	}
}

func TestResolve(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]struct {
		path string
		kind Kind
	}{
		"nps_score":              {"response.score.nps", Number},
		"params":                 {"respondent.params", Object},
		"params.plan":            {"respondent.params.plan", Any},
		"respondent.params.a.b":  {"respondent.params.a.b", Any},
		"survey.title":           {"survey.title", String},
		"survey":                 {"survey", Object},
		"response.answers":       {"response.answers", Array},
		"response.leads.0.email": {"response.leads.0.email", Any},
		"response.result.title":  {"response.result.title", Any},
		"context.country":        {"context.country", String},
		"consent":                {"respondent.consent", Bool},
		"response.score":         {"response.score", Object},
	} {
		path, ok := Resolve(name)
		kind, known := KindOf(name)
		if !ok || !known || path != want.path || kind != want.kind {
			t.Errorf("%s is %q, %q, %v; want %v", name, path, kind, ok, want)
		}
	}
	for _, name := range []string{"", ".", "nps_scor", "survey.", "survey.titel", "survey.title.x", "nps_score.x", "params.", "params..a", "email.x", "type", "nps_group", "raw", "raw.sha256", "answers"} {
		if path, ok := Resolve(name); ok {
			t.Errorf("%q is %q", name, path)
		}
	}
	for _, name := range Names() {
		if alias, ok := Aliases[name]; ok {
			name = alias
		}
		if _, ok := Resolve(name); !ok && !slices.Contains(DerivedNames, name) {
			t.Errorf("the name %q leads nowhere", name)
		}
	}
	for word, want := range map[string]string{"nps_scor": "nps_score", "NPS_SCORE": "nps_score", "emial": "email", "survey.titel": "survey.title", "xyzzy": "", "": "", "q": ""} {
		if got := Nearest(word, Names()); got != want {
			t.Errorf("nearest to %q is %q, want %q", word, got, want)
		}
	}
}
