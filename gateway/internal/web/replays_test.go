package web

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/view"
)

// postInto asks with a body, wants a status, and decodes the answer.
func (r *rig) postInto(t testing.TB, path, token, body string, status int, into any) {
	t.Helper()
	got := r.ask(t, ask{method: "POST", path: path, token: token, body: body})
	if got.status != status {
		t.Fatalf("%s %s: %d %s", path, body, got.status, got.body)
	}
	if at := got.header.Get("Location"); status == http.StatusAccepted {
		if shown := r.ask(t, ask{path: at, token: token}); shown.status != http.StatusOK {
			t.Errorf("%s: Location %q: %d %s", path, at, shown.status, shown.body)
		}
	}
	if into != nil {
		if err := json.Unmarshal([]byte(got.body), into); err != nil {
			t.Fatal(err)
		}
	}
}

// onChange waits until something is so that changes with a setting in the store, such as a job.
func (r *rig) onChange(t testing.TB, what string, so func() bool) {
	t.Helper()
	ctx, stop := context.WithTimeout(context.Background(), time.Minute)
	defer stop()
	changes, err := r.store.Watch(ctx, "*")
	if err != nil {
		t.Fatal(err)
	}
	for !so() {
		if _, ok := <-changes; !ok {
			t.Fatalf("not in time: %s", what)
		}
	}
}

// ended waits until a replay has ended.
func (r *rig) ended(t testing.TB, token, id string) (j view.Job) {
	t.Helper()
	r.onChange(t, "the replay ends", func() bool {
		got := r.ask(t, ask{path: "/v1/replays/" + id, token: token})
		j = view.Job{}
		if err := json.Unmarshal([]byte(got.body), &j); err != nil || got.status != 200 {
			t.Fatalf("%d %s", got.status, got.body)
		}
		return !j.Ended.IsZero()
	})
	return j
}

// replayed returns the ids of the deliveries of a tenant that wait because of a replay.
func (r *rig) replayed(t testing.TB, tenant string) (ids []string) {
	t.Helper()
	p, err := r.store.Deliveries(context.Background(), tenant, state.DeliveryQuery{State: state.Waiting, Limit: 200})
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range p.Items {
		if d.Reason == "replay" {
			ids = append(ids, d.ID)
		}
	}
	return ids
}

func TestReplayByFilter(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var dead []string
	for i := range 5 {
		r.accept(t, pollqr(fmt.Sprint("dead", i), 3))
		dead = append(dead, r.decide(t, state.Dead).Deliveries[0].ID)
		r.clock.Advance(time.Minute)
	}
	r.accept(t, pollqr("fine", 3))
	r.decide(t, state.Delivered)
	r.accept(t, pollqr("waits", 3))
	r.decide(t, state.Waiting)
	r.clock.Advance(time.Minute)

	const of = `{"of": {"destination": "alarms", "state": "dead", "status": "5xx", "since": "24h"}`
	var would view.WouldReplay
	r.postInto(t, "/v1/replays", everyToken, of+`, "dry_run": true}`, 200, &would)
	oldest := view.Time{Time: noon}
	if diff := cmp.Diff(view.ReplayCount{Deliveries: 5, Events: 5, Oldest: oldest, AlreadyWaiting: 1}, would.Would); diff != "" {
		t.Errorf("dry run (-want +got):\n%s", diff)
	}
	if got := r.replayed(t, "default"); len(got) > 0 {
		t.Errorf("the dry run replayed %v", got)
	}
	var j view.Job
	r.postInto(t, "/v1/replays", everyToken, of+`, "rate": "100/s", "reason": "it was down"}`, 202, &j)
	if j.Total != 5 || j.As != "same" || j.Rate != "100/s" || j.Of.Status != "5xx" || j.Reason != "it was down" || j.Created.By != "token:every" {
		t.Errorf("made: %+v", j)
	}
	j = r.ended(t, everyToken, j.ID)
	if j.State != "done" || j.Done != 5 || j.LeftAlone+j.NotKept != 0 || j.Cancel != "" {
		t.Errorf("ended: %+v", j)
	}
	got := r.replayed(t, "default")
	if diff := cmp.Diff(sorted(dead), sorted(got)); diff != "" {
		t.Errorf("replayed (-want +got):\n%s", diff)
	}
	// The oldest comes first.
	var last time.Time
	for _, id := range dead {
		d, err := r.store.Delivery(context.Background(), "default", id)
		if err != nil || !d.Due.After(last) {
			t.Errorf("%s is due at %v, after one that is due at %v; %v", id, d.Due, last, err)
		}
		last = d.Due
	}
	if got := r.ask(t, ask{method: "POST", path: "/v1/replays/" + j.ID + "/cancel", token: everyToken}); got.status != 409 {
		t.Errorf("cancelled after its end: %d %s", got.status, got.body)
	}
	var page view.Page[view.Job]
	r.into(t, &page, "/v1/replays")
	if len(page.Data) != 1 || page.Data[0].ID != j.ID {
		t.Errorf("list: %+v", page)
	}
}

