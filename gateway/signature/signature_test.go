package signature_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/signature"
)

func named(name string) connectors.Signature { return connectors.Signature{Style: name} }

func secrets(texts ...string) []connectors.Secret {
	var out []connectors.Secret
	for _, t := range texts {
		out = append(out, connectors.NewSecret(t))
	}
	return out
}

const whsec = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// TestStyles shows every header of every style.
func TestStyles(t *testing.T) {
	t.Parallel()
	at := time.Unix(1767225600, 0)
	body := []byte(`{"event":"response.created"}`)
	common := "webhook-id: dl_1\nwebhook-timestamp: 1767225600\n"
	for name, c := range map[string]struct {
		sig     connectors.Signature
		secrets []connectors.Secret
		want    []string // names of headers behind the common ones
	}{
		"none":         {sig: named("none")},
		"standard":     {named("standard"), secrets(whsec), []string{"webhook-signature"}},
		"zero value":   {connectors.Signature{}, secrets(whsec), []string{"webhook-signature"}},
		"ed25519":      {named("ed25519"), secrets(seed32), []string{"webhook-signature"}},
		"pollqr":       {named("pollqr"), secrets("s"), []string{"X-PollQR-Signature"}},
		"popsee":       {named("popsee"), secrets("s"), []string{"X-Popsee-Signature"}},
		"github":       {named("github"), secrets("s"), []string{"X-Hub-Signature-256"}},
		"stripe":       {named("stripe"), secrets("s"), []string{"Stripe-Signature"}},
		"chattosurvey": {named("chattosurvey"), nil, []string{"X-Webhook-Event", "X-Webhook-ID", "X-Webhook-Timestamp", "User-Agent"}},
		"custom":       {connectors.Signature{Header: "X-Sign"}, secrets("s"), []string{"X-Sign"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := signature.Check(c.sig, c.secrets); err != nil {
				t.Errorf("Check: %v", err)
			}
			fields, err := signature.Sign(c.sig, c.secrets, signature.Message{
				ID: "dl_1", At: at, Body: body, EventName: "conversation.completed", EventID: "evt_9",
			})
			if err != nil {
				t.Fatal(err)
			}
			head := ""
			var names []string
			for i, f := range fields {
				if i < 2 {
					head += f.Name + ": " + f.Value + "\n"
					continue
				}
				names = append(names, f.Name)
			}
			if head != common {
				t.Errorf("the common headers are\n%s", head)
			}
			if diff := cmp.Diff(c.want, names); diff != "" {
				t.Errorf("headers (-want +got):\n%s", diff)
			}
			if err := signature.Verify(c.sig, c.secrets, get(fields), body, at); err != nil {
				t.Errorf("Verify: %v", err)
			}
		})
	}
}

// seed32 is a whsk_ with the seed alone, as some senders write it.
const seed32 = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbc="

func get(fields []connectors.Field) func(string) string {
	h := http.Header{}
	for _, f := range fields {
		h.Set(f.Name, f.Value)
	}
	return h.Get
}

func TestChatToSurveyCarriesThePlatformsNames(t *testing.T) {
	t.Parallel()
	m := signature.Message{ID: "dl_1", At: time.Unix(1709812800, 0), EventName: "conversation.completed", EventID: "evt_9"}
	fields, err := signature.Sign(named("chattosurvey"), nil, m)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"X-Webhook-Event": "conversation.completed", "X-Webhook-ID": "evt_9", "X-Webhook-Timestamp": "1709812800",
		"User-Agent": "HS-Webhook/1.0", "webhook-id": "dl_1",
	}
	for name, value := range want {
		if got := get(fields)(name); got != value {
			t.Errorf("%s = %q, want %q", name, got, value)
		}
	}
	m.EventID = ""
	if fields, err = signature.Sign(named("chattosurvey"), nil, m); err != nil {
		t.Fatal(err)
	}
	if got := get(fields)("X-Webhook-ID"); got != "dl_1" {
		t.Errorf("without the platform's id, X-Webhook-ID = %q", got)
	}
	if signature.Verify(named("chattosurvey"), nil, http.Header{}.Get, nil, m.At) == nil {
		t.Error("accepted without its headers")
	}
}

