package source

import (
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/signature"
)

// What is said of a request that was not proved leads to the fault, and holds no secret.
func TestInspect(t *testing.T) {
	t.Parallel()
	const secret, token = "the-secret-0123456789", "0123456789abcdefghijkl"
	p := profile(t, "pollqr")
	own := Settings{
		Secrets: []connectors.Secret{connectors.NewSecret("older"), connectors.NewSecret(secret)}, PathToken: connectors.NewSecret(token),
		AllowFrom: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")},
		Verify: []signature.Scheme{
			{Kind: KindHMAC, Header: "X-Sign", Prefix: "sha256=", Signed: "v0:{header:X-Id}.{timestamp}.{body}", Timestamp: &signature.Timestamp{Header: "X-Time"}, Candidates: []string{"raw", "compact"}},
			{Kind: KindToken, Header: "X-Token"},
		},
	}
	s := open(t, p, own)
	at := strconv.FormatInt(noon.Unix(), 10)
	good := map[string]string{"X-Id": "7", "X-Time": at, "X-Token": secret}
	mac := &Request{Body: []byte(`{"a": 1}`), Received: noon}
	mac.Header = func(name string) string { return good[name] }
	fields, err := s.Sign(mac.Body, noon)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range fields {
		good[f.Name] = f.Value
	}
	signed := good["X-Sign"]
	for name, c := range map[string]struct {
		header map[string]string
		token  string
		from   string
		want   []Check
	}{
		"all pass": {good, token, "192.0.2.7", []Check{
			{Kind: "address", Passed: true},
			{Kind: "path", Passed: true},
			{Kind: "hmac", Passed: true, Secret: 1, Given: signed, Signed: "v0:" + good["X-Id"] + "." + at + ".{body}, or the same with the body's white space removed"},
			{Kind: "token", Passed: true, Secret: 1},
		}},
		"none passes": {map[string]string{"X-Sign": "00ff", "X-Token": "guess"}, token[1:] + "x", "203.0.113.9", []Check{
			{Kind: "address", Reason: "it came from 203.0.113.9"},
			{Kind: "path", Reason: "the path token is wrong"},
			{Kind: "hmac", Reason: "the timestamp is missing or cannot be read", Given: "00ff", Signed: "v0:[no X-Id].[no X-Time].{body}, or the same with the body's white space removed"},
			{Kind: "token", Reason: "the token is wrong"},
		}},
		"nothing came": {nil, "", "", []Check{
			{Kind: "address", Reason: "it came from no address"},
			{Kind: "path", Reason: "the path token is missing"},
			{Kind: "hmac", Reason: "the signature is missing", Signed: "v0:[no X-Id].[no X-Time].{body}, or the same with the body's white space removed"},
			{Kind: "token", Reason: "the token is missing"},
		}},
	} {
		req := &Request{Method: "POST", Token: c.token, Body: mac.Body, Received: noon, Header: func(name string) string { return c.header[name] }}
		if c.from != "" {
			req.Remote = netip.MustParseAddr(c.from)
		}
		got := s.Inspect(req)
		for i := range got {
			if got[i].Asks == "" {
				t.Errorf("%s: nothing says what %s asks", name, got[i].Kind)
			}
			got[i].Asks = ""
			for _, hidden := range []string{secret, token} {
				if strings.Contains(got[i].Reason+got[i].Signed+got[i].Given, hidden) {
					t.Errorf("%s: a secret is told: %+v", name, got[i])
				}
			}
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		// Both say the same of the whole.
		passed := true
		for _, check := range got {
			passed = passed && check.Passed
		}
		if _, err := s.Verify(req); (err == nil) != passed {
			t.Errorf("%s: Verify says %v", name, err)
		}
	}
	if got := open(t, p, Settings{Unverified: true}).Inspect(mac); got != nil {
		t.Errorf("nothing is asked, and %+v is said", got)
	}
}