func sorted(ids []string) string {
	some := append([]string(nil), ids...)
	for i := range some {
		for k := i; k > 0 && some[k] < some[k-1]; k-- {
			some[k], some[k-1] = some[k-1], some[k]
		}
	}
	return strings.Join(some, "\n")
}

// A replay schedules nothing to a destination on hold, says so, and goes on when the hold is lifted. It can be cancelled meanwhile.
func TestReplayWaitsForAHold(t *testing.T) {
	t.Parallel()
	for _, of := range []string{`{"destination": "alarms"}`, `{"state": "dead"}`} {
		t.Run(of, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.accept(t, pollqr("r1", 3))
			r.decide(t, state.Dead)
			r.clock.Advance(time.Minute)
			paused := state.Hold{Kind: state.HoldPaused, Reason: "moving", Since: noon}
			if err := r.store.Hold(context.Background(), "default", "alarms", paused, nil); err != nil {
				t.Fatal(err)
			}
			var kept, cancelled view.Job
			r.postInto(t, "/v1/replays", everyToken, `{"of": `+of+`}`, 202, &kept)
			r.postInto(t, "/v1/replays", everyToken, `{"of": `+of+`}`, 202, &cancelled)
			for _, id := range []string{kept.ID, cancelled.ID} {
				r.onChange(t, "it says why it waits", func() bool {
					var j view.Job
					r.into(t, &j, "/v1/replays/"+id)
					return j.Waits == "`alarms` is on hold: moving"
				})
			}
			r.postInto(t, "/v1/replays/"+cancelled.ID+"/cancel", everyToken, "", 200, nil)
			if j := r.ended(t, everyToken, cancelled.ID); j.State != "cancelled" || j.Done != 0 || len(r.replayed(t, "default")) > 0 {
				t.Errorf("cancelled: %+v", j)
			}
			if err := r.store.Hold(context.Background(), "default", "alarms", state.Hold{}, nil); err != nil {
				t.Fatal(err)
			}
			if j := r.ended(t, everyToken, kept.ID); j.State != "done" || j.Done != 1 || len(r.replayed(t, "default")) != 1 {
				t.Errorf("ended: %+v", j)
			}
		})
	}
}

// A fresh replay makes new deliveries, and one by today's configuration makes what that owes.
func TestReplayFreshAndToday(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.accept(t, pollqr("r1", 3))
	delivered := r.decide(t, state.Delivered).Deliveries[0].ID
	r.clock.Advance(time.Minute)
	var j view.Job
	r.postInto(t, "/v1/replays", everyToken, `{"of": {"destination": "alarms"}, "as": "fresh"}`, 202, &j)
	if j = r.ended(t, everyToken, j.ID); j.Done != 1 {
		t.Errorf("fresh: %+v", j)
	}
	fresh := r.replayed(t, "default")
	if len(fresh) != 1 || fresh[0] == delivered {
		t.Errorf("fresh: %v", fresh)
	}
	r.clock.Advance(time.Minute)
	nobody := r.accept(t, pollqr("r2", 7)) // no rule wants it
	r.decide(t, state.Delivered)
	r.clock.Advance(time.Minute)
	r.plan.Store(load(t, strings.Replace(someSettings, "nps_score >= 9", "nps_score >= 7", 1)))
	r.postInto(t, "/v1/replays", everyToken, `{"of": {"source": "pollqr", "since": "1h"}, "as": "today"}`, 202, &j)
	j = r.ended(t, everyToken, j.ID)
	if j.Total != 2 || j.Done != 2 || j.Deliveries != 3 {
		t.Errorf("today: %+v", j)
	}
	var events []string
	for _, id := range r.replayed(t, "default") {
		events = append(events, state.EventID(id))
	}
	if diff := cmp.Diff(sorted([]string{id, id, nobody, nobody}), sorted(events)); diff != "" {
		t.Errorf("replayed (-want +got):\n%s", diff)
	}
}

