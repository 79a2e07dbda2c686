package web

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// decide commits the next claimed event as the loop would, with its deliveries in a given state.
func (r *rig) decide(t testing.TB, as state.DeliveryState) *state.Outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	claimed, err := r.store.Claim(ctx, 1, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	ev := claimed[0].Event
	now := r.clock.Now()
	decision := r.plan.Load().Decide(ev, now)
	o := state.Outcome{
		Position: claimed[0].Position, Tenant: ev.Tenant, EventID: ev.ID, At: now, Rules: decision.Rules,
		Generation: r.plan.Load().Config.Generation,
	}
	for _, owed := range decision.Owed {
		d := owed.Delivery
		d.State, d.Attempts = as, 1
		a := state.Attempt{N: 1, At: now, Took: 45 * time.Millisecond, Verdict: "delivered", Status: 200, Sent: 10, Received: 2}
		if as != state.Delivered {
			a.Verdict, a.Status, a.Reason = "retry", 503, "503 Service Unavailable"
			a.Request, a.Response = []byte("POST [secret]\n"), []byte("503\n")
			d.Reason, d.Due = "503 Service Unavailable", now.Add(5*time.Minute)
		}
		d.Log = []state.Attempt{a}
		o.Deliveries = append(o.Deliveries, d)
	}
	if _, err := r.store.Commit(ctx, &state.Commit{Events: []state.Outcome{o}}); err != nil {
		t.Fatal(err)
	}
	return &o
}

