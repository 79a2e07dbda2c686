package main

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/surveygate/surveygate/gateway/redistest"
)

// fakeProduct is a product, or a webhook, that is served on this machine.
type fakeProduct struct {
	*fake
	name  string
	tells []string // before the respondent's name, what it is to be told of each: "" and, for a second step, "case: "
}

// everyProduct are fakes of all products, as their vendors describe them, and the configuration that delivers to them.
type everyProduct struct {
	all    []fakeProduct
	panel  *panel
	config string
	// well says that the product that is down, and the one that is throttling, are well again.
	well               atomic.Bool
	down, throttled    patient
	constant, sf, bigq tokens
}

// patient is a product that takes nothing for a while, and what was tried meanwhile.
type patient struct {
	mu    chan struct{} // a lock
	tries map[string][]time.Time
}

func newPatient() *patient {
	return &patient{mu: make(chan struct{}, 1), tries: map[string][]time.Time{}}
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

// spaced checks that no attempt came sooner after the one before than it may, and that there was one for each respondent.
func (p *patient) spaced(t *testing.T, name string, all []respondent, least time.Duration) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range all {
		tries := p.tries[r.name]
		if len(tries) < 2 {
			t.Errorf("%s was asked %d times to take %s", name, len(tries), r.name)
			continue
		}
		for i := range tries[1:] {
			// A receiver may see two attempts a little closer together than they were sent.
			if gap := tries[i+1].Sub(tries[i]); gap < least-50*time.Millisecond {
				t.Errorf("%s: attempt %d for %s came %s after the one before, not before %s", name, i+2, r.name, gap, least)
			}
		}
	}
}

