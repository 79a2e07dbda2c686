package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/surveygate/surveygate/gateway/redistest"
)

// fakeProduct is one product that is served on this machine.
type fakeProduct struct {
	*fake
	name string
	// tells is what the steps tell the product of each respondent, in words before the respondent's name: "" for the first step.
	tells []string
}

// everyProduct are fakes of all products, as their vendors describe them, and the configuration that delivers to them.
type everyProduct struct {
	t         *testing.T
	panel     *panel
	all       []fakeProduct
	config    strings.Builder // connections
	steps     []string
	warehouse *fake // a webhook
	// well says that the product that is down, and the one that is throttling, are well again.
	well                           atomic.Bool
	down, throttled                patient
	constant, salesforce, bigquery tokens
}

// patient is a product that takes nothing for a while, and what was tried meanwhile.
type patient struct {
	mu    sync.Mutex
	tries map[string][]time.Time // by respondent
}

// note notes an attempt for each respondent that a request is about.
func (p *patient) note(all []respondent, body string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range all {
		if strings.Contains(body, r.name) {
			p.tries[r.name] = append(p.tries[r.name], time.Now())
		}
	}
}

// spaced checks that no attempt for a respondent came sooner after the one before than it may, and that there were second ones.
func (p *patient) spaced(t *testing.T, name string, least time.Duration) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	again := 0
	for who, tries := range p.tries {
		for i := range tries[1:] {
			again++
			// A receiver may see two attempts a little closer together than they were sent.
			if gap := tries[i+1].Sub(tries[i]); gap < least-50*time.Millisecond {
				t.Errorf("%s: attempt %d for %s came %s after the one before, not before %s", name, i+2, who, gap, least)
			}
		}
	}
	if again == 0 {
		t.Errorf("%s was asked for nothing a second time", name)
	}
}

// add serves a product, and configures its connection and steps. `<url>` in the connection is where it is served.
func (e *everyProduct) add(name, connection string, answer func(http.ResponseWriter, *reading) []string, tells []string, steps ...string) {
	f := newFake(e.t, name, answer)
	e.all = append(e.all, fakeProduct{f, name, tells})
	fmt.Fprintf(&e.config, "  %s: %s\n", name, strings.ReplaceAll(connection, "<url>", f.url))
	e.steps = append(append(e.steps, name), steps...)
}

