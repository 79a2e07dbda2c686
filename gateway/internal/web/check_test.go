package web

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/internal/outbound"
	"github.com/surveygate/surveygate/gateway/internal/web/route"
	"github.com/surveygate/surveygate/rules/event"
)

// checked is a product whose token is fetched with a refresh token, and which has lists.
type checked struct {
	BaseURL connectors.BaseURL `yaml:"base_url"`
	List    string             `yaml:"list,omitempty"`
}

func (*checked) Build(*event.Event) (*connectors.Request, error) { return nil, connectors.Skip("") }
func (c *checked) Check() []*connectors.Request {
	return []*connectors.Request{connectors.Get(string(c.BaseURL) + "/lists").As(connectors.OAuth2{
		Grant: connectors.GrantRefreshToken, TokenURL: string(c.BaseURL) + "/token", RefreshToken: connectors.NewSecret(refresh),
	})}
}

func (c *checked) JudgeCheck(res *connectors.Response) (shown connectors.Proof) {
	switch {
	case res.Status == http.StatusUnauthorized:
		return connectors.Missing("an application that is accepted")
	case c.List != "" && !strings.Contains(string(res.Body), c.List):
		return connectors.Missing("the list " + c.List + "; there are " + string(res.Body))
	}
	return shown
}

func init() {
	connectors.Register("checked", func() connectors.Connector { return &checked{} })
}

// kept is tokens of a gateway: the first two were kept from before, and the product refuses them.
type kept struct {
	mu   sync.Mutex
	asks int
}

