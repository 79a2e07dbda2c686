package oauth_test

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/oauth"
	"github.com/surveygate/surveygate/gateway/internal/outbound"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

// TestGrants: each grant sends what RFC 6749 and RFC 7523 say, and the token is put on the request.
func TestGrants(t *testing.T) {
	t.Parallel()
	i := newIssuer(t, "first")
	r := newReplica(t, oauth.Options{Store: openStore(t, nil)})

	basic := i.credentials()
	basic.BasicAuth, basic.ClientID = true, "other client"
	for _, auth := range []connectors.OAuth2{i.credentials(), basic, i.refreshing()} {
		r.delivers(t, auth)
	}
	for n, want := range []string{
		"client_id=client&client_secret=client-secret&grant_type=client_credentials&scope=one+two",
		"grant_type=client_credentials&scope=one+two",
		"client_id=client&client_secret=client-secret&grant_type=refresh_token&refresh_token=first",
	} {
		if got := i.forms[n].Encode(); got != want {
			t.Errorf("form %d is\n%s, want\n%s", n, got, want)
		}
	}
	if i.basic[1] != "other+client:client-secret" || i.basic[0] != ":" {
		t.Errorf("basic credentials are %q", i.basic)
	}
}

// TestAssertion checks the claims of the assertion, and its signature with the public key.
func TestAssertion(t *testing.T) {
	t.Parallel()
	i := newIssuer(t, "")
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	auth := connectors.OAuth2{
		Grant: connectors.GrantAssertion, TokenURL: i.URL + "/token", KeyID: "key-1", Issuer: "app", Subject: "user", Audience: "https://login.example",
		Scopes: []string{"insert"},
	}
	if err := auth.PrivateKey.UnmarshalText(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})); err != nil {
		t.Fatal(err)
	}
	newReplica(t, oauth.Options{Store: openStore(t, nil)}).delivers(t, auth)

	form := i.forms[0]
	if len(form) != 2 || form.Get("grant_type") != string(connectors.GrantAssertion) {
		t.Errorf("the form has %d fields, grant %s", len(form), form.Get("grant_type"))
	}
	parts := strings.Split(form.Get("assertion"), ".")
	if len(parts) != 3 {
		t.Fatalf("the assertion has %d parts", len(parts))
	}
	var header, claims map[string]any
	for n, into := range []*map[string]any{&header, &claims} {
		text, err := base64.RawURLEncoding.DecodeString(parts[n])
		if err != nil || json.Unmarshal(text, into) != nil {
			t.Fatalf("part %d: %q", n, parts[n])
		}
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if err := rsa.VerifyPKCS1v15(&private.PublicKey, crypto.SHA256, sum[:], signature); err != nil {
		t.Error(err)
	}
	if header["alg"] != "RS256" || header["kid"] != "key-1" || claims["iss"] != "app" || claims["sub"] != "user" ||
		claims["aud"] != "https://login.example" || claims["scope"] != "insert" {
		t.Errorf("header %v, claims %v", header, claims)
	}
	if left := claims["exp"].(float64) - float64(time.Now().Unix()); left <= 0 || left > 180 {
		t.Errorf("the assertion is valid for %v s; Salesforce accepts 180 at most", left)
	}
}

// TestRotation: the newest refresh token is stored, sealed, and used next, also by another process.
func TestRotation(t *testing.T) {
	t.Parallel()
	i, c := newIssuer(t, "first"), clock.NewManual(noon)
	store := openStore(t, c)
	r := newReplica(t, oauth.Options{Store: store, Clock: c})
	for range 3 {
		r.delivers(t, i.refreshing())
	}
	if n := i.fetches(); n != 1 {
		t.Errorf("%d fetches for 3 requests", n)
	}
	c.Advance(time.Hour)
	r.delivers(t, i.refreshing())
	c.Advance(time.Hour)
	newReplica(t, oauth.Options{Store: store, Clock: c}).delivers(t, i.refreshing())
	if got := strings.Join(i.used(), " "); got != "first refresh-1 refresh-2" {
		t.Errorf("used %s", got)
	}

	kept, err := store.List(t.Context(), "acme", "token-fetched")
	if err != nil || len(kept) != 1 || !strings.HasPrefix(kept[0].Name, "crm:") {
		t.Fatalf("%d records, %v", len(kept), err)
	}
	for _, secret := range []string{"access-", "refresh-", "first", "client-secret"} {
		if strings.Contains(string(kept[0].Value), secret) {
			t.Errorf("the record shows %s: %s", secret, kept[0].Value)
		}
	}
}