// TestStandardAgainstTheLibrary lets the official library verify what we sign, and we what it signs.
func TestStandardAgainstTheLibrary(t *testing.T) {
	t.Parallel()
	for range 50 {
		secret := signature.NewSecret()
		wh, err := standardwebhooks.NewWebhook(secret.Expose())
		if err != nil {
			t.Fatal(err)
		}
		now := time.Unix(clock.System().Now().Unix(), 0) // the library reads the machine's clock
		body := []byte(`{"a":"ü","n":1.50}` + secret.Expose()[10:20])
		older := signature.NewSecret()
		fields, err := signature.Sign(named("standard"), []connectors.Secret{older, secret}, signature.Message{ID: "dl_1", At: now, Body: body})
		if err != nil {
			t.Fatal(err)
		}
		h := http.Header{}
		for _, f := range fields {
			h.Set(f.Name, f.Value)
		}
		if err := wh.Verify(body, h); err != nil {
			t.Fatalf("the library refuses what we signed: %v", err)
		}
		theirs, err := wh.Sign("msg_1", now, body)
		if err != nil {
			t.Fatal(err)
		}
		h = http.Header{"Webhook-Id": {"msg_1"}, "Webhook-Timestamp": {strconv.FormatInt(now.Unix(), 10)}, "Webhook-Signature": {theirs}}
		if err := signature.Verify(named("standard"), []connectors.Secret{older, secret}, h.Get, body, now); err != nil {
			t.Fatalf("we refuse what the library signed: %v", err)
		}
	}
}

// TestSecretsOfTheLibraries: a secret of Standard Webhooks is the same key with and without its prefix and its padding,
// for signing, for receivers of ours, and for what platforms sign. The official library agrees where it takes the secret.
func TestSecretsOfTheLibraries(t *testing.T) {
	t.Parallel()
	now := time.Unix(clock.System().Now().Unix(), 0) // the library reads the machine's clock
	body := []byte(`{"a":1}`)
	for range 20 {
		padded := signature.NewSecret().Expose() // 32 bytes, so that there is a =
		bare := strings.TrimPrefix(padded, "whsec_")
		spellings := []string{padded, bare, strings.TrimRight(padded, "="), strings.TrimRight(bare, "=")}
		for _, one := range spellings {
			if err := signature.Check(named("standard"), secrets(one)); err != nil {
				t.Fatalf("Check: %v", err)
			}
			fields, err := signature.Sign(named("standard"), secrets(one), signature.Message{ID: "msg_1", At: now, Body: body})
			if err != nil {
				t.Fatal(err)
			}
			header := http.Header{}
			for _, f := range fields {
				header.Set(f.Name, f.Value)
			}
			for _, other := range spellings {
				if err := signature.Verify(named("standard"), secrets(other), header.Get, body, now); err != nil {
					t.Errorf("signed with %d characters, not verified with %d", len(one), len(other))
				}
				v := compile(t, schemes["formbricks"])
				keys := signature.Keys{Secrets: secrets(other)}
				if err := v.Check(keys); err != nil {
					t.Errorf("Check: %v", err)
				}
				if _, err := v.Verify(request{header: header, body: body}, keys, now); err != nil {
					t.Errorf("signed with %d characters, not verified as a platform's with %d", len(one), len(other))
				}
				wh, err := standardwebhooks.NewWebhook(other)
				if err != nil {
					if strings.HasSuffix(other, "=") {
						t.Errorf("the library takes no secret of %d characters: %v", len(other), err)
					}
					continue // Go's is strict about padding, others are not
				}
				if err := wh.Verify(body, header); err != nil {
					t.Errorf("the library refuses what was signed: %v", err)
				}
			}
		}
	}
}

