package web

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/web/api"
	"github.com/surveygate/surveygate/gateway/internal/web/intake"
)

// decide commits the next claimed event as the loop would, with its deliveries in a given state.
func (r *rig) decide(t testing.TB, as state.DeliveryState) *state.Outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
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

func TestPublish(t *testing.T) {
	t.Parallel()
	one := `{"type":"response.completed","id":"a","response":{"id":"r1"},"nps_score":3}`
	large := `{"type":"response.completed","feedback":"` + repeat("x", 1<<20) + `"}`
	for _, c := range []struct {
		name string
		ask  ask
		want int
		body string
	}{
		{name: "one", ask: ask{token: publishToken, body: one}, want: 200, body: `{"results":[{"id":"ID","status":"accepted"}]}`},
		{name: "over the socket", ask: ask{socket: true, body: one}, want: 200, body: `{"results":[{"id":"ID","status":"accepted"}]}`},
		{name: "with a slash", ask: ask{path: "/v1/events/", token: publishToken, body: one}, want: 200, body: `{"results":[{"id":"ID","status":"accepted"}]}`},
		{
			name: "one invalid", ask: ask{token: publishToken, body: `{"type":"response.completed","feedbak":"x"}`}, want: 422,
			body: `{"status":422,"detail":[{"msg":"` + "`feedbak` is not a field of an event; did you mean `feedback`?" + `","type":"validation_error","loc":["feedbak"]}],"request_id":"REQ"}`,
		},
		{
			name: "an array, in order", want: 200,
			ask: ask{token: publishToken, body: `[` + one + `,{"type":"nonsense"},` + one + `,7]`},
			body: `{"results":[{"id":"ID","status":"accepted"},` +
				`{"status":"invalid","error":{"msg":"` + "`type` is not a canonical type" + `","type":"validation_error","loc":["type"]}},` +
				`{"id":"ID","status":"duplicate"},` +
				`{"status":"invalid","error":{"msg":"` + "`event` must be an object, not a number" + `","type":"validation_error","loc":["event"]}}]}`,
		},
		{name: "an empty array", ask: ask{token: publishToken, body: `[]`}, want: 200, body: `{"results":[]}`},
		{
			name: "lines", want: 200,
			ask:  ask{token: publishToken, header: map[string]string{"Content-Type": "application/x-ndjson"}, body: one + "\n" + `{"type":"test"}` + "\n"},
			body: `{"results":[{"id":"ID","status":"accepted"},{"id":"ID","status":"accepted"}]}`,
		},
		{
			name: "CloudEvents", want: 200, body: `{"results":[{"id":"ID","status":"accepted"}]}`,
			ask: ask{token: publishToken, body: `{"specversion":"1.0","type":"response.completed","id":"x","source":"app","data":{"nps_score":3}}`},
		},
		{
			name: "CloudEvents in headers", want: 200, body: `{"results":[{"id":"ID","status":"accepted"}]}`,
			ask: ask{token: publishToken, body: `{"nps_score":3}`, header: map[string]string{
				"Ce-Specversion": "1.0", "Ce-Type": "response.completed", "Ce-Id": "x", "Ce-Source": "app",
			}},
		},
		{
			name: "a platform's own body", want: 200, body: `{"results":[{"id":"ID","status":"accepted"}]}`,
			ask: ask{path: "/v1/events?source=pollqr", token: publishToken, body: pollqr("r1", 3)},
		},
		{name: "another tenant's source", ask: ask{path: "/v1/events?source=branch", token: publishToken, body: pollqr("r1", 3)}, want: 404},
		{name: "no platform's body", ask: ask{path: "/v1/events?source=pollqr", token: publishToken, body: "x"}, want: 400},
		{name: "not JSON", ask: ask{token: publishToken, body: "x=1"}, want: 400},
		{name: "empty", ask: ask{token: publishToken}, want: 400},
		{name: "too deep", ask: ask{token: publishToken, body: `{"type":"test","params":` + repeat(`[`, 70) + repeat(`]`, 70) + `}`}, want: 422},
		{name: "one too large", ask: ask{token: publishToken, body: large}, want: 413},
		{
			name: "one too large among others", want: 200,
			ask:  ask{token: publishToken, body: `[` + one + `,` + large + `]`},
			body: `{"results":[{"id":"ID","status":"accepted"},{"status":"invalid","error":{"msg":"an event has at most 1 MiB","type":"too_large"}}]}`,
		},
		{name: "compressed", ask: ask{token: publishToken, header: map[string]string{"Content-Encoding": "gzip"}, body: one}, want: 415},
		{name: "no token", ask: ask{body: one}, want: 401},
		{name: "somebody's token", ask: ask{token: publishToken + "x", body: one}, want: 401},
		{name: "without the scope", ask: ask{token: readToken, body: one}, want: 403},
		{name: "for another tenant", ask: ask{path: "/v1/events?tenant=acme", token: publishToken, body: one}, want: 403},
		{name: "naming another tenant", ask: ask{token: publishToken, body: `{"type":"test","tenant":"acme"}`}, want: 422},
		{name: "unknown parameter", ask: ask{path: "/v1/events?sorce=pollqr", token: publishToken, body: one}, want: 422},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			c.ask.method = http.MethodPost
			if c.ask.path == "" {
				c.ask.path = "/v1/events"
			}
			got := r.ask(t, c.ask)
			if got.status != c.want {
				t.Fatalf("status %d, want %d: %s", got.status, c.want, got.body)
			}
			if c.body != "" {
				if diff := cmp.Diff(c.body, plain(got.body)); diff != "" {
					t.Error(diff)
				}
			}
			if got.status == 401 && got.header.Get("WWW-Authenticate") != "Bearer" {
				t.Error("401 without WWW-Authenticate")
			}
		})
	}
}

