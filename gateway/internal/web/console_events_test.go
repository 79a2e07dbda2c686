package web

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/web/route"
	"github.com/surveygate/surveygate/rules/event"
)

// visits asks for a page of the tenant default with a session.
func (r *rig) visits(t testing.TB, visitor map[string]string, path string, status int, parts ...string) told {
	t.Helper()
	return r.does(t, ask{path: "/console/t/default" + path, header: visitor}, status, parts...)
}

// sends posts a form of a page of the tenant default.
func (r *rig) sends(t testing.TB, visitor map[string]string, path string, form url.Values, status int, parts ...string) told {
	t.Helper()
	return r.does(t, ask{method: "POST", path: "/console/t/default" + path, header: visitor, body: form.Encode()}, status, parts...)
}

// lacks fails the test for each part that a page has.
func lacks(t testing.TB, got told, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if strings.Contains(got.body, part) {
			t.Errorf("the page has %s: %s", part, got.body)
		}
	}
}

// TestEventPage: each rule with the values that it read and the part that decided, what became of the deliveries, raw beside normalised.
func TestEventPage(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.accept(t, pollqr("r1", 3))
	r.clock.Advance(3 * time.Millisecond)
	outcome := r.decide(t, state.Delivered)
	every := r.visitor(t, everyToken)
	got := r.visits(t, every, "/events/"+id, 200,
		`<h1 tabindex="-1">Response completed</h1>`, "by its signature", "&#43;3 ms", "1 of 4 matched",
		`<a href="/console/t/default/rules/detractor">detractor</a>`, "nps_score is 3", `<span class="hidden">decided</span>`,
		"its events are response.updated, and this is response.completed",
		`href="/console/t/default/deliveries/`+outcome.Deliveries[0].ID+`"`, "200 OK in 45 ms",
		"Onboarding", "3 of 10, detractor", `<b>&#34;nps_score&#34;</b>: 3`, "SHA-256", `href="/console/t/default/events/`+id+`/replay"`,
	)
	lacks(t, got, "As it would be today", "Drop…", "Use as example")
	r.visits(t, every, "/events/"+id+"?raw=exact", 200, `&#34;response&#34;:{&#34;answers&#34;`)
	if part := r.visits(t, every, "/events/"+id+"?part=state", 200, `id="state"`, "Timeline"); strings.Contains(part.body, "<html") {
		t.Error("the fragment is a whole page")
	}
	lacks(t, r.visits(t, r.visitor(t, readToken), "/events/"+id, 200), `/replay"`, "/replay?")
	r.visits(t, every, "/events/nothing", 404, "Not found")
	r.does(t, ask{path: "/console/t/acme/events/" + id, header: r.visitor(t, acmeToken)}, 404)
	r.visits(t, r.visitor(t, publishToken), "/events/"+id, 403)
	r.visits(t, r.visitor(t, publishToken), "/events", 403)
}

// TestEventPageUndecided: an event without a decision has a time line and says that it waits.
func TestEventPageUndecided(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.accept(t, pollqr("r1", 3))
	r.visits(t, r.visitor(t, everyToken), "/events/"+id, 200, "Not decided yet", "pending")
}

// TestEventPageShowsTextAsText: what a respondent wrote is never markup.
func TestEventPageShowsTextAsText(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	const hostile = `<script>alert(1)</script><img src=x onerror=alert(2)>`
	body := strings.NewReplacer(`"slow"`, `"`+hostile+`"`, "Onboarding", hostile, `"r1"`, `"`+hostile+`"`).Replace(pollqr("r1", 3))
	id := r.accept(t, body)
	r.decide(t, state.Waiting)
	every := r.visitor(t, everyToken)
	for _, path := range []string{"/events", "/events/" + id, "/events/" + id + "?raw=exact", "/events/" + id + "/replay", "/events?q=" + url.QueryEscape(hostile), "/events?survey=" + url.QueryEscape(hostile)} {
		got := r.visits(t, every, path, 200)
		lacks(t, got, "<script>alert", "<img src=x")
		if strings.HasPrefix(path, "/events/") && !strings.Contains(path, "/replay") && !strings.Contains(got.body, "&lt;script&gt;alert(1)") {
			t.Errorf("%s does not show the text", path)
		}
	}
}

// TestEventPageOfManyRules shows those that matched, and leads to the others.
func TestEventPageOfManyRules(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var rules strings.Builder
	for i := range 70 {
		fmt.Fprintf(&rules, "  - {name: rule%d, when: nps_score == %d, send: [alarms]}\n", i, i%7+4)
	}
	rules.WriteString("  - {name: last, when: nps_score == 3, send: [alarms]}\n")
	r.reload(t, someSettings[:strings.Index(someSettings, "rules:")]+"rules:\n"+rules.String())
	id := r.accept(t, pollqr("r1", 3))
	r.decide(t, state.Waiting)
	every := r.visitor(t, everyToken)
	got := r.visits(t, every, "/events/"+id, 200, ">last</a>", "more that did not match", "?rules=all")
	lacks(t, got, ">rule69</a>")
	r.visits(t, every, "/events/"+id+"?rules=all", 200, ">rule69</a>")
}

