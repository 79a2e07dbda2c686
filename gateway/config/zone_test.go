package config_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/rules/event"
)

// TestZones: the zone of a rule is that of its condition and of what its steps send, also of settings that come from the connection,
// and of no other rule. It is kept with the decision.
func TestZones(t *testing.T) {
	t.Parallel()
	c := load(t, config.Options{}, `
connections:
  alarms: {slack: {webhook: "https://hooks.slack.com/services/T/B/a", text: "{{ received.weekday }} {{ received.hour }}"}}
webhooks:
  - {name: there, url: "https://there.example/in?hour={{ received.hour }}", signature: none, events: [response.completed], timezone: Asia/Tokyo, when: received.hour == 9}
  - {name: here, url: "https://here.example/in?hour={{ received.hour }}", signature: none, events: [response.completed]}
rules:
  - {name: istanbul, timezone: Europe/Istanbul, when: received.hour == 3, quiet: {from: "22:00", to: "08:00"}, send: [alarms]}
  - {name: utc, when: received.hour == 0, quiet: {from: "22:00", to: "08:00"}, send: [alarms]}
  - {name: tokyo, timezone: Asia/Tokyo, quiet: {from: "22:00", to: "08:00", timezone: Europe/Berlin}, send: [alarms: {text: "at {{ received.hour }}"}, here]}
`)
	ev, err := event.ParseOne([]byte(`{"type":"response.completed"}`), event.Defaults{
		Tenant: "default", Source: "api", Received: time.Date(2026, 7, 5, 0, 30, 0, 0, time.UTC),
	})
	if err != nil {
		t.Fatal(err)
	}
	decision := decide.New(c).Decide(ev, ev.Received)
	var got []string
	for _, o := range decision.Owed {
		req, err := o.Build.Build(ev)
		if err != nil {
			t.Fatal(err)
		}
		line := o.Delivery.Origin.Name + ": " + strings.Join(strings.Fields(string(req.Transcript())), " ")
		got = append(got, line)
	}
	for i, want := range []string{"istanbul: .*\"sunday 3\"", "utc: .*\"sunday 0\"", "tokyo: .*\"at 9\"", "tokyo: .*hour=9", "there: .*hour=9", "here: .*hour=0"} {
		if len(got) <= i || !regexp.MustCompile(want).MatchString(got[i]) {
			t.Errorf("%d is not %q: %q", i, want, got)
		}
	}
	for _, r := range c.Rules {
		if want := map[string]string{"istanbul": "Europe/Istanbul", "utc": "UTC", "tokyo": "Europe/Berlin"}[r.Name]; want != "" && r.Guard.Quiet.Zone.String() != want {
			t.Errorf("%s is quiet in %s, want %s", r.Name, r.Guard.Quiet.Zone, want)
		}
	}
	sameDecisions(t, c, "default")
}
