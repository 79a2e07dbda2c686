package live

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/oauth"
	"github.com/surveygate/surveygate/gateway/internal/outbound"
	"github.com/surveygate/surveygate/rules/event"
)

// fetching is a connector whose token is fetched, and whose check asks where the token says it lives.
type fetching struct{ auth connectors.OAuth2 }

func (*fetching) Build(*event.Event) (*connectors.Request, error) { return nil, connectors.Skip("") }

func (f *fetching) Check() []*connectors.Request {
	return []*connectors.Request{connectors.Get("/limits").As(f.auth), connectors.Get("/objects").As(f.auth)}
}

func (*fetching) JudgeCheck(res *connectors.Response) (shown connectors.Proof) {
	if res.Status != http.StatusOK {
		shown.Missing = append(shown.Missing, connectors.StatusReason(res.Status))
	}
	return shown
}

// TestLiveFetchesTokens: a check fetches one token for all of its requests, and uses no refresh token.
func TestLiveFetchesTokens(t *testing.T) {
	t.Parallel()
	var fetches, refreshes atomic.Int64
	var server *httptest.Server
	server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/token" {
			if r.Header.Get("Authorization") != "Bearer issued" {
				w.WriteHeader(http.StatusUnauthorized)
			}
			return
		}
		fetches.Add(1)
		w.Header().Set("Content-Type", "application/json")
		switch {
		case r.FormValue("grant_type") == "refresh_token":
			refreshes.Add(1)
		case r.FormValue("client_secret") == "busy":
			w.WriteHeader(http.StatusServiceUnavailable)
		case r.FormValue("client_secret") != "good":
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprint(w, `{"error":"invalid_client"}`)
		default:
			fmt.Fprintf(w, `{"access_token":"issued","token_type":"Bearer","instance_url":%q}`, server.URL)
		}
	}))
	t.Cleanup(server.Close)
	sender := outbound.New(outbound.Options{
		Policy: outbound.Policy{AllowAddresses: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}, Tokens: &oauth.Direct{},
	})
	t.Cleanup(sender.Close)
	for name, want := range map[string]Connection{
		"good": {Standing: Proved},
		"bad": {Standing: Missing, Missing: []Lack{{What: "credentials that an access token is issued for " +
			"(token endpoint: invalid_client: the application is not accepted; check its id and secret)"}}},
		"busy":    {Standing: Unreachable, Reason: "token endpoint: 503 Service Unavailable"},
		"refresh": {Standing: Unproved, Unproved: []string{onlyTheGateway}, OnlyGateway: true},
	} {
		auth := connectors.OAuth2{
			Grant: connectors.GrantClientCredentials, TokenURL: server.URL + "/token", ClientID: "app", ClientSecret: connectors.NewSecret(name),
		}
		if name == "refresh" {
			auth.Grant, auth.RefreshToken = connectors.GrantRefreshToken, connectors.NewSecret("first")
		}
		d := &config.Destination{Trusted: true, Timeout: time.Minute, Alone: &fetching{auth}}
		checker := Checker{Plan: decide.New(&config.Config{}), Sender: sender, Offline: true}
		if diff := cmp.Diff([]Connection{want}, checker.Check(t.Context(), d)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if fetches.Load() != 3 || refreshes.Load() != 0 {
		t.Errorf("%d fetches, %d of them with a refresh token", fetches.Load(), refreshes.Load())
	}
}

// A check that has no time left says so.
func TestCheckWithoutTime(t *testing.T) {
	t.Parallel()
	sender := outbound.New(outbound.Options{Tokens: &oauth.Direct{}})
	t.Cleanup(sender.Close)
	auth := connectors.OAuth2{Grant: connectors.GrantClientCredentials, TokenURL: "https://fetched.example/token", ClientID: "app"}
	ctx, cancel := context.WithDeadline(t.Context(), time.Unix(0, 0))
	defer cancel()
	checker := Checker{Plan: decide.New(&config.Config{}), Sender: sender}
	got := checker.Check(ctx, &config.Destination{Timeout: time.Minute, Alone: &fetching{auth}})
	if diff := cmp.Diff([]Connection{{Standing: Unreachable, Reason: "the check took too long"}}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