func TestRecover(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var dead []string
	for i := range 3 {
		r.accept(t, pollqr(fmt.Sprint("r", i), 3))
		dead = append(dead, r.decide(t, state.Dead).Deliveries[0].ID)
		r.clock.Advance(time.Minute)
	}
	var would view.WouldReplay
	r.postInto(t, "/v1/connections/alarms/recover", everyToken, `{"since": "`+dead[1]+`", "dry_run": true}`, 200, &would)
	if would.Would.Deliveries != 2 || !would.Would.Oldest.Equal(noon.Add(time.Minute)) {
		t.Errorf("since a delivery: %+v", would)
	}
	var j view.Job
	r.postInto(t, "/v1/connections/alarms/recover", everyToken, `{"since": "`+dead[1]+`"}`, 202, &j)
	if j = r.ended(t, everyToken, j.ID); j.Done != 2 || sorted(r.replayed(t, "default")) != sorted(dead[1:]) {
		t.Errorf("recovered: %+v", j)
	}
	for _, c := range []struct {
		path, body string
		status     int
		want       string
	}{
		{"/v1/connections/alarms/recover", `{}`, 422, "since when"},
		{"/v1/connections/alarms/recover", `{"since": "soon"}`, 422, `"since"`},
		{"/v1/connections/alarms/recover", `{"since": "1h", "only": "some"}`, 422, `"only"`},
		{"/v1/connections/alarms/recover", `{"since": "dl_none_aaaaaaaaaaaaa"}`, 422, "no such delivery"},
		{"/v1/connections/alarms/recover", `{"since": "1h", "rate": "fast"}`, 422, `"rate"`},
		{"/v1/connections/alarm/recover", `{"since": "1h"}`, 404, "alarms"},
		{"/v1/webhooks/alarms/recover", `{"since": "1h"}`, 404, "webhook"},
		{"/v1/webhooks/warehouse/recover", `{"since": "` + dead[0] + `"}`, 422, "alarms"},
		{"/v1/replays", `{"of": {}}`, 422, "what is replayed"},
		{"/v1/replays", `{"of": {"sttae": "dead"}}`, 422, "sttae"},
		{"/v1/replays", `{"of": {"state": "sick"}}`, 422, `["of","state"]`},
		{"/v1/replays", `{"of": {"status": "6xx"}}`, 422, `["of","status"]`},
		{"/v1/replays", `{"of": {"since": "1h"}, "as": "tomorrow"}`, 422, `["as"]`},
		{"/v1/replays", `{"of": {"since": "1h"}, "rate": "501/s"}`, 422, `["rate"]`},
		{"/v1/replays", `{"of": {"destination": "alarm"}}`, 404, "alarms"},
		{"/v1/replays", `{"of": {"events": ["dl_x_aaaaaaaaaaaaa"]}}`, 422, `"events"`},
		{"/v1/replays?since=1h", `{"of": {"destination": "alarms"}}`, 422, "body"},
	} {
		got := r.ask(t, ask{method: "POST", path: c.path, token: everyToken, body: c.body})
		if got.status != c.status || !strings.Contains(got.body, c.want) {
			t.Errorf("%s %s: %d %s", c.path, c.body, got.status, got.body)
		}
	}
}

