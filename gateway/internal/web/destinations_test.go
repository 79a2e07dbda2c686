package web

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/rules/event"
)

// TestRetrySaysWhatHoldsIt: for each kind of hold, in the answers of retry and replay, and when the delivery or the
// destination is asked for. Nothing is said where nothing holds it.
func TestRetrySaysWhatHoldsIt(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	accepted := r.accept(t, pollqr("r1", 3))
	id := r.decide(t, state.Waiting).Deliveries[0].ID
	type held struct{ Kind, Reason, Since, Until, Hint string }
	ask := func(method, path string) (answer struct {
		State         string
		Waiting       int
		OldestWaiting string `json:"oldest_waiting"`
		Hold          *held
		Held          map[string]*held
	},
	) {
		got := r.ask(t, ask{method: method, path: path, token: everyToken})
		if got.status != http.StatusOK || json.Unmarshal([]byte(got.body), &answer) != nil {
			t.Fatalf("%s: %d %s", path, got.status, got.body)
		}
		return answer
	}
	until := noon.Add(time.Minute)
	for _, row := range []struct {
		hold state.Hold
		hint string
	}{
		{state.Hold{}, ""},
		{state.Hold{Kind: state.HoldPaused, Reason: "moving", Since: noon}, "surveygate destinations resume alarms"},
		{state.Hold{Kind: state.HoldRevoked, Reason: "channel_is_archived", Since: noon}, "unarchive it in Slack, or post to another channel. Then, to let what waits go out: surveygate destinations resume alarms"},
		{state.Hold{Kind: state.HoldRevoked, Reason: "no_service", Since: noon}, "When the credentials of alarms are changed"},
		{state.Hold{Kind: state.HoldCircuit, Reason: "503 Service Unavailable", Since: noon, Until: until}, "asked again by itself at 2026-01-02 12:01:00 UTC"},
		{state.Hold{Kind: state.HoldRate, Reason: "rate_limited", Since: noon, Until: until}, "by itself at 2026-01-02 12:01:00 UTC"},
		{state.Hold{Kind: state.HoldGone, Reason: "410 Gone", Since: noon}, "surveygate destinations resume alarms"},
	} {
		if err := r.store.Hold(context.Background(), "default", "alarms", row.hold, nil); err != nil {
			t.Fatal(err)
		}
		for _, each := range [][2]string{
			{"POST", "/v1/deliveries/" + id + "/retry"},
			{"POST", "/v1/deliveries/" + id + "/replay"},
			{"GET", "/v1/deliveries/" + id},
			{"GET", "/v1/destinations/alarms"},
		} {
			got := ask(each[0], each[1])
			switch {
			case row.hold.Kind == "" && got.Hold != nil:
				t.Errorf("%s: held by %+v", each, got.Hold)
			case row.hold.Kind == "":
			case got.Hold == nil || got.Hold.Kind != string(row.hold.Kind) || got.Hold.Reason != row.hold.Reason || got.Hold.Since == "" || !strings.Contains(got.Hold.Hint, row.hint):
				t.Errorf("%s under %s: %+v", each, row.hold.Kind, got.Hold)
			}
			if each[1] == "/v1/destinations/alarms" {
				want := string(row.hold.Kind)
				if want == "" {
					want = "serving"
				}
				if got.State != want || got.Waiting != 1 || got.OldestWaiting == "" {
					t.Errorf("under %s: %+v", row.hold.Kind, got)
				}
			}
		}
		again := ask("POST", "/v1/events/"+accepted+"/replay").Held["alarms"]
		if (again != nil) != (row.hold.Kind != "") || again != nil && (again.Kind != string(row.hold.Kind) || !strings.Contains(again.Hint, row.hint)) {
			t.Errorf("the event again, under %s: %+v", row.hold.Kind, again)
		}
	}
}

// TestListWithStanding: `include=standing` adds the standing of each destination; without it the answer is as before.
func TestListWithStanding(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.accept(t, pollqr("r1", 3))
	r.decide(t, state.Waiting)
	r.accept(t, pollqr("r2", 2))
	r.decide(t, state.Dead)
	if err := r.store.Hold(context.Background(), "default", "alarms", state.Hold{Kind: state.HoldPaused, Since: noon}, nil); err != nil {
		t.Fatal(err)
	}
	if got := r.ask(t, ask{path: "/v1/destinations", token: everyToken}); got.status != 200 || strings.Contains(got.body, "standing") {
		t.Errorf("%d %s", got.status, got.body)
	}
	if got := r.ask(t, ask{path: "/v1/destinations?include=hold", token: everyToken}); got.status != 422 {
		t.Errorf("%d %s", got.status, got.body)
	}
	got := r.ask(t, ask{path: "/v1/destinations?include=standing", token: everyToken})
	var page struct {
		Data []struct {
			Name     string
			Standing struct {
				Hold          *struct{ Kind string }
				Waiting, Dead int
				OldestWaiting string `json:"oldest_waiting"`
			}
		}
	}
	if got.status != 200 || json.Unmarshal([]byte(got.body), &page) != nil || len(page.Data) == 0 {
		t.Fatalf("%d %s", got.status, got.body)
	}
	for _, d := range page.Data {
		st := d.Standing
		switch {
		case d.Name == "alarms":
			if st.Hold == nil || st.Hold.Kind != "paused" || st.Waiting != 1 || st.Dead != 1 || st.OldestWaiting == "" {
				t.Errorf("alarms: %+v", st)
			}
		case st.Waiting != 0 || st.Dead != 0 || st.OldestWaiting != "":
			t.Errorf("%s: %+v", d.Name, st)
		}
	}
}

