package outbound_test

import (
	"context"
	"strings"
	"testing"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/internal/outbound"
)

// unusable are credentials that no request carries as they are meant: what is wrong with each stands in its name.
var unusable = map[string]string{
	"empty":                    "",
	"blanks":                   "  ",
	"a line break at the end":  "hush\n",
	"a carriage return":        "hush\r\n",
	"white space before":       "\thush",
	"a space of no width":      "hush\u200b",
	"a byte order mark":        "\ufeffhush",
	"a line break inside":      "hu\nsh",
	"a control character":      "hu\x00sh",
	"bytes that are not UTF-8": "hush\xff\xfe",
}

// TestUnusableCredentials puts what cannot be a credential into each way to authorise: nothing is sent, the fault is the
// credentials' and not the event's, and the reason repeats nothing of them.
func TestUnusableCredentials(t *testing.T) {
	both(t, func(t *testing.T, by outbound.Transport) {
		peer := answers(t, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false)
		s := sender(t, outbound.Options{Policy: loopback})
		for what, text := range unusable {
			secret := connectors.NewSecret(text)
			ways := map[string]connectors.Auth{
				"bearer":  connectors.Bearer(secret),
				"basic":   connectors.Basic("jo", secret),
				"token":   connectors.BasicToken(secret),
				"header":  connectors.Header("X-Key", secret),
				"scheme":  connectors.Authorization("Product-Key", secret),
				"query":   connectors.Query("key", secret),
				"body":    connectors.BodyField("key", secret),
				"address": connectors.Address(secret),
				"signed":  connectors.SignedAuth{Signature: connectors.Signature{Style: "pollqr"}, Secrets: []connectors.Secret{secret}},
			}
			if text != "" {
				ways["address with it"] = connectors.Address(connectors.NewSecret(peer.url + "/" + text))
				ways["second of two"] = connectors.SignedAuth{
					Signature: connectors.Signature{Style: "stripe"}, Secrets: []connectors.Secret{connectors.NewSecret("good"), secret},
				}
			} else {
				delete(ways, "basic") // some products take a key for the user, and no password
				ways["basic"] = connectors.Basic("", secret)
			}
			if strings.HasPrefix(text, "\ufeff") {
				delete(ways, "address with it") // it is within the URL then
			}
			for way, auth := range ways {
				req := post(peer.url).As(auth)
				if strings.HasPrefix(way, "address") {
					req.URL = ""
				}
				res := s.Send(context.Background(), req, trusted(by))
				if res.Kind != outbound.Credentials || res.Reached || res.Response != nil || res.Err == nil {
					t.Errorf("%s, %s: %s %v", way, what, res.Kind, res.Err)
				} else if strings.Contains(res.Err.Error(), "hush") {
					t.Errorf("%s, %s: the reason tells too much: %v", way, what, res.Err)
				}
			}
		}
		if n, conns := peer.count(); n > 0 || conns > 0 {
			t.Errorf("%d requests over %d connections were made", n, conns)
		}
	})
}

// TestCredentialsOfAStyle are those that are text and cannot be used all the same.
func TestCredentialsOfAStyle(t *testing.T) {
	both(t, func(t *testing.T, by outbound.Transport) {
		s := sender(t, outbound.Options{Policy: loopback})
		secret := connectors.NewSecret("hush")
		signed := func(sig connectors.Signature, secrets ...connectors.Secret) connectors.Auth {
			return connectors.SignedAuth{Signature: sig, Secrets: secrets}
		}
		url := "https://127.0.0.1:1/hush"
		for name, c := range map[string]struct {
			auth   connectors.Auth
			reason string
		}{
			"no URL":        {connectors.Address(secret), "the URL does not begin with https://: write it as https://host/path"},
			"broken URL":    {connectors.Address(connectors.NewSecret("https://%zz/hush")), "the URL that is a secret cannot be read"},
			"no host":       {connectors.Address(connectors.NewSecret("https:///hush")), "the URL has no host: write it as https://host/path"},
			"a password":    {connectors.Address(connectors.NewSecret("https://jo:hush@example.com")), "the URL holds a user or password: send credentials in a header instead"},
			"user":          {connectors.Basic("a:b", secret), "a user's name has no colon"},
			"user's line":   {connectors.Basic("a\nb", secret), "the user's name holds a control character"},
			"token":         {connectors.BasicToken(connectors.NewSecret("hush:x")), "a token that is sent as a user's name has no colon"},
			"header's name": {connectors.Header("X Key", secret), "a header's name is not a valid HTTP token"},
			"no secret":     {signed(connectors.Signature{}), "sign: style standard has no secret"},
			"no key":        {signed(connectors.Signature{Style: "standard"}, connectors.NewSecret("hush!")), "sign: style standard: the secret is not base64, with or without whsec_ before it; `surveygate secret` prints one"},
			"no private":    {signed(connectors.Signature{Style: "ed25519"}, secret), "sign: style ed25519: the secret is no whsk_ followed by base64 of 32 or 64 bytes"},
			"no style":      {signed(connectors.Signature{Style: "own"}, secret), "`own` is no signature style"},
		} {
			req := post(url).As(c.auth)
			if _, ok := c.auth.(connectors.AddressAuth); ok {
				req.URL = ""
			}
			res := s.Send(context.Background(), req, trusted(by))
			if res.Kind != outbound.Credentials || res.Err.Error() != c.reason || res.Reached {
				t.Errorf("%s: %s %v", name, res.Kind, res.Err)
			}
		}
		custom := post(url).WithSecret("X-Token", connectors.NewSecret("hush\nhush"))
		if res := s.Send(context.Background(), custom, trusted(by)); res.Kind != outbound.Credentials {
			t.Errorf("a custom header with a line break: %s %v", res.Kind, res.Err)
		}
		elsewhere := post("").As(connectors.Address(connectors.NewSecret("https://10.0.0.1/hush")))
		if res := s.Send(context.Background(), elsewhere, trusted(by)); res.Kind != outbound.Refused {
			t.Errorf("where requests may go is the policy's, which changes without the secret: %s %v", res.Kind, res.Err)
		}
	})
}

// TestOddCredentials are unusual and good: they arrive as they are.
func TestOddCredentials(t *testing.T) {
	const odd = `hü sh%0A+/"\&=ş`
	both(t, func(t *testing.T, by outbound.Transport) {
		peer := answers(t, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false)
		s := sender(t, outbound.Options{Policy: loopback})
		secret := connectors.NewSecret(odd)
		for _, c := range []struct {
			auth connectors.Auth
			want string
		}{
			{connectors.Bearer(secret), "Authorization: Bearer " + odd + "\r\n"},
			{connectors.Header("X-Key", secret), "X-Key: " + odd + "\r\n"},
			{connectors.Query("key", secret), "?key=h%C3%BC+sh%250A%2B%2F%22%5C%26%3D%C5%9F HTTP"},
			{connectors.BodyField("key", secret), `"key":"hü sh%0A+/\"\\&=ş"`},
		} {
			if res := s.Send(context.Background(), post(peer.url).As(c.auth), trusted(by)); res.Kind != outbound.Answered {
				t.Errorf("%T: %s %v", c.auth, res.Kind, res.Err)
			}
			peer.mu.Lock()
			if got := peer.requests[len(peer.requests)-1]; !strings.Contains(got, c.want) {
				t.Errorf("%T: %q holds no %q", c.auth, got, c.want)
			}
			peer.mu.Unlock()
		}
	})
}