// TestSecretsAreCut: no secret of the exchange, old or new, is in what is kept of an answer.
func TestSecretsAreCut(t *testing.T) {
	t.Parallel()
	i, c := newIssuer(t, "first-token"), clock.NewManual(noon)
	auth := i.refreshing()
	auth.RefreshToken = connectors.NewSecret("first-token")
	r := newReplica(t, oauth.Options{Store: openStore(t, c), Clock: c})
	r.delivers(t, auth)
	c.Advance(time.Hour)
	r.delivers(t, auth)
	i.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "access-1 access-2 refresh-1 refresh-2 first-token client-secret access-3")
	})
	res := r.delivers(t, auth)
	if got := string(res.Response.Body); got != strings.Repeat("[secret] ", 6)+"access-3" {
		t.Errorf("kept %s", got)
	}
}

// TestEarlyRenewal: a token is replaced before it ends, without any request waiting for it; and one without an end is kept.
func TestEarlyRenewal(t *testing.T) {
	t.Parallel()
	i, c := newIssuer(t, "first"), clock.NewManual(noon)
	fetched := make(chan struct{}, 10)
	r := newReplica(t, oauth.Options{Store: openStore(t, c), Clock: c, Fetched: func(_, _, _ string) { fetched <- struct{}{} }})
	r.delivers(t, i.refreshing())
	<-fetched
	c.Advance(45 * time.Minute)
	r.delivers(t, i.refreshing())
	select {
	case <-fetched:
		t.Error("renewed in the middle of its life")
	default:
	}
	c.Advance(6 * time.Minute)
	release := make(chan struct{})
	i.before = func(http.ResponseWriter, url.Values) bool { <-release; return false }
	for i.fetches() == 1 { // a look into the store may be under way
		if res := r.delivers(t, i.refreshing()); res.Token != connectors.NewSecret("access-1") {
			t.Error("the request did not use the token that is still valid")
		}
	}
	close(release)
	<-fetched
	for used := (connectors.Secret{}); used != connectors.NewSecret("access-2"); { // it is stored a moment later
		used = r.send(t.Context(), i.refreshing(), connectors.Secret{}).Token
	}

	i.expiresIn, i.before = 0, nil
	c.Advance(time.Hour)
	r.delivers(t, i.refreshing())
	<-fetched
	c.Advance(1000 * time.Hour)
	if res := r.delivers(t, i.refreshing()); res.Token != connectors.NewSecret("access-3") || i.fetches() != 3 {
		t.Errorf("a token without an end was replaced: %d fetches", i.fetches())
	}
}

// TestEarlyRenewalFails: while a token is valid, a token endpoint that is down does no harm.
func TestEarlyRenewalFails(t *testing.T) {
	t.Parallel()
	i, c := newIssuer(t, "first"), clock.NewManual(noon)
	results := make(chan string, 10)
	r := newReplica(t, oauth.Options{Store: openStore(t, c), Clock: c, Fetched: func(_, _, result string) { results <- result }})
	r.delivers(t, i.refreshing())
	if got := <-results; got != "ok" {
		t.Error(got)
	}
	i.before = func(w http.ResponseWriter, _ url.Values) bool { w.WriteHeader(http.StatusBadGateway); return true }
	c.Advance(52 * time.Minute)
	r.delivers(t, i.refreshing())
	if got := <-results; got != "retry" {
		t.Error(got)
	}
	for range 5 {
		r.delivers(t, i.refreshing())
	}
	if n := i.fetches(); n != 2 {
		t.Errorf("%d fetches, want no second one at once", n)
	}
	c.Advance(8 * time.Minute)
	if res := r.send(t.Context(), i.refreshing(), connectors.Secret{}); res.Kind != outbound.Protocol || res.Err.Error() != "token endpoint: 502 Bad Gateway" {
		t.Errorf("%s %v", res.Kind, res.Err)
	}
	i.before = nil
	r.delivers(t, i.refreshing())
}

