package outbound_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/internal/outbound"
)

// fetched is a credential whose token is fetched.
type fetched struct{ connectors.Auth }

func (fetched) FetchesToken() {}

// tokens gives every tenant a token of its own, or an error.
type tokens struct{ err error }

func (f tokens) Token(ctx context.Context, tenant string, _ outbound.TokenAuth) (connectors.Secret, error) {
	if _, ok := ctx.Deadline(); !ok {
		return connectors.Secret{}, errors.New("a token is fetched without a deadline")
	}
	return connectors.NewSecret("token-of-" + tenant), f.err
}

// TestTokens sends requests whose token is fetched: it is put on, and cut out of an answer that repeats it.
func TestTokens(t *testing.T) {
	both(t, func(t *testing.T, by outbound.Transport) {
		peer := answers(t, "HTTP/1.1 200 OK\r\nContent-Length: 21\r\nX-Seen: token-of-acme\r\n\r\nseen: token-of-acme\r\n", false)
		a := trusted(by)
		a.Tenant = "acme"
		req := post(peer.url).As(fetched{})

		res := sender(t, outbound.Options{Policy: loopback, Tokens: tokens{}}).Send(t.Context(), req, a)
		if res.Kind != outbound.Answered || string(res.Response.Body) != "seen: [secret]\r\n" || res.Response.Header.Get("X-Seen") != "[secret]" {
			t.Fatalf("%s %v: %+v", res.Kind, res.Err, res.Response)
		}
		if res.Response.To != req {
			t.Error("the answer is not to the request that was given")
		}
		peer.mu.Lock()
		if got := peer.requests[0]; !strings.Contains(got, "Authorization: Bearer token-of-acme\r\n") {
			t.Errorf("%q holds no token", got)
		}
		peer.mu.Unlock()

		for name, c := range map[string]struct {
			tokens outbound.Tokens
			kind   outbound.Kind
			reason string
		}{
			"no Tokens": {nil, outbound.Credentials, "the request needs a token that is fetched, and this gateway fetches none"},
			"refused":   {tokens{&outbound.Error{Kind: outbound.Credentials, Reason: "no such client"}}, outbound.Credentials, "no such client"},
			"no answer": {tokens{&outbound.Error{Kind: outbound.Timeout, Reason: "no token in time"}}, outbound.Timeout, "no token in time"},
			"other":     {tokens{errors.New("hush")}, outbound.Protocol, "the request failed"},
		} {
			res := sender(t, outbound.Options{Policy: loopback, Tokens: c.tokens}).Send(t.Context(), req, a)
			if res.Kind != c.kind || res.Err.Error() != c.reason || res.Reached {
				t.Errorf("%s: %s %v", name, res.Kind, res.Err)
			}
		}
		if n, _ := peer.count(); n != 1 {
			t.Errorf("%d requests were sent, want 1", n)
		}
	})
}

// TestTokensAreForRequestsThatAsk fetches none for any other request, nor for one that the policy refuses.
func TestTokensAreForRequestsThatAsk(t *testing.T) {
	both(t, func(t *testing.T, by outbound.Transport) {
		peer := answers(t, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false)
		s := sender(t, outbound.Options{Policy: loopback, Tokens: tokens{errors.New("asked")}})
		a := trusted(by)
		a.Timeout = 5 * time.Second
		if res := s.Send(t.Context(), post(peer.url).As(connectors.Bearer(connectors.NewSecret("own"))), a); res.Kind != outbound.Answered {
			t.Errorf("%s %v", res.Kind, res.Err)
		}
		if res := s.Send(t.Context(), post("https://10.0.0.1/").As(fetched{}), a); res.Kind != outbound.Refused {
			t.Errorf("%s %v", res.Kind, res.Err)
		}
	})
}