func TestRotation(t *testing.T) {
	t.Parallel()
	at := time.Unix(1767225600, 0)
	body := []byte("{}")
	for style, several := range map[string]bool{
		"standard": true, "ed25519": true, "stripe": true, "pollqr": false, "popsee": false, "github": false, "custom": false,
	} {
		sig, newest, older := named(style), "newest", "older"
		switch style {
		case "standard":
			newest, older = signature.NewSecret().Expose(), signature.NewSecret().Expose()
		case "ed25519":
			a, _ := signature.NewKeyPair()
			b, _ := signature.NewKeyPair()
			newest, older = a.Expose(), b.Expose()
		case "custom":
			sig = connectors.Signature{Header: "X-Sign", Value: "t={timestamp};s={signature};i={id}", Signed: "{id}:{timestamp}:{body}", Hash: "sha512", Encoding: "base64"}
		}
		if signature.Several(sig) != several {
			t.Errorf("%s: Several = %t, want %t", style, !several, several)
		}
		fields, err := signature.Sign(sig, secrets(newest, older), signature.Message{ID: "dl_1", At: at, Body: body})
		if err != nil {
			t.Fatalf("%s: %v", style, err)
		}
		if err := signature.Verify(sig, secrets(newest), get(fields), body, at); err != nil {
			t.Errorf("%s: the newest secret does not verify", style)
		}
		if err := signature.Verify(sig, secrets(older), get(fields), body, at); (err == nil) != several {
			t.Errorf("%s: the older secret verifies: %t, want %t", style, err == nil, several)
		}
		if err := signature.Verify(sig, secrets("whsec_x", "", older, newest), get(fields), body, at); err != nil {
			t.Errorf("%s: a receiver with a useless secret beside the right one: %v", style, err)
		}
	}
}

func TestToleranceBothWays(t *testing.T) {
	t.Parallel()
	at := time.Unix(1767225600, 0)
	for style, signed := range map[string]bool{"standard": true, "ed25519": true, "stripe": true, "github": false, "pollqr": false} {
		secret := map[string]string{"standard": whsec, "ed25519": seed32}[style]
		if secret == "" {
			secret = "s"
		}
		fields, err := signature.Sign(named(style), secrets(secret), signature.Message{ID: "dl_1", At: at, Body: []byte("{}")})
		if err != nil {
			t.Fatal(err)
		}
		for off, inside := range map[time.Duration]bool{
			0: true, 5 * time.Minute: true, -5 * time.Minute: true, 301 * time.Second: false, -301 * time.Second: false,
		} {
			err := signature.Verify(named(style), secrets(secret), get(fields), []byte("{}"), at.Add(off))
			if want := inside || !signed; (err == nil) != want {
				t.Errorf("%s, %s off: %v, want accepted = %t", style, off, err, want)
			}
		}
	}
}

func TestSignRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		sig     connectors.Signature
		secrets []connectors.Secret
		id      string
	}{
		"no id":              {named("standard"), secrets(whsec), ""},
		"full stop in id":    {named("standard"), secrets(whsec), "a.b"},
		"line break in id":   {named("none"), nil, "a\nb"},
		"no secret":          {named("standard"), nil, "dl_1"},
		"empty secret":       {named("github"), secrets(""), "dl_1"},
		"no whsec":           {named("standard"), secrets("plain"), "dl_1"},
		"whsec of bad text":  {named("standard"), secrets("whsec_***"), "dl_1"},
		"whsk for standard":  {named("standard"), secrets(seed32), "dl_1"},
		"whsec for ed25519":  {named("ed25519"), secrets(whsec), "dl_1"},
		"unknown style":      {named("sha3"), secrets("s"), "dl_1"},
		"unknown hole":       {connectors.Signature{Header: "X", Signed: "{tenant}"}, secrets("s"), "dl_1"},
		"signature missing":  {connectors.Signature{Header: "X", Value: "v1"}, secrets("s"), "dl_1"},
		"signature twice":    {connectors.Signature{Header: "X", Value: "{signature}{signature}"}, secrets("s"), "dl_1"},
		"body not signed":    {connectors.Signature{Header: "X", Signed: "{timestamp}"}, secrets("s"), "dl_1"},
		"unclosed brace":     {connectors.Signature{Header: "X", Signed: "{body"}, secrets("s"), "dl_1"},
		"no header":          {connectors.Signature{Value: "{signature}"}, secrets("s"), "dl_1"},
		"header taken":       {connectors.Signature{Header: "Webhook-Id"}, secrets("s"), "dl_1"},
		"host":               {connectors.Signature{Header: "Host"}, secrets("s"), "dl_1"},
		"header with space":  {connectors.Signature{Header: "X Sign"}, secrets("s"), "dl_1"},
		"line break in text": {connectors.Signature{Header: "X", Value: "{signature}\n"}, secrets("s"), "dl_1"},
		"unknown hash":       {connectors.Signature{Header: "X", Hash: "md5"}, secrets("s"), "dl_1"},
		"unknown encoding":   {connectors.Signature{Header: "X", Encoding: "base32"}, secrets("s"), "dl_1"},
	} {
		if fields, err := signature.Sign(c.sig, c.secrets, signature.Message{ID: c.id, At: time.Unix(1, 0)}); err == nil {
			t.Errorf("%s: signed as %v", name, fields)
		} else if len(c.secrets) > 0 && c.secrets[0].Len() > 1 && strings.Contains(err.Error(), c.secrets[0].Expose()) {
			t.Errorf("%s: the error repeats the secret: %v", name, err)
		}
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		sig     connectors.Signature
		secrets []connectors.Secret
		want    string // the end of the error; empty: none
	}{
		"new secret":     {named("standard"), []connectors.Secret{signature.NewSecret()}, ""},
		"24 bytes":       {named("standard"), secrets(whsec), ""},
		"23 bytes":       {named("standard"), secrets("whsec_MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM="), "the whsec_ key has 23 bytes and needs 24; `surveygate secret` prints one"},
		"no whsec":       {named("standard"), secrets("a long enough but plain secret"), "the secret is not base64, with or without whsec_ before it; `surveygate secret` prints one"},
		"second":         {named("standard"), secrets(whsec, "x"), "secret 2: the secret is not base64, with or without whsec_ before it; `surveygate secret` prints one"},
		"none":           {named("none"), nil, ""},
		"none, secret":   {named("none"), secrets("s"), "signature `none` signs nothing, so its secrets would never be used"},
		"missing":        {named("github"), nil, "signature `github` needs a secret; `signature: none` sends unsigned"},
		"empty":          {named("github"), secrets(""), "the secret is empty"},
		"one character":  {named("github"), secrets("s"), ""},
		"stripe's text":  {named("stripe"), secrets("whsec_short"), ""},
		"seed":           {named("ed25519"), secrets(seed32), ""},
		"halves differ":  {named("ed25519"), secrets("whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbcAAIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg=="), "the two halves of the whsk_ key do not belong together"},
		"ed25519, whsec": {named("ed25519"), secrets(whsec), "the secret is no whsk_ followed by base64 of 32 or 64 bytes"},
		"custom":         {connectors.Signature{Header: "X-Sign", Hash: "sha1"}, secrets("s"), ""},
	} {
		got := ""
		if err := signature.Check(c.sig, c.secrets); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestKeyPair(t *testing.T) {
	t.Parallel()
	private, public := signature.NewKeyPair()
	if got, err := signature.PublicKey(private); err != nil || got != public {
		t.Errorf("PublicKey = %q, %v; want %q", got, err, public)
	}
	at := time.Unix(1767225600, 0)
	fields, err := signature.Sign(named("ed25519"), []connectors.Secret{private}, signature.Message{ID: "dl_1", At: at, Body: []byte("{}")})
	if err != nil {
		t.Fatal(err)
	}
	if err := signature.Verify(named("ed25519"), secrets(public), get(fields), []byte("{}"), at); err != nil {
		t.Error(err)
	}
	_, other := signature.NewKeyPair()
	if signature.Verify(named("ed25519"), secrets(other), get(fields), []byte("{}"), at) == nil {
		t.Error("another key verifies")
	}
}