// TestRefusedToken: a token that the product refused is replaced, by the store's newer one if there is one.
func TestRefusedToken(t *testing.T) {
	t.Parallel()
	i, store := newIssuer(t, "first"), openStore(t, nil)
	a, b := newReplica(t, oauth.Options{Store: store}), newReplica(t, oauth.Options{Store: store})
	used := a.delivers(t, i.refreshing()).Token
	b.delivers(t, i.refreshing())
	i.revoke()
	for _, r := range []*replica{a, b} {
		res := r.send(t.Context(), i.refreshing(), connectors.Secret{})
		if r == a && (res.Err != nil || res.Response.Status != http.StatusUnauthorized || res.Token != used) {
			t.Fatalf("%s %v", res.Kind, res.Err)
		}
		if res := r.send(t.Context(), i.refreshing(), used); res.Err != nil || res.Response.Status != http.StatusOK {
			t.Fatalf("%s %v", res.Kind, res.Err)
		}
	}
	if n := i.fetches(); n != 2 {
		t.Errorf("%d fetches for a token that was withdrawn once", n)
	}
}

// TestOneFetchPerProcess: requests that need a token at the same time share one fetch, and one that cannot wait ends alone.
func TestOneFetchPerProcess(t *testing.T) {
	t.Parallel()
	i := newIssuer(t, "first")
	asked, release := make(chan struct{}), make(chan struct{})
	i.before = func(http.ResponseWriter, url.Values) bool { close(asked); <-release; return false }
	r := newReplica(t, oauth.Options{Store: openStore(t, nil)})
	short, cancel := context.WithCancel(t.Context())
	given := make(chan outbound.Result, 1)
	go func() { given <- r.send(short, i.refreshing(), connectors.Secret{}) }()
	<-asked
	cancel()
	if res := <-given; res.Kind != outbound.Canceled {
		t.Errorf("%s %v", res.Kind, res.Err)
	}
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() { r.delivers(t, i.refreshing()) })
	}
	close(release) // the fetch goes on after the request has ended that began it
	group.Wait()
	if n := i.fetches(); n != 1 {
		t.Errorf("%d fetches", n)
	}
}

// TestHangingEndpoint: a token endpoint that does not answer fails the requests of its destination alone, and an answer that comes
// too late for a request is not lost.
func TestHangingEndpoint(t *testing.T) {
	t.Parallel()
	i, other := newIssuer(t, "first"), newIssuer(t, "first")
	release := make(chan struct{})
	i.before = func(http.ResponseWriter, url.Values) bool { <-release; return false }
	r := newReplica(t, oauth.Options{Store: openStore(t, nil)})
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if res := r.send(ctx, i.refreshing(), connectors.Secret{}); res.Kind != outbound.Timeout || res.Err.Error() != "token endpoint: no access token in time" {
		t.Errorf("%s %v", res.Kind, res.Err)
	}
	r.delivers(t, other.refreshing())
	close(release)
	r.delivers(t, i.refreshing())
	if i.fetches() != 1 || i.served() != 1 {
		t.Errorf("%d fetches, %d requests", i.fetches(), i.served())
	}
}

