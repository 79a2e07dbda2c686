package web

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/view"
)

// erasureEnded waits for the end of an erasure.
func (r *rig) erasureEnded(t testing.TB, token, tenant, id string) (e view.Erasure) {
	t.Helper()
	r.onChange(t, "the erasure ends", func() bool {
		e = view.Erasure{}
		decode(t, r.does(t, ask{path: "/v1/erasures/" + id + "?tenant=" + tenant, token: token}, 200).body, &e)
		return !e.Ended.IsZero()
	})
	return e
}

// TestErasure: a person is counted, and erased by a job that never names them; readers show that an event was erased, and nothing
// of it is delivered again.
func TestErasure(t *testing.T) {
	t.Parallel()
	r := newRig(t)

	admin := adminToken
	publish := func(email, response string) string {
		t.Helper()
		body := fmt.Sprintf(`{"type":"response.completed","id":"k-%s","nps_score":3,"email":%q,"response":{"id":%q,"feedback":"all was slow"}}`, response, email, response)
		return ids.FindString(r.does(t, ask{method: "POST", path: "/v1/events?tenant=default", token: admin, body: body}, 200).body)
	}
	id := publish("jo.miller@example.com", "r-1")
	o := r.decide(t, state.Dead)
	other := publish("ann@example.com", "r-2")
	r.decide(t, state.Delivered)

	for body, want := range map[string]string{
		`{}`:                  "name the person",
		`{"respondent":"  "}`: "name the person",
		`{"respondent":"` + strings.Repeat("x", 600) + `"}`: "too long",
		`{"person":"x"}`: "person",
	} {
		r.does(t, ask{method: "POST", path: "/v1/erasures?tenant=default", token: admin, body: body}, 422, want)
	}
	would := decoded[view.WouldErase](t, r.does(t, ask{method: "POST", path: "/v1/erasures?tenant=default", token: admin, body: `{"respondent":"JO.Miller@example.com","dry_run":true}`}, 200)).Would
	if would.Events != 1 || would.Responses != 1 || would.Deliveries != len(o.Deliveries) || would.Dropped != len(o.Deliveries) {
		t.Fatalf("%+v", would)
	}
	if strings.Contains(r.does(t, ask{path: "/v1/events/" + id + "?tenant=default", token: admin}, 200).body, `"erased"`) {
		t.Fatal("the dry run erased")
	}
	got := r.does(t, ask{method: "POST", path: "/v1/erasures?tenant=default", token: admin, body: `{"respondent":"jo.miller@example.com"}`}, 202)
	e := decoded[view.Erasure](t, got)
	if location := got.header.Get("Location"); location != "/v1/erasures/"+e.ID {
		t.Errorf("it is at %q", location)
	}
	if e = r.erasureEnded(t, admin, "default", e.ID); e.State != "done" || e.Receipt.Events != 1 || e.Receipt.OffDisk.IsZero() {
		t.Fatalf("%+v", e)
	}
	for _, path := range []string{
		"/v1/events/" + id, "/v1/events/" + id + "/explain", "/v1/events", "/v1/deliveries", "/v1/deliveries/" + o.Deliveries[0].ID,
		"/v1/erasures", "/v1/erasures/" + e.ID, "/v1/audit",
	} {
		sep := "?"
		body := r.does(t, ask{path: path + sep + "tenant=default", token: admin}, 200).body
		for _, word := range []string{"miller", "jo."} {
			if strings.Contains(strings.ToLower(body), word) {
				t.Errorf("%s says %s: %.500s", path, word, body)
			}
		}
		if strings.HasPrefix(path, "/v1/events/") && !strings.Contains(body, `"erased":`) {
			t.Errorf("%s does not say that it was erased: %.300s", path, body)
		}
	}
	r.does(t, ask{path: "/v1/audit?tenant=default", token: admin}, 200, "erasure.create", "erasure.done", e.Person)
	r.does(t, ask{path: "/v1/events/" + other + "?tenant=default", token: admin}, 200, "ann@example.com")
	r.does(t, ask{path: "/v1/events?tenant=default&respondent=jo.miller@example.com", token: admin}, 200, `"data":[]`)
	r.does(t, ask{method: "POST", path: "/v1/events/" + id + "/replay?tenant=default", token: admin}, 409, "erased")
	r.does(t, ask{method: "POST", path: "/v1/events/" + id + "/replay?tenant=default&normalise=true", token: admin}, 409, "its content was erased")
	r.does(t, ask{method: "POST", path: "/v1/deliveries/" + o.Deliveries[0].ID + "/replay?tenant=default", token: admin}, 409, "erased")
	job := decoded[view.Job](t, r.does(t, ask{method: "POST", path: "/v1/replays?tenant=default", token: admin, body: `{"of":{"events":["` + id + `"]},"as":"today"}`}, 202))
	r.onChange(t, "the replay ends", func() bool {
		job = decoded[view.Job](t, r.does(t, ask{path: "/v1/replays/" + job.ID + "?tenant=default", token: admin}, 200))
		return !job.Ended.IsZero()
	})
	if job.Why["the content of its event was erased"] != 1 {
		t.Errorf("a replay tells %+v", job)
	}
	if !strings.Contains(r.does(t, ask{
		method: "POST", path: "/v1/events?tenant=default", token: admin,
		body: `{"type":"response.completed","id":"k-r-1","email":"jo.miller@example.com"}`,
	}, 200).body, "duplicate") {
		t.Error("posted again it is no duplicate")
	}
	all, err := r.store.List(context.Background(), "default", "job")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range all {
		if strings.Contains(string(s.Value), "miller") {
			t.Errorf("a job is %s", s.Value)
		}
	}
}
