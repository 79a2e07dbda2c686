package renormalise

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	_ "github.com/surveygate/surveygate/connectors/all"
	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/leaktest"
	"github.com/surveygate/surveygate/gateway/internal/source"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/state/embedded"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/rules/event"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// destinations hear of every completed response in different words: raw is what the platform sent, text speaks of the
// feedback, score of the score; thread tells the score first and the feedback behind it.
const destinations = `
connections:
  text:   {slack: {webhook: "https://hooks.slack.com/services/T0/B0/abcdefghijkl", text: "{{ feedback ?? 'no comment' }}"}}
  score:  {slack: {webhook: "https://hooks.slack.com/services/T1/B1/abcdefghijkl", text: "NPS {{ nps_score }}"}}
  bot:    {slack: {token: xoxb-012345678901, channel: "#nps"}}
  list:   {mailchimp: {api_key: 0123456789abcdef0123456789abcdef-us6, audience: a1b2c3d4e5, consent: assume}}
webhooks:
  - {name: raw, url: "https://hook.example.com/raw", events: [response.completed], signature: none}
  - {name: whole, url: "https://hook.example.com/whole", events: [response.completed], body: event, signature: none}
rules:
  - {name: always, send: [text, score, {bot.thread: {text: "NPS {{ nps_score }}", reply: "{{ feedback ?? 'none' }}"}, as: thread}]}
  - {name: silent, when: not has(feedback), send: [{text: {text: "nothing was said"}, as: silent}]}
  - {name: people, send: [list]}
`

const (
	plain  = "sources: {js: {profile: surveyjs, unverified: true}, nicely: {profile: asknicely, unverified: true}}\n" + destinations
	mended = "sources: {js: {profile: surveyjs, unverified: true, roles: {why: feedback, mail: email}}}\n" + destinations
)

const body = `{"surveyId":"s1","resultId":"%s","completedAt":"2026-01-02T11:00:00Z","data":{"nps":3,"why":"slow","mail":"jo@example.com"}}`

// world is a gateway without its loops: what a test says was delivered, was.
type world struct {
	*testing.T
	store state.Store
	clock *clock.Manual
	plan  *decide.Plan
	n     *Normaliser
}

func newWorld(t *testing.T, configuration string) *world {
	t.Helper()
	w := &world{T: t, clock: clock.NewManual(noon)}
	var err error
	if w.store, err = embedded.Open(embedded.Options{Dir: t.TempDir(), Clock: w.clock}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.store.Close(); err != nil {
			t.Error(err)
		}
	})
	w.load(configuration)
	w.n = &Normaliser{Store: w.store, Clock: w.clock, Plan: func() *decide.Plan { return w.plan }}
	return w
}

func (w *world) load(configuration string) {
	w.Helper()
	path := filepath.Join(w.TempDir(), "surveygate.yaml")
	if err := os.WriteFile(path, []byte(configuration), 0o600); err != nil {
		w.Fatal(err)
	}
	c, err := config.Load(config.Options{Path: path, Env: func(string) (string, bool) { return "", false }, Now: noon})
	if err != nil {
		w.Fatal(err)
	}
	w.plan = decide.New(c)
}

// take has a platform's body taken in as the source is configured now, decided, and its deliveries ended: by step, else
// delivered. It gives back the events' ids.
func (w *world) take(name, text string, ends map[string]state.DeliveryState) []string {
	w.Helper()
	var events []*event.Event
	for _, s := range w.plan.Sources("default") {
		if s.Name != name {
			continue
		}
		var err error
		events, err = s.Receiver.Normalise(&source.Request{Method: "POST", Body: []byte(text), Verified: source.Verified{Kind: "none"}, Received: w.clock.Now()}, w.clock.Now())
		if err != nil {
			w.Fatal(err)
		}
	}
	return w.accept(events, ends)
}