// TestOutcomes is what each answer of a token endpoint means.
func TestOutcomes(t *testing.T) {
	t.Parallel()
	answers := func(status int, body string, header ...string) func(w http.ResponseWriter) {
		return func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "application/json")
			for n := 0; n < len(header); n += 2 {
				w.Header().Set(header[n], header[n+1])
			}
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		}
	}
	tests := []struct {
		name   string
		answer func(w http.ResponseWriter)
		kind   outbound.Kind
		reason string
		after  time.Duration
	}{
		{"down", answers(503, "down"), outbound.Protocol, "token endpoint: 503 Service Unavailable", 0},
		{"down for a while", answers(503, "", "Retry-After", "60"), outbound.Protocol, "token endpoint: 503 Service Unavailable", time.Minute},
		{"throttled", answers(429, `{"error":"invalid_grant"}`, "Retry-After", "5"), outbound.Protocol, "token endpoint: 429 Too Many Requests", 5 * time.Second},
		{"server_error", answers(400, `{"error":"server_error"}`), outbound.Protocol, "token endpoint: server_error", 0},
		{"temporarily_unavailable", answers(400, `{"error":"temporarily_unavailable"}`), outbound.Protocol, "token endpoint: temporarily_unavailable", 0},
		{"garbage", answers(200, "<html>"), outbound.Protocol, "token endpoint: the answer holds no access token", 0},
		{"no token", answers(200, `{"token_type":"Bearer"}`), outbound.Protocol, "token endpoint: the answer holds no access token", 0},
		{"empty", answers(204, ""), outbound.Protocol, "token endpoint: the answer holds no access token", 0},
		{"another type", answers(200, `{"access_token":"a","token_type":"mac"}`), outbound.Protocol, "the token endpoint issued a token that is not a bearer token", 0},
		{"a token with a line break", answers(200, `{"access_token":"a\nb"}`), outbound.Protocol, "the token endpoint issued a token with characters that no token has", 0},
		{"huge", answers(200, `{"access_token":"`+strings.Repeat("a", 1<<17)+`"}`), outbound.Protocol, "token endpoint: the answer holds no access token", 0},
		{"breaks off", func(w http.ResponseWriter) {
			w.Header().Set("Content-Length", "100")
			_, _ = w.Write([]byte(`{"access_token":"a"}`))
		}, outbound.Protocol, "token endpoint: the answer broke off", 0},
		{
			"invalid_grant", answers(400, `{"error":"invalid_grant","error_description":"of jo@example.com"}`), outbound.Credentials,
			"token endpoint: invalid_grant: the refresh token is no longer valid; obtain a refresh token from the product and store it with `surveygate token set crm --tenant acme`", 0,
		},
		{
			"refused with 200", answers(200, `{"error":"invalid_grant"}`), outbound.Credentials,
			"token endpoint: invalid_grant: the refresh token is no longer valid; obtain a refresh token from the product and store it with `surveygate token set crm --tenant acme`", 0,
		},
		{"invalid_client", answers(401, `{"error":"invalid_client"}`), outbound.Credentials, "token endpoint: invalid_client: the application is not accepted; check its id and secret", 0},
		{"unauthorized_client", answers(400, `{"error":"unauthorized_client"}`), outbound.Credentials, "token endpoint: unauthorized_client: the application may not obtain tokens this way; allow it in the product", 0},
		{"a code of its own", answers(400, `{"error":"inactive jo@example.com"}`), outbound.Credentials, "token endpoint: 400 Bad Request: the request for an access token was refused; check the credentials and the address of the token endpoint", 0},
		{"a code of Salesforce's", answers(400, `{"error":"invalid_client_id","error_description":"of jo@example.com"}`), outbound.Credentials, "token endpoint: 400 Bad Request: invalid_client_id: the application is not accepted; check its id and secret", 0},
		{"an inactive user", answers(400, `{"error":"inactive_user"}`), outbound.Credentials, "token endpoint: 400 Bad Request: inactive_user: the user or the organization that the application acts for is not active; activate it in the product", 0},
		{"too many tokens", answers(400, `{"error":"rate_limit_exceeded"}`), outbound.Protocol, "token endpoint: 400 Bad Request: rate_limit_exceeded", 0},
		{"not found", answers(404, "<html>"), outbound.Credentials, "token endpoint: 404 Not Found: the request for an access token was refused; check the credentials and the address of the token endpoint", 0},
		{"redirect", answers(302, "", "Location", "https://elsewhere.example/"), outbound.Credentials, "token endpoint: 302 Found: the request for an access token was refused; check the credentials and the address of the token endpoint", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			i := newIssuer(t, "first")
			i.before = func(w http.ResponseWriter, _ url.Values) bool { tt.answer(w); return true }
			r := newReplica(t, oauth.Options{Store: openStore(t, nil)})
			res := r.send(t.Context(), i.refreshing(), connectors.Secret{})
			var failed *outbound.Error
			if !errors.As(res.Err, &failed) || res.Kind != tt.kind || failed.Reason != tt.reason || failed.After != tt.after || res.Reached {
				t.Errorf("%s after %v: %v", res.Kind, failed, res.Err)
			}
			if i.fetches() != 1 || i.served() != 0 {
				t.Errorf("%d fetches, %d requests", i.fetches(), i.served())
			}
			if i.before = nil; tt.after == 0 { // nothing of it stays
				r.delivers(t, i.refreshing())
			}
		})
	}
}