func (k *kept) Token(_ context.Context, r outbound.TokenRequest) (outbound.Token, error) {
	if r.Auth.Grant != connectors.GrantRefreshToken {
		return outbound.Token{}, fmt.Errorf("grant %s", r.Auth.Grant)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.asks++
	return outbound.Token{Access: connectors.NewSecret(fmt.Sprintf("access-token-number-%d", min(k.asks, 3))), Kept: k.asks != 3}, nil
}

// newChecking is a rig with connections to a product, and the tokens that it uses.
func newChecking(t *testing.T, product http.HandlerFunc) (*rig, *kept) {
	return newCheckingAt(t, route.Rates{}, product)
}

// newCheckingAt is newChecking with the rates of callers.
func newCheckingAt(t *testing.T, rates route.Rates, product http.HandlerFunc) (*rig, *kept) {
	t.Helper()
	server := httptest.NewServer(product)
	t.Cleanup(server.Close)
	tokens := &kept{}
	r := &rig{tokens: tokens, rates: rates}
	r.plan.Store(load(t, fmt.Sprintf(`
outbound: {allow_addresses: ["127.0.0.0/8"], allow_http: true}
connections:
  contacts: {checked: {base_url: %[1]q, list: clients}}
  second: {checked: {base_url: %[1]q}}
  third: {checked: {base_url: %[1]q}}
  theirs: {checked: {base_url: %[1]q}, tenant: acme}
  another: {checked: {base_url: %[1]q}, tenant: acme}
webhooks:
  - {name: warehouse, url: "https://hook.example.com/in", secrets: [whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw]}
rules:
  - {name: angry, send: [{contacts: {list: angry}}]}
`, server.URL)+someSettings[strings.Index(someSettings, "tokens:"):]))
	return r.open(t), tokens
}

// The gateway checks a connection with its own tokens, and with the settings of each step.
func TestCheckConnection(t *testing.T) {
	t.Parallel()
	r, tokens := newChecking(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer access-token-number-3" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = fmt.Fprint(w, "clients, ", refresh, r.Header.Get("Authorization"))
	})
	got := r.ask(t, ask{method: http.MethodPost, path: "/v1/connections/contacts/check", token: everyToken})
	if got.status != http.StatusOK || !strings.HasPrefix(got.body, `{"tenant":"default","name":"contacts","product":"checked","standing":"missing","missing":[{"what":"the list angry; there are clients, `) ||
		!strings.HasSuffix(got.body, `,"steps":["angry: contacts"]}]}`) || strings.Contains(got.body, refresh) || strings.Contains(got.body, "access-token") {
		t.Errorf("%d %s", got.status, got.body)
	}
	tokens.mu.Lock()
	if tokens.asks != 3 {
		t.Errorf("%d tokens were asked for", tokens.asks)
	}
	tokens.mu.Unlock()
	for name, c := range map[string]struct {
		ask    ask
		status int
		want   string
	}{
		"proved":               {ask{path: "second", socket: true}, 200, `{"tenant":"default","name":"second","product":"checked","standing":"proved"}`},
		"of another tenant":    {ask{path: "theirs", token: acmeToken}, 200, `{"tenant":"acme","name":"theirs","product":"checked","standing":"proved"}`},
		"a webhook":            {ask{path: "warehouse", token: everyToken}, 200, `"standing":"unproved","unproved":["anything: it cannot be checked without sending an event"]}`},
		"unknown connection":   {ask{path: "contact", token: everyToken}, 404, "no such connection `contact`; did you mean `contacts`?"},
		"not their connection": {ask{path: "theirs", token: everyToken}, 404, "no such connection"},
		"no scope":             {ask{path: "contacts", token: readToken}, 403, "lacks the scope `write`"},
		"no token":             {ask{path: "contacts"}, 401, "a bearer token is needed"},
	} {
		c.ask.method, c.ask.path = http.MethodPost, "/v1/connections/"+c.ask.path+"/check"
		if got := r.ask(t, c.ask); got.status != c.status || !strings.Contains(got.body, c.want) {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
}

// Few connections are checked at once, and fewer of one tenant; further checks are refused for a moment.
func TestCheckConnectionAtOnce(t *testing.T) {
	t.Parallel()
	asked, release := make(chan struct{}), make(chan struct{})
	r, _ := newChecking(t, func(http.ResponseWriter, *http.Request) {
		asked <- struct{}{}
		<-release
	})
	var checks sync.WaitGroup
	check := func(name, token string) told {
		return r.ask(t, ask{method: http.MethodPost, path: "/v1/connections/" + name + "/check", token: token})
	}
	begin := func(name, token string) {
		checks.Go(func() {
			if got := check(name, token); got.status != http.StatusOK {
				t.Errorf("%s: %d %s", name, got.status, got.body)
			}
		})
		<-asked
	}
	refuses := func(name, token string) {
		t.Helper()
		got := check(name, token)
		if got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") == "" || !strings.Contains(got.body, "other connections are being checked") {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
	begin("contacts", everyToken)
	begin("second", everyToken)
	refuses("third", everyToken) // the other half is for other tenants
	begin("theirs", acmeToken)
	begin("another", acmeToken)
	refuses("theirs", acmeToken)
	close(release)
	checks.Wait()
}

// A check calls the product, so that a tenant has a bound of them. A refused check calls nobody.
func TestChecksAreLimited(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	r, _ := newCheckingAt(t, route.Rates{Checks: route.Rate{Burst: 2, Per: 0.001}}, func(http.ResponseWriter, *http.Request) { calls.Add(1) })
	check := func(want int, parts ...string) told {
		t.Helper()
		return r.does(t, ask{method: http.MethodPost, path: "/v1/connections/theirs/check", token: acmeToken}, want, parts...)
	}
	check(200)
	check(200)
	before := calls.Load()
	if got := check(429, `"type":"rate_limited"`, "2 connections a minute"); got.header.Get("Retry-After") == "" {
		t.Error("it does not say when to try again")
	}
	if n := calls.Load(); n != before {
		t.Errorf("%d more calls", n-before)
	}
	r.does(t, ask{method: http.MethodPost, path: "/v1/connections/second/check", token: everyToken}, 200) // of another tenant
}