func (w *world) accept(events []*event.Event, ends map[string]state.DeliveryState) (ids []string) {
	w.Helper()
	ctx := context.Background()
	if _, err := w.store.Append(ctx, events); err != nil {
		w.Fatal(err)
	}
	for len(ids) < len(events) {
		claimed, err := w.store.Claim(ctx, 100, 0)
		if err != nil {
			w.Fatal(err)
		}
		for _, c := range claimed {
			d := w.plan.Decide(c.Event, w.clock.Now())
			o := state.Outcome{
				Position: c.Position, Tenant: c.Event.Tenant, EventID: c.Event.ID, Generation: w.plan.Generation(c.Event.Tenant),
				At: w.clock.Now(), Rules: d.Rules,
			}
			for _, owed := range d.Owed {
				end := state.Delivered
				if as, said := ends[owed.Delivery.Step]; said {
					end = as
				}
				owed.Delivery.State = end
				if end == state.Waiting {
					owed.Delivery.Due = w.clock.Now().Add(time.Hour)
				}
				o.Deliveries = append(o.Deliveries, owed.Delivery)
			}
			if _, err := w.store.Commit(ctx, &state.Commit{Events: []state.Outcome{o}}); err != nil {
				w.Fatal(err)
			}
			ids = append(ids, c.Event.ID)
		}
	}
	return ids
}

func (w *world) record(id string) *state.Record {
	w.Helper()
	r, err := w.store.Event(context.Background(), "default", id)
	if err != nil {
		w.Fatal(err)
	}
	return r
}

func (w *world) read(id string, how How) *view.Normalised {
	w.Helper()
	res, err := w.n.One(context.Background(), w.record(id), how)
	if err != nil {
		w.Fatal(err)
	}
	return res
}

// steps are those of deliveries, with why.
func steps(all []view.NormalisedDelivery) (names []string) {
	for _, d := range all {
		name := d.Step
		if d.Why != "" {
			name += ": " + d.Why
		}
		names = append(names, name)
	}
	return names
}

func (w *world) same(what string, got, want any) {
	w.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		w.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// TestMendedRoles: who was skipped or heard wrong values hears the corrected event, as a delivery of its own; who heard the
// same hears nothing twice; what waits with wrong values ends, and nothing is done a second time.
func TestMendedRoles(t *testing.T) {
	t.Parallel()
	w := newWorld(t, plain)
	id := w.take("js", fmt.Sprintf(body, "r1"), map[string]state.DeliveryState{"list": state.Skipped, "text": state.Waiting, "whole": state.Dead})[0]
	w.same("as it reads now", w.read(id, How{}).Status, view.Unchanged)

	w.load(mended)
	before := w.record(id)
	dry := w.read(id, How{DryRun: true})
	w.same("a dry run changes nothing", w.record(id).Event.Revision, 0)
	done := w.read(id, How{})
	w.same("the dry run said what would be done", dry, done)
	w.same("status", done.Status, view.Revised)
	w.same("differences", done.Differences, []string{"respondent.email", "response.answers", "response.feedback"})
	w.same("delivered", steps(done.Deliveries), []string{"text", "thread", "list", "whole"})
	w.same("superseded", steps(done.Superseded), []string{"text: its request is another one today", "whole: its request is another one today"})
	w.same("kept", steps(done.Kept), []string{"score: it was delivered with the same request", "raw: it was delivered with the same request"})

	after := w.record(id)
	w.same("id", after.Event.ID, before.Event.ID)
	w.same("feedback", after.Event.Data().Response.Feedback, "slow")
	w.same("rules", len(after.Outcome.Rules), 4) // raw, whole, always, people: not silent
	states := map[string]state.DeliveryState{}
	ids := map[string]bool{}
	for _, d := range after.Outcome.Deliveries {
		states[fmt.Sprint(d.Step, " ", d.Revision)] = d.State
		if ids[d.ID] {
			t.Errorf("two deliveries have the id %s", d.ID)
		}
		ids[d.ID] = true
	}
	w.same("deliveries", states, map[string]state.DeliveryState{
		"raw 0": state.Delivered, "score 0": state.Delivered, "thread 0": state.Delivered, "silent 0": state.Delivered,
		"text 0": state.Dropped, "whole 0": state.Dropped, "list 0": state.Skipped,
		"text 1": state.Waiting, "whole 1": state.Waiting, "thread 1": state.Waiting, "list 1": state.Waiting,
	})
	page, err := w.store.Events(context.Background(), "default", state.EventQuery{Respondent: "jo@example.com"})
	if err != nil || len(page.Items) != 1 {
		t.Errorf("found by its mended e-mail: %d, %v", len(page.Items), err)
	}
	w.same("a second time", w.read(id, How{}).Status, view.Unchanged)
}

// TestAgain: on somebody's word what was delivered with the same request is delivered once more.
func TestAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, plain)
	id := w.take("js", fmt.Sprintf(body, "r1"), nil)[0]
	w.load(mended)
	done := w.read(id, How{Again: true})
	w.same("delivered", steps(done.Deliveries), []string{"text", "score", "thread", "list", "raw", "whole"})
	w.same("kept", steps(done.Kept), []string(nil))
}

