package web

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// hostile is text that would be markup if a page did not escape it.
const hostile = `<img src=x onerror=alert(1)>"'`

// noMarkup fails if a page has the hostile text as markup.
func noMarkup(t *testing.T, got told) {
	t.Helper()
	if strings.Contains(got.body, "<img src=x") {
		t.Errorf("hostile text is markup: %s", got.body)
	}
}

// decideOne accepts a response and decides it, with deliveries that a test changes, and returns the id of the last delivery.
func (r *rig) decideOne(t testing.TB, response string, score int, change func(d *state.Delivery)) (id string) {
	t.Helper()
	r.accept(t, pollqr(response, score))
	r.decideAs(t, func(d *state.Delivery) { change(d); id = d.ID })
	return id
}

func dead(d *state.Delivery) {
	d.State, d.Reason = state.Dead, "404 Not Found"
	a := &d.Log[0]
	a.Verdict, a.Status, a.Reason = "rejected", 404, "404 Not Found"
	a.Request, a.Response = []byte("POST [secret]\nX-Api-Key: [secret]\n\n{\"text\": \"it's "+`12345678901234567890`+"\"}\n"), []byte("404\n\n"+hostile+"\n")
}

func delivered(d *state.Delivery) {
	d.State = state.Delivered
	d.Log[0].Verdict, d.Log[0].Status = "delivered", 200
}

func TestDeliveriesPage(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	who := r.visitor(t, everyToken)
	const page = "/console/t/default/deliveries"
	r.does(t, ask{path: page, header: who}, 200, "No deliveries yet.")
	lost := r.decideOne(t, "r1", 3, dead)
	r.clock.Advance(time.Minute)
	good := r.decideOne(t, "r2", 3, delivered)

	got := r.does(t, ask{path: page, header: who}, 200, lost, good, "response.completed", "404 Not Found", `name="id"`)
	if strings.Index(got.body, good) > strings.Index(got.body, lost) {
		t.Error("the newest is not first")
	}
	got = r.does(t, ask{path: page + "?state=dead&status=4xx&destination=alarms", header: who}, 200, lost, `value="4xx"`, "<option selected>dead</option>",
		`href="/console/t/default/deliveries/replay?destination=alarms&amp;state=dead&amp;status=4xx"`)
	if strings.Contains(got.body, good) {
		t.Error("the filter is not used")
	}
	r.does(t, ask{path: page + "?state=waiting", header: who}, 200, "No delivery is like that.")
	// A refusal keeps what was typed.
	noMarkup(t, r.does(t, ask{path: page + "?status=" + url.QueryEscape(hostile), header: who}, 422, "a status is a number", `value="&lt;img src=x onerror=alert(1)&gt;&#34;&#39;"`))
	got = r.does(t, ask{path: page, header: r.visitor(t, readToken)}, 200, lost)
	if strings.Contains(got.body, `name="id"`) || strings.Contains(got.body, `value="drop"`) {
		t.Error("a visitor who may only read is offered acts")
	}
	r.does(t, ask{path: page, header: r.visitor(t, publishToken)}, 403, "Not allowed")
	if acme := r.does(t, ask{path: "/console/t/acme/deliveries", header: r.visitor(t, acmeToken)}, 200); strings.Contains(acme.body, lost) {
		t.Error("another tenant sees it")
	}
}

// A search says what it found its text as, and rows have the last attempt.
func TestSearchOfDeliveries(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	who := r.visitor(t, everyToken)
	id := r.decideOne(t, "r1", 3, dead)
	other := r.decideOne(t, "r2", 3, delivered)
	for text, as := range map[string]string{id: "found as the id of a delivery", state.EventID(id): "found as the id of an event", "r1": "found as the id of a response"} {
		got := r.ask(t, ask{path: "/console/t/default/deliveries?q=" + url.QueryEscape(text), header: who})
		if got.status != 200 || !strings.Contains(got.body, as) || !strings.Contains(got.body, id) || strings.Contains(got.body, other) {
			t.Errorf("%s: %d %s", text, got.status, got.body)
		}
		for _, want := range []string{`<td class="num answer">404</td>`, "45 ms", `value="` + text + `"`} {
			if !strings.Contains(got.body, want) {
				t.Errorf("%s lacks %s: %s", text, want, got.body)
			}
		}
	}
	noMarkup(t, r.does(t, ask{path: "/console/t/default/deliveries?q=" + url.QueryEscape(hostile), header: who}, 200, "Nothing is known by that text."))
}

