package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/redistest"
)

const vaultKey = "SURVEYGATE_KEY=MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="

// pair are two gateways on one Redis. The settings of one are changed, and the other is asked for the effect.
type pair struct {
	t      testing.TB
	server *redistest.Server // nil on a Cluster
	a, b   *caller
	n      int // counts changes and events, so that each is told from every other
}

// newPair starts both. Their configuration has a webhook `sink` that nothing but rules sends to.
func newPair(t testing.TB) *pair {
	t.Helper()
	server := redistest.Start(t, redistest.EverySecond...)
	p := newPairOn(t, server.URL())
	p.server = server
	return p
}

// newPairOn is newPair on a Redis that runs already, or a Cluster of them.
func newPairOn(t testing.TB, url string) *pair {
	t.Helper()
	config := fmt.Sprintf(`
redis: %q
outbound: {allow_addresses: ["127.0.0.0/8"], allow_http: true}
tokens: [{name: load, secret: %q, scopes: [publish, read, write]}]
webhooks:
  - {name: sink, url: "http://127.0.0.1:1/", signature: none}
`, url, testToken)
	var both [2]*process
	var starting sync.WaitGroup
	for i := range both {
		dir := t.TempDir()
		starting.Go(func() { both[i] = start(t, dir, config, vaultKey) })
	}
	starting.Wait()
	return &pair{t: t, a: newCaller(both[0]), b: newCaller(both[1])}
}

// caller asks one gateway, with connections that stay: over its control socket, where nobody counts requests, or over its port.
type caller struct {
	*process
	socket, port *http.Client
	// late: the last deletion was answered before this gateway stopped using the document, as the answer said.
	late atomic.Bool
}

func newCaller(p *process) *caller {
	path := filepath.Join(p.dir, "data", "surveygate.sock")
	c := &caller{process: p, port: &http.Client{Transport: &http.Transport{}}, socket: &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", path)
		},
	}}}
	p.t.Cleanup(func() { c.socket.CloseIdleConnections(); c.port.CloseIdleConnections() })
	return c
}