// TestRuleThatNoLongerMatches: what waits for a rule that the corrected event does not match does not go out.
func TestRuleThatNoLongerMatches(t *testing.T) {
	t.Parallel()
	w := newWorld(t, plain)
	id := w.take("js", fmt.Sprintf(body, "r1"), map[string]state.DeliveryState{"silent": state.Waiting})[0]
	w.load(mended)
	w.same("superseded", steps(w.read(id, How{}).Superseded), []string{"silent: its rule does not match today"})
	w.clock.Advance(2 * time.Hour)
	due, _, err := w.store.ClaimDue(context.Background(), state.ClaimDue{Max: 100, Lease: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range due {
		if d.Delivery.Step == "silent" {
			t.Error("it goes out all the same")
		}
		if d.Event.Revision != 1 || d.Delivery.Revision != 1 {
			t.Errorf("%s goes out with revision %d", d.Delivery.Step, d.Event.Revision)
		}
	}
}

// TestThereAndBack: what ended because a rule no longer matched is made once it matches again; what a person gave up is not.
func TestThereAndBack(t *testing.T) {
	t.Parallel()
	const rules = `
connections: {chat: {slack: {webhook: "https://hooks.slack.com/services/T0/B0/abcdefghijkl", text: "{{ feedback }}"}}}
rules: [{name: said, when: has(feedback), send: [chat]}, {name: also, when: has(feedback), send: [{chat: {text: "also {{ feedback }}"}, as: also}]}]
`
	with := "sources: {js: {profile: surveyjs, unverified: true, roles: {why: feedback}}}" + rules
	w := newWorld(t, with)
	id := w.take("js", fmt.Sprintf(body, "r1"), map[string]state.DeliveryState{"chat": state.Waiting, "also": state.Dropped})[0]
	w.load("sources: {js: {profile: surveyjs, unverified: true}}" + rules)
	w.same("ended", steps(w.read(id, How{}).Superseded), []string{"chat: its rule does not match today"})
	w.load(with)
	res := w.read(id, How{})
	w.same("revision", res.Revision, 2)
	w.same("made", steps(res.Deliveries), []string{"chat"})
	w.same("kept", steps(res.Kept), []string{"also: its request is the same, and it is dropped"})
}

// TestDelay: a delay counts from when the event came in: what is left of it is waited for, and none is waited for again.
func TestDelay(t *testing.T) {
	t.Parallel()
	const rule = `
connections: {chat: {slack: {webhook: "https://hooks.slack.com/services/T0/B0/abcdefghijkl", text: "{{ feedback }}"}}}
rules: [{name: later, delay: 10m, send: [chat]}]
`
	for after, want := range map[time.Duration]time.Duration{4 * time.Minute: 6 * time.Minute, time.Hour: 0} {
		w := newWorld(t, "sources: {js: {profile: surveyjs, unverified: true}}"+rule)
		id := w.take("js", fmt.Sprintf(body, "r1"), map[string]state.DeliveryState{"chat": state.Waiting})[0]
		w.load("sources: {js: {profile: surveyjs, unverified: true, roles: {why: feedback}}}" + rule)
		w.clock.Advance(after)
		res := w.read(id, How{})
		w.same("made", steps(res.Deliveries), []string{"chat"})
		d, err := w.store.Delivery(context.Background(), "default", res.Deliveries[0].ID)
		if err != nil {
			t.Fatal(err)
		}
		w.same("waits", d.Due.Sub(w.clock.Now()), want)
	}
}

// TestDeliveredJustNow: while an outdated delivery is being made nothing changes; afterwards it does.
func TestDeliveredJustNow(t *testing.T) {
	t.Parallel()
	w := newWorld(t, plain)
	id := w.take("js", fmt.Sprintf(body, "r1"), map[string]state.DeliveryState{"text": state.Waiting})[0]
	w.clock.Advance(2 * time.Hour)
	due, _, err := w.store.ClaimDue(context.Background(), state.ClaimDue{Max: 1, Lease: time.Minute})
	if err != nil || len(due) != 1 {
		t.Fatal(len(due), err)
	}
	w.load(mended)
	if res := w.read(id, How{}); res.Status != view.Left || !strings.Contains(res.Reason, "just now") {
		t.Errorf("%+v", res)
	}
	due[0].Delivery.State = state.Delivered
	if _, err := w.store.Commit(context.Background(), &state.Commit{Due: []state.Settled{{Delivery: due[0].Delivery, Lease: due[0].Lease}}}); err != nil {
		t.Fatal(err)
	}
	res := w.read(id, How{})
	w.same("status", res.Status, view.Revised)
	w.same("the step hears the corrected event", strings.Contains(fmt.Sprint(steps(res.Deliveries)), "text"), true)
}

// TestTwoAtOnce: who comes second to an event that somebody else read again meanwhile finds it put right, not in the way.
func TestTwoAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, plain)
	id := w.take("js", fmt.Sprintf(body, "r1"), nil)[0]
	w.load(mended)
	seen := w.record(id)
	w.same("the first", w.read(id, How{}).Status, view.Revised)
	res, err := w.n.One(context.Background(), seen, How{})
	if err != nil {
		t.Fatal(err)
	}
	w.same("the second", []any{res.Status, res.Reason, res.Revision, len(res.Deliveries)}, []any{view.Unchanged, "", 1, 0})
}

