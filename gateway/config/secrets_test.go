package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/surveygate/surveygate/gateway/internal/document"
)

// TestFaultsShowNoSecret: a secret that stands where something else is wanted, or on a line that cannot be read, shows
// neither in the line nor in the message and the remedy.
func TestFaultsShowNoSecret(t *testing.T) {
	t.Parallel()
	const secret = "pat-na1-HunterTwo0"
	for name, text := range map[string]string{
		"single value for a list":       "sources:\n  pollqr: {profile: pollqr, secrets: SECRET}",
		"list for a mapping":            "webhooks:\n  - {name: w, url: 'https://a.example.com', signature: none, headers: [SECRET]}",
		"mapping for a list":            "sources:\n  typeform: {profile: typeform, verify: {password: SECRET}}",
		"token for a list":              "tokens: SECRET",
		"token for a mapping":           "tokens: [SECRET]",
		"connection":                    "connections:\n  crm: SECRET",
		"connections as a list":         "connections:\n  - {name: crm, hubspot: {token: SECRET}}",
		"source":                        "sources:\n  pollqr: SECRET",
		"source as a list":              "sources:\n  pollqr: [SECRET]",
		"sources as a list":             "sources:\n  - {name: pollqr, profile: pollqr, secrets: [SECRET]}",
		"webhook":                       "webhooks: [SECRET]",
		"webhooks":                      "webhooks: 'https://hooks.zapier.com/SECRET'",
		"address of another scheme":     "webhooks:\n  - {name: w, url: 'ftp://hooks.zapier.com/SECRET', signature: none}",
		"address that cannot be read":   "webhooks:\n  - {name: w, url: 'https://a.example.com/%zzSECRET', signature: none}",
		"webhooks as a mapping":         "webhooks:\n  w: {url: 'https://a.example.com', secrets: [SECRET]}",
		"redis in a list":               "redis: ['redis://u:SECRET@h/0']",
		"twice":                         "connections:\n  crm: {hubspot: {token: SECRET, token: SECRET2}}",
		"twice in a block":              "connections:\n  crm:\n    hubspot:\n      token: SECRET\n      token: SECRET2",
		"twice in a list":               "sources:\n  pollqr: {profile: pollqr, secrets: [other, SECRET], secrets: ['SECRET2']}",
		"a header twice":                "webhooks:\n  - {name: w, url: 'https://a.example.com', headers: {X-Own: SECRET, X-Own: SECRET2}}",
		"something else twice":          "connections:\n  crm: {hubspot: {token: SECRET, base_url: 'https://a', base_url: 'https://b'}}",
		"redis twice":                   "redis: redis://u:SECRET@h/0\nredis: redis://u:SECRET@h/1",
		"tag":                           "connections:\n  crm: {hubspot: {token: !foo SECRET}}",
		"exclamation mark":              "connections:\n  crm: {hubspot: {token: !SECRET}}",
		"percent sign":                  "connections:\n  crm: {hubspot: {token: %SECRET}}",
		"at sign":                       "connections:\n  crm: {hubspot: {token: @SECRET}}",
		"backtick":                      "connections:\n  crm: {hubspot: {token: `SECRET`}}",
		"asterisk":                      "connections:\n  crm: {hubspot: {token: *SECRET}}",
		"braces":                        "connections:\n  crm: {hubspot: {token: {{SECRET}}}}",
		"colon":                         "connections:\n  crm:\n    hubspot:\n      token: a: SECRET",
		"control character":             "connections:\n  crm: {hubspot: {token: SECRET\x01}}",
		"second document on its line":   "--- \n--- {token: SECRET}",
		"a block with a tab":            "connections:\n  crm:\n    hubspot:\n      token: >-\n\tSECRET",
		"open quote on the next line":   "connections:\n  crm:\n    hubspot:\n      token:\n        \"SECRET",
		"at sign on the next line":      "connections:\n  crm:\n    hubspot:\n      token:\n        @SECRET",
		"at sign in an entry":           "sources:\n  pollqr:\n    profile: pollqr\n    secrets:\n    - @SECRET",
		"tag in an entry":               "sources:\n  pollqr:\n    profile: pollqr\n    secrets:\n      - other\n      - !x SECRET",
		"at sign in a header":           "webhooks:\n  - name: w\n    headers:\n      X-Own: @SECRET",
		"open quote":                    "connections:\n  crm: {hubspot: {token: \"SECRET}}",
		"missing comma and second text": "sources: {a: {profile: pollqr secrets: [\"x\", \"SECRET\"]}}",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "surveygate.yaml")
			if err := os.WriteFile(path, []byte(strings.ReplaceAll(text, "SECRET", secret)), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := Load(Options{Path: path})
			if err == nil {
				t.Fatal("no fault")
			}
			if said := err.Error(); strings.Contains(said, secret) {
				t.Error(said)
			}
			if faults, ok := errors.AsType[document.Faults](err); ok {
				for _, f := range faults {
					if strings.Contains(f.Source()+f.Message+f.Remedy, secret) {
						t.Errorf("%+v", f)
					}
				}
			}
		})
	}
}