func TestEventsAndDeliveries(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	body := pollqr("r1", 3)
	id := r.accept(t, body)

	var record struct {
		State string
		Event struct {
			ID   string
			Data struct {
				Raw struct{ Body string }
			}
		}
		Outcome    *struct{ Rules []struct{ Name string } }
		Deliveries []struct {
			ID, State, Destination, Rule string
			Log                          []struct{ Status int }
		}
	}
	get := func(path string, into any) told {
		t.Helper()
		got := r.ask(t, ask{path: path, token: everyToken})
		if got.status != 200 {
			t.Fatalf("%s: %d %s", path, got.status, got.body)
		}
		if err := json.Unmarshal([]byte(got.body), into); err != nil {
			t.Fatal(err)
		}
		return got
	}
	get("/v1/events/"+id, &record)
	if record.State != "pending" || record.Event.Data.Raw.Body != body {
		t.Errorf("%+v", record)
	}
	if got := r.ask(t, ask{method: "POST", path: "/v1/events/" + id + "/replay", token: everyToken}); got.status != 409 {
		t.Errorf("replay of a pending event: %d %s", got.status, got.body)
	}
	r.decide(t, state.Dead)
	get("/v1/events/"+id, &record)
	if record.State != "decided" || len(record.Deliveries) != 1 || record.Deliveries[0].State != "dead" || record.Outcome.Rules[0].Name != "detractor" {
		t.Fatalf("%+v", record)
	}
	delivery := record.Deliveries[0].ID

	var list struct {
		Data []struct{ ID, State string }
		Next *string
	}
	for path, want := range map[string]int{
		"/v1/deliveries": 1, "/v1/deliveries?state=dead": 1, "/v1/deliveries?state=waiting": 0, "/v1/deliveries?rule=detractor&destination=alarms": 1,
		"/v1/deliveries?event=" + id: 1, "/v1/deliveries?failed=true&since=1h": 1, "/v1/deliveries?until=1h": 0,
		"/v1/events": 1, "/v1/events?response=r1": 1, "/v1/events?response=r2": 0, "/v1/events?type=test": 0, "/v1/events?source=pollqr&survey=s1": 1,
		"/v1/events?dead=true": 0, "/v1/events?since=2026-01-02T00:00:00Z": 1,
	} {
		list.Data = nil
		if get(path, &list); len(list.Data) != want {
			t.Errorf("%s: %d, want %d", path, len(list.Data), want)
		}
	}
	for _, path := range []string{
		"/v1/events?limit=0", "/v1/events?limit=201", "/v1/events?dead=yes", "/v1/events?since=yesterday", "/v1/events?color=red", "/v1/events?type=response.complete",
		"/v1/deliveries?state=lost", "/v1/deliveries?cursor=nonsense", "/v1/events?cursor=nonsense", "/v1/stats?of=destination:&step=minute&since=30d",
	} {
		if got := r.ask(t, ask{path: path, token: everyToken}); got.status != 422 || !strings.Contains(got.body, `"loc":["`) {
			t.Errorf("%s: %d %s", path, got.status, got.body)
		}
	}

	verb := func(id, verb string, want int) string {
		t.Helper()
		got := r.ask(t, ask{method: "POST", path: "/v1/deliveries/" + id + "/" + verb, token: everyToken})
		if got.status != want {
			t.Errorf("%s: %d, want %d: %s", verb, got.status, want, got.body)
		}
		return got.body
	}
	verb(delivery, "retry", 200) // dead: it waits again
	due, _, err := r.store.ClaimDue(context.Background(), state.ClaimDue{Max: 10, Bytes: 1 << 20, Lease: time.Minute})
	if err != nil || len(due) != 1 || due[0].Delivery.ID != delivery || due[0].Delivery.Attempts != 1 {
		t.Fatalf("retry made due: %+v, %v", due, err)
	}
	verb(delivery, "retry", 409) // leased
	verb(delivery, "drop", 409)
	done := due[0].Delivery
	done.State, done.Attempts = state.Delivered, 2
	done.Log = []state.Attempt{{N: 2, At: r.clock.Now(), Verdict: "delivered", Status: 200}}
	if _, err := r.store.Commit(context.Background(), &state.Commit{Due: []state.Settled{{Delivery: done, Lease: due[0].Lease}}}); err != nil {
		t.Fatal(err)
	}
	verb(delivery, "retry", 409)
	verb(delivery, "drop", 409)
	verb(delivery, "replay", 200)
	verb(delivery, "drop", 200)
	verb("dl_"+id+"_aaaaaaaaaaaaa", "retry", 404)
	verb("nonsense", "drop", 404)

	fresh := r.ask(t, ask{method: "POST", path: "/v1/deliveries/" + delivery + "/replay?fresh=true", token: everyToken})
	if fresh.status != 200 || strings.Contains(fresh.body, delivery) || !strings.Contains(fresh.body, `"id":"dl_`+id+`_`) {
		t.Errorf("fresh replay: %d %s", fresh.status, fresh.body)
	}
	again := r.ask(t, ask{method: "POST", path: "/v1/events/" + id + "/replay", token: everyToken})
	if !strings.Contains(again.body, `"scheduled":["`+delivery+`"]`) {
		t.Errorf("replay of the event: %d %s", again.status, again.body)
	}
	none := r.ask(t, ask{method: "POST", path: "/v1/events/" + id + "/replay?rule=other", token: everyToken})
	if !strings.Contains(none.body, `"scheduled":[]`) {
		t.Errorf("replay of another rule: %d %s", none.status, none.body)
	}
	r.plan.Store(load(t, "sources: {pollqr: {profile: pollqr, secrets: ["+pollqrSecret+"]}}"))
	verb(delivery, "replay", 409) // no longer configured
}

