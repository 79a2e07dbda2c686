package signature_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/signature"
)

// schemes are the `verify` entries of the platforms that the vectors are of.
var schemes = map[string]signature.Scheme{
	"pollqr":       {Kind: "hmac", Header: "X-PollQR-Signature", Candidates: []string{"raw", "compact"}},
	"popsee":       {Kind: "hmac", Header: "X-Popsee-Signature", Prefix: "sha256=", Optional: true},
	"typeform":     {Kind: "hmac", Encoding: "base64", Header: "Typeform-Signature", Prefix: "sha256=", Optional: true},
	"tally":        {Kind: "hmac", Encoding: "base64", Header: "Tally-Signature", Candidates: []string{"raw", "compact"}, Optional: true},
	"surveymonkey": {Kind: "hmac", Hash: "sha1", Encoding: "base64", Header: "Sm-Signature", Key: "{api_key}&{secret}"},
	"delighted":    {Kind: "hmac", Hash: "sha256", Encoding: "hex", Header: "X-Delighted-Webhook-Signature", Prefix: "sha256="},
	"qualtrics":    {Kind: "hmac", Hash: "sha512", Field: "HMAC", Signed: "{field:MSG}", Optional: true},
	"pollarix":     {Kind: "token", Header: "X-Webhook-Secret"},
	"wufoo":        {Kind: "token", Field: "HandshakeKey"},
	"limesurvey":   {Kind: "token", Path: "api_token"},
	"formbricks": {
		Kind: "hmac", Hash: "sha256", Encoding: "base64", Header: "webhook-signature", Separator: " ", Prefix: "v1,",
		Signed:       "{header:webhook-id}.{timestamp}.{body}",
		Timestamp:    &signature.Timestamp{Header: "webhook-timestamp", Format: "unix", Tolerance: 5 * time.Minute},
		SecretPrefix: "whsec_", SecretEncoding: "base64", Optional: true,
	},
}

// request is a signature.Request as a source would make it.
type request struct {
	header  http.Header
	query   url.Values
	form    url.Values
	segment string
	body    []byte
}

func (r request) Header(name string) string { return r.header.Get(name) }
func (r request) Query(name string) string  { return r.query.Get(name) }
func (r request) Field(name string) (string, bool) {
	return r.form.Get(name), r.form.Has(name)
}
func (r request) Segment() string { return r.segment }
func (r request) Body() []byte    { return r.body }
func (r request) At(path string) (string, bool) {
	var object map[string]any
	_ = json.Unmarshal(r.body, &object)
	text, ok := object[path].(string)
	return text, ok
}

func compile(t testing.TB, s signature.Scheme) *signature.Verifier {
	t.Helper()
	v, err := s.Compile()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestPlatformVectors(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("testdata/platforms.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Vectors []struct {
			Name, Platform string
			ContentType    string `json:"content_type"`
			Secrets        map[string]string
			Headers        map[string]string
			Now            int64
			Body, Expect   string
		}
	}
	if err := json.Unmarshal(b, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Vectors) != 24 {
		t.Fatalf("%d vectors, want 24", len(file.Vectors))
	}
	for _, c := range file.Vectors {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			r := request{header: http.Header{}, body: []byte(c.Body)}
			for name, value := range c.Headers {
				r.header.Set(name, value)
			}
			if c.ContentType == "application/x-www-form-urlencoded" {
				r.form, _ = url.ParseQuery(c.Body)
			}
			keys := signature.Keys{Vars: map[string]connectors.Secret{}}
			for name, value := range c.Secrets {
				if name == "secret" && value != "" {
					keys.Secrets = secrets("an older one", value)
					if c.Platform == "formbricks" {
						keys.Secrets[0] = signature.NewSecret()
					}
				} else if name != "secret" {
					keys.Vars[name] = connectors.NewSecret(value)
				}
			}
			v := compile(t, schemes[c.Platform])
			proof, err := v.Verify(r, keys, time.Unix(c.Now, 0))
			if (err == nil) != (c.Expect == "valid") {
				t.Fatalf("Verify = %v, %v; want %s", proof, err, c.Expect)
			}
			switch {
			case err != nil:
				var refused *signature.Refused
				if !errors.As(err, &refused) || refused.Reason == "" || err.Error() != "not verified" {
					t.Errorf("refused as %#v", err)
				}
			case len(keys.Secrets) == 0:
				if proof != (signature.Proof{Kind: "none", Secret: -1}) {
					t.Errorf("unsigned is proved by %v", proof)
				}
			case proof.Kind != v.Kind() || proof.Secret != 1:
				t.Errorf("proof = %v, want secret 1", proof)
			}
			if len(keys.Secrets) > 0 {
				if err := v.Check(keys); err != nil {
					t.Errorf("Check: %v", err)
				}
			}
		})
	}
}

