package source

import (
	"errors"
	"net/netip"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/signature"
)

func sameHeader(a, b string) bool {
	return textproto.CanonicalMIMEHeaderKey(a) == textproto.CanonicalMIMEHeaderKey(b)
}

const pathToken = "abcdefghijklmnopqrstuv" // 22 characters

func TestVerify(t *testing.T) {
	t.Parallel()
	const body = `{"event":"response.created","response_id":"r1"}`
	sign := func(secret string) string {
		s := open(t, profile(t, "pollqr"), Settings{Secrets: secrets(secret)})
		fields, err := s.Sign([]byte(body), noon)
		if err != nil {
			t.Fatal(err)
		}
		return fields[0].Value
	}
	loaded := noon.Add(-time.Minute)
	tests := []struct {
		name     string
		profile  string
		settings Settings
		headers  []string
		token    string
		remote   string
		want     Verified
		refused  bool
	}{
		{name: "first secret", profile: "pollqr", settings: Settings{Secrets: secrets("new", "old")}, headers: []string{"X-PollQR-Signature", sign("new")}, want: Verified{Kind: "hmac", Secret: 1}},
		{name: "second secret while rotating", profile: "pollqr", settings: Settings{Secrets: secrets("new", "old")}, headers: []string{"X-PollQR-Signature", sign("old")}, want: Verified{Kind: "hmac", Secret: 2}},
		{name: "a secret of neither", profile: "pollqr", settings: Settings{Secrets: secrets("new", "old")}, headers: []string{"X-PollQR-Signature", sign("other")}, refused: true},
		{name: "header in lower case", profile: "pollqr", settings: Settings{Secrets: secrets("new")}, headers: []string{"x-pollqr-signature", sign("new")}, want: Verified{Kind: "hmac", Secret: 1}},
		{name: "no signature", profile: "pollqr", settings: Settings{Secrets: secrets("new")}, refused: true},
		{name: "no signature, optional, secret set", profile: "popsee", settings: Settings{Secrets: secrets("new")}, refused: true},
		{name: "optional without secret", profile: "popsee", settings: Settings{Unverified: true}, want: Verified{Kind: "none"}},
		{name: "not hexadecimal", profile: "pollqr", settings: Settings{Secrets: secrets("new")}, headers: []string{"X-PollQR-Signature", strings.Repeat("zz", 32)}, refused: true},
		{name: "prefix that the platform does not write", profile: "pollqr", settings: Settings{Secrets: secrets("new")}, headers: []string{"X-PollQR-Signature", "sha256=" + sign("new")}, refused: true},
		{name: "prefix missing", profile: "popsee", settings: Settings{Secrets: secrets("new")}, headers: []string{"X-Popsee-Signature", sign("new")}, refused: true},
		{name: "long signature", profile: "pollqr", settings: Settings{Secrets: secrets("new")}, headers: []string{"X-PollQR-Signature", strings.Repeat("a", 1<<16)}, refused: true},

		{name: "path token", profile: "poltio", settings: Settings{PathToken: connectors.NewSecret(pathToken)}, token: pathToken, want: Verified{Kind: "path"}},
		{name: "path token missing", profile: "poltio", settings: Settings{PathToken: connectors.NewSecret(pathToken)}, refused: true},
		{name: "path token wrong", profile: "poltio", settings: Settings{PathToken: connectors.NewSecret(pathToken)}, token: strings.Repeat("x", 22), refused: true},
		{name: "path token where there is none", profile: "poltio", settings: Settings{Unverified: true}, token: "x", refused: true},
		{name: "path token beside a signature", profile: "pollqr", settings: Settings{Secrets: secrets("new"), PathToken: connectors.NewSecret(pathToken)}, token: pathToken, headers: []string{"X-PollQR-Signature", sign("new")}, want: Verified{Kind: "hmac", Secret: 1}},
		{name: "signature without its path token", profile: "pollqr", settings: Settings{Secrets: secrets("new"), PathToken: connectors.NewSecret(pathToken)}, headers: []string{"X-PollQR-Signature", sign("new")}, refused: true},
		{name: "path token instead of secrets", profile: "pollqr", settings: Settings{PathToken: connectors.NewSecret(pathToken)}, token: pathToken, want: Verified{Kind: "path"}},

		{name: "token", profile: "pollarix", settings: Settings{Secrets: secrets("tok")}, headers: []string{"X-Webhook-Secret", "tok"}, want: Verified{Kind: "token", Secret: 1}},
		{name: "token wrong", profile: "pollarix", settings: Settings{Secrets: secrets("tok")}, headers: []string{"X-Webhook-Secret", "tok2"}, refused: true},
		{name: "own verify replaces the profile's", profile: "pollarix", settings: Settings{Secrets: secrets("tok"), Verify: []signature.Scheme{{Kind: "token", Header: "Authorization", Prefix: "Bearer "}}}, headers: []string{"Authorization", "Bearer tok"}, want: Verified{Kind: "token", Secret: 1}},
		{name: "the profile's no longer counts", profile: "pollarix", settings: Settings{Secrets: secrets("tok"), Verify: []signature.Scheme{{Kind: "token", Header: "Authorization", Prefix: "Bearer "}}}, headers: []string{"X-Webhook-Secret", "tok"}, refused: true},
		{name: "all listed must pass", profile: "pollqr", settings: Settings{Secrets: secrets("new"), Verify: []signature.Scheme{{Kind: "hmac", Header: "X-PollQR-Signature"}, {Kind: "token", Header: "X-Token"}}}, headers: []string{"X-PollQR-Signature", sign("new")}, refused: true},
		{name: "the strongest is told", profile: "pollqr", settings: Settings{Secrets: secrets("new"), Verify: []signature.Scheme{{Kind: "token", Header: "X-Token"}, {Kind: "hmac", Header: "X-PollQR-Signature"}}}, headers: []string{"X-PollQR-Signature", sign("new"), "X-Token", "new"}, want: Verified{Kind: "hmac", Secret: 1}},
		{name: "basic", profile: "poltio", settings: Settings{Secrets: secrets("jo:pw"), Verify: []signature.Scheme{{Kind: "basic"}}}, headers: []string{"Authorization", "Basic am86cHc="}, want: Verified{Kind: "basic", Secret: 1}},

		{name: "address allowed", profile: "poltio", settings: Settings{Unverified: true, AllowFrom: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}, remote: "192.0.2.7", want: Verified{Kind: "none"}},
		{name: "address as mapped IPv6", profile: "poltio", settings: Settings{Unverified: true, AllowFrom: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}, remote: "::ffff:192.0.2.7", want: Verified{Kind: "none"}},
		{name: "address not allowed", profile: "poltio", settings: Settings{Unverified: true, AllowFrom: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}, remote: "198.51.100.1", refused: true},
		{name: "address unknown", profile: "poltio", settings: Settings{Unverified: true, AllowFrom: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}, refused: true},

		{name: "test button in its window", profile: "pollarix", settings: Settings{Secrets: secrets("tok"), AcceptTest: 10 * time.Minute, Loaded: loaded}, want: Verified{Kind: "none", Test: true}},
		{name: "test button with path token", profile: "pollarix", settings: Settings{Secrets: secrets("tok"), PathToken: connectors.NewSecret(pathToken), AcceptTest: 10 * time.Minute, Loaded: loaded}, token: pathToken, want: Verified{Kind: "path", Test: true}},
		{name: "test button without path token", profile: "pollarix", settings: Settings{Secrets: secrets("tok"), PathToken: connectors.NewSecret(pathToken), AcceptTest: 10 * time.Minute, Loaded: loaded}, refused: true},
		{name: "test button too late", profile: "pollarix", settings: Settings{Secrets: secrets("tok"), AcceptTest: time.Minute, Loaded: loaded}, refused: true},
		{name: "a wrong token is no test", profile: "pollarix", settings: Settings{Secrets: secrets("tok"), AcceptTest: 10 * time.Minute, Loaded: loaded}, headers: []string{"X-Webhook-Secret", "tik"}, refused: true},
		{name: "a proved request is no test", profile: "pollarix", settings: Settings{Secrets: secrets("tok"), AcceptTest: 10 * time.Minute, Loaded: loaded}, headers: []string{"X-Webhook-Secret", "tok"}, want: Verified{Kind: "token", Secret: 1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.settings.Profile, tt.settings.Tenant, tt.settings.Name = profile(t, tt.profile), "acme", "in"
			s, problems := New(tt.settings)
			if len(problems) > 0 {
				t.Fatal(problems)
			}
			req := request([]byte(body), tt.headers...)
			req.Token = tt.token
			if tt.remote != "" {
				req.Remote = netip.MustParseAddr(tt.remote)
			}
			got, err := s.Verify(req)
			if tt.refused {
				if !errors.Is(err, ErrRefused) {
					t.Fatalf("%+v, %v; want it refused", got, err)
				}
				for _, secret := range []string{"tok", "new", pathToken} {
					if strings.Contains(err.Error(), `"`+secret) || strings.Contains(err.Error(), pathToken) {
						t.Errorf("the error tells a secret: %v", err)
					}
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got != tt.want || req.Verified != tt.want {
				t.Errorf("%+v, want %+v", got, tt.want)
			}
		})
	}
}

// TestVerifyReadsRawBytes: what a verifier sees is what came, not what parsing makes of it.
func TestVerifyReadsRawBytes(t *testing.T) {
	t.Parallel()
	s := open(t, profile(t, "popsee"), Settings{Secrets: secrets("popsee-test-secret")})
	for _, body := range []string{`{"a":1,"a":2}`, "not json", "", "\xff\xfe", "{ \"a\" : 1.0 }\r\n", strings.Repeat("[", 5000)} {
		fields, err := s.Sign([]byte(body), noon)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Verify(request([]byte(body), fields[0].Name, fields[0].Value)); err != nil {
			t.Errorf("%.20q signed well: %v", body, err)
		}
		if _, err := s.Verify(request([]byte(body+" "), fields[0].Name, fields[0].Value)); err == nil {
			t.Errorf("%.20q changed and still verified", body)
		}
	}
}

// TestVerifyBodyTokensOfBrokenBodies: tokens inside a body that cannot be read are refused, never a fault.
func TestVerifyBodyTokensOfBrokenBodies(t *testing.T) {
	t.Parallel()
	for _, body := range []string{"", "{", `{"api_token":`, strings.Repeat(`{"api_token":`, 2000), `{"api_token":{"a":1}}`, `{"api_token":null}`, `[]`, "HandshakeKey=%zz", "HandshakeKey", "\x00"} {
		for _, name := range []string{"limesurvey", "wufoo"} {
			s := open(t, profile(t, name), Settings{Secrets: secrets("s3cret")})
			if v, err := s.Verify(request([]byte(body))); !errors.Is(err, ErrRefused) {
				t.Errorf("%s %.20q: %+v, %v", name, body, v, err)
			}
		}
	}
}

func TestVerifyWantsTheTime(t *testing.T) {
	t.Parallel()
	s := open(t, profile(t, "poltio"), Settings{})
	req := request([]byte(`{}`))
	req.Received = time.Time{}
	if _, err := s.Verify(req); err == nil || errors.Is(err, ErrRefused) {
		t.Errorf("a request without a time of receipt: %v", err)
	}
}

func TestSettingsProblems(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		profile  string
		settings Settings
		setting  string // of the only problem; "" is none
		words    string
	}{
		{"signed with secret", "pollqr", Settings{Secrets: secrets("x")}, "", ""},
		{"signed without anything", "pollqr", Settings{}, "secrets", "cannot be verified"},
		{"unsigned without anything", "poltio", Settings{}, "secrets", "cannot be verified"},
		{"unsigned and unverified", "poltio", Settings{Unverified: true}, "", ""},
		{"unsigned with path token", "poltio", Settings{PathToken: connectors.NewSecret(pathToken)}, "", ""},
		{"path token too short", "poltio", Settings{PathToken: connectors.NewSecret(pathToken[1:])}, "path_token", "21 characters"},
		{"empty secret", "pollqr", Settings{Secrets: []connectors.Secret{{}}}, "secrets", "empty"},
		{"verify by path without token", "poltio", Settings{Unverified: true, Verify: []signature.Scheme{{Kind: "path"}}}, "path_token", "the path token, which is missing"},
		{"verify of no kind", "poltio", Settings{Unverified: true, Verify: []signature.Scheme{{Kind: "hmacc", Header: "X"}}}, "verify.0.kind", "no kind"},
		{"verify without a place", "poltio", Settings{Secrets: secrets("x"), Verify: []signature.Scheme{{Kind: "token"}}}, "verify.0", "one place"},
		{"verify by a form's field", "poltio", Settings{Secrets: secrets("x"), Verify: []signature.Scheme{{Kind: "token", Field: "key"}}}, "verify.0.field", "no form fields"},
		{"secrets of another form", "formbricks", Settings{Secrets: secrets("short")}, "secrets", ""},
		{"vars missing", "surveymonkey", Settings{Secrets: secrets("x")}, "vars", "`api_key` is missing: requests of surveymonkey are verified by HMAC-SHA1"},
		{"an empty var", "surveymonkey", Settings{Secrets: secrets("x"), Vars: map[string]connectors.Secret{"api_key": {}}}, "vars", "`api_key` is missing"},
		{"no profile", "", Settings{}, "profile", "needs a profile"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if tt.profile != "" {
				tt.settings.Profile = profile(t, tt.profile)
			}
			s, problems := New(tt.settings)
			if tt.setting == "" {
				if len(problems) > 0 || s == nil {
					t.Fatalf("problems %v", problems)
				}
				return
			}
			if len(problems) != 1 || problems[0].Setting != tt.setting || !strings.Contains(problems[0].Message, tt.words) {
				t.Errorf("problems %q, want one of %s saying %q", problems, tt.setting, tt.words)
			}
		})
	}
}