// A body that is too large is refused before it is read, and only who may publish may send many events at once.
func TestTooLarge(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, c := range []struct {
		path, token string
		length      int
	}{
		{"/in/pollqr", "", intake.MaxBody + 1},
		{"/t/acme/in/branch", "", intake.MaxBody + 1},
		{"/in/pollqr", publishToken, intake.MaxBody + 1},
		{"/v1/events", "", intake.MaxBody + 1},
		{"/v1/events", readToken, intake.MaxBody + 1},
		{"/v1/events", publishToken, api.MaxBody + 1},
		{"/nowhere", publishToken, 1 << 40},
	} {
		got := r.claim(t, c.path, c.token, c.length)
		want := `{"status":413,"detail":[{"msg":"the body is too large","type":"too_large"}],"request_id":"REQ"}`
		if got.status != 413 || plain(got.body) != want {
			t.Errorf("%s: %d %s", c.path, got.status, got.body)
		}
	}
	kept, err := intake.RejectedOf(context.Background(), r.store, "acme", "branch")
	if err != nil || len(kept) != 1 || kept[0].Reason != "too large" || kept[0].Size != intake.MaxBody+1 || kept[0].Path != "/t/acme/in/branch" {
		t.Errorf("kept: %+v, %v", kept, err)
	}
}

