package config_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/connectors/ga4"
	"github.com/surveygate/surveygate/connectors/hubspot"
	"github.com/surveygate/surveygate/connectors/webhook"
	"github.com/surveygate/surveygate/gateway/config"
)

// TestWhiteSpaceOfVariables: a secret made with `echo`, an editor's file and a variable with a carriage return are what
// they were meant to be. What is written around a ${…} stays, and so does white space inside.
func TestWhiteSpaceOfVariables(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return "${file:" + path + "}"
	}
	env := map[string]string{
		"TOKEN": "pat-1\n", "ID": "\tG-1 \r\n", "HOOK": " https://hook.example.com/in\n", "PART": "abc def\n",
		"SURVEYGATE_LISTEN": "127.0.0.1:9090\n", "SURVEYGATE_REDIS": "redis://127.0.0.1:6379/0\n",
	}
	c := load(t, config.Options{Env: func(name string) (string, bool) { v, ok := env[name]; return v, ok }}, `
connections:
  crm: {hubspot: {token: "${TOKEN}"}}
  counts: {ga4: {measurement_id: "${ID}", api_secret: "`+file("ga4", "\ufeffs3cret\r\n\r\n")+`"}}
webhooks:
  - name: hook
    url: "${HOOK}"
    events: [response.completed]
    signature: pollqr
    secrets: ["`+file("hook", "one secret\n")+`"]
    headers: {Authorization: "Bearer ${PART}", X-Two: "${PART}-${TOKEN}!"}
`)
	same := func(what string, got connectors.Secret, want string) {
		t.Helper()
		if got != connectors.NewSecret(want) {
			t.Errorf("%s is not %q", what, want)
		}
	}
	same("token", destination(t, c, "crm").Alone.(*hubspot.Connector).Token, "pat-1")
	counts := destination(t, c, "counts").Alone.(*ga4.Connector)
	same("api_secret", counts.APISecret, "s3cret")
	hook := destination(t, c, "hook").Alone.(*webhook.Connector)
	same("secrets", hook.Secrets[0], "one secret")
	same("Authorization", hook.Headers["Authorization"].Secret, "Bearer abc def")
	same("X-Two", hook.Headers["X-Two"].Secret, "abc def-pat-1!")
	same("redis", c.Redis.URL, "redis://127.0.0.1:6379/0")
	if counts.MeasurementID != "G-1" || hook.URL.Secret() != connectors.NewSecret("https://hook.example.com/in") || c.Listen != "127.0.0.1:9090" {
		t.Errorf("%q %q %q", counts.MeasurementID, hook.URL.Secret().Expose(), c.Listen)
	}
}