// TestUnreachable: endpoints that the policy forbids, or that nobody serves.
func TestUnreachable(t *testing.T) {
	t.Parallel()
	i := newIssuer(t, "first")
	r := newReplica(t, oauth.Options{Store: openStore(t, nil)})
	for address, kind := range map[string]outbound.Kind{
		"https://10.0.0.1/token":     outbound.Refused,
		"http://auth.example/token":  outbound.Refused,
		"http://127.0.0.1:1/token":   outbound.Connect,
		"https://user:pw@x.example/": outbound.Refused,
		"\x00":                       outbound.Credentials,
	} {
		auth := i.refreshing()
		auth.TokenURL = address
		if res := r.send(t.Context(), auth, connectors.Secret{}); res.Kind != kind {
			t.Errorf("%q: %s %v, want %s", address, res.Kind, res.Err, kind)
		}
	}
}

// TestRetryAfter: a token endpoint that asked to wait is not asked before, whatever waits for a token.
func TestRetryAfter(t *testing.T) {
	t.Parallel()
	i, c := newIssuer(t, "first"), clock.NewManual(noon)
	i.before = func(w http.ResponseWriter, _ url.Values) bool {
		w.Header().Set("Retry-After", "120")
		w.WriteHeader(http.StatusTooManyRequests)
		return true
	}
	r := newReplica(t, oauth.Options{Store: openStore(t, c), Clock: c})
	for n, left := range []time.Duration{120 * time.Second, 90 * time.Second, 60 * time.Second} {
		res := r.send(t.Context(), i.refreshing(), connectors.Secret{})
		var failed *outbound.Error
		if !errors.As(res.Err, &failed) || failed.After != left || i.fetches() != 1 {
			t.Fatalf("request %d: %v after %d fetches", n, res.Err, i.fetches())
		}
		c.Advance(30 * time.Second)
	}
	i.before = nil
	c.Advance(30 * time.Second)
	r.delivers(t, i.refreshing())
}