// A platform's own server publishes for each of its tenants.
func TestPublishForTenants(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, c := range []struct{ query, body, want string }{
		{"", `{"type":"test","id":"1"}`, "default"},
		{"", `{"type":"test","id":"2","tenant":"acme"}`, "acme"},
		{"?tenant=beta", `{"type":"test","id":"3"}`, "beta"},
	} {
		got := r.ask(t, ask{method: "POST", path: "/v1/events" + c.query, token: platformWide, body: c.body})
		if got.status != 200 {
			t.Fatalf("%s: %d %s", c.body, got.status, got.body)
		}
		if _, err := r.store.Event(context.Background(), c.want, ids.FindString(got.body)); err != nil {
			t.Errorf("%s is not tenant %s's: %v", c.body, c.want, err)
		}
	}
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
		"/v1/events?limit=0", "/v1/events?limit=201", "/v1/events?dead=yes", "/v1/events?since=yesterday", "/v1/events?color=red",
		"/v1/deliveries?state=lost", "/v1/deliveries?cursor=nonsense", "/v1/events?cursor=nonsense", "/v1/stats?since=30d",
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
	if got := r.ask(t, ask{method: "POST", path: "/v1/events/" + id + "/drop", token: everyToken}); got.status != 409 {
		t.Errorf("drop: %d %s", got.status, got.body)
	}
	got := r.ask(t, ask{method: "POST", path: "/v1/events/" + id + "/replay", token: everyToken})
	if got.status != 200 || !strings.Contains(got.body, `"scheduled":["dl_`+id) || !strings.Contains(got.body, `"name":"detractor"`) {
		t.Errorf("replay: %d %s", got.status, got.body)
	}
	due, _, err := r.store.ClaimDue(ctx, state.ClaimDue{Max: 10, Bytes: 1 << 20, Lease: time.Minute})
	if err != nil || len(due) != 1 || due[0].Event.ID != id {
		t.Errorf("%+v, %v", due, err)
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

func TestPauseAndResume(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	post := func(path string, want int) string {
		t.Helper()
		got := r.ask(t, ask{method: "POST", path: path, token: everyToken})
		if got.status != want {
			t.Fatalf("%s: %d %s", path, got.status, got.body)
		}
		return got.body
	}
	if body := post("/v1/destinations/alarms/pause?reason=maintenance", 200); !strings.Contains(body, `"hold":{"kind":"paused","reason":"maintenance"`) {
		t.Error(body)
	}
	holds, err := r.store.Holds(context.Background(), "default")
	if err != nil || len(holds) != 1 || holds[0].Destination != "alarms" {
		t.Error(holds, err)
	}
	if body := post("/v1/destinations/alarms/resume", 200); strings.Contains(body, "hold") {
		t.Error(body)
	}
	post("/v1/destinations/crm/pause", 404) // another tenant's
	post("/v1/destinations/none/resume", 404)
}

func TestConfigured(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	get := func(path, token string) string {
		t.Helper()
		got := r.ask(t, ask{path: path, token: token})
		if got.status != 200 {
			t.Fatalf("%s: %d %s", path, got.status, got.body)
		}
		return got.body
	}
	for path, parts := range map[string][]string{
		"/v1/sources":                            {`"name":"pollqr"`, `"path":"/in/pollqr"`, `"path":"/in/poltio/[secret]"`, `"enabled":false`, `"line":`},
		"/v1/sources/poltio":                     {`"profile":"poltio"`},
		"/v1/connections":                        {`"name":"alarms"`, `"product":"slack"`},
		"/v1/webhooks":                           {`"name":"warehouse"`, `"events":["response.updated"]`},
		"/v1/rules":                              {`"events":["response.completed"]`, `"name":"detractor"`, `"when":"nps_score <= 6"`, `"step":"warehouse"`},
		"/v1/destinations":                       {`"name":"alarms"`, `"name":"warehouse"`},
		"/v1/tokens":                             {`"name":"reader"`},
		"/v1/destinations?limit=1":               {`"next":"alarms"`},
		"/v1/destinations?limit=1&cursor=alarms": {`"name":"warehouse"`, `"next":null`},
	} {
		body := get(path, readToken)
		for _, part := range parts {
			if !strings.Contains(body, part) {
				t.Errorf("%s lacks %s: %s", path, part, body)
			}
		}
		for _, secret := range []string{pollqrSecret, pathToken, everyToken, "whsec_", "hooks.slack.com", `"crm"`, `"branch"`, `"angry"`, `"wide"`} {
			if strings.Contains(body, secret) {
				t.Errorf("%s shows %s", path, secret)
			}
		}
	}
	if body := get("/v1/sources/poltio", everyToken); !strings.Contains(body, "/in/poltio/"+pathToken) {
		t.Errorf("the scope `secrets` does not show the path: %s", body)
	}
	for _, method := range []string{"PUT", "PATCH", "DELETE"} {
		got := r.ask(t, ask{method: method, path: "/v1/rules/detractor", token: everyToken, body: `{}`})
		if got.status != 403 || !strings.Contains(got.body, `"type":"defined_in_file"`) || !strings.Contains(got.body, "surveygate.yaml:") {
			t.Errorf("%s: %d %s", method, got.status, got.body)
		}
	}
	if got := r.ask(t, ask{path: "/v1/nothing", token: everyToken}); got.status != 404 || !strings.Contains(got.body, `"type":"not_found"`) {
		t.Errorf("%d %s", got.status, got.body)
	}
	if got := r.ask(t, ask{method: "PURGE", path: "/v1/events", token: everyToken}); got.status != 405 {
		t.Errorf("%d %s", got.status, got.body)
	}
}

// Every route, asked with another tenant's token for what is there, finds nothing of it.
func TestTenantsNeverMeet(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.accept(t, pollqr("r1", 3))
	o := r.decide(t, state.Dead)
	delivery := o.Deliveries[0].ID
	names := map[string]string{
		"/v1/events": id, "/v1/deliveries": delivery, "/v1/sources": "pollqr", "/v1/connections": "alarms",
		"/v1/webhooks": "warehouse", "/v1/rules": "detractor", "/v1/destinations": "alarms",
	}
	before, err := r.store.Deliveries(context.Background(), "default", state.DeliveryQuery{})
	if err != nil {
		t.Fatal(err)
	}
	for _, route := range api.Routes() {
		parts := strings.Split(route.Path, "/")
		path := route.Path
		if len(parts) > 3 {
			name, ok := names["/v1/"+parts[2]]
			if !ok {
				t.Fatalf("%s: this test knows nothing to ask it for", route.Path)
			}
			parts[3] = name
			path = strings.Join(parts, "/")
		}
		for _, token := range []string{acmeToken, platformWide + "?tenant=acme"} {
			secret, query, _ := strings.Cut(token, "?")
			target := path
			if query != "" {
				target += "?" + query
			}
			got := r.ask(t, ask{method: route.Method, path: target, token: secret, body: `[]`})
			for _, of := range []string{id, delivery, `"name":"pollqr"`, `"alarms"`, `"detractor"`, `"warehouse"`, `"reader"`} {
				if strings.Contains(got.body, of) {
					t.Errorf("%s %s tells tenant acme of %s: %s", route.Method, target, of, got.body)
				}
			}
			alone := len(parts) > 3 && parts[len(parts)-1] != "rejected"
			if alone && got.status != 404 {
				t.Errorf("%s %s: %d, want 404: %s", route.Method, target, got.status, got.body)
			}
		}
		if got := r.ask(t, ask{method: route.Method, path: path + "?tenant=acme", token: everyToken}); got.status != 403 {
			t.Errorf("%s %s: token of default asks for acme: %d", route.Method, path, got.status)
		}
		if got := r.ask(t, ask{method: route.Method, path: path}); got.status != 401 {
			t.Errorf("%s %s without a token: %d", route.Method, path, got.status)
		}
		granted := []access.Scope{access.Read, access.Publish}
		if got := r.ask(t, ask{method: route.Method, path: path, token: []string{readToken, publishToken}[btoi(route.Scope == access.Read)]}); !slices.Contains(granted, route.Scope) && got.status != 403 || route.Scope == access.Read && got.status != 403 {
			t.Errorf("%s %s without its scope: %d", route.Method, path, got.status)
		}
	}
	after, err := r.store.Deliveries(context.Background(), "default", state.DeliveryQuery{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("another tenant changed something: %s", diff)
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func TestExplain(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.accept(t, pollqr("r1", 3))
	r.decide(t, state.Waiting)
	got := r.ask(t, ask{path: "/v1/events/" + id + "/explain", token: readToken})
	for _, part := range []string{
		`"state":"decided"`, `"summary":"1 delivery: 1 waiting"`, `"name":"detractor","matched":true`, `"name":"promoter","matched":false`,
		`{"text":"nps_score","value":"3","depth":1}`, `"state":"waiting","reason":"503 Service Unavailable"`,
	} {
		if !strings.Contains(got.body, part) {
			t.Errorf("lacks %s: %s", part, got.body)
		}
	}
	if strings.Contains(got.body, "angry") {
		t.Error("another tenant's rule is explained")
	}
}