// TestEventReplay: the page shows what today's rules would send before anything is sent.
func TestEventReplay(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.accept(t, pollqr("r1", 9))
	r.decide(t, state.Delivered)
	every := r.visitor(t, everyToken)
	r.visits(t, every, "/events/"+id+"/replay", 200, "Schedule 2 deliveries", "promoter", "would be sent", "POST [secret]", "POST https://hook.example.com/in")
	lacks(t, r.visits(t, every, "/events/"+id+"/replay?rule=promoter&destination=alarms", 200, "Schedule 1 delivery<"), "hook.example.com")
	r.visits(t, every, "/events/"+id+"/replay?rule=detractor", 200, "Today&#39;s rules owe nothing of this event.")
	if ids := r.replayed(t, "default"); len(ids) > 0 {
		t.Fatalf("the page has replayed %v", ids)
	}
	// Who typed the address, or came from elsewhere, sees the same: it changes nothing.
	typed := r.visitor(t, everyToken)
	typed["Sec-Fetch-Site"] = "none"
	r.visits(t, typed, "/events/"+id+"/replay", 200, "Schedule 2 deliveries")

	got := r.sends(t, every, "/events/"+id+"/replay", url.Values{"rule": {"promoter"}, "destination": {"alarms"}}, 303)
	if at := got.header.Get("Location"); at != "/console/t/default/events/"+id {
		t.Errorf("it leads to %s", at)
	}
	if ids := r.replayed(t, "default"); len(ids) != 1 {
		t.Errorf("replayed are %v", ids)
	}
	// A refusal keeps what was chosen.
	pending := r.accept(t, pollqr("r2", 9))
	r.sends(t, every, "/events/"+pending+"/replay", url.Values{"rule": {"promoter"}, "fresh": {"true"}}, 409, `role="alert"`, `name="fresh" value="true" checked`, `name="rule" value="promoter"`)
	reader := r.visitor(t, readToken)
	r.sends(t, reader, "/events/"+id+"/replay", nil, 403)
	r.sends(t, every, "/events/nothing/replay", nil, 404)
}

