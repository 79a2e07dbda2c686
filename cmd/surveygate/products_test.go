package main

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/surveygate/surveygate/connectors/connectortest/contract"
)

// fake is a product, or a webhook, that remembers what it was told. Where the vendors' documents are given it holds
// every request against them, as the vendor would.
type fake struct {
	url string

	mu     sync.Mutex
	told   map[string]int         // by what tells one thing from another
	times  map[string][]time.Time // of attempts, by delivery
	bodies map[string]string
	faults []string
	came   chan struct{}
}

// reading is a request and its body.
type reading struct {
	*http.Request
	body []byte
}

func (r *reading) json(t *testing.T) (v map[string]any) {
	if err := json.Unmarshal(r.body, &v); err != nil {
		t.Errorf("%s %s: the body is no JSON: %v", r.Method, r.URL.Path, err)
	}
	return v
}

// newFake serves a product by answer, which says what it was told; `told` without words says that it refused.
func newFake(t *testing.T, product string, answer func(w http.ResponseWriter, r *reading) (told []string)) *fake {
	t.Helper()
	f := &fake{told: map[string]int{}, times: map[string][]time.Time{}, bodies: map[string]string{}, came: make(chan struct{}, 1)}
	var docs contract.Documents
	if given := os.Getenv(contract.EnvVar); given != "" && product != "" {
		folder, err := contract.ResolveFolder(given)
		if err != nil {
			t.Fatal(err)
		}
		if docs, err = contract.Load(folder, product); err != nil {
			t.Fatal(err)
		}
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		id := r.Header.Get("webhook-id")
		f.mu.Lock()
		f.times[id] = append(f.times[id], time.Now())
		if docs != nil {
			if _, err := docs.Check(r, body); err != nil {
				f.faults = append(f.faults, err.Error())
			}
		}
		f.mu.Unlock()
		told := answer(w, &reading{r, body})
		f.mu.Lock()
		for _, what := range told {
			f.told[what]++
			f.bodies[what] = string(body)
		}
		f.mu.Unlock()
		select {
		case f.came <- struct{}{}:
		default:
		}
	}))
	t.Cleanup(server.Close)
	f.url = server.URL
	return f
}

// await waits until the fake was told of everything wanted, and says when it was told of something twice or of more.
func (f *fake) await(t *testing.T, name string, things []string) {
	t.Helper()
	want := map[string]int{}
	for _, what := range things {
		want[what] = 1
	}
	for end := time.After(patience); ; {
		f.mu.Lock()
		n, diff := len(f.told), cmp.Diff(want, f.told)
		f.mu.Unlock()
		if n >= len(want) {
			if diff != "" {
				t.Errorf("%s was told (-want +got):\n%s", name, diff)
			}
			return
		}
		select {
		case <-f.came:
		case <-end:
			t.Fatalf("%s was told (-want +got):\n%s", name, diff)
		}
	}
}

func (f *fake) check(t *testing.T, name string) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, fault := range f.faults {
		t.Errorf("%s was told against its vendor's document: %s", name, fault)
	}
}

// spaced says when an attempt of a delivery came sooner after the one before than it may.
func (f *fake) spaced(t *testing.T, name string, least time.Duration) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	again := 0
	for id, times := range f.times {
		for i := range times[1:] {
			again++
			// A receiver may see two attempts a little closer together than they were sent.
			if gap := times[i+1].Sub(times[i]); gap < least-50*time.Millisecond {
				t.Errorf("%s: attempt %d of %s came %s after the one before, not before %s", name, i+2, id, gap, least)
			}
		}
	}
	if again == 0 {
		t.Errorf("%s was asked for nothing a second time", name)
	}
}

const (
	pollqrSecret = "pollqr-secret-of-this-test"
	popseeSecret = "popsee-secret-of-this-test"
)

// answered is one response as its platform posts it.
type answered struct {
	platform, response, email string
	score                     int
	body                      string
}

