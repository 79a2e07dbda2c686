package signature_test

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/signature"
)

// FuzzVerify gives arbitrary headers, bodies and secrets to every style and every platform's scheme: nothing
// panics, nothing that was not signed is accepted, and what was signed is.
func FuzzVerify(f *testing.F) {
	f.Add("t=1,v1=00", "1", "id", "secret", []byte(`{"a": 1}`), "{timestamp}.{body}", "sha256={signature}")
	f.Add("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", "1614265330", "msg", whsec, []byte(`{"test": 2432232314}`), "{id}{body}", "{signature}")
	f.Add("v1a,", "", "", seed32, []byte(nil), "{", "{signature}{signature}")
	f.Add("sha256=zz", "-1", "a.b", "\x00", []byte("{\"a\":\n}"), "{body}{body}", "x{id}{signature}{timestamp}")
	platforms := make([]*signature.Verifier, 0, len(schemes))
	for _, s := range schemes {
		platforms = append(platforms, compile(f, s))
	}
	f.Fuzz(func(t *testing.T, header, stamp, id, secret string, body []byte, signed, value string) {
		now := time.Unix(1614265330, 0)
		h := http.Header{}
		for _, name := range []string{
			"webhook-signature", "X-PollQR-Signature", "X-Popsee-Signature", "X-Hub-Signature-256", "Stripe-Signature",
			"X-Sign", "Typeform-Signature", "Tally-Signature", "Sm-Signature", "X-Delighted-Webhook-Signature",
		} {
			h.Set(name, header)
		}
		h.Set("webhook-timestamp", stamp)
		h.Set("webhook-id", id)
		one := secrets(secret)
		unknown := secrets("a secret that the sender never had", "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=")

		own := connectors.Signature{Header: "X-Sign", Signed: signed, Value: value}
		styles := []connectors.Signature{own}
		for _, name := range []string{"standard", "ed25519", "pollqr", "popsee", "github", "stripe"} {
			styles = append(styles, named(name))
		}
		for _, sig := range styles {
			_ = signature.Verify(sig, one, h.Get, body, now)
			if header != "" && secret != "a secret that the sender never had" {
				if err := signature.Verify(sig, unknown, h.Get, body, now); err == nil {
					// Only the published vectors could be met by chance, and they are of other secrets.
					t.Fatalf("%v accepts %q, which nobody signed", sig, header)
				}
			}
			m := signature.Message{ID: id, At: now, Body: body}
			fields, err := signature.Sign(sig, one, m)
			if err != nil {
				continue
			}
			if signature.Check(sig, one) != nil && sig.Style != "standard" {
				t.Fatalf("%v signs with what Check refuses", sig)
			}
			if err := signature.Verify(sig, one, get(fields), body, now); err != nil {
				t.Fatalf("%v refuses its own signature: %v", sig, err)
			}
			if err := signature.Verify(sig, one, get(fields), append(append([]byte(nil), body...), ' '), now); err == nil {
				t.Fatalf("%v accepts another body", sig)
			}
		}
		form, _ := url.ParseQuery(string(body))
		r := request{header: h, query: form, form: form, segment: id, body: body}
		keys := signature.Keys{Secrets: one, PathToken: one, Vars: map[string]connectors.Secret{"api_key": connectors.NewSecret(id)}}
		for _, v := range platforms {
			_, _ = v.Verify(r, keys, now)
			_ = v.Check(keys)
		}
	})
}
