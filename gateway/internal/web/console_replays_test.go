package web

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// TestReplayPages: what is replayed is counted first, then started, shown, and ended.
func TestReplayPages(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for i := range 3 {
		r.accept(t, pollqr(fmt.Sprint("r", i), 3))
		r.decide(t, state.Dead)
		r.clock.Advance(time.Minute)
	}
	every := r.visitor(t, everyToken)
	r.visits(t, every, "/replays", 200, "Nothing was replayed yet.", "/replays/new")
	lacks(t, r.visits(t, every, "/replays/new", 200, "Count"), "Start the replay")
	const query = "destination=alarms&state=dead&status=5xx&since=24h"
	r.visits(t, every, "/replays/new?"+query+"&count=1", 200,
		`<h2 id="count">3 deliveries</h2>`, "Start the replay", `name="destination" value="alarms"`, "<option selected>dead</option>")
	r.visits(t, every, "/replays/new?"+query+"&as=today&count=1", 200, `<h2 id="count">3 events</h2>`)
	r.visits(t, every, "/replays/new?destination=alarms&state=skipped&count=1", 200, "Nothing to replay", "Widen the filter below")
	r.visits(t, every, "/replays/new?destination=nosuch&count=1", 404, `role="alert"`, `value="nosuch"`)
	r.visits(t, every, "/replays/new?since=soon&count=1", 422, `role="alert"`, `value="soon"`)
	if ids := r.replayed(t, "default"); len(ids) > 0 {
		t.Fatalf("counting has replayed %v", ids)
	}
	form := url.Values{"destination": {"alarms"}, "state": {"dead"}, "status": {"5xx"}, "since": {"24h"}, "reason": {"<b>outage</b>"}}
	at := r.sends(t, every, "/replays/new", form, 303).header.Get("Location")
	id := strings.TrimPrefix(at, "/console/t/default/replays/")
	if r.ended(t, everyToken, id); len(r.replayed(t, "default")) != 3 {
		t.Errorf("replayed are %v", r.replayed(t, "default"))
	}
	got := r.visits(t, every, "/replays/"+id, 200, "3 of 3", "&lt;b&gt;outage&lt;/b&gt;", "by token:every", "destination=alarms", `max="3" value="3"`)
	lacks(t, got, "Cancel…", "hx-trigger=\"tick")
	r.visits(t, every, "/replays/"+id+"?part=progress", 200, `id="progress"`)
	r.visits(t, every, "/replays", 200, id, "dead deliveries to alarms, code 5xx, since 24h")
	r.visits(t, every, "/replays/"+id+"/cancel", 200, "It has ended already.")
	r.sends(t, every, "/replays/"+id+"/cancel", nil, 409, `role="alert"`)
	r.visits(t, every, "/replays/nothing", 404, "Not found")
	r.does(t, ask{path: "/console/t/acme/replays/" + id, header: r.visitor(t, acmeToken)}, 404)
}

// TestReplayIsConfirmed: many are started only by who types how many they are; a refusal keeps the form.
func TestReplayIsConfirmed(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for i := range 101 {
		r.accept(t, pollqr(fmt.Sprint("r", i), 3))
		r.decide(t, state.Dead)
	}
	r.clock.Advance(time.Minute)
	every := r.visitor(t, everyToken)
	r.visits(t, every, "/replays/new?destination=alarms&count=1", 200, "101 deliveries", "Type <b>101</b> to start")
	form := url.Values{"destination": {"alarms"}, "typed": {"11"}, "rate": {"500/s"}}
	r.sends(t, every, "/replays/new", form, 422, `role="alert"`, `name="typed" value="11"`, `value="500/s"`, "Type <b>101</b> to start")
	form.Set("number", "1") // how many there are is counted again, and not believed
	r.sends(t, every, "/replays/new", form, 422, "these are 101 now")
	if ids := r.replayed(t, "default"); len(ids) > 0 {
		t.Fatalf("replayed are %v", ids)
	}
	form.Set("typed", " 101 ")
	at := r.sends(t, every, "/replays/new", form, 303).header.Get("Location")
	at = strings.TrimPrefix(at, "/console/t/default")
	r.visits(t, every, at, 200, "Cancel…", `hx-trigger="tick from:#live"`) // it waits for the clock to schedule the rest
	r.visits(t, every, at+"/cancel", 200, "Cancel the replay")
	r.sends(t, every, at+"/cancel", nil, 303)
	r.ended(t, everyToken, strings.TrimPrefix(at, "/replays/"))
	r.visits(t, every, at, 200, "cancelled")
	form = url.Values{"destination": {"alarms"}, "rate": {"fast"}, "typed": {"101"}}
	r.sends(t, every, "/replays/new", form, 422, `role="alert"`, `value="fast"`)
	reader := r.visitor(t, readToken)
	lacks(t, r.visits(t, reader, "/replays", 200), "/replays/new")
	r.sends(t, reader, "/replays/new", url.Values{"destination": {"alarms"}}, 403)
}

// TestReplaySinceDelivery: the id of a delivery stands for the time of its last change.
func TestReplaySinceDelivery(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var ids []string
	for i := range 3 {
		r.accept(t, pollqr(fmt.Sprint("r", i), 3))
		ids = append(ids, r.decide(t, state.Dead).Deliveries[0].ID)
		r.clock.Advance(time.Minute)
	}
	every := r.visitor(t, everyToken)
	r.visits(t, every, "/replays/new?state=dead&count=1&since="+ids[1], 200, `<h2 id="count">2 deliveries</h2>`, `name="destination" value="alarms"`, `value="2026-01-02T12:01:00`)
	r.visits(t, every, "/replays/new?since=dl_nothing&count=1", 404, `role="alert"`)
}