// newEveryProduct starts the fakes. all are the respondents of the whole test, waiting those whose deliveries meet the products that
// are not well.
func newEveryProduct(t *testing.T, all, waiting []respondent) *everyProduct {
	t.Helper()
	e := &everyProduct{t: t, panel: &panel{t: t, all: all, repeats: map[string]int{}}}
	e.down.tries, e.throttled.tries = map[string][]time.Time{}, map[string][]time.Time{}
	e.constant.stale, e.salesforce.stale = true, true
	p, once := e.panel, []string{""}
	account := newServiceAccount(t)
	constant := newFake(t, "", p.constantContactTokens(&e.constant)).url + "/token"
	account.file = strings.ReplaceAll(account.file, "<tokens>", newFake(t, "", p.googleTokens(&e.bigquery, account)).url)

	e.add("slack", `{slack: {webhook: "<url>/services/T0000/B0000/XXXX"}, rate: 100/s}`, p.chat("/services/T0000/B0000/XXXX", http.StatusOK, "ok"), once)
	e.add("hubspot", `{hubspot: {token: pat-eu1-test, base_url: "<url>"}}`, p.hubspot(), once)
	e.add("mailchimp", `{mailchimp: {api_key: 0123456789abcdef-us6, audience: a1b2c3d4e5, consent: assume, base_url: "<url>/3.0"}}`, p.mailchimp(), once)
	e.add("ga4", `{ga4: {measurement_id: G-AB12CD34EF, api_secret: test-secret, base_url: "<url>"}}`, p.ga4(), once)
	e.add("klaviyo", `{klaviyo: {api_key: pk_test, list: Y6nRLr, consent: assume, base_url: "<url>"}, rate: 100/s}`, p.klaviyo(),
		[]string{"", "subscribed: ", "event: "}, "klaviyo.event")
	e.add("sendgrid", `{sendgrid: {api_key: SG.test, lists: [7c0ff7b2-0000-4000-8000-000000000001], consent: assume, base_url: "<url>"}}`, p.sendgrid(), once)
	e.add("constantcontact", `{constantcontact: {client_id: cc-client, client_secret: cc-secret, refresh_token: the-first-refresh-token, consent: assume,
    lists: [81aa0000-0000-4000-8000-000000000003], token_url: "`+constant+`", base_url: "<url>/v3"}, rate: 100/s}`, p.constantContact(&e.constant), once)
	e.add("salesforce", `{salesforce: {domain: acme.my.salesforce.com, client_id: sf-client, client_secret: sf-secret, key: SG_Key__c, base_url: "<url>"}}`,
		p.salesforce(&e.salesforce), []string{"", "case: "}, "salesforce.case: {case_key: SG_Response__c}")
	e.add("pipedrive", `{pipedrive: {token: pd-token, domain: acme, base_url: "<url>"}, rate: 100/s}`, p.pipedrive(), []string{"", "note: "}, "pipedrive.note")
	e.add("airtable", `{airtable: {token: patTest.0123, base: appAAAAAAAAAAAAAA, table: tblBBBBBBBBBBBBBB, base_url: "<url>/v0"}}`, p.airtable(), once)
	e.add("teams", `{teams: {webhook: "<url>/powerautomate/automations/direct/workflows/1/triggers/manual/paths/invoke?api-version=1&sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0&sig=abc"}, rate: 100/s}`,
		p.chat("/powerautomate/automations/direct/workflows/1/triggers/manual/paths/invoke", http.StatusAccepted, ""), once)
	e.add("discord", `{discord: {webhook: "<url>/api/v10/webhooks/1234567890/token"}, rate: 100/s}`,
		e.throttling(waiting, p.chat("/api/v10/webhooks/1234567890/token", http.StatusOK, `{"id":"1"}`)), once)
	// Its waits outlast patience: however slow the other products are told, no event becomes a dead letter meanwhile.
	e.add("mixpanel", `{mixpanel: {token: mp-token, base_url: "<url>"}, retry: [1s`+strings.Repeat(", 1s", 9)+strings.Repeat(", 5s", 40)+`]}`, e.isDown(waiting, p.mixpanel()), once)
	e.add("amplitude", `{amplitude: {api_key: 0123456789abcdef0123456789abcdef, base_url: "<url>"}}`, p.amplitude(), once)
	e.add("bigquery", `{bigquery: {credentials: '`+account.file+`', project: acme-surveys, dataset: surveys, table: responses, base_url: "<url>/bigquery/v2"}}`,
		p.bigquery(&e.bigquery), once)
	e.warehouse = newFake(t, "", p.chat("/", http.StatusOK, ""))
	e.all = append(e.all, fakeProduct{e.warehouse, "the webhook", once})
	return e
}

// yaml is the configuration that sends every response to every product.
func (e *everyProduct) yaml() string {
	return fmt.Sprintf(`
outbound: {allow_addresses: ["127.0.0.0/8"], allow_http: true}
webhooks: [{name: warehouse, url: %q, events: [response.completed], signature: none}]
tokens: [{name: load, secret: %q, scopes: [publish, read]}]
%s
connections:
%s
rules:
  - {name: everybody, send: [%s]}
`, e.warehouse.url, testToken, respondentSources, e.config.String(), strings.Join(e.steps, ", "))
}

// isDown ends each connection without an answer until the product is well. Then it loses the first answer: it has stored what came.
func (e *everyProduct) isDown(waiting []respondent, answer func(http.ResponseWriter, *reading) []string) func(http.ResponseWriter, *reading) []string {
	var lost atomic.Bool
	return func(w http.ResponseWriter, r *reading) []string {
		e.down.note(waiting, string(r.body))
		if !e.well.Load() {
			panic(http.ErrAbortHandler)
		}
		if !lost.CompareAndSwap(false, true) {
			return answer(w, r)
		}
		return answer(&loser{ResponseWriter: w}, r)
	}
}

// loser loses an answer.
type loser struct{ http.ResponseWriter }

func (l *loser) WriteHeader(int) { l.ResponseWriter.WriteHeader(http.StatusBadGateway) }

func (l *loser) Write(b []byte) (int, error) { return len(b), nil }

// throttling says of each request that it comes too soon until the product is well, as Discord says it.
func (e *everyProduct) throttling(waiting []respondent, answerTo func(http.ResponseWriter, *reading) []string) func(http.ResponseWriter, *reading) []string {
	return func(w http.ResponseWriter, r *reading) []string {
		e.throttled.note(waiting, string(r.body))
		if e.well.Load() {
			return answerTo(w, r)
		}
		w.Header().Set("Retry-After", "2")
		w.Header().Set("X-RateLimit-Scope", "user")
		answer(w, http.StatusTooManyRequests, obj{"message": "You are being rate limited.", "retry_after": 1.25, "global": false})
		return nil
	}
}