func TestWarningsOfSources(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		profile  string
		settings Settings
		want     string
	}{
		{"proved", "pollqr", Settings{Secrets: secrets("x")}, ""},
		{"could be proved", "pollqr", Settings{Unverified: true}, "secrets"},
		{"secrets that nothing uses", "poltio", Settings{Unverified: true, Secrets: secrets("x")}, "secrets"},
		{"open window", "pollarix", Settings{Secrets: secrets("x"), AcceptTest: time.Minute}, "accept_test"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.settings.Profile = profile(t, tt.profile)
			s, problems := New(tt.settings)
			if len(problems) > 0 {
				t.Fatal(problems)
			}
			var got []string
			for _, w := range s.Warnings() {
				got = append(got, w.Setting)
			}
			if strings.Join(got, " ") != tt.want {
				t.Errorf("warnings %v, want %q", s.Warnings(), tt.want)
			}
		})
	}
}

// TestInherit: a reload does not open the window of accept_test again.
func TestInherit(t *testing.T) {
	t.Parallel()
	settings := Settings{Tenant: "acme", Name: "in", Secrets: secrets("tok"), AcceptTest: 10 * time.Minute, Loaded: noon.Add(-time.Hour)}
	before := open(t, profile(t, "pollarix"), settings)
	settings.Loaded = noon
	after := open(t, profile(t, "pollarix"), settings)
	after.Inherit(before)
	if _, err := after.Verify(request([]byte(`{}`))); err == nil {
		t.Error("an unchanged source opened its window again")
	}
	settings.AcceptTest = 5 * time.Minute
	changed := open(t, profile(t, "pollarix"), settings)
	changed.Inherit(before)
	if _, err := changed.Verify(request([]byte(`{}`))); err != nil {
		t.Errorf("a window that was set anew: %v", err)
	}
}
