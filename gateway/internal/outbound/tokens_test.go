package outbound_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/internal/outbound"
)

// fetched is a credential whose token is fetched.
var fetched = connectors.OAuth2{
	Grant: connectors.GrantClientCredentials, TokenURL: "https://auth.example/token",
	ClientID: "client", ClientSecret: connectors.NewSecret("client-secret"),
}

// tokens gives every tenant a token of its own, or an error.
type tokens struct {
	base string
	err  error
}

func (f tokens) Token(ctx context.Context, r outbound.TokenRequest) (outbound.Token, error) {
	if _, ok := ctx.Deadline(); !ok {
		return outbound.Token{}, errors.New("a token is fetched without a deadline")
	}
	if f.err != nil {
		return outbound.Token{}, f.err
	}
	text := "token-of-" + r.Tenant + "-" + r.Destination
	if r.Refused == connectors.NewSecret(text) {
		text = "another-token"
	}
	return outbound.Token{
		Access: connectors.NewSecret(text), BaseURL: f.base, Others: []connectors.Secret{connectors.NewSecret("refresh-token"), {}},
	}, nil
}

// TestTokens sends requests whose token is fetched: it is put on, and cut out of an answer that repeats it, as every other secret of
// the credential is.
func TestTokens(t *testing.T) {
	both(t, func(t *testing.T, by outbound.Transport) {
		const body = "seen: token-of-acme-crm refresh-token client-secret another-token"
		peer := answers(t, fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\nX-Seen: token-of-acme-crm\r\n\r\n%s", len(body), body), false)
		a := trusted(by)
		a.Tenant, a.Destination = "acme", "crm"
		req := post(peer.url).As(fetched)
		s := sender(t, outbound.Options{Policy: loopback, Tokens: tokens{}})

		res := s.Send(t.Context(), req, a)
		if res.Kind != outbound.Answered || string(res.Response.Body) != "seen: [secret] [secret] [secret] another-token" || res.Response.Header.Get("X-Seen") != "[secret]" {
			t.Fatalf("%s %v: %+v", res.Kind, res.Err, res.Response)
		}
		if res.Response.To != req {
			t.Error("the answer is not to the request that was given")
		}
		if res.Token != connectors.NewSecret("token-of-acme-crm") || res.TokenWait > res.Took {
			t.Errorf("the result has another token, or waited %s of %s", res.TokenWait, res.Took)
		}
		a.RefusedToken = res.Token
		if res := s.Send(t.Context(), req, a); res.Token != connectors.NewSecret("another-token") {
			t.Errorf("a refused token is sent again: %v", res.Err)
		}
		peer.mu.Lock()
		for i, want := range []string{"token-of-acme-crm", "another-token"} {
			if got := peer.requests[i]; !strings.Contains(got, "Authorization: Bearer "+want+"\r\n") {
				t.Errorf("%q holds no %s", got, want)
			}
		}
		peer.mu.Unlock()

		a.RefusedToken = connectors.Secret{}
		for name, c := range map[string]struct {
			tokens outbound.Tokens
			kind   outbound.Kind
			reason string
		}{
			"no Tokens": {nil, outbound.Credentials, "the request needs a token that is fetched, and this gateway fetches none"},
			"refused":   {tokens{err: &outbound.Error{Kind: outbound.Credentials, Reason: "no such client"}}, outbound.Credentials, "no such client"},
			"no answer": {tokens{err: &outbound.Error{Kind: outbound.Timeout, Reason: "no token in time"}}, outbound.Timeout, "no token in time"},
			"other":     {tokens{err: errors.New("hush")}, outbound.Protocol, "the request failed"},
		} {
			res := sender(t, outbound.Options{Policy: loopback, Tokens: c.tokens}).Send(t.Context(), req, a)
			if res.Kind != c.kind || res.Err.Error() != c.reason || res.Reached {
				t.Errorf("%s: %s %v", name, res.Kind, res.Err)
			}
		}
		if n, _ := peer.count(); n != 2 {
			t.Errorf("%d requests were sent, want 2", n)
		}
	})
}

// TestTokensAreForRequestsThatAsk fetches none for any other request, nor for one that the policy refuses.
func TestTokensAreForRequestsThatAsk(t *testing.T) {
	both(t, func(t *testing.T, by outbound.Transport) {
		peer := answers(t, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false)
		s := sender(t, outbound.Options{Policy: loopback, Tokens: tokens{err: errors.New("asked")}})
		a := trusted(by)
		a.Timeout = 5 * time.Second
		if res := s.Send(t.Context(), post(peer.url).As(connectors.Bearer(connectors.NewSecret("own"))), a); res.Kind != outbound.Answered {
			t.Errorf("%s %v", res.Kind, res.Err)
		}
		if res := s.Send(t.Context(), post("https://10.0.0.1/").As(fetched), a); res.Kind != outbound.Refused {
			t.Errorf("%s %v", res.Kind, res.Err)
		}
	})
}

// TestRelativeURLs sends requests to the address that the token names, and to no other.
func TestRelativeURLs(t *testing.T) {
	both(t, func(t *testing.T, by outbound.Transport) {
		peer := answers(t, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false)
		a := trusted(by)
		send := func(base, url string) outbound.Result {
			s := sender(t, outbound.Options{Policy: loopback, Tokens: tokens{base: base}})
			return s.Send(t.Context(), post(url).As(fetched), a)
		}
		for _, url := range []string{"/services/data?q=1", "//evil.example/path", "/@evil.example/"} {
			for _, base := range []string{peer.url, peer.url + "/"} {
				if res := send(base, url); res.Kind != outbound.Answered {
					t.Errorf("%s on %s: %s %v", url, base, res.Kind, res.Err)
				}
			}
		}
		peer.mu.Lock()
		if got := peer.requests[0]; !strings.HasPrefix(got, http.MethodPost+" /services/data?q=1 HTTP/1.1\r\n") {
			t.Errorf("sent %q", got)
		}
		peer.mu.Unlock()
		sent, _ := peer.count()
		for base, kind := range map[string]outbound.Kind{
			"":                                  outbound.Credentials,
			"acme.example":                      outbound.Protocol,
			"ftp://acme.example":                outbound.Protocol,
			"https://user@acme.example":         outbound.Protocol,
			"https://acme.example/path":         outbound.Protocol,
			"https://acme.example?a=":           outbound.Protocol,
			"https://acme.example#a":            outbound.Protocol,
			"https://acme.example\r\nX: y":      outbound.Protocol,
			"https://acme.example:port":         outbound.Protocol,
			"http://acme.example":               outbound.Refused,
			"https://10.0.0.1":                  outbound.Refused,
			"https://169.254.169.254":           outbound.Refused,
			"javascript:alert(1)//acme.example": outbound.Protocol,
		} {
			if res := send(base, "/services/data"); res.Kind != kind || res.Reached {
				t.Errorf("%q: %s %v, want %s", base, res.Kind, res.Err, kind)
			}
		}
		if n, _ := peer.count(); n != sent {
			t.Errorf("%d requests were sent to an address that no token may name", n-sent)
		}
		a.Trusted = false // the address guard is the destination's
		if res := send(peer.url, "/"); res.Kind != outbound.Refused {
			t.Errorf("untrusted: %s %v", res.Kind, res.Err)
		}
	})
}