func TestDeliveriesByAttempt(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.accept(t, pollqr("down", 3))
	down := r.decide(t, state.Dead).Deliveries[0].ID
	r.accept(t, pollqr("fine", 3))
	fine := r.decide(t, state.Delivered).Deliveries[0].ID
	for query, want := range map[string][]string{
		"status=5xx": {down}, "status=503&verdict=retry": {down}, "status=2xx": {fine}, "verdict=delivered": {fine}, "status=0": nil,
		"type=response.updated": nil, "type=response.completed": {fine, down}, "source=pollqr&status=200": {fine},
	} {
		var page view.Page[view.Delivery]
		r.into(t, &page, "/v1/deliveries?"+query)
		var got []string
		for _, d := range page.Data {
			got = append(got, d.ID)
		}
		if sorted(got) != sorted(want) {
			t.Errorf("%s: %v, want %v", query, got, want)
		}
	}
	for _, query := range []string{"status=abc", "verdict=sent", "type=response.done"} {
		if got := r.ask(t, ask{path: "/v1/deliveries?" + query, token: everyToken}); got.status != 422 {
			t.Errorf("%s: %d %s", query, got.status, got.body)
		}
	}
}

// TestReplayMissing: what a rule missed is replayed by it alone, and the console repeats it as what it is.
func TestReplayMissing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.accept(t, pollqr("r1", 3))
	r.decide(t, state.Delivered)
	missed := r.accept(t, pollqr("r2", 7)) // no rule wants it
	r.decide(t, state.Delivered)
	r.clock.Advance(time.Minute)
	r.plan.Store(load(t, strings.Replace(someSettings, "nps_score >= 9", "nps_score >= 7", 1)))
	var would view.WouldReplay
	r.postInto(t, "/v1/replays", everyToken, `{"of": {"rule": "promoter", "missing": true, "since": "1h"}, "as": "today", "dry_run": true}`, 200, &would)
	if would.Would.Events != 2 {
		t.Errorf("counted: %+v", would)
	}
	var j view.Job
	r.postInto(t, "/v1/replays", everyToken, `{"of": {"rule": "promoter", "missing": true, "since": "1h"}, "as": "today"}`, 202, &j)
	if j = r.ended(t, everyToken, j.ID); j.Total != 2 || j.Done != 1 || j.Deliveries != 2 || j.Of == nil || !j.Of.Missing {
		t.Errorf("%+v", j)
	}
	for _, id := range r.replayed(t, "default") {
		if state.EventID(id) != missed {
			t.Errorf("replayed: %s", id)
		}
	}
	every := r.visitor(t, everyToken)
	r.visits(t, every, "/replays/"+j.ID, 200, "what the rule has not decided yet", "missing=true")
	r.visits(t, every, "/replays", 200, "missing deliveries of promoter, since 1h")
	r.visits(t, every, "/replays/new?rule=promoter&since=1h&as=today&missing=true&count=1", 200, `name="missing" value="true" checked`, `<h2 id="count">2 events</h2>`, `type="hidden" name="missing" value="true"`)
	at := r.sends(t, every, "/replays/new", url.Values{"rule": {"promoter"}, "since": {"1h"}, "as": {"today"}, "missing": {"true"}}, 303).header.Get("Location")
	if j = r.ended(t, everyToken, strings.TrimPrefix(at, "/console/t/default/replays/")); j.Done != 0 || !j.Of.Missing {
		t.Errorf("the same again: %+v", j)
	}
	for body, part := range map[string]string{
		`{"of": {"rule": "promoter", "missing": true, "since": "1h"}}`:                                 `"loc":["as"]`,
		`{"of": {"missing": true, "since": "1h"}, "as": "today"}`:                                      `"loc":["of","rule"]`,
		`{"of": {"rule": "promoter", "missing": true, "state": "dead", "since": "1h"}, "as": "today"}`: `"loc":["of","missing"]`,
		`{"of": {"rule": "promoter", "missing": true}, "as": "today"}`:                                 `"loc":["of"]`,
	} {
		r.does(t, ask{method: "POST", path: "/v1/replays", token: everyToken, body: body}, 422, part)
	}
}