// TestFirstRefreshToken: a new one in the configuration, or one stored by hand, begins anew; one that was replaced does not come back.
func TestFirstRefreshToken(t *testing.T) {
	t.Parallel()
	i, c := newIssuer(t, "a"), clock.NewManual(noon)
	store := openStore(t, c)
	r := newReplica(t, oauth.Options{Store: store, Clock: c})
	with := func(first string) connectors.OAuth2 {
		auth := i.refreshing()
		auth.RefreshToken = connectors.NewSecret(first)
		return auth
	}
	fetch := func(first string) string {
		t.Helper()
		c.Advance(time.Hour)
		res := r.send(t.Context(), with(first), connectors.Secret{})
		i.mu.Lock()
		defer i.mu.Unlock()
		used := i.forms[len(i.forms)-1].Get("refresh_token")
		if res.Err != nil {
			return used + " " + string(res.Kind)
		}
		return used
	}
	want := func(first, used string) {
		t.Helper()
		if got := fetch(first); got != used {
			t.Errorf("with %s configured, %s was used, want %s", first, got, used)
		}
	}

	if res := r.send(t.Context(), with(""), connectors.Secret{}); res.Kind != outbound.Credentials ||
		res.Err.Error() != "there is no refresh token yet: obtain a refresh token from the product and store it with `surveygate token set crm --tenant acme`" {
		t.Errorf("%s %v", res.Kind, res.Err)
	}
	want("a", "a")
	want("a", "refresh-1")
	i.current = "b" // a person connected the application again
	want("b", "b")
	want("b", "refresh-3")
	want("a", "refresh-4") // a replica with the older configuration
	i.current = "c"
	plant(t, store, "c", noon)
	want("b", "c")
	want("b", "refresh-6")
	want("", "refresh-7")
	i.current, i.former = "lost", "lost"
	want("b", "refresh-8 credentials")
	i.current = "b"
	plant(t, store, "b", noon.Add(time.Hour)) // on somebody's word, even one that was used before
	want("b", "b")
	want("a", "refresh-9")
}

// TestClientSecretChanges: the refresh token goes on; an application without one gets a new token.
func TestClientSecretChanges(t *testing.T) {
	t.Parallel()
	i := newIssuer(t, "first")
	r := newReplica(t, oauth.Options{Store: openStore(t, nil)})
	for _, secret := range []string{"old", "new"} {
		auth := i.refreshing()
		auth.ClientSecret = connectors.NewSecret(secret)
		r.delivers(t, auth)
	}
	if i.fetches() != 1 {
		t.Errorf("%d fetches", i.fetches())
	}
	for _, secret := range []string{"old", "new"} {
		auth := i.credentials()
		auth.ClientSecret = connectors.NewSecret(secret)
		r.delivers(t, auth)
	}
	if i.fetches() != 3 {
		t.Errorf("%d fetches", i.fetches())
	}
}

// failing is a store that does not take records for a while.
type failing struct {
	state.Store
	mu     sync.Mutex
	puts   int // that fail
	failed chan struct{}
	get    error
}

func (f *failing) Put(ctx context.Context, tenant, kind, name string, value []byte, version uint64) (uint64, error) {
	f.mu.Lock()
	if f.puts > 0 {
		f.puts--
		f.mu.Unlock()
		select {
		case f.failed <- struct{}{}:
		default:
		}
		return 0, state.ErrUnavailable
	}
	f.mu.Unlock()
	return f.Store.Put(ctx, tenant, kind, name, value, version)
}

func (f *failing) Get(ctx context.Context, tenant, kind, name string) (state.Setting, error) {
	f.mu.Lock()
	err := f.get
	f.mu.Unlock()
	if err != nil {
		return state.Setting{}, err
	}
	return f.Store.Get(ctx, tenant, kind, name)
}

// TestStoreFails: a new refresh token that cannot be stored is not used, and not lost.
func TestStoreFails(t *testing.T) {
	t.Parallel()
	i, c := newIssuer(t, "first"), clock.NewManual(noon)
	store := &failing{Store: openStore(t, c), puts: 3}
	r := newReplica(t, oauth.Options{Store: store, Clock: c})
	r.delivers(t, i.refreshing()) // it is tried again
	if store.puts != 0 || i.fetches() != 1 {
		t.Errorf("%d failures left, %d fetches", store.puts, i.fetches())
	}

	c.Advance(time.Hour)
	store.get = state.ErrUnavailable
	if res := r.send(t.Context(), i.refreshing(), connectors.Secret{}); res.Kind != outbound.Busy {
		t.Errorf("%s %v", res.Kind, res.Err)
	}
	store.get = nil

	store.puts, store.failed = 1<<30, make(chan struct{}, 1)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan outbound.Result, 1)
	go func() { done <- r.send(ctx, i.refreshing(), connectors.Secret{}) }()
	<-store.failed
	cancel()
	if res := <-done; res.Kind != outbound.Canceled || i.served() != 1 {
		t.Errorf("%s %v: %d requests", res.Kind, res.Err, i.served())
	}
	store.mu.Lock()
	store.puts = 0
	store.mu.Unlock()
	r.close(t) // waits for the renewal, and stores what is left
	b := newReplica(t, oauth.Options{Store: store, Clock: c})
	b.delivers(t, i.refreshing())
	if i.fetches() != 2 {
		t.Errorf("%d fetches, want no more than before", i.fetches())
	}
}