// newEveryProduct starts the fakes. all are the respondents of the whole test, waiting those whose deliveries meet the products that are not well.
func newEveryProduct(t *testing.T, all, waiting []respondent) *everyProduct {
	t.Helper()
	e := &everyProduct{panel: &panel{t, all}, down: patient{tries: map[string][]time.Time{}}, throttled: patient{tries: map[string][]time.Time{}}}
	e.constant.stale, e.sf.stale = true, true
	p := e.panel
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	add := func(name string, answer func(http.ResponseWriter, *reading) []string, tells ...string) *fake {
		f := newFake(t, name, answer)
		e.all = append(e.all, fakeProduct{f, name, append(tells, "")})
		return f
	}
	slack := add("slack", p.chat("/services/T0000/B0000/XXXX", http.StatusOK, "ok"))
	hubspot := add("hubspot", p.hubspot())
	mailchimp := add("mailchimp", p.mailchimp())
	ga4 := add("ga4", p.ga4())
	klaviyo := add("klaviyo", p.klaviyo(), "subscribed: ", "event: ")
	sendgrid := add("sendgrid", p.sendgrid())
	constant := add("constantcontact", p.constantContact(&e.constant))
	var salesforce, bigquery *fake
	salesforce = add("salesforce", p.salesforce(&e.sf, func() string { return salesforce.url }), "case: ")
	pipedrive := add("pipedrive", p.pipedrive(), "note: ")
	airtable := add("airtable", p.airtable())
	teams := add("teams", p.chat("/workflows/1/triggers/manual/paths/invoke", http.StatusAccepted, ""))
	discord := add("discord", e.throttling(waiting, p.chat("/api/webhooks/1234567890/token", http.StatusOK, `{"id":"1"}`)))
	mixpanel := add("mixpanel", e.isDown(waiting, p.mixpanel()))
	amplitude := add("amplitude", p.amplitude())
	bigquery = add("bigquery", p.bigquery(&e.bigq, &key.PublicKey, func() string { return bigquery.url }))

	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	account, err := json.Marshal(obj{
		"type": "service_account", "project_id": "acme", "private_key_id": "1", "client_email": "gateway@acme.iam.gserviceaccount.com", "client_id": "1",
		"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), "token_uri": bigquery.url + "/token",
	})
	if err != nil {
		t.Fatal(err)
	}
	e.config = fmt.Sprintf(`
outbound: {allow_addresses: ["127.0.0.0/8"], allow_http: true}
tokens: [{name: load, secret: %q, scopes: [publish, read]}]
`, testToken) + respondentSources + strings.NewReplacer(
		"SLACK", slack.url, "HUBSPOT", hubspot.url, "MAILCHIMP", mailchimp.url, "GA4", ga4.url, "KLAVIYO", klaviyo.url, "SENDGRID", sendgrid.url,
		"CONSTANT", constant.url, "SALESFORCE", salesforce.url, "PIPEDRIVE", pipedrive.url, "AIRTABLE", airtable.url, "TEAMS", teams.url,
		"DISCORD", discord.url, "MIXPANEL", mixpanel.url, "AMPLITUDE", amplitude.url, "BIGQUERY", bigquery.url,
		"ACCOUNT", string(account), "SECONDS", "1s"+strings.Repeat(", 1s", 60),
	).Replace(`
connections:
  slack:      {slack: {webhook: "SLACK/services/T0000/B0000/XXXX"}, rate: 100/s}
  hubspot:    {hubspot: {token: pat-eu1-test, base_url: "HUBSPOT"}}
  mailchimp:  {mailchimp: {api_key: 0123456789abcdef-us6, audience: a1b2c3d4e5, consent: assume, base_url: "MAILCHIMP/3.0"}}
  ga4:        {ga4: {measurement_id: G-AB12CD34EF, api_secret: test-secret, base_url: "GA4"}}
  klaviyo:    {klaviyo: {api_key: pk_test, list: Y6nRLr, consent: assume, base_url: "KLAVIYO"}}
  sendgrid:   {sendgrid: {api_key: SG.test, lists: [7c0ff7b2-0000-4000-8000-000000000001], consent: assume, base_url: "SENDGRID"}}
  constant:   {constantcontact: {client_id: cc-client, client_secret: cc-secret, refresh_token: the-first-refresh-token, lists: [81aa0000-0000-4000-8000-000000000003], consent: assume, token_url: "CONSTANT/token", base_url: "CONSTANT/v3"}, rate: 100/s}
  salesforce: {salesforce: {domain: acme.my.salesforce.com, client_id: sf-client, client_secret: sf-secret, key: SG_Key__c, base_url: "SALESFORCE"}}
  pipedrive:  {pipedrive: {token: pd-token, domain: acme, base_url: "PIPEDRIVE"}, rate: 100/s}
  airtable:   {airtable: {token: patTest.0123, base: appAAAAAAAAAAAAAA, table: tblBBBBBBBBBBBBBB, base_url: "AIRTABLE/v0"}}
  teams:      {teams: {webhook: "TEAMS/workflows/1/triggers/manual/paths/invoke?api-version=1&sig=abc"}, rate: 100/s}
  discord:    {discord: {webhook: "DISCORD/api/webhooks/1234567890/token"}, rate: 100/s}
  mixpanel:   {mixpanel: {token: mp-token, base_url: "MIXPANEL"}, retry: [SECONDS]}
  amplitude:  {amplitude: {api_key: 0123456789abcdef0123456789abcdef, base_url: "AMPLITUDE"}}
  bigquery:   {bigquery: {credentials: 'ACCOUNT', project: acme, dataset: surveys, table: responses, base_url: "BIGQUERY"}}
rules:
  - name: everybody
    send: [slack, hubspot, mailchimp, ga4, klaviyo, klaviyo.event, sendgrid, constant, salesforce, salesforce.case: {key: SG_Response__c}, pipedrive, pipedrive.note, airtable, teams, discord, mixpanel, amplitude, bigquery]
`)
	return e
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

// await waits until a product was told of each of the respondents, once.
func (e *everyProduct) await(t *testing.T, product fakeProduct, all []respondent) {
	t.Helper()
	var want []string
	for _, r := range all {
		for _, tell := range product.tells {
			want = append(want, tell+r.name)
		}
	}
	product.fake.await(t, product.name, want)
}

// Responses on all five platforms go to all fifteen products at once, from the built binary on Redis. One product is down, one is
// throttling, and two refuse an access token that has expired: all others are told at once, and these two too; the other two are told
// on their schedule. Nobody is told anything twice. A gateway that is started again goes on with the tokens that are kept.
func TestFifteenProducts(t *testing.T) {
	t.Parallel()
	first, later := respondents(0, 2), respondents(2, 1)
	all := append(append([]respondent{}, first...), later...)
	e := newEveryProduct(t, all, first)
	server := redistest.Start(t, redistest.Durable...)
	config := fmt.Sprintf("redis: %q\n", server.URL()) + e.config
	env := "SURVEYGATE_KEY=" + base64.StdEncoding.EncodeToString(make([]byte, 32))
	dir := t.TempDir()
	p := start(t, dir, config, env)

	for _, r := range first {
		p.submit(t, r)
	}
	for _, product := range e.all {
		if product.name != "discord" && product.name != "mixpanel" {
			e.await(t, product, first)
		}
	}
	for _, product := range e.all {
		if product.name == "discord" || product.name == "mixpanel" {
			product.mu.Lock()
			if len(product.told) > 0 {
				t.Errorf("%s is not well, and took %v", product.name, product.told)
			}
			product.mu.Unlock()
		}
	}
	e.well.Store(true)
	for _, product := range e.all {
		e.await(t, product, first)
	}
	e.down.spaced(t, "mixpanel", first, time.Second)
	e.throttled.spaced(t, "discord", first, 1250*time.Millisecond)
	e.committed(t, p, len(first))
	p.stop()

	e.constant.expire()
	e.sf.expire()
	e.bigq.expire()
	p = start(t, dir, config, env)
	for _, r := range later {
		p.submit(t, r)
	}
	for _, product := range e.all {
		e.await(t, product, all)
		product.check(t, product.name)
	}
	e.committed(t, p, len(all))
	for name, k := range map[string]*tokens{"Constant Contact": &e.constant, "Salesforce": &e.sf, "BigQuery": &e.bigq} {
		if n := k.issued(); n > 3 {
			t.Errorf("%s has issued %d tokens", name, n)
		}
	}
	p.stop()
}

// committed waits until the deliveries to all products are committed as delivered, for so many events, and says which are not.
func (e *everyProduct) committed(t *testing.T, p *process, events int) {
	t.Helper()
	var left []string
	until(t, "everything is committed as delivered", func() bool {
		left = nil
		delivered := 0
		for _, state := range []string{"delivered", "waiting", "dead", "skipped"} {
			var page struct {
				Data []struct{ ID, Destination, Reason string }
			}
			text := p.fetch(t, "/v1/deliveries?limit=200&state="+state)
			if err := json.Unmarshal([]byte(text), &page); err != nil {
				t.Fatal(err)
			}
			for _, d := range page.Data {
				if state == "delivered" {
					delivered++
				} else {
					left = append(left, state+" "+d.Destination+": "+d.Reason)
				}
			}
		}
		return delivered >= min(200, events*18) && len(left) == 0
	})
	if diff := cmp.Diff([]string(nil), left); diff != "" {
		t.Error(diff)
	}
}