// deadEvent commits the next event as a dead letter.
func (r *rig) deadEvent(t testing.TB, why string) (id string) {
	t.Helper()
	claimed, err := r.store.Claim(t.Context(), 1, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	id = claimed[0].Event.ID
	o := state.Outcome{Position: claimed[0].Position, Tenant: "default", EventID: id, At: r.clock.Now(), Dead: why}
	if _, err := r.store.Commit(t.Context(), &state.Commit{Events: []state.Outcome{o}}); err != nil {
		t.Fatal(err)
	}
	return id
}

// TestEventDrop: a dead letter is dropped after a confirming page; another event is not.
func TestEventDrop(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.accept(t, pollqr("r1", 3))
	id := r.deadEvent(t, "it stops <the> gateway")
	every := r.visitor(t, everyToken)
	r.visits(t, every, "/events?dead=true", 200, "it stops &lt;the&gt; gateway", id)
	r.visits(t, every, "/events/"+id, 200, "Dead letter", "/events/"+id+"/drop")
	r.visits(t, every, "/events/"+id+"/drop", 200, "Drop it", "it stops &lt;the&gt; gateway")
	r.sends(t, every, "/events/"+id+"/drop", nil, 303)
	r.sends(t, every, "/events/"+id+"/drop", nil, 409, `role="alert"`)
	lacks(t, r.visits(t, every, "/events?dead=true", 200, "No event is like that."), id)
}

// TestEventPageOfAnEntry: an entry of a stream that no event could be made of says so, and can be read again.
func TestEventPageOfAnEntry(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	entry, err := event.New(event.Header{
		Source: "pollqr", Type: event.TypeEntry, OrigType: "surveys:<in>", OrigID: "1767355200000-0", Received: noon, DedupeKey: "e",
	}, &event.Data{Warnings: []string{"not JSON"}}, event.Raw{Body: []byte("{\"half\": \xff")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.store.Append(t.Context(), []*event.Event{entry}); err != nil {
		t.Fatal(err)
	}
	id := r.deadEvent(t, "it is not JSON")
	every := r.visitor(t, everyToken)
	r.visits(t, every, "/events?dead=true", 200, "entry of surveys:&lt;in&gt;", "it is not JSON")
	got := r.visits(t, every, "/events/"+id, 200,
		">Entry of a stream</h1>", "Not normalised", "No rule was asked", "1767355200000-0", "Read again…", "Drop…", "It is no text, and shown in base64.", "10 B")
	lacks(t, got, "Use as example", "Replay…")
	r.visits(t, every, "/events/"+id+"/replay", 200, "Read this entry again", "Read it again")
}

// TestEventNormalise: the page says how an event reads today.
func TestEventNormalise(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.accept(t, pollqr("r1", 3))
	r.decide(t, state.Delivered)
	every := r.visitor(t, everyToken)
	r.visits(t, every, "/events/"+id+"/normalise", 200, "It reads as it did")
	r.reload(t, strings.Replace(someSettings[:strings.Index(someSettings, "tokens:")], "{profile: pollqr, secrets: ["+pollqrSecret+"]}", `{profile: pollqr, secrets: [`+pollqrSecret+`], roles: {"2": feedback}}`, 1))
	r.visits(t, every, "/events/"+id, 200, "As it would be today", "response.feedback", "Normalise again…")
	r.visits(t, every, "/events/"+id+"/normalise", 200, "revision 1", "response.feedback")
	r.sends(t, every, "/events/"+id+"/normalise", nil, 303)
	r.visits(t, every, "/events/"+id, 200, "revision 1", "As it came", "<dt>Feedback</dt><dd>slow</dd>")
}

func TestEventsList(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	every := r.visitor(t, everyToken)
	r.visits(t, every, "/events", 200, "No event was received yet.")
	var all []string
	for i := range 3 {
		all = append(all, r.accept(t, pollqr(fmt.Sprint("r", i), i*4+1)))
		r.decide(t, state.Waiting)
		r.clock.Advance(time.Minute)
	}
	last := all[len(all)-1]
	got := r.visits(t, every, "/events", 200, last, all[0], "1 min ago", `id="newer"`)
	if strings.Index(got.body, last) > strings.Index(got.body, all[0]) {
		t.Error("the newest is not the first")
	}
	lacks(t, r.visits(t, every, "/events?rule=promoter&matched=false", 200, all[0]), `/events/`+last+`"`)
	lacks(t, r.visits(t, every, "/events?rule=detractor", 200, all[0], `name="rule" size="14" value="detractor"`), `/events/`+last+`"`)
	r.visits(t, every, "/events?part=newer&top="+all[0]+"~2026-01-02T12:00:00.000Z", 200, "2 newer events: show")
	lacks(t, r.visits(t, every, "/events?part=newer&top="+last+"~2026-01-02T12:02:00.000Z", 200), "newer event")
	// What the API refuses keeps what was typed.
	r.visits(t, every, "/events?type=response.complete", 422, "did you mean <code>response.completed</code>?", `value="response.complete"`)
	r.visits(t, every, "/events?since=soon", 422, `role="alert"`, `value="soon"`)
	r.visits(t, every, "/events?rule=nosuch", 404, `role="alert"`, `value="nosuch"`)
}

func TestEventsSearch(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	every := r.visitor(t, everyToken)
	id := r.accept(t, pollqr("r1", 3))
	outcome := r.decide(t, state.Waiting)
	r.does(t, ask{method: "POST", path: "/v1/events", token: everyToken, body: `{"type":"response.completed","id":"mine","email":"jo@example.com"}`}, 200)
	for _, c := range []struct{ q, by string }{
		{id, "Found by its id"},
		{outcome.Deliveries[0].ID, "Found by its id"},
		{"mine", "Found by its id"},
		{"r1", "Found by its response"},
		{"jo@example.com", "Found by its respondent"},
		{" r1 ", "Found by its response"},
	} {
		lacks(t, r.visits(t, every, "/events?q="+url.QueryEscape(c.q), 200, c.by), "Nothing was found")
	}
	r.visits(t, every, "/events?q=nobody", 200, "Nothing was found.", `value="nobody"`)
	r.visits(t, every, "/events?q="+url.QueryEscape(`a/b?c#d%"<`), 200, "Nothing was found.")
}

// TestQuestionsOfEventPages holds how many questions to the API a page asks: the same however much it shows.
func TestQuestionsOfEventPages(t *testing.T) {
	t.Parallel()
	many := route.Rate{Burst: 1000, Per: 1e-9}
	r := (&rig{rates: route.Rates{Reads: many, Writes: many}}).open(t)
	var id string
	for i := range 60 {
		id = r.accept(t, pollqr(fmt.Sprint("r", i), 3))
		r.decide(t, state.Waiting)
	}
	every := r.visitor(t, everyToken)
	left := func() int {
		got := r.does(t, ask{path: "/v1/rules", header: every}, 200)
		n, err := strconv.Atoi(got.header.Get("RateLimit-Remaining"))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	for _, c := range []struct {
		path string
		want int
	}{
		{"/events", 2},
		{"/events?rule=detractor", 2},
		{"/events?q=" + id, 4},
		{"/events?part=newer&top=" + id, 1},
		{"/events/" + id, 2},
		{"/events/" + id + "?part=state", 2},
		{"/events/" + id + "/drop", 1},
		{"/replays", 1},
		{"/replays/new", 1},
	} {
		before := left()
		r.visits(t, every, c.path, 200)
		if asked := before - left() - 1; asked != c.want {
			t.Errorf("%s asks %d questions, not %d", c.path, asked, c.want)
		}
	}
}