// call asks over the control socket, or with a token or for `/in/…` over the port. It returns the status and the body of the answer.
func (c *caller) call(method, path, body, token string, headers ...string) (int, string) {
	c.t.Helper()
	client, host := c.socket, "gateway"
	if token != "" || strings.HasPrefix(path, "/in/") {
		client, host = c.port, c.address
	}
	req, err := http.NewRequestWithContext(context.Background(), method, "http://"+host+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := client.Do(req)
	if err != nil {
		c.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return res.StatusCode, string(text)
}

// must is call for what must succeed.
func (c *caller) must(method, path, body string) string {
	c.t.Helper()
	status, text := c.call(method, path, body, "")
	if status < 200 || status > 299 {
		c.t.Fatalf("%s %s: %d %s", method, path, status, text)
	}
	c.late.Store(strings.Contains(text, `"pending":true`))
	if method == http.MethodPut && strings.Contains(text, `"state":"pending"`) { // the gateway is slow, and said so
		until(c.t, path+" is in use", func() bool {
			_, now := c.call(http.MethodGet, path, "", "")
			return !strings.Contains(now, `"state":"pending"`)
		})
	}
	return text
}

// sends publishes an event and reports whether it was decided to send it.
func (c *caller) sends(n int) bool {
	c.t.Helper()
	var published struct{ Results []struct{ ID string } }
	c.into(&published, c.must("POST", "/v1/events", body(fmt.Sprint("e-", n))))
	var e struct {
		State      string
		Deliveries []struct{}
	}
	for e.State != "decided" {
		c.into(&e, c.must("GET", "/v1/events/"+published.Results[0].ID, ""))
	}
	return len(e.Deliveries) > 0
}

func (c *caller) into(v any, text string) {
	c.t.Helper()
	if err := json.Unmarshal([]byte(text), v); err != nil {
		c.t.Fatalf("%v: %s", err, text)
	}
}

// changed is a change of settings on one gateway, and how another one shows whether it has taken effect.
type changed struct {
	what   string
	change func(c *caller)
	took   func(c *caller) bool
	// shared: it shows in how events are decided, and either gateway may decide what was published on one of them.
	shared bool
}

// everywhere is how many events must be decided in the same way until it counts as certain that both gateways decide so.
const everywhere = 10

// tookOn reports whether a change has taken effect on a gateway.
func (c *changed) tookOn(on *caller) bool {
	times := 1
	if c.shared {
		times = everywhere
	}
	for range times {
		if !c.took(on) {
			return false
		}
	}
	return true
}

// round returns changes that make, change and delete one of each kind. They must be made in their order.
func (p *pair) round() []changed {
	put := func(path, spec string) func(*caller) { return func(c *caller) { c.must("PUT", path, spec) } }
	remove := func(path string) func(*caller) { return func(c *caller) { c.must("DELETE", path, "") } }
	status := func(want int, method, path string) func(*caller) bool {
		return func(c *caller) bool { got, _ := c.call(method, path, "", ""); return got == want }
	}
	sends := func(want bool) func(*caller) bool { return func(c *caller) bool { p.n++; return c.sends(p.n) == want } }
	var token struct{ Secret string }
	knows := func(want int) func(*caller) bool {
		return func(c *caller) bool {
			got, _ := c.call("GET", "/v1/webhooks?limit=1", "", token.Secret)
			return got == want
		}
	}
	return []changed{
		{"a rule is made", put("/v1/rules/r", `{"when": "nps_score == 9", "send": ["sink"]}`), sends(true), true},
		{"a rule is changed", put("/v1/rules/r", `{"when": "nps_score == 8", "send": ["sink"]}`), sends(false), true},
		{"a rule is changed back", put("/v1/rules/r", `{"when": "nps_score == 9", "send": ["sink"]}`), sends(true), true},
		{"a rule is deleted", remove("/v1/rules/r"), sends(false), true},
		{"a webhook is made", put("/v1/webhooks/h", `{"url": "https://hook.example.com/", "events": ["response.partial"], "signature": "none"}`), status(200, "GET", "/v1/destinations/h"), false},
		{"a webhook is deleted", remove("/v1/webhooks/h"), status(404, "GET", "/v1/destinations/h"), false},
		{"a connection is made", put("/v1/connections/c", `{"hubspot": {"token": "pat-na1-0123456789"}}`), status(200, "GET", "/v1/destinations/c"), false},
		{"a connection is deleted", remove("/v1/connections/c"), status(404, "GET", "/v1/destinations/c"), false},
		{"a source is made", put("/v1/sources/s", `{"profile": "pollqr", "secrets": ["pollqr-secret-0123456789"]}`), status(401, "POST", "/in/s"), false},
		{"a source is deleted", remove("/v1/sources/s"), status(503, "POST", "/in/s"), false},
		{"a tenant is made", put("/v1/tenants/x", `{"title": "X"}`), status(200, "GET", "/v1/webhooks?tenant=x"), false},
		{"a tenant is deleted", remove("/v1/tenants/x"), status(404, "GET", "/v1/webhooks?tenant=x"), false},
		{"a token is made", func(c *caller) { c.into(&token, c.must("POST", "/v1/tokens", `{"name": "t", "scopes": ["read"]}`)) }, knows(200), false},
		{"a token is deleted", remove("/v1/tokens/t"), knows(401), false},
	}
}

// What is set on one gateway takes effect on the other, with and without the messages between them. On the gateway that answered, it has
// taken effect with the answer.
func TestSettingsOfAnotherProcess(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	for _, c := range p.round() {
		c.change(p.a)
		if !c.shared && !p.a.late.Load() && !c.took(p.a) {
			t.Errorf("%s, and the gateway that answered does not use it", c.what)
		}
		until(t, c.what+", and the other uses it", func() bool { return c.tookOn(p.b) })
	}
	for _, c := range p.round() {
		p.losing(func() { c.change(p.b) })
		until(t, c.what+" while messages are lost, and the other uses it", func() bool { return c.tookOn(p.a) })
	}
}

// losing calls do while the connections are gone over which gateways hear of each other.
func (p *pair) losing(do func()) {
	p.server.Do("CLIENT", "KILL", "TYPE", "pubsub")
	do()
	p.server.Do("CLIENT", "KILL", "TYPE", "pubsub")
}

// BenchmarkSettingsOfAnotherProcess measures how long a change of settings takes to be answered, and from then until another process uses it.
// One iteration is one change of each kind.
func BenchmarkSettingsOfAnotherProcess(b *testing.B) {
	for _, lost := range []bool{false, true} {
		b.Run(fmt.Sprintf("lost=%v", lost), func(b *testing.B) {
			p := newPair(b)
			var answered, used []time.Duration
			byKind := map[string][]time.Duration{}
			for b.Loop() {
				for _, c := range p.round() {
					began := time.Now()
					if lost {
						p.losing(func() { c.change(p.a) })
					} else {
						c.change(p.a)
					}
					took := time.Since(began)
					answered = append(answered, took)
					byKind[c.what] = append(byKind[c.what], took)
					for began = time.Now(); ; {
						asked := time.Now()
						if c.tookOn(p.b) {
							used = append(used, asked.Sub(began))
							break
						}
						if asked.Sub(began) > patience {
							b.Fatalf("%s, and the other does not use it", c.what)
						}
					}
				}
			}
			report := func(what string, all []time.Duration) {
				slices.Sort(all)
				for name, at := range map[string]int{"p50": len(all) / 2, "p99": len(all) * 99 / 100, "max": len(all) - 1} {
					b.ReportMetric(float64(all[at].Microseconds())/1000, name+"-"+what+"-ms")
				}
			}
			report("answered", answered)
			report("used", used)
			b.ReportMetric(float64(len(used)), "changes")
			for what, all := range byKind {
				slices.Sort(all)
				b.Logf("%s: answered after %s", what, all[len(all)/2])
			}
		})
	}
}