// TestAnotherReplicaFetches: who does not get the lease waits for the record, and takes over when the holder has died.
func TestAnotherReplicaFetches(t *testing.T) {
	t.Parallel()
	i, c := newIssuer(t, "first"), clock.NewManual(noon)
	store := openStore(t, c)
	r := newReplica(t, oauth.Options{Store: store, Clock: c})
	r.delivers(t, i.refreshing())
	kept, err := store.List(t.Context(), "acme", "token-fetched")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.Lease(t.Context(), "oauth/acme/"+kept[0].Name, "dead", time.Minute); err != nil {
		t.Fatal(err)
	}
	c.Advance(time.Hour - time.Second)
	if _, err := store.Lease(t.Context(), "oauth/acme/"+kept[0].Name, "dead", time.Minute); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if res := r.send(ctx, i.refreshing(), connectors.Secret{}); res.Kind != outbound.Busy || i.fetches() != 1 {
		t.Errorf("%s %v after %d fetches", res.Kind, res.Err, i.fetches()) // the destination is not at fault
	}
	c.Advance(time.Minute)
	r.delivers(t, i.refreshing())
}

// TestVaultFails: nothing is fetched that could not be kept.
func TestVaultFails(t *testing.T) {
	t.Parallel()
	i := newIssuer(t, "first")
	store := openStore(t, nil)
	r := newReplica(t, oauth.Options{Store: store, Vault: box{fail: errors.New("the key k1 is missing")}})
	if res := r.send(t.Context(), i.refreshing(), connectors.Secret{}); res.Kind != outbound.Credentials ||
		res.Err.Error() != "the access token cannot be kept sealed: the key k1 is missing" {
		t.Errorf("%s %v", res.Kind, res.Err)
	}
	none := outbound.New(outbound.Options{Policy: loopback, Tokens: oauth.New(oauth.Options{})})
	defer none.Close()
	if res := (&replica{Sender: none}).send(t.Context(), i.refreshing(), connectors.Secret{}); res.Kind != outbound.Credentials ||
		res.Err.Error() != "access tokens are kept sealed, and this gateway has no key to seal with" {
		t.Errorf("%s %v", res.Kind, res.Err)
	}
	if i.fetches() != 0 {
		t.Errorf("%d fetches", i.fetches())
	}

	newReplica(t, oauth.Options{Store: store}).delivers(t, i.refreshing())
	if res := r.send(t.Context(), i.refreshing(), connectors.Secret{}); res.Kind != outbound.Credentials ||
		!strings.HasPrefix(res.Err.Error(), "the stored refresh token cannot be read (the key k1 is missing); if its key is lost, obtain") {
		t.Errorf("%s %v", res.Kind, res.Err)
	}
}

// TestRecordIsResealed: a record that was sealed anew meanwhile is replaced all the same.
func TestRecordIsResealed(t *testing.T) {
	t.Parallel()
	i, c := newIssuer(t, "first"), clock.NewManual(noon)
	store := openStore(t, c)
	r := newReplica(t, oauth.Options{Store: store, Clock: c})
	r.delivers(t, i.refreshing())
	c.Advance(time.Hour)
	i.before = func(http.ResponseWriter, url.Values) bool {
		kept, err := store.List(t.Context(), "acme", "token-fetched")
		if err != nil || len(kept) != 1 {
			t.Errorf("%d records, %v", len(kept), err)
			return false
		}
		if _, err := store.Put(t.Context(), "acme", "token-fetched", kept[0].Name, kept[0].Value, kept[0].Version); err != nil {
			t.Error(err)
		}
		return false
	}
	r.delivers(t, i.refreshing())
	i.before = nil
	c.Advance(time.Hour)
	newReplica(t, oauth.Options{Store: store, Clock: c}).delivers(t, i.refreshing())
	if got := i.forms[2].Get("refresh_token"); got != "refresh-2" {
		t.Errorf("%s was used", got)
	}
}

