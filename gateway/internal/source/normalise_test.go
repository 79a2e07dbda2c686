package source

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/surveygate/surveygate/rules/event"
)

// TestBadBodies is what is refused: nothing but what cannot be read, or is too much.
func TestBadBodies(t *testing.T) {
	t.Parallel()
	many := func(n int, element string) string { return "[" + strings.Repeat(element+",", n-1) + element + "]" }
	keys := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `,"k%d":1`, i)
		}
		return "{" + b.String()[1:] + "}"
	}
	tests := []struct {
		name, profile, body string
		want                error
	}{
		{"empty", "pollqr", "", ErrNotJSON},
		{"blank", "pollqr", " \n", ErrNotJSON},
		{"only a mark", "pollqr", "\xEF\xBB\xBF", ErrNotJSON},
		{"text", "pollqr", "hello", ErrNotJSON},
		{"cut off", "pollqr", `{"event":"response.created"`, ErrNotJSON},
		{"two values", "pollqr", `{} {}`, ErrNotJSON},
		{"trailing comma", "pollqr", `{"a":1,}`, ErrNotJSON},
		{"published with faults", "poltio", string(payload(t, "poltio-malformed.txt")), ErrNotJSON},
		{"UTF-16", "pollqr", "\xff\xfe{\x00}\x00", ErrNotJSON},
		{"form", "pollqr", "a=1&b=2", ErrNotJSON},
		{"NaN", "pollqr", `{"response":{"nps_score":NaN}}`, ErrNotJSON},
		{"65 levels", "pollqr", `{"x":` + strings.Repeat("[", 64) + strings.Repeat("]", 64) + `}`, ErrTooDeep},
		{"a million brackets", "pollqr", strings.Repeat("[", 1<<20), ErrTooDeep},
		{"2,001 answers in an object", "pollqr", `{"event":"response.created","response":{"answers":` + keys(2001) + `}}`, ErrTooManyAnswers},
		{"2,001 answers in an array", "popsee", `{"event":"response.completed","response":{"answers":` + many(2001, `{"questionId":"q","value":1}`) + `}}`, ErrTooManyAnswers},
		{"1,001 events", "smartsurvey", many(1001, `{"id":1}`), ErrTooManyEvents},
		{"empty form", "wufoo", "", ErrNotJSON},
		{"broken form", "wufoo", "a=%zz", ErrNotJSON},
		{"form with deep JSON", "wufoo", "FieldStructure=" + strings.Repeat("[", 100) + strings.Repeat("]", 100), ErrTooDeep},
		{"form with too many fields", "wufoo", strings.Repeat("a=1&", 2001), ErrTooManyAnswers},
		{"no multipart form", "jotform", "hello", ErrNotJSON},
		{"multipart cut off", "jotform", "--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nb", ErrNotJSON},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			events, err := open(t, profile(t, tt.profile), Settings{}).Normalise(request([]byte(tt.body)), noon)
			if !errors.Is(err, tt.want) || events != nil {
				t.Errorf("%d events, %v; want %v", len(events), err, tt.want)
			}
		})
	}
}

// TestBounds: what is just within them is taken.
func TestBounds(t *testing.T) {
	t.Parallel()
	answers := strings.TrimSuffix(strings.Repeat(`{"questionId":"q","value":1},`, 2000), ",")
	ev := one(t, open(t, profile(t, "popsee"), Settings{}), `{"event":"response.completed","response":{"answers":[`+answers+`]}}`)
	if n := len(ev.Data().Response.Answers); n != 2000 {
		t.Errorf("%d answers, want 2000", n)
	}
	batch := "[" + strings.TrimSuffix(strings.Repeat(`{"id":1},`, MaxEvents), ",") + "]"
	events, err := open(t, profile(t, "smartsurvey"), Settings{}).Normalise(request([]byte(batch)), noon)
	if err != nil || len(events) != MaxEvents {
		t.Errorf("%d events, %v", len(events), err)
	}
}

