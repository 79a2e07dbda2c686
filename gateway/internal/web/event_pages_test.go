package web

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// deepBody is a request of a platform of about a mebibyte: lists that are nested 50 deep, and many answers.
func deepBody() string {
	one := strings.Repeat("[", 50) + "1" + strings.Repeat("]", 50) + ","
	deep := "[" + strings.Repeat(one, 950_000/len(one)) + "1]"
	var answers strings.Builder
	for i := range 1_900 {
		fmt.Fprintf(&answers, `"q%d":"some text",`, i)
	}
	return strings.Replace(pollqr("r1", 3), `"answers":{`, `"deep":`+deep+`,"answers":{`+answers.String(), 1)
}

// TestBigEventPages: pages about an event with a body of a mebibyte are small, and making them takes little memory, whatever is asked for.
func TestBigEventPages(t *testing.T) { //nolint:paralleltest // it measures allocations
	r := (&rig{measured: true}).open(t)
	id := r.accept(t, deepBody())
	outcome := r.decide(t, state.Delivered)
	every := r.visitor(t, everyToken)
	at := "/console/t/default/events/" + id
	for _, c := range []struct {
		path       string
		page, memo uint64
	}{
		{at, 300 << 10, 40 << 20},
		{at + "?part=state", 100 << 10, 32 << 20},
		{at + "?raw=all", 800 << 10, 40 << 20},
		{at + "?raw=exact", 800 << 10, 40 << 20},
		{"/console/t/default/deliveries/" + outcome.Deliveries[0].ID, 300 << 10, 40 << 20},
	} {
		var before, after runtime.MemStats
		r.does(t, ask{path: c.path, header: every}, 200)
		runtime.ReadMemStats(&before)
		got := r.does(t, ask{path: c.path, header: every}, 200)
		runtime.ReadMemStats(&after)
		if size, memo := uint64(len(got.body)), after.TotalAlloc-before.TotalAlloc; size > c.page || memo > c.memo {
			t.Errorf("%s: a page of %d bytes, %d bytes of memory", c.path, size, memo)
		}
	}
	r.does(t, ask{path: at, header: every}, 200, "more are not shown", "?raw=all", "more answers are in the JSON")
	r.does(t, ask{path: at + "?raw=all", header: every}, 200, "more are not shown", "The whole is in the", "/v1/events/"+id)
}

// TestBigEventInPortal: the page of a delivery shows the beginning of a big event, and gives the whole as a file.
func TestBigEventInPortal(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	body := deepBody()
	header := map[string]string{"Content-Type": "application/json", "X-PollQR-Signature": sign("acme-"+pollqrSecret, body)}
	r.does(t, ask{method: "POST", path: "/t/acme/in/branch", header: header, body: body}, 200)
	outcome := r.decide(t, state.Delivered)
	jo, _ := r.opened(t, allOfPortal)
	at := "/portal/deliveries/" + outcome.Deliveries[0].ID
	if page := r.does(t, ask{path: at, header: jo}, 200, "more are not shown", `href="`+at+`/event"`); len(page.body) > 300<<10 {
		t.Errorf("the page has %d bytes", len(page.body))
	}
	if file := r.does(t, ask{path: at + "/event", header: jo}, 200, `"specversion"`); len(file.body) < 900_000 || !strings.HasPrefix(file.header.Get("Content-Disposition"), "attachment") {
		t.Errorf("the file has %d bytes, %v", len(file.body), file.header)
	}
	reader, _ := r.opened(t, `{"capabilities":["deliveries"]}`)
	r.does(t, ask{path: at + "/event", header: reader}, 403)
	r.does(t, ask{path: "/portal/deliveries/dl_x/event", header: jo}, 404)
}
