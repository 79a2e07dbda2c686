package web

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/vault"
	"github.com/surveygate/surveygate/rules/event"
)

// fetched is a product whose access token is fetched.
type fetched struct {
	Grant connectors.Grant `yaml:"grant"`
}

func (f *fetched) request() *connectors.Request {
	return connectors.Post("https://api.fetched.example/records", nil).As(connectors.OAuth2{Grant: f.Grant, TokenURL: "https://api.fetched.example/token"})
}
func (f *fetched) Build(*event.Event) (*connectors.Request, error) { return f.request(), nil }
func (f *fetched) Check() []*connectors.Request                    { return []*connectors.Request{f.request()} }
func (*fetched) JudgeCheck(*connectors.Response) connectors.Proof  { return connectors.Proof{} }

func init() {
	connectors.Register("fetched", func() connectors.Connector { return &fetched{} })
}

const fetching = `
connections:
  contacts: {fetched: {grant: refresh_token}}
  rows:     {fetched: {grant: "urn:ietf:params:oauth:grant-type:jwt-bearer"}}
  alarms:   {slack: {webhook: "https://hooks.slack.com/services/T0/B0/abcdefghijkl"}}
  theirs:   {fetched: {grant: refresh_token}, tenant: acme}
webhooks:
  - {name: warehouse, url: "https://hook.example.com/in", secrets: [whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw]}
`

// lines is a log that can be read while it is written.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// newFetching is a rig with connections whose tokens are fetched. said is its log.
func newFetching(t *testing.T) (r *rig, said *lines) {
	t.Helper()
	said = &lines{}
	r = &rig{log: slog.New(slog.NewTextHandler(said, nil))}
	r.plan.Store(load(t, fetching+someSettings[strings.Index(someSettings, "tokens:"):]))
	return r.open(t), said
}

const refresh = "refresh-token-0123456789"

// A first refresh token is stored sealed, and a hold for refused credentials ends.
func TestPlantToken(t *testing.T) {
	t.Parallel()
	r, said := newFetching(t)
	ctx := context.Background()
	for name, kind := range map[string]state.HoldKind{"contacts": state.HoldRevoked, "alarms": state.HoldRevoked} {
		if err := r.store.Hold(ctx, "default", name, state.Hold{Kind: kind, Reason: "invalid_grant", Since: noon}, nil); err != nil {
			t.Fatal(err)
		}
	}
	for _, a := range []ask{{token: everyToken}, {socket: true}, {token: platformWide}} {
		a.method, a.path, a.body = http.MethodPut, "/v1/connections/contacts/token", `{"refresh_token":"`+refresh+`"}`
		got := r.ask(t, a)
		if want := `{"connection":"contacts","tenant":"default","product":"fetched","stored":"2026-01-02T12:00:00.000Z"}`; got.status != http.StatusOK || got.body != want {
			t.Errorf("%d %s", got.status, got.body)
		}
	}
	kept, err := r.store.Get(ctx, "default", vault.KindPlanted, "contacts")
	if err != nil {
		t.Fatal(err)
	}
	var value struct{ Planted, At string }
	if err := json.Unmarshal(kept.Value, &value); err != nil || !strings.HasPrefix(value.Planted, "k1:") || value.At != "2026-01-02T12:00:00Z" || strings.Contains(string(kept.Value), refresh) {
		t.Errorf("kept %s, %v", kept.Value, err)
	}
	if p, err := r.app.options.Vault.Planted(ctx, "default", "contacts"); err != nil || string(p.Token) != refresh || !p.At.Equal(noon) {
		t.Errorf("planted %+v, %v", p, err)
	}
	holds, err := r.store.Holds(ctx, "*")
	if err != nil || len(holds) != 1 || holds[0].Destination != "alarms" {
		t.Errorf("on hold: %+v, %v", holds, err)
	}
	if text := said.String(); strings.Contains(text, refresh) || strings.Count(text, "act=token tenant=default by=") != 3 {
		t.Errorf("logged:\n%s", text)
	}
	for _, path := range []string{"/v1/connections", "/v1/connections/contacts", "/v1/destinations/contacts"} {
		if got := r.ask(t, ask{path: path, socket: true}); strings.Contains(got.body, refresh) || strings.Contains(got.body, value.Planted) {
			t.Errorf("%s shows it: %s", path, got.body)
		}
	}
}

// A pause by hand is not ended by a token.
func TestPlantTokenLeavesAPause(t *testing.T) {
	t.Parallel()
	r, _ := newFetching(t)
	ctx := context.Background()
	if err := r.store.Hold(ctx, "default", "contacts", state.Hold{Kind: state.HoldPaused, Reason: "moving", Since: noon}, nil); err != nil {
		t.Fatal(err)
	}
	got := r.ask(t, ask{method: http.MethodPut, path: "/v1/connections/contacts/token", token: everyToken, body: `{"refresh_token":"` + refresh + `"}`})
	if holds, err := r.store.Holds(ctx, "default"); got.status != http.StatusOK || err != nil || len(holds) != 1 {
		t.Errorf("%d %s, on hold: %+v, %v", got.status, got.body, holds, err)
	}
}

