package oauth_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
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
	"github.com/surveygate/surveygate/gateway/internal/state/embedded"
)

var loopback = outbound.Policy{AllowAddresses: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}

// noon is when the tests' clocks begin.
var noon = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

// issuer is a token endpoint and the API that accepts its tokens. A refresh token is accepted once, and once more while its
// successor has not been used (as products do, because answers get lost).
type issuer struct {
	*httptest.Server
	address string
	// before is called before a token is issued; an answer that it writes itself is the answer.
	before func(w http.ResponseWriter, form url.Values) (answered bool)
	// expiresIn is in seconds; 0 is left out of the answer.
	expiresIn int

	mu       sync.Mutex
	forms    []url.Values
	basic    []string // of each form
	issued   int
	current  string // the valid refresh token
	former   string // valid until current is used
	access   string // the only access token that the API accepts; the newest
	requests int    // of the API
}

func newIssuer(t testing.TB, firstRefresh string) *issuer {
	t.Helper()
	i := &issuer{current: firstRefresh, expiresIn: 3600}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /token", i.token)
	mux.HandleFunc("/", i.api)
	// A child process may ask as soon as the server runs: what its handlers read is there before.
	i.Server = httptest.NewUnstartedServer(mux)
	i.Start()
	i.address = i.URL
	t.Cleanup(i.Close)
	return i
}

func (i *issuer) token(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		http.Error(w, "", http.StatusBadRequest)
		return
	}
	i.mu.Lock()
	i.forms = append(i.forms, r.PostForm)
	user, password, _ := r.BasicAuth()
	i.basic = append(i.basic, user+":"+password)
	i.mu.Unlock()
	if i.before != nil && i.before(w, r.PostForm) {
		return
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	out := map[string]any{"token_type": "Bearer", "instance_url": i.URL}
	if r.PostForm.Get("grant_type") == "refresh_token" {
		switch r.PostForm.Get("refresh_token") {
		case i.current:
			i.former = i.current
		case i.former:
		default:
			refuse(w, http.StatusBadRequest, "invalid_grant")
			return
		}
		i.current = fmt.Sprintf("refresh-%d", i.issued+1)
		out["refresh_token"] = i.current
	}
	i.issued++
	i.access = fmt.Sprintf("access-%d", i.issued)
	out["access_token"] = i.access
	if i.expiresIn > 0 {
		out["expires_in"] = i.expiresIn
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(out)
}

func refuse(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": code, "error_description": "secret-description of jo@example.com"})
}

func (i *issuer) api(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.requests++
	if r.Header.Get("Authorization") != "Bearer "+i.access {
		w.WriteHeader(http.StatusUnauthorized)
	}
}

// fetches is how often a token was asked for.
func (i *issuer) fetches() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return len(i.forms)
}

// served is how often the API was asked.
func (i *issuer) served() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.requests
}

// used are the refresh tokens in the order of their use.
func (i *issuer) used() (all []string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, form := range i.forms {
		all = append(all, form.Get("refresh_token"))
	}
	return all
}

// revoke makes the API refuse the newest token.
func (i *issuer) revoke() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.access = "none"
}

// newest is the newest token.
func (i *issuer) newest() connectors.Secret {
	i.mu.Lock()
	defer i.mu.Unlock()
	return connectors.NewSecret(i.access)
}

func (i *issuer) refreshing() connectors.OAuth2 {
	return connectors.OAuth2{
		Grant: connectors.GrantRefreshToken, TokenURL: i.address + "/token", ClientID: "client",
		ClientSecret: connectors.NewSecret("client-secret"), RefreshToken: connectors.NewSecret("first"),
	}
}

func (i *issuer) credentials() connectors.OAuth2 {
	return connectors.OAuth2{
		Grant: connectors.GrantClientCredentials, TokenURL: i.address + "/token", ClientID: "client",
		ClientSecret: connectors.NewSecret("client-secret"), Scopes: []string{"one", "two"},
	}
}

