package config_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/surveygate/surveygate/gateway/config"
)

// What a file defines is written again with each variable as such, and with one in place of each secret that stands in the file.
func TestSpecOfFiles(t *testing.T) {
	t.Parallel()
	const text = `
tenant: acme
sources:
  polls:
    profile: pollqr
    secrets: ["${POLLS}", a-secret-that-stands-here-0123456789]
    path_token: 0123456789abcdefghijkl
    roles: {"2": feedback, "007": email}
connections:
  crm: {hubspot: {token: "${file:/run/crm}"}, concurrency: "${AT_ONCE}"}
  alarms: {slack: {token: xoxb-0123456789-abcdefghijkl, channel: "${CHANNEL}"}, rate: 5/s}
webhooks:
  - name: hook
    tenant: acme
    url: https://hook.example.com/${KEY}/in
    events: [response.completed]
    secrets: [whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw]
    headers: {Authorization: "Bearer ${TOKEN}", X-Key: "a ${TOKEN}", X.Y: in-clear-0123456789}
    body: {id: response.id, price: '"$${cost}"', 'n"o': "1"}
rules:
  - name: low
    when: nps_score <= 6
    once: response
    send:
      - alarms: {text: "NPS {{ nps_score }}\n"}
      - crm: {properties: {last_nps: nps_score}}
`
	env := map[string]string{
		"POLLS": "polls-secret-0123456789", "AT_ONCE": "3", "CHANNEL": "#nps", "KEY": "k3y-0123456789", "TOKEN": "t0k3n-0123456789",
	}
	c := load(t, config.Options{AllowUnset: true, Env: func(name string) (string, bool) { v, ok := env[name]; return v, ok }}, text)
	got := map[string]string{}
	for _, s := range c.Sources {
		got[s.Name] = s.Spec
	}
	for _, d := range c.Destinations {
		got[d.Name] = d.Spec
	}
	for _, r := range c.Rules[:1] {
		got[r.Name] = r.Spec
	}
	want := map[string]string{
		"polls":  `{"profile":"pollqr","secrets":["${POLLS}","${ACME_SOURCE_POLLS_SECRETS_1}"],"path_token":"${ACME_SOURCE_POLLS_PATH_TOKEN}","roles":{"2":"feedback","007":"email"}}`,
		"crm":    `{"hubspot":{"token":"${file:/run/crm}"},"concurrency":"${AT_ONCE}"}`,
		"alarms": `{"slack":{"token":"${ACME_CONNECTION_ALARMS_SLACK_TOKEN}","channel":"${CHANNEL}"},"rate":"5/s"}`,
		"hook": `{"url":"${ACME_WEBHOOK_HOOK_URL}","events":["response.completed"],"secrets":["${ACME_WEBHOOK_HOOK_SECRETS_0}"],` +
			`"headers":{"Authorization":"Bearer ${TOKEN}","X-Key":"${ACME_WEBHOOK_HOOK_HEADERS_X_KEY}","X.Y":"${ACME_WEBHOOK_HOOK_HEADERS_X_Y}"},` +
			`"body":{"id":"response.id","price":"\"$${cost}\"","n\"o":"1"}}`,
		"low": `{"when":"nps_score <= 6","once":"response","send":[{"alarms":{"text":"NPS {{ nps_score }}\n"}},{"crm":{"properties":{"last_nps":"nps_score"}}}]}`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
