package web

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/view"
)

// dropEnded waits until a drop has ended.
func (r *rig) dropEnded(t testing.TB, token, id string) (j view.Job) {
	t.Helper()
	r.onChange(t, "the drop ends", func() bool {
		j = view.Job{}
		got := r.does(t, ask{path: "/v1/drops/" + id, token: token}, 200)
		if err := json.Unmarshal([]byte(got.body), &j); err != nil {
			t.Fatal(err)
		}
		return !j.Ended.IsZero()
	})
	return j
}

// TestDropByFilter: what a filter selects is counted, and dropped by a job that is in the audit; it is its tenant's alone.
func TestDropByFilter(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var lost []string
	for i := range 3 {
		lost = append(lost, r.decideOne(t, fmt.Sprint("dead", i), 3, dead))
		r.clock.Advance(time.Minute)
	}
	r.accept(t, pollqr("waits", 3))
	waits := r.decide(t, state.Waiting).Deliveries[0].ID
	r.clock.Advance(time.Minute)

	const of = `{"of": {"destination": "alarms", "state": "dead", "status": "4xx", "since": "24h"}`
	var would view.WouldReplay
	r.postInto(t, "/v1/drops", everyToken, of+`, "dry_run": true}`, 200, &would)
	if diff := cmp.Diff(view.ReplayCount{Deliveries: 3, Events: 3, Oldest: view.Time{Time: noon}}, would.Would); diff != "" {
		t.Errorf("dry run (-want +got):\n%s", diff)
	}
	if s := r.deliveryState(t, lost[0]); s != "dead" {
		t.Fatalf("the dry run left it %s", s)
	}
	for body, part := range map[string]string{
		``:                                   "say in the body",
		`{"of": {"destination": "alarms"}}`:  "say what is dropped",
		`{"of": {"state": "delivered"}}`:     "say what is dropped",
		`{"of": {"state": "dead"}, "as": 1}`: "`as`",
		`{"of": {"state": "dead", "since": "soon"}}`:                  `"loc":["of","since"]`,
		`{"of": {"state": "dead", "status": "many"}}`:                 `"loc":["of","status"]`,
		`{"of": {"state": "dead", "destination": "alarm"}}`:           "did you mean `alarms`",
		`{"of": {"state": "dead"}, "reason": "` + long(501) + `"}`:    `"loc":["reason"]`,
		`{"of": {"state": "dead", "events": ["` + lost[0] + `"]}}`:    "not the id of an event",
		`{"of": {"state": "dead", "since": "1h", "until": "2h"}}`:     "not before",
		`{"of": {"state": "dead"}, "rate": "20/s", "dry_run": false}`: "`rate`",
	} {
		if got := r.ask(t, ask{method: "POST", path: "/v1/drops", token: everyToken, body: body}); got.status != 422 && got.status != 404 || !strings.Contains(got.body, part) {
			t.Errorf("%s: %d %s", body, got.status, got.body)
		}
	}
	r.does(t, ask{method: "POST", path: "/v1/drops", token: readToken, body: of + `}`}, 403)

	var j view.Job
	r.postInto(t, "/v1/drops", everyToken, of+`, "reason": "the receiver is gone"}`, 202, &j)
	if j.Kind != "drop" || j.As != "" || j.Rate != "" || j.Of.State != "dead" || j.Reason != "the receiver is gone" || j.Created.By != "token:every" {
		t.Errorf("made: %+v", j)
	}
	if j = r.dropEnded(t, everyToken, j.ID); j.State != "done" || j.Total != 3 || j.Done != 3 || j.Cancel != "" {
		t.Errorf("ended: %+v", j)
	}
	for _, id := range lost {
		if s := r.deliveryState(t, id); s != "dropped" {
			t.Errorf("%s is %s", id, s)
		}
	}
	if s := r.deliveryState(t, waits); s != "waiting" {
		t.Errorf("what waits is %s", s)
	}
	var page view.Page[view.Job]
	if r.into(t, &page, "/v1/drops"); len(page.Data) != 1 || page.Data[0].ID != j.ID {
		t.Errorf("list: %+v", page)
	}
	if r.into(t, &page, "/v1/replays"); len(page.Data) != 0 {
		t.Errorf("replays: %+v", page)
	}
	r.does(t, ask{method: "POST", path: "/v1/drops/" + j.ID + "/cancel", token: everyToken}, 409, "ended already")
	r.does(t, ask{path: "/v1/replays/" + j.ID, token: everyToken}, 404)
	r.does(t, ask{path: "/v1/drops/" + j.ID, token: acmeToken}, 404)
	r.does(t, ask{path: "/v1/audit?of=drop:" + j.ID, token: adminToken}, 200, `"did":"drop.create"`, `"by":"token:every"`, `"state":"dead"`)
}

func long(n int) string { return strings.Repeat("x", n) }

// TestDropPages: the list leads to the count, that to the job; many are dropped only by who types how many they are.
func TestDropPages(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for i := range 101 {
		r.decideOne(t, fmt.Sprint("r", i), 3, dead)
	}
	r.clock.Advance(time.Minute)
	every, reader := r.visitor(t, everyToken), r.visitor(t, readToken)
	const query = "destination=alarms&state=dead"
	r.visits(t, every, "/deliveries?"+query, 200, "Retry these…", "Drop these…", `/deliveries/drop?destination=alarms&amp;state=dead"`)
	lacks(t, r.visits(t, every, "/deliveries?destination=alarms", 200, "Replay these…"), "Drop these…", "Retry these…")
	lacks(t, r.visits(t, reader, "/deliveries?"+query, 200), "Drop these…", "Retry these…")
	r.visits(t, every, "/deliveries/replay?"+query, 200, "this is a retry of all of them")
	r.visits(t, every, "/deliveries/drop", 422, "choose what is dropped")
	r.visits(t, every, "/deliveries/drop?destination=alarms", 422, "choose what is dropped")
	r.visits(t, every, "/deliveries/drop?state=dead&destination=nowhere", 404, `role="alert"`)
	r.visits(t, every, "/deliveries/drop?"+query, 200, "Drop 101 deliveries?", "Type 101 to confirm")
	r.visits(t, reader, "/deliveries/drop?"+query, 403)
	form := url.Values{"query": {query}, "typed": {"100"}, "reason": {hostile}}
	r.sends(t, every, "/deliveries/drop", form, 422, "these are 101 now", `value="100"`, "&lt;img src=x")
	form.Set("typed", "101")
	id := strings.TrimPrefix(r.sends(t, every, "/deliveries/drop", form, 303).header.Get("Location"), "/console/t/default/drops/")
	if j := r.dropEnded(t, everyToken, id); j.Done != 101 {
		t.Errorf("%+v", j)
	}
	noMarkup(t, r.visits(t, every, "/drops/"+id, 200, "101 of 101", "&lt;img src=x", "by token:every", `aria-current="page"`))
	r.visits(t, every, "/drops/"+id+"?part=progress", 200, `id="progress"`)
	r.visits(t, every, "/drops", 200, id, "dead deliveries to alarms")
	r.visits(t, every, "/replays", 200, `href="/console/t/default/drops"`)
	r.visits(t, every, "/drops/"+id+"/cancel", 200, "It has ended already.")
	r.sends(t, every, "/drops/"+id+"/cancel", nil, 409, `role="alert"`)
	r.does(t, ask{path: "/console/t/acme/drops/" + id, header: r.visitor(t, acmeToken)}, 404)
}