// The line above the list counts what is newer, and nothing moves by itself.
func TestNewerDeliveries(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	who := r.visitor(t, everyToken)
	r.decideOne(t, "r1", 3, delivered)
	got := r.does(t, ask{path: "/console/t/default/deliveries?state=delivered", header: who}, 200)
	_, line, _ := strings.Cut(got.body, `id="newer" class="newer" hx-get="`)
	line, _, _ = strings.Cut(line, `"`)
	line = strings.ReplaceAll(line, "&amp;", "&")
	if got := r.does(t, ask{path: line, header: who}, 200); strings.Contains(got.body, "newer: show") || strings.Contains(got.body, "<html") {
		t.Errorf("nothing is newer: %s", got.body)
	}
	for i := range 3 {
		r.clock.Advance(time.Second)
		r.decideOne(t, fmt.Sprint("n", i), 3, delivered)
	}
	r.does(t, ask{path: line, header: who}, 200, "3 newer: show", `href="/console/t/default/deliveries?state=delivered"`)
	for i := range 60 {
		r.decideOne(t, fmt.Sprint("m", i), 3, delivered)
	}
	r.does(t, ask{path: line, header: who}, 200, "50 and more newer: show")
}

func TestActsOnChosenDeliveries(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	who := r.visitor(t, everyToken)
	lost, good := r.decideOne(t, "r1", 3, dead), r.decideOne(t, "r2", 3, delivered)
	act := func(form string, status int, want ...string) told {
		t.Helper()
		return r.does(t, ask{method: "POST", path: "/console/t/default/deliveries/act", header: who, body: form + "&query=state%3Ddead%26cursor%3Dx"}, status, want...)
	}
	both := "id=" + lost + "&id=" + good
	act("do=explode&id="+lost, 422)
	if to := act("do=retry", 303).header.Get("Location"); to != "/console/t/default/deliveries?state=dead" {
		t.Errorf("it leads to %s", to)
	}
	// Dropping is asked first, and only then done.
	act("do=drop&"+both, 200, "Drop 2 deliveries?", lost, good, `href="/console/t/default/deliveries?state=dead">Cancel</a>`)
	if s := r.deliveryState(t, lost); s != "dead" {
		t.Fatalf("it is %s before it was confirmed", s)
	}
	note := noteOf(t, act("do=drop&sure=yes&"+both, 303))
	if r.deliveryState(t, lost) != "dropped" || !strings.HasPrefix(note, "1 delivery is dropped. 1 not: ") {
		t.Errorf("%s: %q", r.deliveryState(t, lost), note)
	}
	if note := noteOf(t, act("do=replay&"+both, 303)); note != "2 deliveries are delivered again." || r.deliveryState(t, good) != "waiting" {
		t.Errorf("%q", note)
	}
	act("do=retry&id=dl_nothing", 303)
	r.does(t, ask{method: "POST", path: "/console/t/default/deliveries/act", header: r.visitor(t, readToken), body: "do=retry&" + both}, 303)
}

func TestReplayPage(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	who := r.visitor(t, everyToken)
	for i := range 3 {
		r.decideOne(t, fmt.Sprint("r", i), 3, dead)
	}
	r.clock.Advance(time.Minute)
	const page = "/console/t/default/deliveries/replay"
	r.does(t, ask{path: page, header: who}, 422, "choose what is replayed")
	// The count is shown to a visitor who came by a link of another site, too: it changes nothing.
	who["Sec-Fetch-Site"] = "cross-site"
	r.does(t, ask{path: page + "?state=dead&destination=alarms", header: who}, 200, "Replay 3 deliveries", "<b>3 deliveries</b> of 3 events", `name="query" value="destination=alarms&amp;state=dead"`)
	who["Sec-Fetch-Site"] = "same-origin"
	r.does(t, ask{path: page + "?state=dead&destination=nowhere", header: who}, 404)
	r.does(t, ask{method: "POST", path: page, header: who, body: "query=state%3Ddead&as=same&rate=often&reason=" + url.QueryEscape(hostile)}, 422, `value="often"`, "&lt;img")
	if to := r.does(t, ask{method: "POST", path: page, header: who, body: "query=state%3Ddead&as=same&rate=20/s"}, 303).header.Get("Location"); !strings.HasPrefix(to, "/console/t/default/replays/job_") {
		t.Errorf("it leads to %s", to)
	}
	r.does(t, ask{path: page + "?state=dead", header: r.visitor(t, readToken)}, 403)
}