// TestDirect: a check fetches a token without keeping it, once, and leaves refresh tokens alone.
func TestDirect(t *testing.T) {
	t.Parallel()
	i := newIssuer(t, "first")
	s := outbound.New(outbound.Options{Policy: loopback, Tokens: &oauth.Direct{}})
	t.Cleanup(s.Close)
	r := &replica{Sender: s}
	r.delivers(t, i.credentials())
	r.delivers(t, i.credentials())
	if res := r.send(t.Context(), i.refreshing(), connectors.Secret{}); res.Kind != outbound.Credentials {
		t.Errorf("%s %v", res.Kind, res.Err)
	}
	if i.fetches() != 1 {
		t.Errorf("%d fetches", i.fetches())
	}
}

// TestReloadDuringARenewal: requests of an older and a newer configuration do not use the refresh token side by side.
func TestReloadDuringARenewal(t *testing.T) {
	t.Parallel()
	i := newIssuer(t, "first")
	asked, release := make(chan struct{}), make(chan struct{})
	i.before = func(http.ResponseWriter, url.Values) bool { close(asked); <-release; return false }
	r := newReplica(t, oauth.Options{Store: openStore(t, nil)})
	older, newer := i.refreshing(), i.refreshing()
	newer.ClientSecret = connectors.NewSecret("new")
	var group sync.WaitGroup
	group.Go(func() { r.delivers(t, older) })
	<-asked
	group.Go(func() { r.delivers(t, newer) })
	close(release)
	group.Wait()
	if n := i.fetches(); n != 1 {
		t.Errorf("%d fetches", n)
	}

	// What the older one fails with is not the newer one's failure.
	i.revoke()
	i.mu.Lock()
	i.current, i.former = "connected again", ""
	i.mu.Unlock()
	asked, release = make(chan struct{}), make(chan struct{})
	var once sync.Once
	i.before = func(http.ResponseWriter, url.Values) bool { once.Do(func() { close(asked); <-release }); return false }
	newer.RefreshToken = connectors.NewSecret("connected again")
	refused := connectors.NewSecret("access-1")
	group.Go(func() {
		if res := r.send(t.Context(), older, refused); res.Kind != outbound.Credentials {
			t.Errorf("%s %v", res.Kind, res.Err)
		}
	})
	<-asked
	group.Go(func() {
		if res := r.send(t.Context(), newer, refused); res.Err != nil || res.Response.Status != http.StatusOK {
			t.Errorf("%s %v", res.Kind, res.Err)
		}
	})
	close(release)
	group.Wait()
}

// TestTenantsNeverMeet: two tenants with the same settings have two tokens.
func TestTenantsNeverMeet(t *testing.T) {
	t.Parallel()
	i := newIssuer(t, "")
	r := newReplica(t, oauth.Options{Store: openStore(t, nil)})
	var used []connectors.Secret
	for _, tenant := range []string{"acme", "other", "acme"} {
		res := r.Send(t.Context(), connectors.Post("/records", []byte(`{}`)).As(i.credentials()), outbound.Attempt{
			DeliveryID: "dl_1", Trusted: true, Tenant: tenant, Destination: "crm", Timeout: 30 * time.Second,
		})
		if res.Err != nil {
			t.Fatal(res.Err)
		}
		used = append(used, res.Token)
	}
	if used[0] == used[1] || used[0] != used[2] || i.fetches() != 2 {
		t.Errorf("%d fetches for two tenants, or a token of another", i.fetches())
	}
}