func TestTokenBasicPathNone(t *testing.T) {
	t.Parallel()
	basic := func(text string) request {
		return request{header: http.Header{"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte(text))}}}
	}
	vars := map[string]connectors.Secret{"user": connectors.NewSecret("kobo")}
	two := signature.Keys{Secrets: secrets("new", "old"), Vars: vars, PathToken: secrets("segment")}
	token := func(s signature.Scheme) signature.Scheme { s.Kind = "token"; return s }
	for name, c := range map[string]struct {
		scheme  signature.Scheme
		request request
		keys    signature.Keys
		want    string // index of the secret that matched, or the reason
	}{
		"bearer":            {token(signature.Scheme{Header: "Authorization", Prefix: "Bearer "}), request{header: http.Header{"Authorization": {"Bearer old"}}}, two, "1"},
		"bearer, no prefix": {token(signature.Scheme{Header: "Authorization", Prefix: "Bearer "}), request{header: http.Header{"Authorization": {"old"}}}, two, "the token is missing or lacks its prefix"},
		"bearer, empty":     {token(signature.Scheme{Header: "Authorization", Prefix: "Bearer "}), request{header: http.Header{"Authorization": {"Bearer "}}}, two, "the token is missing"},
		"query":             {token(signature.Scheme{Query: "key"}), request{query: url.Values{"key": {"new"}}}, two, "0"},
		"query, wrong":      {token(signature.Scheme{Query: "key"}), request{query: url.Values{"key": {"newer"}}}, two, "the token is wrong"},
		"field":             {token(signature.Scheme{Field: "key"}), request{form: url.Values{"key": {"new"}}}, two, "0"},
		"path":              {token(signature.Scheme{Path: "key"}), request{body: []byte(`{"key":"old"}`)}, two, "1"},
		"path, missing":     {token(signature.Scheme{Path: "key"}), request{body: []byte(`not JSON`)}, two, "the token is missing"},
		"no secret":         {token(signature.Scheme{Query: "key"}), request{query: url.Values{"key": {""}}}, signature.Keys{}, "the source has no secret"},
		"empty secrets":     {token(signature.Scheme{Query: "key"}), request{query: url.Values{"key": {""}}}, signature.Keys{Secrets: secrets("", "")}, "the source has no secret"},
		"one empty secret":  {token(signature.Scheme{Query: "key"}), request{query: url.Values{"key": {""}}}, signature.Keys{Secrets: secrets("", "s")}, "the token is missing"},
		"basic":             {signature.Scheme{Kind: "basic", User: "{user}"}, basic("kobo:old"), two, "1"},
		"basic, wrong user": {signature.Scheme{Kind: "basic", User: "{user}"}, basic("odk:old"), two, "the user is wrong"},
		"basic, wrong word": {signature.Scheme{Kind: "basic", User: "kobo"}, basic("kobo:x"), two, "the password is wrong"},
		"basic, no colon":   {signature.Scheme{Kind: "basic", User: "kobo"}, basic("kobo"), two, "the password is missing"},
		"basic, whole":      {signature.Scheme{Kind: "basic"}, basic("a:b"), signature.Keys{Secrets: secrets("a:b")}, "0"},
		"basic, no var":     {signature.Scheme{Kind: "basic", User: "{user}"}, basic("a:new"), signature.Keys{Secrets: secrets("new")}, "the source has no vars.user"},
		"basic, bearer":     {signature.Scheme{Kind: "basic"}, request{header: http.Header{"Authorization": {"Bearer a"}}}, two, "there are no basic credentials"},
		"basic, no base64":  {signature.Scheme{Kind: "basic"}, request{header: http.Header{"Authorization": {"Basic *"}}}, two, "the basic credentials are not base64"},
		"segment":           {signature.Scheme{Kind: "path"}, request{segment: "segment"}, two, "0"},
		"segment, wrong":    {signature.Scheme{Kind: "path"}, request{segment: "segments"}, two, "the path token is wrong"},
		"segment, missing":  {signature.Scheme{Kind: "path"}, request{}, two, "the path token is missing"},
		"none":              {signature.Scheme{Kind: "none"}, request{}, two, "-1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			proof, err := compile(t, c.scheme).Verify(c.request, c.keys, time.Unix(0, 0))
			got := map[int]string{-1: "-1", 0: "0", 1: "1"}[proof.Secret]
			if refused, ok := errors.AsType[*signature.Refused](err); ok {
				got = refused.Reason
			} else if proof.Kind != c.scheme.Kind {
				t.Errorf("kind = %s", proof.Kind)
			}
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// TestMalformedIsRefused puts everything but a signature where one is expected.
func TestMalformedIsRefused(t *testing.T) {
	t.Parallel()
	keys := signature.Keys{Secrets: secrets("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), Vars: map[string]connectors.Secret{"api_key": connectors.NewSecret("k")}}
	now := time.Unix(1767225600, 0)
	texts := []string{
		"", " ", "sha256=", "v1,", "v1, v1,", "é", "\x00", strings.Repeat("0", 1<<16), strings.Repeat("v1, ", 1000),
		strings.Repeat("v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= ", 100), strings.Repeat("f", 64), strings.Repeat("g", 64),
		"sha256=" + strings.Repeat("=", 44), "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\r\n=",
	}
	stamps := []string{"1767225600", "", "-1", "1.5", "1e9", "99999999999999999999", "0x10", " 1767225600"}
	for name, s := range schemes {
		if s.Kind != "hmac" {
			continue
		}
		v := compile(t, s)
		for _, text := range texts {
			for _, stamp := range stamps {
				r := request{header: http.Header{}, form: url.Values{"HMAC": {text}, "MSG": {"m"}}, body: []byte("{}")}
				r.header.Set(s.Header, text)
				r.header.Set("webhook-timestamp", stamp)
				if proof, err := v.Verify(r, keys, now); err == nil {
					t.Errorf("%s accepts %q at %q: %v", name, text, stamp, proof)
				}
			}
		}
	}
}

func TestCompileRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		scheme signature.Scheme
		want   string // part of the error
	}{
		"no kind":             {signature.Scheme{}, "one of hmac, token, basic, path, none"},
		"address":             {signature.Scheme{Kind: "address"}, "`address` is no kind"},
		"hmac nowhere":        {signature.Scheme{Kind: "hmac"}, "one place"},
		"hmac twice":          {signature.Scheme{Kind: "hmac", Header: "X", Field: "y"}, "one place"},
		"hmac in query":       {signature.Scheme{Kind: "hmac", Query: "x"}, "one place"},
		"token nowhere":       {signature.Scheme{Kind: "token"}, "one place"},
		"token with hash":     {signature.Scheme{Kind: "token", Header: "X", Hash: "sha256"}, "belong to hmac"},
		"none with header":    {signature.Scheme{Kind: "none", Header: "X"}, "takes no place"},
		"basic with header":   {signature.Scheme{Kind: "basic", Header: "X"}, "takes no place"},
		"user of a token":     {signature.Scheme{Kind: "token", Header: "X", User: "u"}, "user belongs to basic"},
		"hash":                {signature.Scheme{Kind: "hmac", Header: "X", Hash: "md5"}, "hash: `md5`"},
		"encoding":            {signature.Scheme{Kind: "hmac", Header: "X", Encoding: "base32"}, "encoding: `base32`"},
		"candidate":           {signature.Scheme{Kind: "hmac", Header: "X", Candidates: []string{"pretty"}}, "candidates: `pretty`"},
		"compact of a field":  {signature.Scheme{Kind: "hmac", Header: "X", Signed: "{field:MSG}", Candidates: []string{"compact"}}, "candidates: compact"},
		"signed unknown":      {signature.Scheme{Kind: "hmac", Header: "X", Signed: "{url}{body}"}, "`{url}`"},
		"signed nothing":      {signature.Scheme{Kind: "hmac", Header: "X", Signed: "{header:Y}"}, "nothing would be proved"},
		"signed no name":      {signature.Scheme{Kind: "hmac", Header: "X", Signed: "{header:}{body}"}, "`{header:}`"},
		"key without secret":  {signature.Scheme{Kind: "hmac", Header: "X", Key: "{api_key}"}, "{secret} is missing"},
		"key unclosed":        {signature.Scheme{Kind: "hmac", Header: "X", Key: "{secret"}, "not closed"},
		"secret encoding":     {signature.Scheme{Kind: "hmac", Header: "X", SecretEncoding: "base32"}, "secret_encoding: `base32`"},
		"timestamp unsigned":  {signature.Scheme{Kind: "hmac", Header: "X", Timestamp: &signature.Timestamp{Header: "T"}}, "anybody could write it"},
		"timestamp unnamed":   {signature.Scheme{Kind: "hmac", Header: "X", Signed: "{timestamp}{body}"}, "needs `timestamp`"},
		"timestamp no header": {signature.Scheme{Kind: "hmac", Header: "X", Signed: "{timestamp}{body}", Timestamp: &signature.Timestamp{}}, "header is missing"},
		"timestamp format":    {signature.Scheme{Kind: "hmac", Header: "X", Signed: "{timestamp}{body}", Timestamp: &signature.Timestamp{Header: "T", Format: "ns"}}, "`ns` is no format"},
		"negative tolerance":  {signature.Scheme{Kind: "hmac", Header: "X", Signed: "{timestamp}{body}", Timestamp: &signature.Timestamp{Header: "T", Tolerance: -1}}, "negative"},
	} {
		v, err := c.scheme.Compile()
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, %v; want an error with %q", name, v, err, c.want)
		}
	}
}

func TestCheckOfKeys(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		platform string
		keys     signature.Keys
		want     string
	}{
		"optional, none":   {"popsee", signature.Keys{}, ""},
		"needed":           {"pollqr", signature.Keys{}, "hmac needs a secret"},
		"empty":            {"pollqr", signature.Keys{Secrets: secrets("")}, "the secret is empty"},
		"var missing":      {"surveymonkey", signature.Keys{Secrets: secrets("s")}, "the source has no vars.api_key"},
		"no prefix":        {"formbricks", signature.Keys{Secrets: secrets("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")}, ""},
		"no padding":       {"formbricks", signature.Keys{Secrets: secrets("whsec_MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NQ")}, ""},
		"neither, short":   {"formbricks", signature.Keys{Secrets: secrets("MfKQ")}, "the whsec_ key has 3 bytes and needs 24; `surveygate secret` prints one"},
		"whsec, no base64": {"formbricks", signature.Keys{Secrets: secrets("whsec_*")}, "the secret is not base64"},
		"whsec, too short": {"formbricks", signature.Keys{Secrets: secrets("whsec_AAAA")}, "the whsec_ key has 3 bytes and needs 24; `surveygate secret` prints one"},
	} {
		got := ""
		if err := compile(t, schemes[c.platform]).Check(c.keys); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestTimestampFormats(t *testing.T) {
	t.Parallel()
	now := time.Unix(1767225600, 0).UTC()
	for format, text := range map[string]string{"unix": "1767225600", "unix_ms": "1767225600500", "rfc3339": "2026-01-01T00:00:00Z"} {
		s := signature.Scheme{
			Kind: "hmac", Header: "X-Sign", Signed: "{timestamp}.{body}",
			Timestamp: &signature.Timestamp{Header: "X-Time", Format: format, Tolerance: time.Minute},
		}
		// The style of one's own signs the same text: what goes out in one place comes in at another.
		fields, err := signature.Sign(connectors.Signature{Header: "X-Sign", Signed: text + ".{body}"}, secrets("s"),
			signature.Message{ID: "dl_1", At: now, Body: []byte("{}")})
		if err != nil {
			t.Fatal(err)
		}
		r := request{header: http.Header{"X-Sign": {get(fields)("X-Sign")}, "X-Time": {text}}, body: []byte("{}")}
		v := compile(t, s)
		for off, want := range map[time.Duration]bool{0: true, 59 * time.Second: true, -59 * time.Second: true, 62 * time.Second: false, -62 * time.Second: false} {
			if _, err := v.Verify(r, signature.Keys{Secrets: secrets("s")}, now.Add(off)); (err == nil) != want {
				t.Errorf("%s, %s off: %v", format, off, err)
			}
		}
	}
}

var sampleBody = []byte(`{"event":"response.completed","data":"` + strings.Repeat("x", 700-40) + `"}`)

// BenchmarkVerify is the fast path of intake: one header over a body of 700 bytes.
func BenchmarkVerify(b *testing.B) {
	fields, err := signature.Sign(named("popsee"), secrets("s"), signature.Message{ID: "dl_1", At: time.Unix(1, 0), Body: sampleBody})
	if err != nil {
		b.Fatal(err)
	}
	h := http.Header{}
	h.Set("X-Popsee-Signature", get(fields)("X-Popsee-Signature"))
	var r signature.Request = &request{header: h, body: sampleBody}
	v, keys, now := compile(b, schemes["popsee"]), signature.Keys{Secrets: secrets("s")}, time.Unix(1, 0)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.Verify(r, keys, now); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSign(b *testing.B) {
	for _, c := range []struct{ style, secret string }{{"standard", whsec}, {"pollqr", "s"}, {"stripe", "s"}, {"ed25519", seed32}} {
		b.Run(c.style, func(b *testing.B) {
			m := signature.Message{ID: "dl_0123456789abcdef_0123456789abc", At: time.Unix(1767225600, 0), Body: sampleBody}
			one := secrets(c.secret)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := signature.Sign(named(c.style), one, m); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