// Whatever is refused stores nothing, and no answer quotes the token.
func TestPlantTokenRefuses(t *testing.T) {
	t.Parallel()
	r, _ := newFetching(t)
	const body = `{"refresh_token":"` + refresh + `"}`
	for name, c := range map[string]struct {
		ask    ask
		status int
		want   string
	}{
		"unknown connection":   {ask{path: "contact", body: body}, 404, "did you mean `contacts`?"},
		"another tenant's":     {ask{path: "theirs", body: body}, 404, "no such connection"},
		"a webhook":            {ask{path: "warehouse", body: body}, 404, "no such connection"},
		"no token is fetched":  {ask{path: "alarms", body: body}, 422, "`alarms` sends to slack, for which no token is fetched"},
		"another grant":        {ask{path: "rows", body: body}, 422, "which needs no refresh token"},
		"no scope":             {ask{path: "contacts", body: body, token: readToken}, 403, "lacks the scope `secrets`"},
		"no token of the API":  {ask{path: "contacts", body: body, token: "none"}, 401, "a bearer token is needed"},
		"not JSON":             {ask{path: "contacts", body: refresh}, 400, "the body is not JSON"},
		"no body":              {ask{path: "contacts"}, 400, "the body is not JSON"},
		"a list":               {ask{path: "contacts", body: `["` + refresh + `"]`}, 422, "write {"},
		"a number":             {ask{path: "contacts", body: `{"refresh_token":17}`}, 422, "write {"},
		"another field":        {ask{path: "contacts", body: `{"refresh_token":"x","` + refresh + `":1}`}, 422, "write {"},
		"null":                 {ask{path: "contacts", body: `{"refresh_token":null}`}, 422, "is missing"},
		"empty":                {ask{path: "contacts", body: `{"refresh_token":""}`}, 422, "is missing"},
		"white space":          {ask{path: "contacts", body: `{"refresh_token":" ` + refresh + `"}`}, 422, "begins or ends with white space"},
		"a line break":         {ask{path: "contacts", body: `{"refresh_token":"` + refresh + `\nx"}`}, 422, "line break"},
		"too long":             {ask{path: "contacts", body: `{"refresh_token":"` + repeat(refresh, 1000) + `"}`}, 422, "more than 16 KiB"},
		"an unknown parameter": {ask{path: "contacts/token?token=" + refresh, body: body}, 422, "which takes tenant"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := c.ask
			if a.method, a.path = http.MethodPut, "/v1/connections/"+a.path; !strings.Contains(a.path, "?") {
				a.path += "/token"
			}
			if a.token == "" {
				a.token = everyToken
			}
			got := r.ask(t, a)
			if got.status != c.status || !strings.Contains(got.body, c.want) || strings.Contains(got.body, refresh) {
				t.Errorf("%d %s", got.status, got.body)
			}
		})
	}
	t.Cleanup(func() {
		if list, err := r.store.List(context.Background(), "default", vault.KindPlanted); err != nil || len(list) > 0 {
			t.Errorf("stored %d, %v", len(list), err)
		}
	})
}

// Without a key nothing can be stored, and the answer says what to set.
func TestPlantTokenWithoutAKey(t *testing.T) {
	t.Parallel()
	r, _ := newFetching(t)
	*r.app.options.Vault = *vault.New(vault.Options{Store: r.store})
	got := r.ask(t, ask{method: http.MethodPut, path: "/v1/connections/contacts/token", socket: true, body: `{"refresh_token":"` + refresh + `"}`})
	if got.status != http.StatusServiceUnavailable || !strings.Contains(got.body, "set SURVEYGATE_KEY, or key_file in the configuration") {
		t.Errorf("%d %s", got.status, got.body)
	}
	if _, err := r.store.Get(context.Background(), "default", vault.KindPlanted, "contacts"); !errors.Is(err, state.ErrNotFound) {
		t.Error(err)
	}
}

// Secrets are sealed anew by the operator alone.
func TestReseal(t *testing.T) {
	t.Parallel()
	r, _ := newFetching(t)
	r.ask(t, ask{method: http.MethodPut, path: "/v1/connections/contacts/token", socket: true, body: `{"refresh_token":"` + refresh + `"}`})
	if got := r.ask(t, ask{method: http.MethodPost, path: "/v1/vault/reseal", token: platformWide}); got.status != http.StatusForbidden {
		t.Errorf("with a token: %d %s", got.status, got.body)
	}
	got := r.ask(t, ask{method: http.MethodPost, path: "/v1/vault/reseal", socket: true})
	if want := `{"current":"k1","resealed":0,"unopened":0,"needed":[],"unneeded":[]}`; got.status != http.StatusOK || got.body != want {
		t.Errorf("%d %s", got.status, got.body)
	}
}
