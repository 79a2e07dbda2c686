package web

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// TestNormalise: a mended role puts an event right by the API; the newest revision is what lists, the event and explain show,
// and a plain replay goes on with the deliveries that there are.
func TestNormalise(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.accept(t, pollqr("r1", 9))
	r.decide(t, state.Delivered)
	replay := func(query string) told {
		return r.ask(t, ask{method: "POST", path: "/v1/events/" + id + "/replay?" + query, token: everyToken})
	}
	if got := replay("normalise=true"); got.status != http.StatusOK || !strings.Contains(got.body, `"status":"unchanged"`) {
		t.Errorf("nothing changed: %d %s", got.status, got.body)
	}
	before := someSettings[:strings.Index(someSettings, "tokens:")]
	r.reload(t, strings.Replace(strings.Replace(before, "pollqr: {profile: pollqr,", "pollqr: {profile: pollqr, roles: {\"2\": feedback},", 1),
		"send: [alarms, warehouse]", "send: [alarms, warehouse, {alarms: {text: \"{{ feedback ?? 'none' }}\"}, as: told}]", 1))

	var explained struct {
		Today struct {
			Differences []string
			Command     string
		}
	}
	r.into(t, &explained, "/v1/events/"+id+"/explain")
	if len(explained.Today.Differences) == 0 || explained.Today.Command != "surveygate replay --normalise "+id {
		t.Errorf("explained %+v", explained)
	}
	var dry, done struct {
		Status                       string
		Revision                     int
		Deliveries, Superseded, Kept []struct{ ID, Step string }
	}
	got := replay("normalise=true&dry_run=true")
	if err := json.Unmarshal([]byte(got.body), &dry); err != nil || dry.Status != "revised" || dry.Revision != 1 {
		t.Errorf("counted: %d %s", got.status, got.body)
	}
	got = r.ask(t, ask{method: "POST", path: "/v1/replays?normalise=true&dry_run=true&source=pollqr&since=" + url.QueryEscape("2026-01-02T00:00:00Z"), token: everyToken})
	if got.status != http.StatusOK || !strings.Contains(got.body, `"events":1,"revised":1`) {
		t.Errorf("counted: %d %s", got.status, got.body)
	}
	got = replay("normalise=true")
	if err := json.Unmarshal([]byte(got.body), &done); err != nil || got.status != http.StatusOK || len(done.Deliveries) == 0 {
		t.Fatalf("%d %s", got.status, got.body)
	}

	var record struct {
		Revision   int
		Event      struct{ Revision int }
		Former     []struct{ Revision int }
		Deliveries []struct {
			ID, Step, State string
			Revision        int
		}
	}
	r.into(t, &record, "/v1/events/"+id)
	if record.Revision != 1 || record.Event.Revision != 1 || len(record.Former) != 1 || record.Former[0].Revision != 0 {
		t.Errorf("shown %+v", record)
	}
	var list struct{ Data []struct{ Revision int } }
	if r.into(t, &list, "/v1/events?source=pollqr"); len(list.Data) != 1 || list.Data[0].Revision != 1 {
		t.Errorf("listed %+v", list)
	}
	// A plain replay of a step that its revision changed nothing for is the delivery that it always was.
	known := map[string]bool{}
	for _, d := range record.Deliveries {
		known[d.ID] = true
	}
	var replayed struct {
		Scheduled  []string
		LeftAlone  []string `json:"left_alone"`
		Deliveries []string
	}
	got = replay("")
	if err := json.Unmarshal([]byte(got.body), &replayed); err != nil || len(replayed.Scheduled) == 0 {
		t.Fatalf("%d %s", got.status, got.body)
	}
	for _, d := range replayed.Scheduled {
		if !known[d] {
			t.Errorf("the replay made a delivery of its own: %s", d)
		}
	}
}

// TestNormaliseRefusals: what cannot be meant is refused, and changes nothing.
func TestNormaliseRefusals(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.accept(t, pollqr("r1", 9))
	r.decide(t, state.Delivered)
	own := r.ask(t, ask{method: "POST", path: "/v1/events", token: everyToken, body: `{"type":"response.completed","id":"own"}`})
	r.decide(t, state.Delivered)
	event := "/v1/events/" + id + "/replay"
	cases := []struct {
		path, token string
		status      int
		want        string
	}{
		{event + "?normalise=true&fresh=true", everyToken, 422, "`fresh` does not go with `normalise`"},
		{event + "?normalise=true&rule=x", everyToken, 422, "`rule` does not go with `normalise`"},
		{event + "?dry_run=true", everyToken, 422, "go with `normalise=true`"},
		{event + "?normalise=yes", everyToken, 422, "true or false"},
		{event + "?normalise=true", readToken, 403, "scope"},
		{event + "?normalise=true", acmeToken, 404, "event"},
		{"/v1/events/" + ids.FindString(own.body) + "/replay?normalise=true", everyToken, 409, "surveygate's own form"},
		{"/v1/replays", everyToken, 422, "`normalise=true`"},
		{"/v1/replays?normalise=true&source=pollrq", everyToken, 404, "pollqr"},
		{"/v1/replays?normalise=true&cursor=!", everyToken, 422, "cursor"},
		{"/v1/replays?normalise=true&since=soon", everyToken, 422, "a time as"},
		{"/v1/replays?normalise=true", readToken, 403, "scope"},
	}
	for _, c := range cases {
		if got := r.ask(t, ask{method: "POST", path: c.path, token: c.token}); got.status != c.status || !strings.Contains(got.body, c.want) {
			t.Errorf("%s: %d %s", c.path, got.status, got.body)
		}
	}
}

// into decodes an answer.
func (r *rig) into(t testing.TB, to any, path string) {
	t.Helper()
	got := r.ask(t, ask{path: path, token: everyToken})
	if got.status != http.StatusOK {
		t.Fatalf("%s: %d %s", path, got.status, got.body)
	}
	if err := json.Unmarshal([]byte(got.body), to); err != nil {
		t.Fatal(err)
	}
}