// TestNotUTF8: the bytes are kept as they came, the event is text, and a person is told.
func TestNotUTF8(t *testing.T) {
	t.Parallel()
	body := "{\"event\":\"response.created\",\"response_id\":\"r1\",\"response\":{\"answers\":{\"1\":\"caf\xe9\"}}}"
	ev := one(t, open(t, profile(t, "pollqr"), Settings{}), body)
	if string(ev.Raw.Body) != body || ev.ResponseID != "r1" || string(ev.Data().Response.Answers[0].Value) != `"caf`+"\uFFFD"+`"` {
		t.Errorf("id %q, answer %s", ev.ResponseID, ev.Data().Response.Answers[0].Value)
	}
	if len(ev.Data().Warnings) != 1 || !strings.Contains(ev.Data().Warnings[0], "invalid UTF-8") || strings.Contains(ev.Data().Warnings[0], "caf") {
		t.Errorf("warnings %q", ev.Data().Warnings)
	}
	conforms(t, schema(t), ev)
}

// TestStrangeBodies is JSON that does not map: always one event, of type unknown, with its bytes and a warning.
func TestStrangeBodies(t *testing.T) {
	t.Parallel()
	schema := schema(t)
	bodies := map[string]string{
		"null": `null`, "true": `true`, "number": `12`, "text": `"response.created"`, "array": `[{"event":"response.created"}]`,
		"empty array": `[]`, "empty object": `{}`, "other event": `{"event":"response.created2"}`, "event is null": `{"event":null}`,
		"event is a number": `{"event":7}`, "event is an object": `{"event":{"event":"response.created"}}`,
		"event is long": `{"event":"` + strings.Repeat("x", 5000) + `"}`, "dotted key": `{"a.b":{"event":"response.created"}}`,
		"space around": "\n\t {} \r\n", "mark before": "\xEF\xBB\xBF{}", "not UTF-8": "{\"x\":\"\xff\"}",
		"lone surrogate": `{"x":"\ud800"}`, "NUL": `{"event":"\u0000"}`,
		"64 levels": `{"x":` + strings.Repeat("[", 63) + strings.Repeat("]", 63) + `}`,
	}
	for name, body := range bodies {
		for _, platform := range []string{"pollqr", "popsee", "pollarix", "poltio", "chattosurvey"} {
			t.Run(platform+"/"+name, func(t *testing.T) {
				t.Parallel()
				ev := one(t, open(t, profile(t, platform), Settings{}), body)
				if ev.Type != event.TypeUnknown {
					t.Errorf("type %s", ev.Type)
				}
				if len(ev.Data().Warnings) == 0 {
					t.Error("no warning")
				}
				if string(ev.Raw.Body) != body || ev.Raw.SHA256 != hash([]byte(body)) {
					t.Error("the bytes are not those that came")
				}
				if ev.DedupeKey == "" || strings.Trim(ev.DedupeKey, ":") == "" {
					t.Errorf("dedupe key %q", ev.DedupeKey)
				}
				if len(ev.OrigType) > maxID {
					t.Errorf("origtype of %d bytes", len(ev.OrigType))
				}
				conforms(t, schema, ev)
			})
		}
	}
}

