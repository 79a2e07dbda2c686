package connectors_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/surveygate/surveygate/connectors"
)

// TestURLIsSecret: an address that is a credential prints as [secret]: one that came from a ${…}, or looks like one.
func TestURLIsSecret(t *testing.T) {
	t.Parallel()
	for text, secret := range map[string]bool{
		"https://hook.example.com/in": false,
		"https://hook.example.com/api/v2/customer-satisfaction-surveys/responses?source=surveys": false,
		"http://127.0.0.1:9000/":                                                                               false,
		"https://hook.example.com/in?token=x":                                                                  false,
		"https://hooks.zapier.com/hooks/catch/123456/abcdef/":                                                  true,
		"https://hook.eu1.make.com/a1b2c3d4e5f6g7h8i9j0k1l2m3n4o5p6":                                           true,
		"https://prod-33.westeurope.logic.azure.com/workflows/x/triggers/manual/paths/invoke?sig=abcdefghijkl": true,
		"https://maker.ifttt.com/trigger/survey/with/key/dQw4w9WgXcQ-dQw4w9WgXcQ":                              true,
		"https://eo1234567890.m.pipedream.net":                                                                 true,
		"https://hook.example.com/in/550e8400-e29b-41d4-a716-446655440000":                                     true,
		"https://hook.example.com/in?Access_Token=0123456789":                                                  true,
	} {
		u, err := connectors.NewURL(text)
		if err != nil || u.IsSecret() != secret {
			t.Errorf("%s is a secret: %t, want %t (%v)", text, u.IsSecret(), secret, err)
			continue
		}
		if !secret && u.String() != text {
			t.Errorf("%s prints as %s", text, u)
		}
		u.Referenced("${HOOK}")
		holder := struct {
			U connectors.URL
			u connectors.URL
			R *connectors.Request
		}{u, u, (&connectors.Request{Method: "POST"}).To(u)}
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
			if shown := fmt.Sprintf(verb, holder) + fmt.Sprintf(verb, u) + fmt.Sprintf(verb, *holder.R); strings.Contains(shown, text) {
				t.Errorf("%s shows %s", verb, shown)
			}
		}
		if shown, err := json.Marshal(holder); err != nil || strings.Contains(string(shown), text) {
			t.Errorf("%s, %v", shown, err)
		}
		if got := string(holder.R.Transcript()); got != "POST [secret]\n" {
			t.Errorf("the transcript shows %q", got)
		}
		if u.Secret().Expose() != text {
			t.Errorf("the address of %s is lost", text)
		}
	}
}