// TestOnce: what is said once for a response is not said for another event of it, and a dry run reserves nothing.
func TestOnce(t *testing.T) {
	t.Parallel()
	const rule = `
connections: {chat: {slack: {webhook: "https://hooks.slack.com/services/T0/B0/abcdefghijkl", text: "{{ feedback }}"}}}
rules: [{name: told, events: [response.*], when: has(feedback), once: response, send: [chat]}]
`
	w := newWorld(t, "sources: {nicely: {profile: asknicely, unverified: true}}\n"+strings.ReplaceAll(rule, "has(feedback)", "has(email)"))
	text := func(count int) string {
		return fmt.Sprintf(`{"question":{"id":"q1","score":"3","comment":"slow %d"},"person":{"id":"p1"},"count":"%d","form":"x"}`, count, count)
	}
	first := w.take("nicely", text(1), nil)[0]
	second := w.take("nicely", text(2), nil)[0]
	w.load("sources: {nicely: {profile: asknicely, unverified: true, roles: {score: nps_score}}}\n" + rule)
	w.same("counted", len(w.read(second, How{DryRun: true}).Deliveries), 1)
	w.clock.Advance(time.Second)
	w.same("the first tells it", len(w.read(first, How{}).Deliveries), 1)
	res := w.read(second, How{})
	w.same("status", res.Status, view.Revised)
	w.same("the second does not", steps(res.Kept), []string{"chat: once: event " + first + " of the same response told it"})
}

// TestOnceCounted: a dry run over two events of a response counts what is told once of it once, as it is then done.
func TestOnceCounted(t *testing.T) {
	t.Parallel()
	const rule = `
connections: {chat: {slack: {webhook: "https://hooks.slack.com/services/T0/B0/abcdefghijkl", text: "{{ feedback }}"}}}
rules: [{name: told, events: [response.*], when: has(nps_score), once: response, send: [chat]}]
`
	w := newWorld(t, "sources: {nicely: {profile: asknicely, unverified: true}}"+rule)
	for count := range 2 {
		w.take("nicely", fmt.Sprintf(`{"question":{"id":"q1","score":"3","comment":"slow"},"person":{"id":"p1"},"count":"%d","form":"x"}`, count+1), nil)
	}
	w.load("sources: {nicely: {profile: asknicely, unverified: true, roles: {score: nps_score}}}" + rule)
	for _, dry := range []bool{true, true, false} {
		p, err := w.n.Many(context.Background(), "default", Query{How: How{DryRun: dry}})
		if err != nil {
			t.Fatal(err)
		}
		w.same(fmt.Sprint("revised, delivered, kept; dry: ", dry), []int{p.Revised, p.Deliveries, p.Kept}, []int{2, 1, 1})
	}
}