// An event that became a dead letter itself is decided again on somebody's word.
func TestDeadEvent(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ctx := context.Background()
	id := r.accept(t, pollqr("r1", 3))
	claimed, err := r.store.Claim(ctx, 1, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	dead := state.Outcome{Position: claimed[0].Position, Tenant: "default", EventID: id, At: noon, Dead: "claimed five times without a commit"}
	if _, err := r.store.Commit(ctx, &state.Commit{Events: []state.Outcome{dead}}); err != nil {
		t.Fatal(err)
	}
	if got := r.ask(t, ask{path: "/v1/events?dead=true", token: readToken}); !strings.Contains(got.body, `"state":"dead","dead":"claimed five times without a commit"`) {
		t.Error(got.body)
	}
	got := r.ask(t, ask{method: "POST", path: "/v1/events/" + id + "/replay", token: everyToken})
	if got.status != 200 || !strings.Contains(got.body, `"scheduled":["dl_`+id) || !strings.Contains(got.body, `"name":"detractor"`) {
		t.Errorf("replay: %d %s", got.status, got.body)
	}
	due, _, err := r.store.ClaimDue(ctx, state.ClaimDue{Max: 10, Bytes: 1 << 20, Lease: time.Minute})
	if err != nil || len(due) != 1 || due[0].Event.ID != id {
		t.Errorf("%+v, %v", due, err)
	}
	if got := r.ask(t, ask{path: "/v1/events?dead=true", token: readToken}); !strings.Contains(got.body, `"data":[]`) {
		t.Errorf("still a dead letter after its replay: %s", got.body)
	}
	if got := r.ask(t, ask{method: "POST", path: "/v1/events/" + id + "/drop", token: everyToken}); got.status != 409 {
		t.Errorf("dropped although it is none any more: %d %s", got.status, got.body)
	}
}

// One Idempotency-Key is one replay, however often it is sent.
func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.accept(t, pollqr("r1", 3))
	o := r.decide(t, state.Delivered)
	path := "/v1/deliveries/" + o.Deliveries[0].ID + "/replay?fresh=true"
	key := map[string]string{"Idempotency-Key": "k1"}
	first := r.ask(t, ask{method: "POST", path: path, token: everyToken, header: key})
	again := r.ask(t, ask{method: "POST", path: path, token: everyToken, header: key})
	if first.status != 200 || again.status != 200 || first.body != again.body || again.header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("%d %s\n%d %s", first.status, first.body, again.status, again.body)
	}
	if got := r.ask(t, ask{method: "POST", path: strings.TrimSuffix(path, "?fresh=true"), token: everyToken, header: key}); got.status != 409 {
		t.Errorf("another request under the same key: %d", got.status)
	}
	if got := r.ask(t, ask{method: "POST", path: path, socket: true, header: key}); got.status != 200 || got.body == first.body {
		t.Errorf("another caller's key: %d %s", got.status, got.body)
	}
	if got := r.ask(t, ask{method: "POST", path: path, token: everyToken, header: map[string]string{"Idempotency-Key": repeat("k", 300)}}); got.status != 422 {
		t.Errorf("a long key: %d", got.status)
	}
	p, err := r.store.Deliveries(context.Background(), "default", state.DeliveryQuery{EventID: id})
	if err != nil || len(p.Items) != 3 {
		t.Errorf("%d deliveries, %v", len(p.Items), err)
	}
}

// What somebody changes by hand stands in the log, once: not its repetition under one key, not what was refused, and no dry run.
func TestActsAreLogged(t *testing.T) {
	t.Parallel()
	log := &logged{}
	r := (&rig{log: slog.New(slog.NewTextHandler(log, nil))}).open(t)
	event := r.accept(t, pollqr("r1", 3))
	id := r.decide(t, state.Dead).Deliveries[0].ID
	key := map[string]string{"Idempotency-Key": "k1"}
	for _, each := range []struct {
		path   string
		status int
		line   string
	}{
		{"/v1/destinations/alarms/pause?reason=moving", 200, "act=pause tenant=default by=every name=alarms reason=moving"},
		{"/v1/destinations/alarms/resume", 200, "act=resume tenant=default by=every name=alarms"},
		{"/v1/destinations/none/pause", 404, ""},
		{"/v1/deliveries/" + id + "/retry", 200, "act=retry tenant=default by=every id=" + id},
		{"/v1/deliveries/" + id + "/drop", 200, "act=drop tenant=default by=every id=" + id},
		{"/v1/deliveries/" + id + "/drop", 409, ""},
		{"/v1/deliveries/" + id + "/replay", 200, "act=replay tenant=default by=every id=" + id},
		{"/v1/events/" + event + "/replay?fresh=true", 200, "act=replay tenant=default by=every id=" + event + " fresh=true"},
		{"/v1/events/" + event + "/drop", 409, ""},
	} {
		got := r.ask(t, ask{method: "POST", path: each.path, token: everyToken})
		want := 1
		if each.line == "" {
			want = 0
		}
		said := log.take()
		if got.status != each.status || strings.Count(said, "done by hand") != want || !strings.Contains(said, each.line) {
			t.Errorf("%s: %d %s\nlogged %s", each.path, got.status, got.body, said)
		}
	}
	for range 2 {
		r.ask(t, ask{method: "POST", path: "/v1/deliveries/" + id + "/replay?fresh=true", token: everyToken, header: key})
	}
	if said := log.take(); strings.Count(said, "done by hand") != 1 {
		t.Errorf("logged %s", said)
	}
	for path, body := range map[string]string{
		"/v1/replays": `{"of": {"destination": "alarms"}, "dry_run": true}`, "/v1/connections/alarms/recover": `{"since": "1h", "dry_run": true}`,
		"/v1/replays?normalise=true&source=pollqr&dry_run=true": "",
	} {
		got := r.ask(t, ask{method: "POST", path: path, token: everyToken, body: body})
		if said := log.take(); got.status != 200 || strings.Contains(said, "done by hand") {
			t.Errorf("%s: %d %s\nlogged %s", path, got.status, got.body, said)
		}
	}
}