// More than a hundred are replayed only when their number was typed.
func TestManyAreReplayedByTheirNumber(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	who := r.visitor(t, everyToken)
	for i := range 101 {
		r.decideOne(t, fmt.Sprint("r", i), 3, dead)
	}
	r.clock.Advance(time.Minute)
	const page = "/console/t/default/deliveries/replay"
	r.does(t, ask{path: page + "?state=dead", header: who}, 200, "Type 101 to confirm")
	for _, typed := range []string{"", "100", "yes"} {
		r.does(t, ask{method: "POST", path: page, header: who, body: "query=state%3Ddead&as=fresh&typed=" + typed}, 422, "these are 101 now", `value="fresh" checked`)
	}
	r.does(t, ask{method: "POST", path: page, header: who, body: "query=state%3Ddead&typed=101"}, 303)
}

func TestDeliveryPage(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	who := r.visitor(t, everyToken)
	at := r.clock.Now()
	waits := r.decideOne(t, "r1", 3, func(d *state.Delivery) {
		d.State, d.Reason, d.Due, d.Attempts = state.Waiting, "429 Too Many Requests", at.Add(4*time.Minute), 4
		d.Log = []state.Attempt{
			{N: 1, At: at, Took: 88 * time.Millisecond, Verdict: "retry", Status: 503, Reason: "503 Service Unavailable", Sent: 1412, Response: []byte("503\nRetry-After: 120\n\nupstream busy\n")},
			{N: 2, At: at.Add(2*time.Minute + 88*time.Millisecond), Took: 41 * time.Millisecond, Verdict: "retry", Reason: "connection refused"},
			{N: 4, At: at.Add(9 * time.Minute), Took: 41 * time.Millisecond, Verdict: "retry", Status: 429, Reason: "429 Too Many Requests", Response: []byte("429\n\n" + long(100) + "\n…")},
		}
	})
	page := "/console/t/default/deliveries/"
	got := r.does(t, ask{path: page + waits, header: who}, 200, "Next try in 4 min", "2 min, it asked for that", "1 attempt is no longer kept", "no answer", "There was no answer.",
		"attempt 4", "The rest was too long to be kept.", "It was not kept.", "1,412 B sent", "Try now", "Drop…")
	if strings.Contains(got.body, "Deliver again") {
		t.Error("what waits is not delivered again")
	}
	if part := r.does(t, ask{path: page + waits + "?part=now", header: who}, 200); strings.Contains(part.body, "<html") || !strings.Contains(part.body, `id="now"`) {
		t.Error("the part is not a part")
	}

	lost := r.decideOne(t, "r2", 3, dead)
	got = r.does(t, ask{path: page + lost, header: who}, 200, "Given up: 404 Not Found", "12345678901234567890", "to deliver it after all: <b>Try now</b>", `href="/console/t/default/rules/detractor"`,
		"curl -X POST &#34;$URL&#34;", "-H &#39;X-Api-Key: &#39;&#34;$X_API_KEY&#34;", "Content-Type: application/json", `it&#39;\&#39;&#39;s 12345678901234567890`)
	noMarkup(t, got)
	r.does(t, ask{path: page + lost + "/drop", header: who}, 200, "Drop 1 delivery?", lost)
	r.does(t, ask{method: "POST", path: page + lost + "/drop", header: who}, 303)
	// What cannot be done says why, on the same page.
	r.does(t, ask{method: "POST", path: page + lost + "/drop", header: who}, 409, "Not possible now", "Delivery to alarms")
	r.does(t, ask{method: "POST", path: page + lost + "/replay", header: who}, 303)
	if s := r.deliveryState(t, lost); s != "waiting" {
		t.Errorf("it is %s", s)
	}
	r.does(t, ask{method: "POST", path: page + lost + "/retry", header: who}, 303)

	for name, header := range map[string]map[string]string{"reader": r.visitor(t, readToken)} {
		if got := r.does(t, ask{path: page + waits, header: header}, 200); strings.Contains(got.body, "Try now") {
			t.Errorf("%s is offered acts", name)
		}
		r.does(t, ask{method: "POST", path: page + waits + "/retry", header: header}, 403)
	}
	r.does(t, ask{path: page + "dl_nothing", header: who}, 404, "Not found")
	r.does(t, ask{path: "/console/t/acme/deliveries/" + waits, header: r.visitor(t, acmeToken)}, 404)
}

// deliveryState returns the state of a delivery.
func (r *rig) deliveryState(t testing.TB, id string) string {
	t.Helper()
	d, err := r.store.Delivery(t.Context(), "default", id)
	if err != nil {
		t.Fatal(err)
	}
	return string(d.State)
}
