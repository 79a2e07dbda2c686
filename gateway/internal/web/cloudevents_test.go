package web

import (
	"context"
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	"github.com/cloudevents/sdk-go/v2/binding"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"
	"github.com/google/go-cmp/cmp"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/rules/event"
)

// kept is an event as the store has it.
func (r *rig) kept(t testing.TB, tenant, source, key string) *event.Event {
	t.Helper()
	record, err := r.store.Event(context.Background(), tenant, event.ID(tenant, source, key))
	if err != nil {
		t.Fatalf("%s of %s: %v", key, source, err)
	}
	return record.Event
}

func cloudEvent(t testing.TB, id string, score int) cloudevents.Event {
	t.Helper()
	ev := cloudevents.NewEvent()
	ev.SetID(id)
	ev.SetSource("https://shop.example.com/surveys?of=2026#x")
	ev.SetType("response.completed")
	ev.SetSubject("s1/" + id)
	ev.SetTime(noon.Add(-time.Minute))
	ev.SetExtension("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	if err := ev.SetData(cloudevents.ApplicationJSON, map[string]any{
		"survey": map[string]any{"id": "s1", "title": "Müşteri"}, "nps_score": score, "email": "jo@example.com",
	}); err != nil {
		t.Fatal(err)
	}
	return ev
}

// The official SDK publishes in each content mode, and each is the event it means.
func TestCloudEventsSDK(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	const url = "http://gateway/v1/events"
	client, err := cloudevents.NewClientHTTP(cloudevents.WithTarget(url),
		cehttp.WithRoundTripper(r.tcp.Transport), cehttp.WithHeader("Authorization", "Bearer "+publishToken))
	if err != nil {
		t.Fatal(err)
	}
	for name, ctx := range map[string]context.Context{
		"binary":     binding.WithForceBinary(t.Context()),
		"structured": binding.WithForceStructured(t.Context()),
	} {
		// An id that a header must not carry as it is: the SDK does not encode it, others do.
		id := name + " — “é”"
		ev := cloudEvent(t, id, 3)
		if result := client.Send(ctx, ev); !cloudevents.IsACK(result) {
			t.Errorf("%s: %v", name, result)
			continue
		}
		got := r.kept(t, "default", "api", event.PublishedKeys(ev.Source() + "#" + id)[1])
		data := got.Data()
		if got.OrigID != id || got.Type != "response.completed" || !got.Time.Equal(ev.Time()) || got.Verified != "token" ||
			*data.Response.Score.NPS != 3 || data.Survey.Title != "Müşteri" || data.Respondent.Email != "jo@example.com" {
			t.Errorf("%s: %s", name, got.EnvelopeWithRaw())
		}
		// Sent again in the other mode it is the same event.
		other := binding.WithForceStructured(t.Context())
		if name == "structured" {
			other = binding.WithForceBinary(t.Context())
		}
		if result := client.Send(other, ev); !cloudevents.IsACK(result) {
			t.Errorf("%s again: %v", name, result)
		}
	}
	if got := r.ask(t, ask{path: "/v1/events", token: readToken}); strings.Count(got.body, `"id":`) != 2 {
		t.Errorf("not two events: %s", got.body)
	}

	foreign := cloudEvent(t, "f", 3)
	foreign.SetType("com.example.order.placed")
	var refused *cehttp.Result
	if result := client.Send(t.Context(), foreign); !cloudevents.ResultAs(result, &refused) || refused.StatusCode != 422 {
		t.Errorf("a foreign type: %v", result)
	}

	req, err := cehttp.NewHTTPRequestFromEvents(t.Context(), url, []cloudevents.Event{cloudEvent(t, "b1", 9), foreign, cloudEvent(t, "b2", 42), cloudEvent(t, "b1", 9)})
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+publishToken)
	res, err := r.tcp.Transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	var answer struct {
		Results []struct {
			Status   string
			Warnings []string
			Error    *struct{ Msg string }
		}
	}
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil || len(answer.Results) != 4 {
		t.Fatalf("%d %v %v", res.StatusCode, answer, err)
	}
	for i, want := range []string{"accepted", "invalid", "accepted", "duplicate"} {
		if answer.Results[i].Status != want {
			t.Errorf("result %d: %+v, want %s", i, answer.Results[i], want)
		}
	}
	if e := answer.Results[1].Error; e == nil || e.Msg != "`type` is not a canonical type" {
		t.Errorf("the foreign one: %+v", e)
	}
	if diff := cmp.Diff([]string{"response.score.nps left out: not between 0 and 10"}, answer.Results[2].Warnings); diff != "" {
		t.Error(diff)
	}
}