func responses(each int) []answered {
	var all []answered
	for n := range each {
		a := answered{platform: "pollqr", response: fmt.Sprintf("pq-%d", n), email: fmt.Sprintf("pollqr-%d@example.com", n), score: n % 11}
		a.body = fmt.Sprintf(`{"event":"response.created","survey_id":"s1","response_id":%q,"timestamp":%q,"business_id":"b1",`+
			`"survey":{"title":"Onboarding","template_type":"nps"},"response":{"answers":{"1":%d,"2":"Fast & <friendly>","3":%q,"4":"+905551234567","5":"yes"},`+
			`"nps_score":%d,"completion_time":45}}`, a.response, now(), a.score, a.email, a.score)
		b := answered{platform: "popsee", response: fmt.Sprintf("ps-%d", n), email: fmt.Sprintf("popsee-%d@example.com", n), score: 10 - n%11}
		b.body = fmt.Sprintf(`{"event":"response.completed","timestamp":%q,"origin":"web","survey":{"id":"s2","name":"Checkout"},`+
			`"response":{"id":%q,"answers":[{"questionId":"q1","value":%d},{"questionId":"q2","value":"Fast & <friendly>"},{"questionId":"q3","value":%q},`+
			`{"questionId":"q5","value":"yes"}],"completedAt":%q}}`, now(), b.response, b.score, b.email, now())
		all = append(all, a, b)
	}
	return all
}

func now() string { return time.Now().UTC().Add(-time.Minute).Format("2006-01-02T15:04:05.000Z") }

// deliverAs sends a response as its platform does, signed.
func (p *process) deliverAs(t *testing.T, a answered) {
	t.Helper()
	secret, header, prefix := pollqrSecret, "X-PollQR-Signature", ""
	if a.platform == "popsee" {
		secret, header, prefix = popseeSecret, "X-Popsee-Signature", "sha256="
	}
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(a.body))
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+p.address+"/in/"+a.platform, strings.NewReader(a.body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set(header, prefix+hex.EncodeToString(mac.Sum(nil)))
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if text, _ := io.ReadAll(res.Body); res.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d %s", a.response, res.StatusCode, text)
	}
}