// Responses on all five platforms go to all fifteen products and a webhook at once. One product is down, one is throttling, and two
// refuse an access token that has expired: all others are told at once, and so are those two; the product that is down and the one
// that is throttling are told on their schedule. Nobody is told anything twice, not even where an answer was lost, by a product that has
// a key. A gateway that is started again goes on with the tokens that are kept.
func TestEveryProductAtOnce(t *testing.T) {
	t.Parallel()
	for _, engine := range []string{"redis", "embedded"} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			first, later := respondents(0, 2), respondents(2, 1)
			everybody := slices.Concat(first, later)
			e := newEveryProduct(t, everybody, first)
			config, env := e.yaml(), []string(nil)
			if engine == "redis" {
				config = fmt.Sprintf("redis: %q\n", redistest.Start(t, redistest.Durable...).URL()) + config
				env = []string{"SURVEYGATE_KEY=MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="}
			}
			dir := t.TempDir()

			p := start(t, dir, config, env...)
			t.Cleanup(func() {
				if t.Failed() {
					t.Logf("the gateway said:\n%s", p.said())
				}
			})
			for _, r := range first {
				p.answerAs(t, r)
			}
			sick := func(product fakeProduct) bool { return product.name == "discord" || product.name == "mixpanel" }
			for _, product := range e.all {
				if !sick(product) {
					product.awaitEach(t, first)
				}
			}
			for _, product := range e.all {
				if n := product.count(); sick(product) && n > 0 {
					t.Errorf("%s is not well, and took %d records", product.name, n)
				}
			}
			e.well.Store(true)
			for _, product := range e.all {
				product.awaitEach(t, first)
			}
			e.down.spaced(t, "mixpanel", time.Second)
			e.throttled.spaced(t, "discord", 1250*time.Millisecond)
			e.committed(p, len(first))
			p.stop()

			for _, k := range []*tokens{&e.constant, &e.salesforce, &e.bigquery} {
				k.expire()
			}
			p = start(t, dir, config, env...)
			for _, r := range later {
				p.answerAs(t, r)
			}
			for _, product := range e.all {
				product.awaitEach(t, everybody)
				product.check(t, product.name)
			}
			e.committed(p, len(everybody))
			// Mixpanel's first answer was lost, and the step of Salesforce's cases writes the contact too.
			if diff := cmp.Diff([]string{"mixpanel", "salesforce"}, slices.Sorted(maps.Keys(e.panel.repeats))); diff != "" {
				t.Errorf("told again of what they had (-want +got):\n%s", diff)
			}
			for name, k := range map[string]*tokens{"Constant Contact": &e.constant, "Salesforce": &e.salesforce, "BigQuery": &e.bigquery} {
				if n := k.issued(); n > 3 {
					t.Errorf("%s was asked for %d tokens", name, n)
				}
			}
			if said := p.said(); strings.Contains(said, `"level":"ERROR"`) {
				t.Errorf("the gateway complained:\n%s", said)
			}
			p.stop()
		})
	}
}

// awaitEach waits until the product was told of each of the respondents, once.
func (f *fakeProduct) awaitEach(t *testing.T, all []respondent) {
	t.Helper()
	var want []string
	for _, r := range all {
		for _, what := range f.tells {
			want = append(want, what+r.name)
		}
	}
	f.await(t, f.name, want)
}

// count is how many records the product took.
func (f *fakeProduct) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.told)
}

// committed waits until the deliveries of so many events are committed, and says which are not delivered.
func (e *everyProduct) committed(p *process, events int) {
	e.t.Helper()
	type delivery struct{ Destination, Reason string }
	list := func(state string) []delivery {
		var page struct{ Data []delivery }
		if err := json.Unmarshal([]byte(p.fetch(e.t, "/v1/deliveries?limit=200&state="+state)), &page); err != nil {
			e.t.Fatal(err)
		}
		return page.Data
	}
	until(e.t, "everything is committed", func() bool {
		return len(list("delivered")) >= min(200, events*(len(e.steps)+1)) && len(list("waiting")) == 0
	})
	for _, state := range []string{"dead", "skipped"} {
		for _, d := range list(state) {
			e.t.Errorf("%s is %s: %s", d.Destination, state, d.Reason)
		}
	}
}
