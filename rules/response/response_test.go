package response

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/surveygate/surveygate/rules/event"
)

var received = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// parse returns an event of the API's own form; n is its place in the order of acceptance.
func parse(t testing.TB, n int, body string) *event.Event {
	t.Helper()
	ev, err := event.ParseOne([]byte(body), event.Defaults{
		Tenant: "default", Source: "api", Type: event.TypeResponseCompleted, Received: received.Add(time.Duration(n) * time.Second), Verified: "token",
	})
	if err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return ev
}

func parseAll(t testing.TB, bodies ...string) (all []*event.Event) {
	t.Helper()
	for i, body := range bodies {
		all = append(all, parse(t, i, body))
	}
	return all
}

func whole(t testing.TB, r *Response, like *event.Event) *event.Event {
	t.Helper()
	ev, err := r.Event(like)
	if err != nil {
		t.Fatal(err)
	}
	return ev
}

func TestFold(t *testing.T) {
	t.Parallel()
	const id = `"response":{"id":"r1"`
	for _, c := range []struct {
		name   string
		events []string
		want   string // JSON of response and respondent
	}{
		{
			"newest value of each field",
			[]string{`{"type":"response.partial",` + id + `},"nps_score":3,"email":"a@example.com"}`, `{"type":"response.completed",` + id + `},"nps_score":5}`},
			`{"response":{"id":"r1","completed":true,"completed_at":"2026-01-02T03:04:06Z","score":{"nps":5},"status":"completed","version":1,"events":2,"first_at":"2026-01-02T03:04:05Z","last_at":"2026-01-02T03:04:06Z"},"respondent":{"email":"a@example.com"}}`,
		},
		{
			"a late partial event does not reopen the response",
			[]string{`{"type":"response.completed",` + id + `},"nps_score":5}`, `{"type":"response.partial",` + id + `},"email":"a@example.com"}`},
			`{"response":{"id":"r1","completed":true,"completed_at":"2026-01-02T03:04:05Z","score":{"nps":5},"status":"completed","version":1,"events":2,"first_at":"2026-01-02T03:04:05Z","last_at":"2026-01-02T03:04:06Z"},"respondent":{"email":"a@example.com"}}`,
		},
		{
			"a change counts a version",
			[]string{`{` + id + `},"nps_score":5}`, `{"type":"response.updated",` + id + `},"nps_score":9}`, `{"type":"response.reviewed",` + id + `,"review_state":"ok"}}`},
			`{"response":{"id":"r1","completed":true,"completed_at":"2026-01-02T03:04:05Z","review_state":"ok","score":{"nps":9},"status":"completed","version":2,"events":3,"first_at":"2026-01-02T03:04:05Z","last_at":"2026-01-02T03:04:07Z"}}`,
		},
		{
			"an empty answer takes the old one away, and order is that of first appearance",
			[]string{
				`{"type":"response.partial",` + id + `,"answers":{"b":1,"a":2,"c":3}}}`, `{"type":"response.partial",` + id + `,"answers":{"a":"","c":4}}}`,
				`{"type":"response.partial",` + id + `,"answers":{"d":5,"b":6}}}`,
			},
			`{"response":{"id":"r1","completed":false,"answers":[{"question_id":"b","value":6},{"question_id":"c","value":4},{"question_id":"d","value":5}],"cleared":["a"],"status":"partial","version":1,"events":3,"first_at":"2026-01-02T03:04:05Z","last_at":"2026-01-02T03:04:07Z"}}`,
		},
		{
			"the parts of a name belong together, and params are joined",
			[]string{`{` + id + `},"name":"Jo Doe","params":{"plan":"a","ref":"x"}}`, `{"type":"response.updated",` + id + `},"name":"Ann","params":{"plan":"b","utm":1}}`},
			`{"response":{"id":"r1","completed":true,"completed_at":"2026-01-02T03:04:05Z","status":"completed","version":2,"events":2,"first_at":"2026-01-02T03:04:05Z","last_at":"2026-01-02T03:04:06Z"},"respondent":{"name":"Ann","first_name":"Ann","params":{"plan":"b","ref":"x","utm":1}}}`,
		},
		{
			"deleted ends it, and a test tells nothing",
			[]string{`{` + id + `},"nps_score":5}`, `{"type":"response.deleted",` + id + `}}`, `{"type":"response.updated",` + id + `}}`, `{"type":"test",` + id + `},"nps_score":1}`},
			`{"response":{"id":"r1","completed":false,"completed_at":"2026-01-02T03:04:05Z","score":{"nps":5},"status":"deleted","version":2,"events":3,"first_at":"2026-01-02T03:04:05Z","last_at":"2026-01-02T03:04:07Z"}}`,
		},
		{
			"when it started",
			[]string{`{"type":"response.started","time":"2026-01-02T03:00:00Z",` + id + `}}`, `{"type":"answer.upserted",` + id + `,"answers":{"a":1}}}`},
			`{"response":{"id":"r1","completed":false,"started_at":"2026-01-02T03:00:00Z","answers":[{"question_id":"a","value":1}],"status":"partial","version":1,"events":2,"first_at":"2026-01-02T03:04:05Z","last_at":"2026-01-02T03:04:06Z"}}`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			events := parseAll(t, c.events...)
			got := whole(t, Fold(events), events[0])
			_, data, _ := strings.Cut(string(got.DataJSON()), "},") // without `raw`
			data = "{" + data
			if data != c.want {
				t.Errorf("got  %s\nwant %s", data, c.want)
			}
			if got.ID != events[0].ID || !bytes.Equal(got.Raw.Body, events[0].Raw.Body) {
				t.Errorf("the event has another identity: %+v", got.Header)
			}
		})
	}
	if Fold(nil) != nil {
		t.Error("no events tell a response")
	}
}