func TestDedupeKeys(t *testing.T) {
	t.Parallel()
	const head = "source: x\nverify: [{kind: none}]\ntype: {path: t, map: {test: test}, default: response.completed}\ndedupe: "
	const body = `{"t":"a","id":12345678901234567890,"b":true,"n":null,"o":{"x":1},"s":" y "}`
	sha := hash([]byte(body))
	tests := []struct{ template, want string }{
		{`"{t}:{id}"`, "a:12345678901234567890"},
		{`"{b}/{s}"`, "true/y"},
		{`"{o.x}-{header:Webhook-Id}"`, "1-wid"},
		{`"{t}:{sha256}"`, "a:" + sha},
		{`"{t}:{nothing}"`, "a::" + sha}, // nothing in it is the respondent's own
		{`"{nothing}:{n}"`, sha},
		{`"{o}"`, sha},
		{`"fixed {header:none}"`, sha},
		{`"{t}{t}{t}"`, "aaa"},
	}
	for _, tt := range tests {
		t.Run(tt.template, func(t *testing.T) {
			t.Parallel()
			s := inline(t, head+tt.template)
			events, err := s.Normalise(request([]byte(body), "webhook-id", "wid"), noon)
			if err != nil {
				t.Fatal(err)
			}
			if events[0].DedupeKey != tt.want {
				t.Errorf("%q, want %q", events[0].DedupeKey, tt.want)
			}
		})
	}
	t.Run("by type", func(t *testing.T) {
		t.Parallel()
		s := inline(t, strings.Replace(head, "{test: test}", "{test: test, a: reward.redeemed, b: response.updated}", 1)+"\"{id}\"\n"+
			"dedupe_by_type: {response.started: \"S{id}\", reward.redeemed: \"{b}:{id}\"}")
		if ev := one(t, s, body); ev.Type != event.TypeRewardRedeemed || ev.DedupeKey != "true:12345678901234567890" {
			t.Errorf("%s %q", ev.Type, ev.DedupeKey)
		}
		if ev := one(t, s, strings.Replace(body, `"a"`, `"b"`, 1)); ev.Type != event.TypeResponseUpdated || ev.DedupeKey != "12345678901234567890" {
			t.Errorf("%s %q", ev.Type, ev.DedupeKey)
		}
	})
	t.Run("too long to keep", func(t *testing.T) {
		t.Parallel()
		long := `{"t":"` + strings.Repeat("x", 1020) + `","id":"` + strings.Repeat("y", 20) + `"}`
		if ev := one(t, inline(t, head+`"{t}:{id}"`), long); ev.DedupeKey != hash([]byte(long)) {
			t.Errorf("%q", ev.DedupeKey)
		}
	})
	t.Run("a test is never a duplicate", func(t *testing.T) {
		t.Parallel()
		s := inline(t, head+`"{t}"`)
		first, _ := s.Normalise(request([]byte(`{"t":"test"}`)), noon)
		second, _ := s.Normalise(request([]byte(`{"t":"test"}`)), noon.Add(time.Millisecond))
		if first[0].Type != "test" || first[0].ID == second[0].ID || !strings.HasPrefix(first[0].DedupeKey, "test:") {
			t.Errorf("%s %s, %s", first[0].Type, first[0].DedupeKey, second[0].DedupeKey)
		}
	})
	t.Run("a retry is a duplicate", func(t *testing.T) {
		t.Parallel()
		s := open(t, profile(t, "pollqr"), Settings{})
		first, _ := s.Normalise(request(payload(t, "pollqr-response.created.json")), noon)
		second, _ := s.Normalise(request(payload(t, "pollqr-response.created.json")), noon.Add(time.Hour))
		updated, _ := s.Normalise(request(payload(t, "pollqr-response.updated.derived.json")), noon)
		if first[0].ID != second[0].ID || first[0].ID == updated[0].ID {
			t.Errorf("ids %s %s %s", first[0].ID, second[0].ID, updated[0].ID)
		}
	})
}

