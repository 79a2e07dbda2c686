package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/surveygate/surveygate/gateway/config"
)

// A configuration with nothing in it works, and is hardly what somebody meant.
func TestEmptyIsWarnedOf(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "# nothing yet\n", "listen: 127.0.0.1:0\n", "sources:\nrules: []\n"} {
		c := load(t, config.Options{}, text)
		if len(c.Warnings) != 1 || !strings.Contains(c.Warnings[0].Message, "the configuration is empty") {
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
			if w.Line != 1 || !strings.Contains(w.Remedy, "rotate") {
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
		"send_answers: false":                         "`send_answers: false` has no effect on raw bodies of jotform, kobo",
		"send_answers: false, body: raw":              "`send_answers: false` has no effect on raw bodies of jotform, kobo",
		"send_answers: false, body: event":            "",
		"send_leads: false":                           "",
		"send_answers: true":                          "",
		"send_answers: false, body: {a: response.id}": "",
	} {
		c := load(t, config.Options{}, sources+`webhooks: [{name: w, url: "https://hook.example.com/in", events: ["*"], signature: none, `+settings+"}]\n")
		var said []string
		for _, w := range c.Warnings {
			if strings.Contains(w.Message, "has no effect on raw bodies") {
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

// warnings are what is said of a configuration, each with the text that its caret is under and its remedy.
func warnings(t *testing.T, text string) (said []string) {
	t.Helper()
	for _, w := range load(t, config.Options{Env: func(name string) (string, bool) {
		return "https://hooks.slack.com/services/T/B/x", name == "SLACK_WEBHOOK"
	}}, text).Warnings {
		line := []rune(strings.Split(text, "\n")[w.Line-1])
		said = append(said, w.Message+" | "+string(line[w.Column-1:w.Column-1+w.Length])+" | "+w.Remedy)
	}
	return said
}

// A word that a name never is makes a condition that is never true: it is told, with the nearest. Of a name that may be
// anything nothing is told.
func TestMisspeltWordsAreWarnedOf(t *testing.T) {
	t.Parallel()
	const sources = `
sources:
  typeform: {profile: typeform, secrets: [s]}
  shop: {profile: pollqr, secrets: [s]}
  elsewhere: {profile: pollqr, secrets: [s], tenant: other}
connections: {alarms: {slack: {webhook: "${SLACK_WEBHOOK}"}}, theirs: {slack: {webhook: "${SLACK_WEBHOOK}"}, tenant: other}}
`
	token := func(more string) string {
		return "tokens: [{name: ci, secret: " + strings.Repeat("x", 32) + ", scopes: [publish]" + more + "}]\n"
	}
	for _, c := range []struct {
		when, more, rule string
		want             []string
	}{
		{when: `source == "typeform"`},
		{when: `source in ["shop", "api"]`},
		{when: `source != "shop"`},
		{when: `source == "typefrom"`, want: []string{"`source` is never `typefrom` | \"typefrom\" | did you mean typeform?"}},
		{when: `source != "typefrom"`, want: []string{"`source` is never `typefrom` | \"typefrom\" | did you mean typeform?"}},
		{when: `source not in ["shop", "typefrom"]`, want: []string{"`source` is never `typefrom` | \"typefrom\" | did you mean typeform?"}},
		{when: `nps_score > 1 or not ('tally' == source)`, want: []string{"`source` is never `tally` | 'tally' | one of: api, shop, typeform"}},
		{when: `source == "elsewhere"`, want: []string{"`source` is never `elsewhere` | \"elsewhere\" | one of: api, shop, typeform"}},
		// What tokens publish as is a source too, and one that may publish as all of them leaves the set open.
		{when: `source == "partner"`, more: token(", sources: [partner]")},
		{when: `source == "partnr"`, more: token(", sources: [partner]"), want: []string{"`source` is never `partnr` | \"partnr\" | did you mean partner?"}},
		{when: `source == "anything"`, more: token(`, sources: ["*"]`)},
		{when: `source == "anything"`, more: token(`, sources: ["*"], tenant: other`), want: []string{"`source` is never `anything` | \"anything\" | one of: api, shop, typeform"}},

		{when: `nps_group == "detractor"`},
		{when: `nps_group in ["passive", "promoter"]`},
		{when: `(nps_group ?? "none") == "none"`},
		{when: `nps_group == "Detractor"`, want: []string{"`nps_group` is never `Detractor` | \"Detractor\" | did you mean detractor?"}},
		{when: `nps_group in ["passive", "promotor"]`, want: []string{"`nps_group` is never `promotor` | \"promotor\" | did you mean promoter?"}},
		{when: `["promotor"] contains nps_group`, want: []string{"`nps_group` is never `promotor` | \"promotor\" | did you mean promoter?"}},

		{when: `type == "response.completed"`},
		{when: `type != "test"`},
		{when: `type == "response.updated"`, rule: `events: ["response.*"], `},
		{when: `type == "response.complete"`, want: []string{"`type` is never `response.complete` | \"response.complete\" | did you mean response.completed?"}},
		{when: `type == "response.updated"`, want: []string{"the rule does not subscribe to `response.updated` | \"response.updated\" | add it to events:, or remove it here"}},
		{when: `type == "form_response"`, want: []string{"`type` is never `form_response` | \"form_response\" | here it is called response.completed"}},

		{when: `tenant == "default"`},
		{when: `tenant == "othr"`, rule: `tenant: other, `, want: []string{"`tenant` is never `othr` | \"othr\" | did you mean other?"}},

		{when: `source == "${SLACK_WEBHOOK}"`, want: []string{"`source` is never `https://hooks.slack.com/services/T/B/x` | \"${SLACK_WEBHOOK}\" | one of: api, shop, typeform"}},

		// These may be anything.
		{when: `survey.type == "npss"`},
		{when: `context.country == "Germany"`},
		{when: `answer("q") == "Detractor"`},
		{when: `params.source == "typefrom"`},
		{when: `source startsWith "type" or lower(source) == "x" or source > "a"`},
	} {
		to := "alarms"
		if strings.Contains(c.rule, "other") {
			to = "theirs"
		}
		text := sources + c.more + "rules:\n  - " + strings.ReplaceAll(c.rule, ", ", "\n    ") + "name: r\n    when: |-\n      " + c.when + "\n    send: [" + to + "]\n"
		if got := warnings(t, text); strings.Join(got, "\n") != strings.Join(c.want, "\n") {
			t.Errorf("%s\nsays %q\nwant %q", text, got, c.want)
		}
	}
}

// Files without a source of the tenant leave its sources to the API, and a rule for every tenant also runs in tenants of the API: their
// names are not known.
func TestNamesOfTheAPIAreNotWarnedOf(t *testing.T) {
	t.Parallel()
	for when, tenant := range map[string]string{
		`source == "shop"`:                "default",
		`source in ["shop", "api"]`:       `"*"`,
		`tenant == "acme"`:                `"*"`,
		`tenant != "acme" and has(email)`: `"*"`,
	} {
		text := `webhooks: [{name: hook, url: "https://hook.example.com/in", signature: none}]
sources: {elsewhere: {profile: pollqr, secrets: [s], tenant: other}}
rules: [{name: r, tenant: ` + tenant + `, when: '` + when + `', send: [hook]}]
`
		if strings.Contains(tenant, "*") {
			text = strings.ReplaceAll(text, "sources: {elsewhere: {profile: pollqr, secrets: [s], tenant: other}}\n", "")
		}
		if got := warnings(t, text); len(got) > 0 {
			t.Errorf("%s: warned of %q", when, got)
		}
	}
}

// What stands for a variable that is not set is no misspelt word: `surveygate test` loads such a file.
func TestUnsetWordsAreNotWarnedOf(t *testing.T) {
	t.Parallel()
	c := load(t, config.Options{AllowUnset: true, Env: func(string) (string, bool) { return "", false }}, `
webhooks: [{name: w, url: "https://hook.example.com/in", signature: none, events: [response.completed], when: 'source == "${NAME}"', body: {a: 'source == "${NAME}"'}}]
`)
	if len(c.Warnings) > 0 {
		t.Errorf("warned: %v", c.Warnings)
	}
}

// Words are looked at wherever an expression stands: in a step's values and texts, in a webhook's condition and body.
func TestMisspeltWordsAreFoundInEveryExpression(t *testing.T) {
	t.Parallel()
	const never = "`nps_group` is never `promotor` | \"promotor\" | did you mean promoter?"
	for _, text := range []string{
		`rules: [{name: r, send: [{alarms: {text: '{{ nps_group == "promotor" ? "!" : "" }}'}}, hook]}]`,
		`rules: [{name: r, send: [{hook: {body: {list: [{happy: 'nps_group == "promotor"'}]}}}]}]`,
		`rules: [{name: r, send: [hook, shared]}, {name: r2, send: [shared]}]`,
		`webhooks: [{name: w, url: "https://hook.example.com/in", signature: none, events: [response.completed], when: 'nps_group == "promotor"'}]`,
		`webhooks: [{name: w, url: "https://hook.example.com/in", signature: none, events: [response.completed], body: {happy: 'nps_group == "promotor"'}}]`,
	} {
		if !strings.HasPrefix(text, "webhooks") {
			text += "\nwebhooks: [{name: hook, url: \"https://hook.example.com/in\", signature: none}]"
		}
		shared := ""
		if strings.Contains(text, "shared") { // what a connection says holds for every step of it, and is told once
			shared = `, shared: {slack: {webhook: "${SLACK_WEBHOOK}", text: '{{ nps_group == "promotor" ? "!" : "" }}'}}`
		}
		text += "\nconnections: {alarms: {slack: {webhook: \"${SLACK_WEBHOOK}\"}}" + shared + "}\n"
		if got := warnings(t, text); len(got) != 1 || got[0] != never {
			t.Errorf("%s\nsays %q", text, got)
		}
	}
}

// A field that every source of a rule fills with fixed words has a closed set too, unless somebody's own code publishes.
func TestWordsOfProfilesAreASet(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	profile := "source: acme\nverify: [{kind: path}]\ntype: {const: done, default: response.completed}\ndedupe: \"{body:id}\"\nmap: {response.id: id, survey.type: \"const:nps\"}\n"
	if err := os.WriteFile(filepath.Join(folder, "acme.yaml"), []byte(profile), 0o600); err != nil {
		t.Fatal(err)
	}
	const token = "tokens: [{name: ci, secret: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx, scopes: [publish]}]\n"
	said := func(more, when string) int {
		c := load(t, config.Options{}, "sources:\n  acme: {profile: "+filepath.Join(folder, "acme.yaml")+", path_token: 0123456789abcdef012345}\n"+more+
			`webhooks: [{name: w, url: "https://hook.example.com/in", signature: none, body: event, events: [response.completed], when: '`+when+"'}]\n")
		never := 0
		for _, w := range c.Warnings {
			if strings.Contains(w.Message, "is never") {
				never++
			}
		}
		return never
	}
	const open = "  typeform: {profile: typeform, secrets: [s]}\n  monkey: {profile: formbricks, unverified: true}\n"
	for _, c := range []struct {
		more, when string
		want       int
	}{
		{"", `survey.type == "nps"`, 0},
		{"", `survey.type == "npss"`, 1},
		{open, `survey.type == "npss"`, 0},
		{open, `source == "acme" and survey.type == "npss"`, 1},
		{open, `source == "monkey" and survey.type == "x"`, 0},
		{token, `survey.type == "npss"`, 0},
		{token, `source == "acme" and survey.type == "npss"`, 1},
	} {
		if got := said(c.more, c.when); got != c.want {
			t.Errorf("%s%s: %d warnings, want %d", c.more, c.when, got, c.want)
		}
	}
}

// A mailing list that needs consent origins nobody where no source of the rule says who gave it.
func TestNobodysConsentIsWarnedOf(t *testing.T) {
	t.Parallel()
	const lists = `
connections:
  news: {mailchimp: {api_key: 0123456789abcdef0123456789abcdef-us6, audience: a1b2c3d4e5}}
  assumed: {mailchimp: {api_key: 1123456789abcdef0123456789abcdef-us6, audience: a1b2c3d4e5, consent: assume}}
`
	const warned = "`news` skips every event: it needs consent, and events of `%s` never carry it"
	const token = "tokens: [{name: ci, secret: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx, scopes: [publish]}]\n"
	for _, c := range []struct{ sources, rule, want string }{
		{sources: "pollqr: {profile: pollqr, secrets: [s]}", rule: "send: [news]", want: "pollqr"},
		{sources: "pollqr: {profile: pollqr, secrets: [s]}\n  tf: {profile: typeform, secrets: [s]}", rule: "send: [news]", want: "pollqr`, `tf"},
		{sources: "pollqr: {profile: pollqr, secrets: [s], roles: {'7': consent}}", rule: "send: [news]"},
		{sources: "pollqr: {profile: pollqr, secrets: [s], surveys: {s1: {roles: {'7': consent}}}}", rule: "send: [news]"},
		{sources: "pollqr: {profile: pollqr, secrets: [s]}", rule: "send: [assumed]"},
		{sources: "pollqr: {profile: pollqr, secrets: [s]}", rule: "send: [{news: {tags: []}, as: x}]", want: "pollqr"},
		{sources: "pollqr: {profile: pollqr, secrets: [s]}", rule: "enabled: false\n    send: [news]"},
		// One source that says it is enough, unless the rule leaves that one out.
		{sources: "a: {profile: pollqr, secrets: [s]}\n  b: {profile: pollqr, secrets: [s], roles: {'7': consent}}", rule: "send: [news]"},
		{sources: "a: {profile: pollqr, secrets: [s]}\n  b: {profile: pollqr, secrets: [s], roles: {'7': consent}}", rule: "when: source == 'a' and has(email)\n    send: [news]", want: "a"},
		// What somebody's own code publishes may hold it.
		{sources: "pollqr: {profile: pollqr, secrets: [s]}\n" + token, rule: "send: [news]"},
		{sources: "pollqr: {profile: pollqr, secrets: [s]}\n" + token, rule: "when: source == 'pollqr'\n    send: [news]", want: "pollqr"},
		{sources: "other: {profile: pollqr, secrets: [s], tenant: other}", rule: "send: [news]"},
	} {
		var got []string
		for _, w := range load(t, config.Options{}, "sources:\n  "+c.sources+lists+"rules:\n  - name: r\n    "+c.rule+"\n").Warnings {
			got = append(got, strings.Replace(w.Message, "`x` skips", "`news` skips", 1))
			if !strings.Contains(w.Remedy, "roles: {QUESTION: consent}") || w.Line == 0 {
				t.Errorf("%+v", w)
			}
		}
		want := ""
		if c.want != "" {
			want = strings.Replace(warned, "%s", c.want, 1)
		}
		if strings.Join(got, "\n") != want {
			t.Errorf("%s\n%s\nsays %q, want %q", c.sources, c.rule, got, want)
		}
	}
}

// A wait for the rest of a response that can never begin.
func TestIncompleteDelayIsWarnedOf(t *testing.T) {
	t.Parallel()
	for settings, want := range map[string]string{
		"":                               "`incomplete_delay` without `events` has no effect",
		", events: [response.updated]":   "`incomplete_delay` has no effect without `response.partial`",
		", events: [response.completed]": "",
		", events: [response.partial]":   "",
		`, events: ["*"]`:                "",
	} {
		c := load(t, config.Options{}, `webhooks: [{name: w, url: "https://hook.example.com/in", signature: none, send_incomplete: true, incomplete_delay: 2m`+settings+`}]
rules: [{name: r, send: [w]}]
`)
		got := ""
		for _, w := range c.Warnings {
			if strings.Contains(w.Message, "incomplete_delay") {
				got += w.Message
			}
		}
		if got != want {
			t.Errorf("%s: %q, want %q", settings, got, want)
		}
	}
}