// Responses of two platforms go to four products and three webhooks, one of them down and one throttling: everybody
// else hears of all of it while those two do not, and those two hear of it when they are well again, on schedule.
func TestEveryProductAtOnce(t *testing.T) {
	t.Parallel()
	var well atomic.Bool
	all := responses(4)

	slack := newFake(t, "slack", func(w http.ResponseWriter, r *reading) []string {
		m := r.json(t)
		_, _ = io.WriteString(w, "ok")
		fields := m["attachments"].([]any)[0].(map[string]any)["fields"].([]any)
		return []string{fmt.Sprint(fields[0].(map[string]any)["value"], " ", m["text"])}
	})
	hubspot := newFake(t, "hubspot", func(w http.ResponseWriter, r *reading) (told []string) {
		results := []map[string]any{}
		for i, in := range r.json(t)["inputs"].([]any) {
			in := in.(map[string]any)
			told = append(told, fmt.Sprint(in["id"], " ", in["properties"].(map[string]any)["last_nps"]))
			results = append(results, map[string]any{"id": fmt.Sprint(i), "objectWriteTraceId": in["objectWriteTraceId"]})
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"status": "COMPLETE", "results": results})
		return told
	})
	mailchimp := newFake(t, "mailchimp", func(w http.ResponseWriter, r *reading) []string {
		if strings.HasSuffix(r.URL.Path, "/tags") {
			w.WriteHeader(http.StatusNoContent)
			return []string{"tags of " + strings.Split(r.URL.Path, "/")[5]}
		}
		m := r.json(t)
		_, _ = io.WriteString(w, `{"id":"1","status":"subscribed"}`)
		return []string{fmt.Sprint(m["email_address"], " ", m["status_if_new"])}
	})
	ga4 := newFake(t, "ga4", func(w http.ResponseWriter, r *reading) []string {
		w.WriteHeader(http.StatusNoContent)
		counted := r.json(t)["events"].([]any)[0].(map[string]any)
		params := counted["params"].(map[string]any)
		return []string{fmt.Sprint(counted["name"], " ", params["response_id"], " ", params["nps_score"])}
	})
	warehouse := newFake(t, "", func(_ http.ResponseWriter, r *reading) []string { return []string{string(r.body)} })
	down := newFake(t, "", func(_ http.ResponseWriter, r *reading) []string {
		if !well.Load() {
			panic(http.ErrAbortHandler) // the connection ends without an answer
		}
		return []string{string(r.body)}
	})
	throttling := newFake(t, "", func(w http.ResponseWriter, r *reading) []string {
		if !well.Load() {
			w.Header().Set("Retry-After", "2")
			w.WriteHeader(http.StatusTooManyRequests)
			return nil
		}
		return []string{string(r.body)}
	})

	p := start(t, t.TempDir(), fmt.Sprintf(`
outbound: {allow_addresses: ["127.0.0.0/8"], allow_http: true}
tokens: [{name: load, secret: %q, scopes: [publish, read]}]
sources:
  pollqr: {profile: pollqr, secrets: [%q], roles: {"2": feedback, "3": email, "4": phone, "5": consent}}
  popsee: {profile: popsee, secrets: [%q], roles: {q1: nps_score, q2: feedback, q3: email, q5: consent}}
connections:
  alarms:  {slack: {webhook: "%s/services/T0000/B0000/XXXX"}, rate: 100/s}
  crm:     {hubspot: {token: pat-eu1-test, base_url: %q}}
  letters: {mailchimp: {api_key: 0123456789abcdef-us6, audience: a1b2c3d4e5, base_url: "%s/3.0"}}
  counts:  {ga4: {measurement_id: G-AB12CD34EF, api_secret: test-secret, base_url: %q}}
webhooks:
  - {name: warehouse, url: %q, events: [response.completed], signature: none}
  - {name: down, url: %q, events: [response.completed], signature: none, retry: [1s%s]}
  - {name: throttling, url: %q, events: [response.completed], signature: none, retry: [100ms%s]}
rules:
  - name: everybody
    send: [alarms, crm: {properties: {last_nps: nps_score}}, letters, counts]
`, testToken, pollqrSecret, popseeSecret, slack.url, hubspot.url, mailchimp.url, ga4.url,
		warehouse.url, down.url, strings.Repeat(", 1s", 40), throttling.url, strings.Repeat(", 100ms", 40)))

	var customers, contacts, members, counts, bodies []string
	for _, a := range all {
		p.deliverAs(t, a)
		title := fmt.Sprintf("New response: Score %d/10", a.score)
		if a.score <= 6 {
			title = fmt.Sprintf("Low NPS Alert: Score %d/10", a.score)
		}
		customers = append(customers, a.email+" "+title)
		contacts = append(contacts, fmt.Sprintf("%s %d", a.email, a.score))
		members = append(members, a.email+" subscribed", "tags of "+memberOf(a.email))
		counts = append(counts, fmt.Sprintf("survey_response %s %d", a.response, a.score))
		bodies = append(bodies, a.body)
	}
	products := []struct {
		name string
		fake *fake
		want []string
	}{
		{"slack", slack, customers},
		{"hubspot", hubspot, contacts},
		{"mailchimp", mailchimp, members},
		{"ga4", ga4, counts},
		{"the webhook that is well", warehouse, bodies},
	}
	for _, product := range products {
		product.fake.await(t, product.name, product.want)
	}
	for name, f := range map[string]*fake{"down": down, "throttling": throttling} {
		f.mu.Lock()
		if len(f.told) > 0 {
			t.Errorf("the webhook that is %s was told of %d", name, len(f.told))
		}
		f.mu.Unlock()
	}
	well.Store(true)
	down.await(t, "the webhook that was down", bodies)
	throttling.await(t, "the webhook that was throttling", bodies)
	down.spaced(t, "the webhook that was down", time.Second)
	throttling.spaced(t, "the webhook that was throttling", 2*time.Second)
	for _, product := range products {
		product.fake.check(t, product.name)
		product.fake.await(t, product.name, product.want) // and nobody heard of anything twice meanwhile
	}
	if out, errs, code := invoke(t, p.dir, nil, "dead", "list", "--data", p.dir+"/data", "--json"); code != 0 || !strings.Contains(out, `"data": []`) && !strings.Contains(out, `"data":[]`) && strings.TrimSpace(out) != "[]" {
		t.Errorf("dead letters: exit %d\n%s%s", code, out, errs)
	}
	if said := p.said(); slices.ContainsFunc(strings.Split(said, "\n"), func(line string) bool { return strings.Contains(line, `"level":"ERROR"`) }) {
		t.Errorf("the gateway complained:\n%s", said)
	}
	p.stop()
}

// memberOf is Mailchimp's name for an address.
func memberOf(address string) string {
	sum := md5.Sum([]byte(address))
	return hex.EncodeToString(sum[:])
}