// TestTestDeliveries: only who may write asks for one, in their own tenant; nobody else can make such an event; and no rule
// hears it, whatever events it names.
func TestTestDeliveries(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.plan.Store(load(t, strings.Replace(someSettings, "rules:\n", "rules:\n  - {name: tests, events: [test], send: [alarms, warehouse]}\n", 1)))
	for _, row := range []struct {
		path, token string
		want        int
	}{
		{"/v1/destinations/warehouse/test", readToken, 403},
		{"/v1/destinations/warehouse/test", publishToken, 403},
		{"/v1/destinations/warehouse/test", acmeToken, 404},
		{"/v1/destinations/warehouse/test?email=nobody", everyToken, 422},
		{"/v1/destinations/warehouse/test?mail=jo@example.com", everyToken, 422},
		{"/v1/destinations/warehous/test", everyToken, 404},
	} {
		if got := r.ask(t, ask{method: "POST", path: row.path, token: row.token}); got.status != row.want {
			t.Errorf("%s: %d %s, want %d", row.path, got.status, got.body, row.want)
		}
	}
	for _, body := range []string{`{"type":"test","source":"gateway.test","id":"warehouse"}`} {
		if got := r.ask(t, ask{method: "POST", path: "/v1/events", token: platformWide, body: body}); got.status != 422 {
			t.Errorf("%s: %d %s", body, got.status, got.body)
		}
	}
	cloud := `{"specversion":"1.0","type":"test","source":"gateway.test","id":"warehouse","data":{}}`
	if got := r.ask(t, ask{method: "POST", path: "/v1/events", token: everyToken, body: cloud, header: map[string]string{"Content-Type": "application/cloudevents+json"}}); got.status != 200 {
		t.Fatalf("%d %s", got.status, got.body)
	}
	if o := r.decide(t, state.Delivered); len(o.Deliveries) != 2 || o.Deliveries[0].Origin.Kind != state.Rule {
		t.Errorf("a published event is an event like every other: %+v", o.Deliveries)
	}

	got := r.ask(t, ask{method: "POST", path: "/v1/destinations/warehouse/test?email=jo@example.com", token: everyToken})
	var answer struct{ ID, Event, Kind, State, Destination, Connector string }
	if got.status != 200 || json.Unmarshal([]byte(got.body), &answer) != nil {
		t.Fatalf("%d %s", got.status, got.body)
	}
	o := r.decide(t, state.Delivered)
	if len(o.Deliveries) != 1 || len(o.Rules) != 0 {
		t.Fatalf("it owes %+v by %+v", o.Deliveries, o.Rules)
	}
	d := o.Deliveries[0]
	if d.ID != answer.ID || d.EventID != answer.Event || d.Destination != "warehouse" || d.Connector != "webhook" || answer.Kind != "test" || answer.State != "waiting" || answer.Connector != "webhook" {
		t.Errorf("answered %+v, owed %+v", answer, d)
	}
	record, err := r.store.Event(context.Background(), "default", d.EventID)
	if err != nil {
		t.Fatal(err)
	}
	who := record.Event.Data().Respondent
	if record.Event.Type != event.TypeTest || who.Email != "jo@example.com" || who.Consent == nil || !*who.Consent || !strings.Contains(string(record.Event.Raw.Body), "nobody answered a survey") {
		t.Errorf("the event is %s", record.Event.EnvelopeWithRaw())
	}
	// It can be delivered once more, as every other.
	if again := r.ask(t, ask{method: "POST", path: "/v1/deliveries/" + d.ID + "/replay", token: everyToken}); again.status != 200 {
		t.Errorf("%d %s", again.status, again.body)
	}
	second := r.ask(t, ask{method: "POST", path: "/v1/destinations/warehouse/test", token: everyToken})
	if second.status != 200 || strings.Contains(second.body, answer.Event) {
		t.Errorf("a second one at the same time is another: %d %s", second.status, second.body)
	}
}