// An event stands for the response as far as that has come, and keeps its own type where that says more.
func TestTypeOfTheWhole(t *testing.T) {
	t.Parallel()
	events := parseAll(t, `{"type":"response.started","response":{"id":"r1"}}`, `{"type":"response.partial","response":{"id":"r1"}}`,
		`{"type":"response.updated","response":{"id":"r1"}}`, `{"type":"response.reviewed","response":{"id":"r1"}}`)
	for _, c := range []struct {
		events, like int
		want         string
	}{
		{1, 0, event.TypeResponseStarted},
		{2, 0, event.TypeResponsePartial},
		{2, 1, event.TypeResponsePartial},
		{3, 1, event.TypeResponseCompleted},
		{3, 2, event.TypeResponseUpdated},
		{4, 3, event.TypeResponseReviewed},
		{4, 2, event.TypeResponseUpdated},
	} {
		if got := whole(t, Fold(events[:c.events]), events[c.like]); got.Type != c.want {
			t.Errorf("event %d of %d stands for %s, want %s", c.like, c.events, got.Type, c.want)
		}
	}
}

// A role whose question was answered with nothing takes the field away, and a later answer fills it again.
func TestClearedField(t *testing.T) {
	t.Parallel()
	events := parseAll(t, `{"response":{"id":"r1"},"nps_score":5}`, `{"response":{"id":"r1","cleared":["response.score.nps"]}}`, `{"response":{"id":"r1"},"nps_score":7}`)
	if got := whole(t, Fold(events[:2]), events[1]); got.Data().Response.Score.NPS != nil {
		t.Errorf("score after it was cleared: %v", *got.Data().Response.Score.NPS)
	}
	if got := whole(t, Fold(events), events[2]); got.Data().Response.Score.NPS == nil || *got.Data().Response.Score.NPS != 7 || got.Data().Response.Cleared != nil {
		t.Errorf("score after it was given again: %+v", got.Data().Response)
	}
}