// TestLeftAsItIs: what cannot be read again is said, and stays.
func TestLeftAsItIs(t *testing.T) {
	t.Parallel()
	own := func(w *world, source, verified string) *event.Event {
		ev, err := event.ParseOne([]byte(`{"type":"response.completed","id":"own","feedback":"fine"}`), event.Defaults{Source: source, Received: noon, Verified: verified})
		if err != nil {
			w.Fatal(err)
		}
		return ev
	}
	cases := []struct {
		name, after, want string
		event             func(w *world) string
	}{
		{"the source is gone", destinations, "the configuration no longer has the source `js`", nil},
		{"the profile does not know its body", "sources: {js: {profile: pollqr, secrets: [s]}}\n" + destinations, "the current profile, pollqr, does not recognise its body", nil},
		{"published on our API", mended, source.ErrOwnForm.Error(), func(w *world) string {
			return w.accept([]*event.Event{own(w, "api", "token")}, nil)[0]
		}},
		{"published in our form under a source's name", mended, source.ErrOwnForm.Error(), func(w *world) string {
			return w.accept([]*event.Event{own(w, "js", "api")}, nil)[0]
		}},
		{"an entry that nothing was made of", mended, "no event was made of this entry", func(w *world) string {
			ev, err := event.New(event.Header{Source: "js", Type: event.TypeEntry, Received: noon, DedupeKey: "e"}, nil, event.Raw{Body: []byte("{}")})
			if err != nil {
				w.Fatal(err)
			}
			return w.accept([]*event.Event{ev}, nil)[0]
		}},
		{"without its raw body", mended, source.ErrNotKept.Error(), func(w *world) string {
			ev, err := event.New(event.Header{Source: "js", SourceKind: "surveyjs", Type: event.TypeResponseCompleted, Received: noon, DedupeKey: "e"}, nil, event.Raw{})
			if err != nil {
				w.Fatal(err)
			}
			return w.accept([]*event.Event{ev}, nil)[0]
		}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, plain)
			var id string
			if c.event != nil {
				id = c.event(w)
			} else {
				id = w.take("js", fmt.Sprintf(body, "r1"), nil)[0]
			}
			before := w.record(id)
			w.load(c.after)
			if res := w.read(id, How{}); res.Status != view.Left || !strings.Contains(res.Reason, c.want) {
				t.Errorf("%s: %q", res.Status, res.Reason)
			}
			if diff := cmp.Diff(string(before.Event.Envelope()), string(w.record(id).Event.Envelope())); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestMany: events of a source and a time, oldest first, a page at a time; each is put right once, whoever asks how often.
func TestMany(t *testing.T) {
	t.Parallel()
	w := newWorld(t, plain)
	for i := range 150 {
		w.take("js", fmt.Sprintf(body, fmt.Sprintf("r%d", i)), nil)
		w.take("nicely", fmt.Sprintf(`{"question":{"id":"q%d","score":"3","responded":"2026-01-02 11:00:00"},"person":{"id":"p1"},"count":"1","form":"x"}`, i), nil)
		w.clock.Advance(time.Minute)
	}
	w.load(mended) // without nicely
	all := func(q Query) (sum view.NormalisedPage) {
		t.Helper()
		for pages := 0; ; pages++ {
			p, err := w.n.Many(context.Background(), "default", q)
			if err != nil || pages > 20 {
				t.Fatal(pages, err)
			}
			if len(p.Results) > reviseMost {
				t.Errorf("%d results on a page", len(p.Results))
			}
			sum.Events += p.Events
			sum.Revised += p.Revised
			sum.Unchanged += p.Unchanged
			sum.Left += p.Left
			sum.Deliveries += p.Deliveries
			sum.Kept += p.Kept
			if q.Cursor = p.Next; q.Cursor == "" {
				return sum
			}
		}
	}
	since, until := noon.Add(10*time.Minute), noon.Add(140*time.Minute)
	dry := Query{Source: "js", Since: since, Until: until, How: How{DryRun: true}}
	want := view.NormalisedPage{Events: 130, Revised: 130, Deliveries: 4 * 130, Kept: 2 * 130}
	w.same("counted", all(dry), want)
	w.same("counted again", all(dry), want)
	w.same("done", all(Query{Source: "js", Since: since, Until: until}), want)
	w.same("done again", all(Query{Source: "js", Since: since, Until: until}), view.NormalisedPage{Events: 130, Unchanged: 130})
	w.same("all", all(Query{}), view.NormalisedPage{Events: 300, Revised: 20, Unchanged: 130, Left: 150, Deliveries: 4 * 20, Kept: 2 * 20})
	if _, err := w.n.Many(context.Background(), "default", Query{Cursor: "!"}); err == nil {
		t.Error("a cursor that is none is taken")
	}
	w.same("another tenant's", func() int {
		p, err := w.n.Many(context.Background(), "acme", Query{})
		if err != nil {
			t.Fatal(err)
		}
		return p.Events
	}(), 0)
}
