package source

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/signature"
)

// TestSignedPartsOfEveryProfile: of a genuine request of any platform nobody makes another by moving bytes from the body
// into a header that is signed before it.
func TestSignedPartsOfEveryProfile(t *testing.T) {
	t.Parallel()
	tried := 0
	for _, name := range Builtin().Names() {
		profile, _ := Builtin().Profile(name)
		for _, scheme := range profile.Verify {
			if scheme.Kind != KindHMAC || !strings.Contains(scheme.Signed, "{header:") {
				continue
			}
			tried++
			const form = "{header:webhook-id}.{timestamp}.{body}"
			if scheme.Signed != form {
				t.Errorf("%s signs `%s`: teach this test what can be moved in it", name, scheme.Signed)
				continue
			}
			now := time.Unix(1767225600, 0)
			stamp := strconv.FormatInt(now.Unix(), 10)
			verifier, err := scheme.Compile()
			if err != nil {
				t.Fatal(err)
			}
			keys := signature.Keys{Secrets: []connectors.Secret{signature.NewSecret()}}
			headers := map[string]string{"webhook-id": "msg_1", scheme.Timestamp.Header: stamp}
			look := &facts{source: &Source{Settings: Settings{Profile: profile}}, req: &Request{
				Header: func(name string) string { return headers[name] }, Body: []byte(stamp + `.{"a":1}`), Received: now,
			}}
			sign, err := verifier.Sign(look, keys)
			if err != nil {
				t.Fatal(err)
			}
			headers[scheme.Header] = sign
			if _, err := verifier.Verify(look, keys, now); err != nil {
				t.Errorf("%s: the genuine one is refused: %s", name, reason(err))
			}
			headers["webhook-id"], look.req.Body = "msg_1."+stamp, []byte(`{"a":1}`)
			if _, err := verifier.Verify(look, keys, now); err == nil || reason(err) != "a signed header holds what separates the parts that are signed" {
				t.Errorf("%s: an id that took the time into it: %v", name, err)
			}
		}
	}
	if tried == 0 {
		t.Error("no profile signs a header")
	}
}