// TestCloudEventsSourcesWithFragments: a source may hold the # that stands before the id in the key. Two sources and ids
// that read alike are two events, each found by the id that publishing answered; the text that both read as is refused.
func TestCloudEventsSourcesWithFragments(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var ids []string
	for _, each := range [][2]string{{"http://x/a", "1#2"}, {"http://x/a#1", "2"}, {"http://x/b#c", "3"}} {
		got := r.ask(t, ask{
			method: "POST", path: "/v1/events", token: publishToken, body: `{}`,
			header: map[string]string{"ce-specversion": "1.0", "ce-type": "response.completed", "ce-source": each[0], "ce-id": each[1]},
		})
		var answer struct {
			Results []struct{ ID, Status string }
		}
		if err := json.Unmarshal([]byte(got.body), &answer); err != nil || len(answer.Results) != 1 || answer.Results[0].Status != "accepted" {
			t.Fatalf("%v: %d %s", each, got.status, got.body)
		}
		ids = append(ids, answer.Results[0].ID)
	}
	for text, want := range map[string]string{
		ids[0]: `"id":"` + ids[0], ids[1]: `"id":"` + ids[1], "http://x/b#c#3": `"id":"` + ids[2], "http://x/a#1#2": "two CloudEvents may be meant",
	} {
		if got := r.ask(t, ask{path: "/v1/events/" + url.PathEscape(text), token: readToken}); !strings.Contains(got.body, want) {
			t.Errorf("%s: %d %s", text, got.status, got.body)
		}
	}
}

// What our own webhooks send as `cloudevents` and `cloudevents-binary` is, posted back in, the event it was: at the
// gateway that sent it a duplicate, and elsewhere the same, with the id of one that a token vouches for.
func TestOurCloudEventsComeBack(t *testing.T) {
	t.Parallel()
	here := newRig(t)
	id := here.accept(t, pollqr("r1", 3))
	record, err := here.store.Event(t.Context(), "default", id)
	if err != nil {
		t.Fatal(err)
	}
	for _, mode := range []string{"cloudevents", "cloudevents-binary"} {
		plan := load(t, `webhooks: [{name: w, url: "https://hook.example.com/in", events: [response.completed], signature: none, body: `+mode+`}]`)
		decision := plan.Decide(record.Event, noon)
		if len(decision.Owed) != 1 {
			t.Fatal("the webhook does not hear of it")
		}
		request, err := decision.Owed[0].Build.Build(record.Event)
		if err != nil {
			t.Fatal(err)
		}
		header := fieldsOf(request)
		again := here.ask(t, ask{method: "POST", path: "/v1/events", token: publishToken, header: header, body: string(request.Body)})
		if want := `{"results":[{"id":"` + id + `","status":"duplicate"}]}`; again.status != 200 || again.body != want {
			t.Errorf("%s, where it came from: %d %s, want %s", mode, again.status, again.body, want)
		}
		there := newRig(t)
		there.clock.Advance(time.Hour)
		got := there.ask(t, ask{method: "POST", path: "/v1/events", token: publishToken, header: header, body: string(request.Body)})
		vouched := event.IDs("default", "pollqr", record.Event.DedupeKey)[1]
		if got.status != 200 || !strings.Contains(got.body, vouched) {
			t.Fatalf("%s, elsewhere: %d %s", mode, got.status, got.body)
		}
		arrived, err := there.store.Event(t.Context(), "default", vouched)
		if err != nil {
			t.Fatal(err)
		}
		want := record.Event.Header
		want.ID, want.Received, want.Verified = vouched, arrived.Event.Received, event.VerifiedAPI
		if diff := cmp.Diff(want, arrived.Event.Header); diff != "" {
			t.Errorf("%s: (-sent +arrived)\n%s", mode, diff)
		}
		if diff := cmp.Diff(record.Event.Data(), arrived.Event.Data()); diff != "" {
			t.Errorf("%s: (-sent +arrived)\n%s", mode, diff)
		}
	}
}