// random returns n events of one response.
func random(t testing.TB, r *rand.Rand, n int) []*event.Event {
	t.Helper()
	pick := func(all ...string) string { return all[r.IntN(len(all))] }
	var all []*event.Event
	for i := range n {
		var members []string
		add := func(text string) {
			if r.IntN(2) == 0 {
				members = append(members, text)
			}
		}
		response := []string{`"id":"r1"`}
		for _, member := range []string{
			`"feedback":"` + pick("", "good", "bad") + `"`, `"duration_s":` + pick("1", "2"), `"review_state":"` + pick("a", "b") + `"`,
			`"answers":{"` + pick("a", "b") + `":` + pick(`""`, "1", "[2]", "null") + `,"` + pick("c", "d") + `":` + pick("3", `"x"`, "[]") + `}`,
			`"cleared":["` + pick("a", "c", "response.feedback", "respondent.name", "respondent.first_name", "response.score.nps") + `"]`,
			`"leads":[{"n":` + pick("1", "2") + `}]`, `"result":{"n":` + pick("1", "2") + `}`, `"started_at":"2026-01-0` + pick("1", "2") + `T00:00:00Z"`,
		} {
			if r.IntN(3) == 0 {
				response = append(response, member)
			}
		}
		members = append(members, `"type":"`+pick(event.Types[:11]...)+`"`, `"id":"`+fmt.Sprint(i)+`"`, `"response":{`+strings.Join(response, ",")+`}`)
		add(`"nps_score":` + pick("0", "5", "9"))
		add(`"params":{"` + pick("p", "q") + `":` + pick("1", "2") + `}`)
		add(`"` + pick("name", "first_name", "last_name") + `":"` + pick("Jo", "Jo Doe", "Ann") + `"`)
		add(`"consent":` + pick("true", "false"))
		all = append(all, parse(t, i, "{"+strings.Join(members, ",")+"}"))
	}
	return all
}

// How events are grouped does not matter, and an event without anything new changes nothing but the count.
func checkAssociative(t testing.TB, events []*event.Event, split int) {
	t.Helper()
	like := events[len(events)-1]
	want := whole(t, Fold(events), like).Envelope()
	if got := whole(t, Fold(events[:split]).Merge(Fold(events[split:])), like).Envelope(); !bytes.Equal(got, want) {
		for _, ev := range events {
			t.Logf("%s %s", ev.Type, ev.DataJSON())
		}
		t.Fatalf("split at %d of %d:\ngot  %s\nwant %s", split, len(events), got, want)
	}
}

func TestFoldIsAssociative(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		events := random(t, r, 2+r.IntN(6))
		checkAssociative(t, events, 1+r.IntN(len(events)-1))
	}
}

// Whatever events tell, the fold is an event that can be stored and read again.
func FuzzFold(f *testing.F) {
	f.Add(uint64(1), uint64(2), `{"response":{"answers":{"a":1}}}`)
	f.Add(uint64(3), uint64(4), `{"params":{"a":1,"a":2},"name":" x ","response":{"answers":[{"question":"q","value":null},{"question":"q","value":1}]}}`)
	f.Fuzz(func(t *testing.T, a, b uint64, body string) {
		r := rand.New(rand.NewPCG(a, b))
		events := random(t, r, 2+r.IntN(4))
		if ev, err := event.ParseOne([]byte(body), event.Defaults{Tenant: "default", Source: "api", Type: event.TypeResponsePartial, Received: received, Verified: "token"}); err == nil && Belongs(ev.Type) {
			events = slices.Insert(events, r.IntN(len(events)), ev)
		}
		checkAssociative(t, events, 1+r.IntN(len(events)-1))
		got := whole(t, Fold(events), events[0])
		again, err := event.Decode(got.Envelope(), got.Raw.Body)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(again.Envelope(), got.Envelope()) {
			t.Fatalf("read again:\n%s\n%s", again.Envelope(), got.Envelope())
		}
	})
}

// Answers beyond the bound of an event are left out with a warning.
func TestFoldOfManyAnswers(t *testing.T) {
	t.Parallel()
	var events []*event.Event
	for i := range 3 {
		var answers []string
		for j := range 900 {
			answers = append(answers, fmt.Sprintf(`"q%d-%d":1`, i, j))
		}
		events = append(events, parse(t, i, `{"id":"`+fmt.Sprint(i)+`","response":{"id":"r1","answers":{`+strings.Join(answers, ",")+`}}}`))
	}
	d := whole(t, Fold(events), events[0]).Data()
	if len(d.Response.Answers) != event.MaxAnswers || len(d.Warnings) != 1 {
		t.Errorf("%d answers, warnings %q", len(d.Response.Answers), d.Warnings)
	}
}

func BenchmarkFold(b *testing.B) {
	events := random(b, rand.New(rand.NewPCG(1, 2)), 8)
	for b.Loop() {
		if _, err := Fold(events).Event(events[0]); err != nil {
			b.Fatal(err)
		}
	}
}
