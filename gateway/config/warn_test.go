package config_test

import (
	"strings"
	"testing"

	"github.com/surveygate/surveygate/gateway/config"
)

// A configuration with nothing in it works, and is hardly what somebody meant.
func TestEmptyIsWarnedOf(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "# nothing yet\n", "listen: 127.0.0.1:0\n", "sources:\nrules: []\n"} {
		c := load(t, config.Options{}, text)
		if len(c.Warnings) != 1 || !strings.Contains(c.Warnings[0].Message, "nothing is configured") {
			t.Errorf("%q: %v", text, c.Warnings)
		}
	}
	if c := load(t, config.Options{}, "sources: {pollqr: {profile: pollqr, secrets: [s]}}\n"); len(c.Warnings) > 0 {
		t.Errorf("warned: %v", c.Warnings)
	}
}

// Two secrets are for rotating, and with most styles only the first of them signs.
func TestSecondSecretIsWarnedOf(t *testing.T) {
	t.Parallel()
	const base = "TUZLUTlyOEdLWXFyVHdqVVBEOElMUFpJbzJMYUxhU3c="
	said := func(settings string) (all []string) {
		c := load(t, config.Options{}, `webhooks: [{name: w, url: "https://hook.example.com/in", events: ["*"], body: event, `+settings+"}]\n")
		for _, w := range c.Warnings {
			all = append(all, w.Message)
			if w.Line != 1 || !strings.Contains(w.Remedy, "rotating") {
				t.Errorf("%s: %+v", settings, w)
			}
		}
		return all
	}
	for signature, several := range map[string]bool{
		"": true, "signature: standard": true, "signature: stripe": true,
		"signature: pollqr": false, "signature: popsee": false, "signature: github": false, "preset: pollqr": false, "preset: popsee": false,
		"signature: {header: X-Sign}": false,
	} {
		if signature != "" {
			signature += ", "
		}
		if got := said(signature + "secrets: [whsec_" + base + "]"); len(got) > 0 {
			t.Errorf("%s with one secret: %v", signature, got)
		}
		if got := said(signature + "secrets: [whsec_" + base + ", A" + base[1:] + "]"); len(got) != map[bool]int{true: 0, false: 1}[several] {
			t.Errorf("%s with two secrets: %v", signature, got)
		}
	}
}

// Answers that cannot be cut out of a platform's own bytes go out all the same: who said that they must not is told.
func TestUncutAnswersAreWarnedOf(t *testing.T) {
	t.Parallel()
	const sources = `
sources:
  pollqr: {profile: pollqr, secrets: [s]}
  poltio: {profile: poltio, unverified: true}
  jotform: {profile: jotform, unverified: true}
  kobo: {profile: kobotoolbox, unverified: true, secrets: [s]}
  monkey: {profile: surveymonkey, unverified: true}
  elsewhere: {profile: wufoo, secrets: [s], tenant: other}
`
	for settings, want := range map[string]string{
		"send_answers: false":                         "`send_answers: false` cuts nothing out of raw bodies of jotform, kobo",
		"send_answers: false, body: raw":              "`send_answers: false` cuts nothing out of raw bodies of jotform, kobo",
		"send_answers: false, body: event":            "",
		"send_leads: false":                           "",
		"send_answers: true":                          "",
		"send_answers: false, body: {a: response.id}": "",
	} {
		c := load(t, config.Options{}, sources+`webhooks: [{name: w, url: "https://hook.example.com/in", events: ["*"], signature: none, `+settings+"}]\n")
		var said []string
		for _, w := range c.Warnings {
			if strings.Contains(w.Message, "cuts nothing") {
				said = append(said, w.Message)
				if w.Remedy != "write body: event" || w.Line == 0 {
					t.Errorf("%s: %+v", settings, w)
				}
			}
		}
		if got := strings.Join(said, "; "); got != want {
			t.Errorf("%s: %q, want %q", settings, got, want)
		}
	}
}