// TestFacts holds ids, numbers and times to the token that came.
func TestFacts(t *testing.T) {
	t.Parallel()
	const text = `
source: x
verify: [{kind: none}]
type: {const: c, default: response.completed}
time: [at, other]
dedupe: "{id}"
map:
  response.id: id
  survey.id: [sid, sid2]
  survey.title: {path: title, prefix: "T: "}
  response.started_at: started
  response.duration_ms: ms
  respondent.verified: yes
  respondent.external_id: ext
  response.score.custom: score
answers:
  - {from: answers, shape: object}
`
	tests := []struct {
		name, body string
		pick       func(*event.Event) any
		want       any
	}{
		{"a large id keeps its digits", `{"id":12345678901234567890}`, func(e *event.Event) any { return e.ResponseID }, "12345678901234567890"},
		{"an id with a fraction", `{"id":42.0}`, func(e *event.Event) any { return e.ResponseID }, "42.0"},
		{"an id in scientific form", `{"id":1e3}`, func(e *event.Event) any { return e.ResponseID }, "1e3"},
		{"an id of any size", `{"id":` + strings.Repeat("9", 1024) + `}`, func(e *event.Event) any { return len(e.ResponseID) }, 1024},
		{"an id that cannot be kept", `{"id":"` + strings.Repeat("9", 1025) + `"}`, func(e *event.Event) any { return e.ResponseID + e.Data().Warnings[0] }, "response.id: the value of `id` is not an id of at most 1024 bytes of UTF-8"},
		{"an object is no id", `{"id":{"a":1},"sid":"s"}`, func(e *event.Event) any { return e.ResponseID + e.Data().Warnings[0] }, "response.id: the value of `id` is not an id of at most 1024 bytes of UTF-8"},
		{"the first that is not empty", `{"id":1,"sid":"","sid2":"b"}`, func(e *event.Event) any { return e.SurveyID }, "b"},
		{"the first that fits", `{"id":1,"sid":["x"],"sid2":"b"}`, func(e *event.Event) any { return e.SurveyID + strings.Join(e.Data().Warnings, "") }, "b"},
		{"a prefix", `{"id":1,"title":"x"}`, func(e *event.Event) any { return e.Data().Survey.Title }, "T: x"},
		{"no prefix alone", `{"id":1,"title":""}`, func(e *event.Event) any { return e.Data().Survey.Title }, ""},
		{"space around an id", `{"id":1,"ext":"a id "}`, func(e *event.Event) any { return e.Data().Respondent.ExternalID }, "a id"},
		{"milliseconds", `{"id":1,"ms":16789}`, func(e *event.Event) any { return value(e.Data().Response.DurationS) }, 16.789},
		{"milliseconds as text", `{"id":1,"ms":"1500"}`, func(e *event.Event) any { return value(e.Data().Response.DurationS) }, 1.5},
		{"a negative duration", `{"id":1,"ms":-1}`, func(e *event.Event) any { return value(e.Data().Response.DurationS) }, nil},
		{"true as text", `{"id":1,"yes":"true"}`, func(e *event.Event) any { return value(e.Data().Respondent.Verified) }, true},
		{"no as a number", `{"id":1,"yes":0}`, func(e *event.Event) any { return value(e.Data().Respondent.Verified) }, false},
		{"neither yes nor no", `{"id":1,"yes":"perhaps"}`, func(e *event.Event) any { return value(e.Data().Respondent.Verified) }, nil},
		{"zero is a score", `{"id":1,"score":"0"}`, func(e *event.Event) any { return value(e.Data().Response.Score.Custom) }, 0.0},
		{"a number as text stays text", `{"id":1,"answers":{"a":"007"}}`, func(e *event.Event) any { return string(e.Data().Response.Answers[0].Value) }, `"007"`},
		{"digits beyond a double stay", `{"id":1,"answers":{"a":12345678901234567890}}`, func(e *event.Event) any { return string(e.Data().Response.Answers[0].Value) }, `12345678901234567890`},
		{"a boolean stays", `{"id":1,"answers":{"a":false}}`, func(e *event.Event) any { return string(e.Data().Response.Answers[0].Value) }, `false`},
		{"a matrix stays", `{"id":1,"answers":{"a": { "x" : [ 1 , "b" ] }}}`, func(e *event.Event) any { return string(e.Data().Response.Answers[0].Value) }, `{"x":[1,"b"]}`},
		{"nothing answered is no answer", `{"id":1,"answers":{"a":null,"b":"","c":[],"d":{}}}`, func(e *event.Event) any { return len(e.Data().Response.Answers) }, 0},
		{"zero is an answer", `{"id":1,"answers":{"a":0}}`, func(e *event.Event) any { return len(e.Data().Response.Answers) }, 1},
		{"the first of two keys", `{"id":1,"id":2,"answers":{"a":1,"a":2}}`, func(e *event.Event) any {
			return e.ResponseID + string(e.Data().Response.Answers[0].Value) + fmt.Sprint(len(e.Data().Response.Answers), len(e.Data().Warnings))
		}, "111 1"},
		{"answers that are a list", `{"id":1,"answers":[1]}`, func(e *event.Event) any { return strings.Join(e.Data().Warnings, "") }, "answers: `answers` is an array, not an object"},

		{"a time with milliseconds", `{"id":1,"at":"2024-01-01T12:00:00.120Z"}`, func(e *event.Event) any { return timeText(e.Time) }, "2024-01-01T12:00:00.12Z"},
		{"a time with microseconds", `{"id":1,"at":"2016-01-01T21:56:31.182613+00:00"}`, func(e *event.Event) any { return timeText(e.Time) }, "2016-01-01T21:56:31.182613Z"},
		{"a time elsewhere", `{"id":1,"at":"2024-01-01T12:00:00+03:00"}`, func(e *event.Event) any { return timeText(e.Time) }, "2024-01-01T09:00:00Z"},
		{"a time without zone", `{"id":1,"at":"2024-07-01 12:00:00"}`, func(e *event.Event) any { return timeText(e.Time) }, "2024-07-01T10:00:00Z"},
		{"a field without zone", `{"id":1,"started":"2024-01-01T12:00:00"}`, func(e *event.Event) any { return e.Data().Response.StartedAt }, "2024-01-01T11:00:00Z"},
		{"Unix seconds", `{"id":1,"at":1568624875}`, func(e *event.Event) any { return timeText(e.Time) }, "2019-09-16T09:07:55Z"},
		{"Unix seconds as text", `{"id":1,"at":"1774990125"}`, func(e *event.Event) any { return timeText(e.Time) }, "2026-03-31T20:48:45Z"},
		{"Unix seconds with a fraction", `{"id":1,"at":1719215254.837}`, func(e *event.Event) any { return timeText(e.Time) }, "2024-06-24T07:47:34.837Z"},
		{"Unix milliseconds", `{"id":1,"at":1719215254837}`, func(e *event.Event) any { return timeText(e.Time) }, "2024-06-24T07:47:34.837Z"},
		{"the next that can be read", `{"id":1,"at":"EST","other":"2024-01-01T00:00:00Z"}`, func(e *event.Event) any { return timeText(e.Time) + fmt.Sprint(len(e.Data().Warnings)) }, "2024-01-01T00:00:00Z1"},
		{"no time is the time of receipt", `{"id":1}`, func(e *event.Event) any { return timeText(e.Time) }, "2026-01-02T12:00:00.123Z"},
		{"a time that cannot be read", `{"id":1,"started":"DD/MM/YYYY"}`, func(e *event.Event) any { return e.Data().Response.StartedAt + strings.Join(e.Data().Warnings, "") }, "response.started_at: the value of `started` is not a readable time"},
		{"zero is no time", `{"id":1,"at":0}`, func(e *event.Event) any { return timeText(e.Time) }, "2026-01-02T12:00:00.123Z"},
	}
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	p, faults := Parse("x.yaml", []byte(text))
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	schema := schema(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ev := one(t, open(t, p, Settings{Timezone: berlin}), tt.body)
			if diff := cmp.Diff(tt.want, tt.pick(ev)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			conforms(t, schema, ev)
		})
	}
}