// logged keeps what is written to it.
type logged struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

// take is what was written since the last time.
func (l *logged) take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.text.Reset()
	return l.text.String()
}

// Two replicas that are sent one Idempotency-Key at once do what was asked once.
func TestIdempotencyKeyOfReplicas(t *testing.T) {
	t.Parallel()
	one := newRig(t)
	other := &rig{store: one.store, clock: one.clock}
	other.start(t)
	one.accept(t, pollqr("r1", 3))
	path := "/v1/deliveries/" + one.decide(t, state.Delivered).Deliveries[0].ID + "/replay?fresh=true"
	const keys = 30
	var answers [keys][2]told
	var asked sync.WaitGroup
	for key := range keys {
		for i, r := range []*rig{one, other} {
			asked.Go(func() {
				answers[key][i] = r.ask(t, ask{method: "POST", path: path, token: everyToken, header: map[string]string{"Idempotency-Key": fmt.Sprint("k", key)}})
			})
		}
	}
	asked.Wait()
	for key, each := range answers {
		replayed := 0
		for _, a := range each {
			if a.header.Get("Idempotency-Replayed") == "true" {
				replayed++
			}
		}
		if each[0].status != 200 || each[0].body != each[1].body || replayed != 1 {
			t.Errorf("key %d, %d answers repeated:\n%d %s\n%d %s", key, replayed, each[0].status, each[0].body, each[1].status, each[1].body)
		}
	}
}

// A key whose request does not come to an end is not run beside it: the caller is told.
func TestIdempotencyKeyIsHeld(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.accept(t, pollqr("r1", 3))
	path := "/v1/deliveries/" + r.decide(t, state.Delivered).Deliveries[0].ID + "/replay?fresh=true"
	sum := sha256.Sum256([]byte("default\x00every\x00k1"))
	name := "idempotency/" + hex.EncodeToString(sum[:2])[:3]
	if _, err := r.store.Lease(t.Context(), name, "another replica", time.Minute); err != nil {
		t.Fatal(err)
	}
	key := map[string]string{"Idempotency-Key": "k1"}
	if got := r.ask(t, ask{method: "POST", path: path, token: everyToken, header: key}); got.status != 409 || !strings.Contains(got.body, "ask again") {
		t.Errorf("%d %s", got.status, got.body)
	}
	if _, err := r.store.Lease(t.Context(), name, "another replica", 0); err != nil {
		t.Fatal(err)
	}
	if got := r.ask(t, ask{method: "POST", path: path, token: everyToken, header: key}); got.status != 200 {
		t.Errorf("%d %s", got.status, got.body)
	}
}

func TestExplain(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.accept(t, pollqr("r1", 3))
	r.decide(t, state.Waiting)
	got := r.ask(t, ask{path: "/v1/events/" + id + "/explain", token: readToken})
	for _, part := range []string{
		`"state":"decided"`, `"summary":"1 delivery: 1 waiting"`, `"name":"detractor","matched":true`, `"name":"promoter","matched":false`,
		`{"text":"nps_score","value":"3","depth":1,"operand":true}`, `"state":"waiting","reason":"503 Service Unavailable"`,
	} {
		if !strings.Contains(got.body, part) {
			t.Errorf("lacks %s: %s", part, got.body)
		}
	}
	if strings.Contains(got.body, "angry") {
		t.Error("another tenant's rule is explained")
	}
}