func fieldsOf(request *connectors.Request) map[string]string {
	header := map[string]string{}
	for _, f := range request.Header {
		header[f.Name] = f.Value
	}
	return header
}

func TestCloudEventsModes(t *testing.T) {
	t.Parallel()
	const one = `{"specversion":"1.0","type":"response.completed","id":"x","source":"app","data":{"nps_score":3}}`
	const accepted = `{"results":[{"id":"ID","status":"accepted"}]}`
	problem := func(status, msg, loc string) string {
		return `{"status":` + status + `,"detail":[{"msg":"` + msg + `","type":"validation_error"` + loc + `}],"request_id":"REQ"}`
	}
	binary := func(more ...string) map[string]string {
		h := map[string]string{"Ce-Specversion": "1.0", "Ce-Type": "response.completed", "Ce-Id": "x", "Ce-Source": "app", "Content-Type": "application/json"}
		for i := 0; i+1 < len(more); i += 2 {
			h[more[i]] = more[i+1]
		}
		return h
	}
	media := func(t string) map[string]string { return map[string]string{"Content-Type": t} }
	for name, c := range map[string]struct {
		header map[string]string
		body   string
		want   int
		says   string
	}{
		"structured":                       {media("application/cloudevents+json; charset=UTF-8"), one, 200, accepted},
		"structured by its bytes alone":    {nil, one, 200, accepted},
		"structured that is none":          {media("application/cloudevents+json"), `{"type":"test"}`, 422, problem("422", "`specversion` is missing, which every CloudEvent has", `,"loc":["specversion"]`)},
		"structured, several":              {media("application/cloudevents+json"), `[` + one + `]`, 422, problem("422", "`event` must be an object, not an array", `,"loc":["event"]`)},
		"structured, data in base64":       {media("application/cloudevents+json"), `{"specversion":"1.0","type":"test","id":"x","source":"a","data_base64":"e30="}`, 422, ""},
		"structured, data a text":          {media("application/cloudevents+json"), `{"specversion":"1.0","type":"test","id":"x","source":"a","datacontenttype":"text/xml","data":"<a/>"}`, 422, problem("422", "`data` must be an object, not text", `,"loc":["data"]`)},
		"structured, without data":         {media("application/cloudevents+json"), `{"specversion":"1.0","type":"response.started","id":"x","source":"a"}`, 200, accepted},
		"structured, of another version":   {media("application/cloudevents+json"), `{"specversion":"0.3","type":"test","id":"x","source":"a"}`, 422, problem("422", "`specversion` must be 1.0", `,"loc":["specversion"]`)},
		"structured, its version a number": {media("application/cloudevents+json"), `{"specversion":1.0,"type":"test","id":"x","source":"a"}`, 422, problem("422", "`specversion` must be text, not a number", `,"loc":["specversion"]`)},
		"structured stands before binary":  {binary("Content-Type", "application/cloudevents+json"), strings.Replace(one, "response.completed", "response.started", 1), 200, accepted},
		"batch":                            {media("application/cloudevents-batch+json"), `[` + one + `,{"type":"test"}]`, 200, `{"results":[{"id":"ID","status":"accepted"},{"status":"invalid","error":{"msg":"` + "`specversion` is missing, which every CloudEvent has" + `","type":"validation_error","loc":["specversion"]}}]}`},
		"batch, empty":                     {media("application/cloudevents-batch+json"), `[]`, 200, `{"results":[]}`},
		"batch, one id twice":              {media("application/cloudevents-batch+json"), `[` + one + `,` + one + `,` + strings.Replace(one, `"1.0"`, `1.0`, 1) + `]`, 200, `{"results":[{"id":"ID","status":"accepted"},{"id":"ID","status":"duplicate"},{"status":"invalid","error":{"msg":"` + "`specversion` must be text, not a number" + `","type":"validation_error","loc":["specversion"]}}]}`},
		"batch that is one":                {media("application/cloudevents-batch+json"), one, 422, problem("422", "`body` must be an array of CloudEvents, not an object", `,"loc":["body"]`)},
		"batch, broken":                    {media("application/cloudevents-batch+json"), `[` + one, 400, problem("400", "the body is not JSON", "")},
		"in Avro":                          {media("application/cloudevents+avro"), "Obj", 415, ""},
		"binary":                           {binary(), `{"nps_score":3}`, 200, accepted},
		"binary, without data":             {binary(), ``, 200, accepted},
		"binary, typed by a tool":          {binary("Content-Type", "application/x-www-form-urlencoded"), `{"nps_score":3}`, 200, accepted},
		"binary, not JSON":                 {binary("Content-Type", "text/xml"), `<a/>`, 400, problem("400", "the data is not JSON, which an event's data is, whatever Content-Type (`datacontenttype`) says", "")},
		"binary, data an array":            {binary(), `[]`, 422, problem("422", "`data` must be an object, not an array", `,"loc":["data"]`)},
		"binary, without a version":        {binary("Ce-Specversion", ""), `{}`, 422, problem("422", "`specversion` must be 1.0", `,"loc":["specversion"]`)},
		"binary, foreign type":             {binary("Ce-Type", "com.example.order.placed"), `{}`, 422, problem("422", "`type` is not a canonical type", `,"loc":["type"]`)},
		"binary, foreign data":             {binary(), `{"order":7}`, 422, problem("422", "`order` is not a field of an event", `,"loc":["order"]`)},
		"binary, for another tenant":       {binary("Ce-Tenant", "acme"), `{}`, 422, problem("422", "`tenant` is not the one that this token publishes for", `,"loc":["tenant"]`)},
		// Two respondents may say the same: without an id the second would be the first one's duplicate.
		"binary, without an id":     {binary("Ce-Id", ""), `{"nps_score":3}`, 422, problem("422", "`id` is missing, which every CloudEvent has", `,"loc":["id"]`)},
		"structured, without an id": {media("application/cloudevents+json"), `{"specversion":"1.0","type":"response.completed","source":"app","data":{"nps_score":3}}`, 422, problem("422", "`id` is missing, which every CloudEvent has", `,"loc":["id"]`)},
		"structured, no source":     {media("application/cloudevents+json"), `{"specversion":"1.0","type":"response.completed","id":"x","data":{"source":"app"}}`, 422, problem("422", "`source` is missing, which every CloudEvent has", `,"loc":["source"]`)},
		"binary, an id of no text":  {binary("Ce-Id", "a%FF"), `{}`, 422, problem("422", "`id` is no text: it holds bytes that are not UTF-8, or half of a surrogate pair", `,"loc":["id"]`)},
		"binary, odd bytes":         {binary("Ce-Id", "%c3%a9%zz", "Ce-Time", "%", "Ce-Subject", "%FF"), `{}`, 200, `{"results":[{"id":"ID","status":"accepted","warnings":["time left out: no time that can be read"]}]}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			got := r.ask(t, ask{method: "POST", path: "/v1/events", token: publishToken, header: c.header, body: c.body})
			if got.status != c.want {
				t.Fatalf("status %d, want %d: %s", got.status, c.want, got.body)
			}
			if diff := cmp.Diff(c.says, plain(got.body)); c.says != "" && diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A CloudEvent of somebody else's kind is taken where a source says what it means: by that source's profile.
func TestForeignCloudEventThroughASource(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	body := `{"specversion":"1.0","type":"com.example.order.placed","id":"x","source":"shop","data":{"order":7}}`
	got := r.ask(t, ask{
		method: "POST", path: "/v1/events?source=pollqr", token: publishToken, body: body,
		header: map[string]string{"Content-Type": "application/cloudevents+json"},
	})
	if got.status != 200 {
		t.Fatalf("%d %s", got.status, got.body)
	}
	record, err := r.store.Event(t.Context(), "default", ids.FindString(got.body))
	if err != nil || record.Event.Type != event.TypeUnknown || string(record.Event.Raw.Body) != body {
		t.Errorf("%v, %v", record, err)
	}
}