// TestNothingKnown: a profile whose type is a constant cannot tell a stranger by its name.
func TestNothingKnown(t *testing.T) {
	t.Parallel()
	s := inline(t, `{source: x, verify: [{kind: none}], type: {const: c, default: response.completed}, dedupe: "{id}", map: {response.id: id}}`)
	if ev := one(t, s, `{"hello":"world"}`); ev.Type != "unknown" || ev.Data().Response.Completed != nil {
		t.Errorf("type %s, completed %v", ev.Type, ev.Data().Response.Completed)
	}
	if ev := one(t, s, `{"id":"1"}`); ev.Type != "response.completed" || ev.Data().Response.Completed == nil {
		t.Errorf("type %s, completed %v", ev.Type, ev.Data().Response.Completed)
	}
}

func TestAcceptedTests(t *testing.T) {
	t.Parallel()
	schema := schema(t)
	s := open(t, profile(t, "pollarix"), Settings{Secrets: secrets("tok"), AcceptTest: time.Minute, Loaded: noon})
	for _, body := range []string{"", "ping", `{}`, `[]`, `null`, string(payload(t, "pollarix-SURVEY_COMPLETED.json"))} {
		req := request([]byte(body))
		if v, err := s.Verify(req); err != nil || !v.Test {
			t.Fatalf("%.20q: %+v, %v", body, v, err)
		}
		events, err := s.Normalise(req, noon)
		if err != nil || len(events) != 1 {
			t.Fatalf("%.20q: %d events, %v", body, len(events), err)
		}
		if events[0].Type != "test" || events[0].Verified != "none" || !strings.HasSuffix(events[0].DedupeKey, timeText(noon)) {
			t.Errorf("%.20q: %s %s %s", body, events[0].Type, events[0].Verified, events[0].DedupeKey)
		}
		conforms(t, schema, events[0])
	}
	deep := request([]byte(strings.Repeat("[", 100)))
	deep.Verified = Verified{Kind: "none", Test: true}
	if _, err := s.Normalise(deep, noon); !errors.Is(err, ErrTooDeep) {
		t.Errorf("a deep test: %v", err)
	}
}

// TestBytesStay: an event keeps the very bytes, and nothing that is done with it changes them.
func TestBytesStay(t *testing.T) {
	t.Parallel()
	body := payload(t, "pollqr-response.created.json")
	before := string(body)
	events, err := open(t, profile(t, "pollqr"), Settings{}).Normalise(request(body), noon)
	if err != nil {
		t.Fatal(err)
	}
	_, _, _ = events[0].Data(), events[0].EnvelopeWithRaw(), events[0].Envelope()
	if &events[0].Raw.Body[0] != &body[0] || string(body) != before {
		t.Error("the bytes were copied or changed")
	}
}
