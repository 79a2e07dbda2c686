package deliver

import (
	"context"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/internal/outbound"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

func answered(status int, token string) outbound.Result {
	return outbound.Result{
		Kind: outbound.Answered, Response: &connectors.Response{Status: status, Header: http.Header{}, At: time.Now()},
		Token: connectors.NewSecret(token),
	}
}

func unfetched(kind outbound.Kind, reason string, after time.Duration) outbound.Result {
	return outbound.Result{Kind: kind, Err: &outbound.Error{Kind: kind, Reason: reason, After: after}}
}

// TestRefusedTokenIsReplacedOnce: a product that refuses a fetched token is asked once more with another one, within the attempt.
func TestRefusedTokenIsReplacedOnce(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		// second is the answer with another token.
		second   outbound.Result
		state    state.DeliveryState
		hold     state.HoldKind
		reason   string
		attempts int
	}{
		"accepted":      {answered(200, "new"), state.Delivered, "", "", 1},
		"refused again": {answered(401, "new"), state.Waiting, state.HoldRevoked, "401 Unauthorized", 1},
		"the endpoint is down": {
			unfetched(outbound.Protocol, "token endpoint: 503 Service Unavailable", 0), state.Waiting, "", "token endpoint: 503 Service Unavailable", 1,
		},
		"no longer granted": {unfetched(outbound.Credentials, "token endpoint: invalid_grant", 0), state.Waiting, state.HoldRevoked, "token endpoint: invalid_grant", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var requests atomic.Int64
			b := prepare(t, destinations(destination("crm", time.Hour)), nil)
			b.world.send = func(_ context.Context, _ seen, o outbound.Attempt) outbound.Result {
				requests.Add(1)
				if o.RefusedToken.IsZero() {
					return answered(401, "old")
				}
				if o.RefusedToken != connectors.NewSecret("old") {
					t.Error("another token was refused")
				}
				return tt.second
			}
			b.open()
			id := b.accept(1)[0]
			d := b.untilState(id, "crm", tt.state)
			if d.Attempts != tt.attempts || d.Reason != tt.reason || requests.Load() != 2 {
				t.Errorf("%d attempts, %d requests: %s", d.Attempts, requests.Load(), d.Reason)
			}
			if tt.hold == "" {
				return
			}
			b.until("held", func() bool {
				h, err := b.loop.storedHold(t.Context(), laneKey{"default", "crm"})
				return err == nil && h.Kind == tt.hold && h.Reason == tt.reason
			})
		})
	}
}

// TestKeptTokensAreRefused: a replica that has not sent for a while finds a newer token in the store, which may be withdrawn too. Only the
// refusal of one that was fetched for the request counts.
func TestKeptTokensAreRefused(t *testing.T) {
	t.Parallel()
	kept := func() outbound.Result { // a new answer each time, which the attempt changes
		r := answered(401, "stored")
		r.TokenKept = true
		return r
	}
	for name, tt := range map[string]struct {
		third outbound.Result
		state state.DeliveryState
	}{
		"accepted":      {answered(200, "new"), state.Delivered},
		"refused again": {answered(401, "new"), state.Waiting},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var requests atomic.Int64
			b := prepare(t, destinations(destination("crm", time.Hour)), nil)
			b.world.send = func(_ context.Context, _ seen, o outbound.Attempt) outbound.Result {
				requests.Add(1)
				switch o.RefusedToken {
				case connectors.Secret{}:
					return answered(401, "own")
				case connectors.NewSecret("own"):
					return kept()
				}
				return tt.third
			}
			b.open()
			d := b.untilState(b.accept(1)[0], "crm", tt.state)
			if d.Attempts != 1 || requests.Load() != 3 {
				t.Errorf("%d attempts, %d requests: %s", d.Attempts, requests.Load(), d.Reason)
			}
		})
	}
}

// TestTokenOfTheConfigurationIsBelieved: a refusal of a token that is not fetched is not asked about again.
func TestTokenOfTheConfigurationIsBelieved(t *testing.T) {
	t.Parallel()
	b := begin(t, destinations(destination("crm", time.Hour)), func(seen) (int, http.Header) { return 401, nil })
	id := b.accept(1)[0]
	b.untilState(id, "crm", state.Waiting)
	if n := b.world.count(func(seen) bool { return true }); n != 1 {
		t.Errorf("%d requests", n)
	}
}

// TestTokenEndpointAsksToWait: the wait of a token endpoint is the delivery's, and uses up no attempt of the schedule.
func TestTokenEndpointAsksToWait(t *testing.T) {
	t.Parallel()
	b := prepare(t, destinations(destination("crm", time.Second)), nil)
	b.world.send = func(context.Context, seen, outbound.Attempt) outbound.Result {
		return unfetched(outbound.Protocol, "token endpoint: 429 Too Many Requests", time.Hour)
	}
	b.open()
	id := b.accept(1)[0]
	d := b.untilState(id, "crm", state.Waiting)
	if left := time.Until(d.Due); d.Forgiven != 1 || left < 50*time.Minute {
		t.Errorf("due in %s, %d forgiven: %s", left, d.Forgiven, d.Reason)
	}
}

// TestTokenWaitIsNotLatency: the time until a token was there is not the product's.
func TestTokenWaitIsNotLatency(t *testing.T) {
	t.Parallel()
	b := prepare(t, destinations(destination("crm", time.Hour)), nil)
	b.world.send = func(context.Context, seen, outbound.Attempt) outbound.Result {
		res := answered(500, "token")
		res.TokenWait = time.Hour // longer than the attempt took
		return res
	}
	b.open()
	id := b.accept(1)[0]
	b.untilState(id, "crm", state.Waiting)
	d := b.delivery(id, "crm")
	if len(d.Log) != 1 || d.Log[0].Took != 0 {
		t.Errorf("%+v", d.Log)
	}
}

// TestIsTokenRefusal is what counts as a refusal of the credentials.
func TestIsTokenRefusal(t *testing.T) {
	t.Parallel()
	revoked, setting := connectors.Revoke("401"), connectors.Revoke("channel_not_found").ForSetting("channel")
	for name, tt := range map[string]struct {
		v    connectors.Verdict
		want bool
	}{
		"revoked":                    {revoked, true},
		"a setting":                  {setting, false},
		"retry":                      {connectors.TryAgain("503"), false},
		"every one of a batch":       {connectors.Verdict{Each: []connectors.Verdict{revoked, revoked}}, true},
		"some, others are delivered": {connectors.Verdict{Each: []connectors.Verdict{revoked, connectors.Deliver()}}, false},
		"a setting in a batch":       {connectors.Verdict{Each: []connectors.Verdict{revoked, setting}}, false},
	} {
		if got := isTokenRefusal(tt.v); got != tt.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}