// deadline is a context whose deadline passes when passed is closed.
type deadline struct {
	context.Context
	passed chan struct{}
}

func (d deadline) Done() <-chan struct{} { return d.passed }

func (d deadline) Err() error {
	select {
	case <-d.passed:
		return context.DeadlineExceeded
	default:
		return nil
	}
}

// box is a vault that opens a value only in its place. It hides nothing from one who wants to see it.
type box struct{ fail error }

func (b box) Seal(tenant, kind, name, field string, plain []byte) (string, error) {
	if b.fail != nil {
		return "", b.fail
	}
	place := strings.Join([]string{tenant, kind, name, field}, "\x00") + "\x00"
	return "k1:" + base64.RawURLEncoding.EncodeToString(append([]byte(place), plain...)), nil
}

func (b box) Open(tenant, kind, name, field, sealed string) ([]byte, error) {
	if b.fail != nil {
		return nil, b.fail
	}
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(sealed, "k1:"))
	place := strings.Join([]string{tenant, kind, name, field}, "\x00") + "\x00"
	plain, ok := strings.CutPrefix(string(raw), place)
	if err != nil || !ok {
		return nil, errors.New("it does not open here")
	}
	return []byte(plain), nil
}

func openStore(t testing.TB, c clock.Clock) state.Store {
	t.Helper()
	s, err := embedded.Open(embedded.Options{Dir: t.TempDir(), Clock: c})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// replica is one gateway's sender with its tokens.
type replica struct {
	*outbound.Sender
	tokens *oauth.Tokens
}

func newReplica(t testing.TB, o oauth.Options) *replica {
	t.Helper()
	r := makeReplica(o)
	t.Cleanup(func() { r.close(t) })
	return r
}

func makeReplica(o oauth.Options) *replica {
	if o.Vault == nil {
		o.Vault = box{}
	}
	if o.Clock == nil {
		o.Clock = clock.System()
	}
	o.Log, o.FingerprintKey = slog.New(slog.DiscardHandler), []byte("key")
	if o.Jitter == nil {
		o.Jitter = func() float64 { return 0 }
	}
	r := &replica{tokens: oauth.New(o)}
	r.Sender = outbound.New(outbound.Options{Policy: loopback, Tokens: r.tokens})
	return r
}

func (r *replica) close(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := r.tokens.Close(ctx); err != nil {
		t.Errorf("close: %v", err)
	}
	r.Close()
}

// send sends a request to the API, as the destination crm of a tenant.
func (r *replica) send(ctx context.Context, auth connectors.OAuth2, refusedToken connectors.Secret) outbound.Result {
	return r.Send(ctx, connectors.Post("/records", []byte(`{}`)).As(auth), outbound.Attempt{
		DeliveryID: "dl_1", Trusted: true, Tenant: "acme", Destination: "crm", Timeout: 30 * time.Second, RefusedToken: refusedToken,
	})
}

// delivers sends a request that the API must accept.
func (r *replica) delivers(t testing.TB, auth connectors.OAuth2) outbound.Result {
	t.Helper()
	res := r.send(t.Context(), auth, connectors.Secret{})
	if res.Err != nil || res.Response.Status != http.StatusOK {
		t.Fatalf("%s %v: %+v", res.Kind, res.Err, res.Response)
	}
	return res
}

// plant stores a refresh token as `surveygate token set` does.
func plant(t testing.TB, store state.Settings, token string, at time.Time) {
	t.Helper()
	sealed, err := box{}.Seal("acme", "token-planted", "crm", "planted", []byte(token))
	if err != nil {
		t.Fatal(err)
	}
	value, err := json.Marshal(map[string]any{"planted": sealed, "at": at})
	if err != nil {
		t.Fatal(err)
	}
	old, err := store.Get(t.Context(), "acme", "token-planted", "crm")
	if err != nil && !errors.Is(err, state.ErrNotFound) {
		t.Fatal(err)
	}
	if _, err := store.Put(t.Context(), "acme", "token-planted", "crm", value, old.Version); err != nil {
		t.Fatal(err)
	}
}
