package web

import (
	"net/url"
	"strings"
	"testing"

	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/view"
)

// TestConsoleErasure: the page counts a person first, without a trace in an address, erases on a second press, and shows the receipt.
func TestConsoleErasure(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := ids.FindString(r.does(t, ask{
		method: "POST", path: "/v1/events", token: adminToken,
		body: `{"type":"response.completed","id":"k","nps_score":3,"email":"jo.miller@example.com"}`,
	}, 200).body)
	r.decide(t, state.Dead)
	const page, jo = "/settings/erasures", "jo.miller@example.com"
	b := r.visitor(t, adminToken)
	r.visits(t, b, page, 200, "Erase a person", "Nobody was erased yet.")
	r.sends(t, b, page, url.Values{"respondent": {jo}, "do": {"count"}}, 200, "1 event of "+jo, "Erase this")
	r.sends(t, b, page, url.Values{"respondent": {" "}}, 422, "name the person")
	at := r.sends(t, b, page, url.Values{"respondent": {jo}, "do": {"erase"}}, 303).header.Get("Location")
	if !strings.Contains(at, page+"/job_") || strings.Contains(at, "miller") {
		t.Fatalf("it leads to %s", at)
	}
	var list view.Page[view.Erasure]
	decode(t, r.does(t, ask{path: "/v1/erasures", token: adminToken}, 200).body, &list)
	of := r.erasureEnded(t, adminToken, "default", list.Data[0].ID)
	r.visits(t, b, page+"/"+of.ID, 200, "Erasure", "done", "1 event", "On disk")
	lacks(t, r.visits(t, b, page, 200, of.Person), "miller")
	lacks(t, r.visits(t, b, "/events/"+id, 200, "erased"), "miller", "Replay…")
	lacks(t, r.visits(t, b, "/events", 200, "erased"), "miller")
	r.visits(t, r.visitor(t, readToken), page, 200, "lacks the scope")
}
