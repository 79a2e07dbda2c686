package config_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/rules/event"
)

// TestGeneration: what is kept knows no secret, is what the generation is the hash of, and depends on what is written
// and not on how, nor on what variables hold.
func TestGeneration(t *testing.T) {
	t.Parallel()
	text := whole + "\n  - name: clear\n    send:\n      - {alarms: , as: clear}\n"
	text = strings.Replace(text, `token: "${SLACK_TOKEN}"`, `token: xoxb-in-the-clear`, 1)
	text = strings.Replace(text, `secrets: ["${POLLQR_SECRET}"]`, "secrets: ['quoted-in-the-clear']", 1)
	c := load(t, config.Options{}, text)
	for _, secret := range []string{"in-the-clear", env["SLACK"], env["HOOK"], env["TOKEN"]} {
		if bytes.Contains(c.Kept, []byte(secret)) {
			t.Errorf("what is kept holds %s", secret)
		}
	}
	again, err := config.LoadKept(c.Kept, config.DefaultTenant)
	if err != nil {
		t.Fatalf("%v\n%s", err, c.Kept)
	}
	if again.Generation != c.Generation || len(again.Rules) != len(c.Rules) || len(again.Destinations) != len(c.Destinations) {
		t.Errorf("loaded again: generation %s, %d rules; want %s, %d", again.Generation, len(again.Rules), c.Generation, len(c.Rules))
	}
	env2 := func(name string) (string, bool) { return strings.ReplaceAll(env[name], "B/x", "B/other"), true }
	for _, same := range []struct {
		why  string
		o    config.Options
		text string
	}{
		{"what variables hold", config.Options{Env: env2}, text},
		{"a comment", config.Options{}, text + "# a comment\n"},
		{"a secret that is written out", config.Options{}, strings.ReplaceAll(text, "in-the-clear", "in-another-way")},
		{"an anchor", config.Options{}, strings.Replace(text, "token: xoxb", "token: &token xoxb", 1)},
	} {
		if other := load(t, same.o, same.text); other.Generation != c.Generation {
			t.Errorf("the generation depends on %s", same.why)
		}
	}
	for _, change := range [][2]string{
		{"127.0.0.1:9999", "127.0.0.1:9998"},
		{"nps_score <= 6\n    delay", "nps_score <= 5\n    delay"},
		{"rate: 10/s", "rate: 11/s"},
		{"${SLACK_TOKEN", "${HOOK"},
		{"2\": feedback", "2\": last_name"},
		{"scopes: [publish", "scopes: [write"},
	} {
		if !strings.Contains(whole, change[0]) {
			t.Fatalf("%q is not there", change[0])
		}
		if other := load(t, config.Options{}, strings.Replace(whole, change[0], change[1], 1)); other.Generation == load(t, config.Options{}, whole).Generation {
			t.Errorf("%q makes no other generation", change[1])
		}
	}
}

// TestKeptOfAnotherForm: what an older version kept is refused, not read as nothing.
func TestKeptOfAnotherForm(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "rules: []\n", "-- 9 surveygate.yaml --\nrules: []\n", "surveygate-rules/1 00\ndefault {"} {
		if _, err := config.LoadKept([]byte(text), "default"); !errors.Is(err, config.ErrUnreadable) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// styled writes a marker in one of the ways that YAML has for a scalar, indented by some spaces where it takes lines. Only
// with lines may its value hold line breaks, which no secret may.
func styled(r *rand.Rand, marker, indent string, flow, lines bool) string {
	half := len(marker) / 2
	block := strings.NewReplacer("\n", "\n"+indent)
	escaped := func() string {
		var b strings.Builder
		for _, c := range marker {
			if r.IntN(3) == 0 {
				fmt.Fprintf(&b, `\x%02x`, c)
			} else {
				b.WriteRune(c)
			}
		}
		return b.String()
	}
	ways := []func() string{
		func() string { return marker },
		func() string { return "'" + marker + "'" },
		func() string { return `"` + marker + `"` },
		func() string { return `"` + escaped() + `"` },
		func() string { return `"` + marker[:half] + "\\\n" + indent + marker[half:] + `"` },
		func() string { return "&a" + fmt.Sprint(r.IntN(9)) + " " + marker },
		func() string { return "&b" + fmt.Sprint(r.IntN(9)) + "\n" + indent + `"` + marker + `"` },
		func() string { return `"first ` + marker + "\n" + indent + `second ` + marker + `"` },
		func() string { return "first " + marker + "\n" + indent + "second " + marker },
	}
	if !flow {
		ways = append(ways,
			func() string { return marker + " # was " + marker },
			func() string { return "|-\n" + indent + marker },
			func() string { return ">-\n" + indent + block.Replace("one "+marker+"\ntwo "+marker) },
			func() string { return "&c |-\n" + indent + marker },
			func() string { return "${WHOLE} # " + marker },
			func() string { return "before-${WHOLE}-" + marker },
		)
	}
	if !flow && lines {
		ways = append(ways,
			func() string { return "'first " + marker + "\n\n" + indent + "second " + marker + "'" },
			func() string { return "|-\n" + indent + block.Replace("one "+marker+"\ntwo "+marker) },
			func() string {
				return ">-\n" + indent + block.Replace("one "+marker+"\ntwo "+marker+"\n\n  three "+marker)
			},
			func() string { return "&c |2\n" + indent + "    " + marker },
		)
	}
	return ways[r.IntN(len(ways))]()
}

// TestKeptHoldsNoSecret: however a secret is written, what is kept does not hold it, neither does a fault that shows the
// line of it, and what is kept decides every event as the files did.
func TestKeptHoldsNoSecret(t *testing.T) {
	t.Parallel()
	const marker = "MARKERxMARKERxMARKERxMARKERxMARKER"
	for seed := range uint64(few(120, 8)) {
		r := rand.New(rand.NewPCG(seed, 16))
		lines := seed%4 == 0
		s := func(indent int) string { return styled(r, marker, strings.Repeat(" ", indent), false, lines) }
		f := func() string { return styled(r, marker, "        ", true, lines) }
		text := `
# the secret is ` + marker + `
outbound:
  proxy: http://u:` + marker + `@proxy.example:3128
redis: "redis://:` + marker + `@host:6379/0"
tokens:
  - name: ci
    scopes: [read]
    secret: ` + s(8) + `
sources:
  qr:
    profile: pollqr
    secrets:
      - ` + s(10) + `
  poltio:
    profile: poltio
    path_token: ` + s(8) + `
connections:
  base: &base {hubspot: {token: &t ` + marker + `, base_url: "https://hub.example"}}
  crm: {hubspot: {token: ` + f() + `}}
  other:
    <<: *base
  aliased: {hubspot: {token: *t}}
webhooks:
  - name: hook
    url: https://hooks.zapier.com/hooks/catch/` + marker + `
    secrets: ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]
    events: [response.completed]
    when: 'nps_score <= ` + fmt.Sprint(r.IntN(11)) + `'
    headers:
      Authorization: "Bearer ` + marker + `"
      X-Plain: ` + marker + ` # ` + marker + `
rules:
  - {name: low, when: 'nps_score <= ` + fmt.Sprint(r.IntN(11)) + ` and feedback != "\"q\" # x"', send: [crm, {other.note: {text: "x"}, as: again}, {hook: {headers: {X-A: ` + f() + `}}}]}
  - {name: all, tenant: "*", events: ["*"], send: [crm]}
  - {name: "off", enabled: false, events: [response.*], send: [aliased]}
`
		lookups := func(name string) (string, bool) { return "prefix-" + marker, name == "WHOLE" }
		path := filepath.Join(write(t, map[string]string{"surveygate.yaml": text}), "surveygate.yaml")
		c, err := config.Load(config.Options{Path: path, Env: lookups})
		if err != nil {
			if strings.Contains(err.Error(), "MARKER") {
				t.Fatalf("seed %d: a fault shows a secret:\n%v", seed, err)
			}
			if lines && (strings.Contains(err.Error(), "holds a line break") || strings.Contains(err.Error(), "white space")) {
				continue
			}
			t.Fatalf("seed %d: %v\n%s", seed, err, text)
		}
		if bytes.Contains(c.Kept, []byte("MARKER")) || bytes.Contains(c.Kept, []byte("whsec")) {
			t.Fatalf("seed %d: what is kept holds a secret:\n%s", seed, c.Kept)
		}
		sameDecisions(t, c, "default")
		// A fault on every line shows every line.
		bad := strings.ReplaceAll(text, "tokens:", "tokns:")
		for _, key := range []string{"secret:", "secrets:", "path_token:", "token:", "headers:", "url:"} {
			for _, wrong := range []string{strings.Replace(bad, key, "x"+key, 1), strings.Replace(text, key, key[:len(key)-2]+":", 1)} {
				path := filepath.Join(write(t, map[string]string{"surveygate.yaml": wrong}), "surveygate.yaml")
				if _, err := config.Load(config.Options{Path: path, Env: lookups}); err != nil && strings.Contains(err.Error(), "MARKER") {
					t.Fatalf("seed %d: a fault shows a secret:\n%v", seed, err)
				}
			}
		}
	}
}

// sameDecisions compares what a configuration says of events with what its kept form does.
func sameDecisions(t *testing.T, c *config.Config, tenants ...string) {
	t.Helper()
	for _, tenant := range tenants {
		again, err := config.LoadKept(c.Kept, tenant)
		if err != nil {
			t.Fatalf("%v\n%s", err, c.Kept)
		}
		if again.Generation != c.Generation {
			t.Fatal("another generation")
		}
		was, is := decide.New(c), decide.New(again)
		for _, body := range []string{
			`{"type":"response.completed","nps_score":%d,"feedback":"x"}`, `{"type":"response.completed"}`, `{"type":"survey.closed","nps_score":%d}`,
			`{"type":"response.partial","nps_score":%d}`,
		} {
			for score := range 11 {
				text := []byte(strings.ReplaceAll(body, "%d", fmt.Sprint(score)))
				ev, err := event.ParseOne(text, event.Defaults{Tenant: tenant, Source: "api", Received: time.Unix(1, 0)})
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(answers(was, ev), answers(is, ev)); diff != "" {
					t.Fatalf("of %s (-loaded +kept):\n%s", text, diff)
				}
			}
		}
	}
}

// answers are what a plan says of an event, as an explanation shows it.
func answers(p *decide.Plan, ev *event.Event) []string {
	var all []string
	for _, e := range p.Explain(ev) {
		r := p.Config.Rules[e.Index]
		line := fmt.Sprint(decide.OriginOf(r), r.Tenant, e.Matched, e.Why, e.Parts, e.Missing, e.Faults)
		for _, s := range r.Steps {
			_, here := s.Build[ev.Tenant]
			if d := p.Destination(ev.Tenant, s.Destination); here && d != nil {
				line += fmt.Sprint(" ", s.Name, s.Destination, s.Connector(d))
			} else {
				line += fmt.Sprint(" ", s.Name, s.Destination, " is not here")
			}
		}
		all = append(all, line)
	}
	return all
}

// TestKeptOfTenants: a tenant's part holds its own rules and those of every tenant, in their order, and nothing of others.
func TestKeptOfTenants(t *testing.T) {
	t.Parallel()
	folder := write(t, map[string]string{
		"a.yaml": "tenant: acme\nconnections: {crm: {slack: {webhook: \"https://hooks.slack.com/services/T/B/a\"}}}\nrules: [{name: one, when: nps_score <= 3, send: [crm]}, {name: two, send: [crm]}]\n",
		"b.yaml": "tenant: beta\nconnections: {crm: {hubspot: {token: pat}}}\nrules: [{name: one, when: nps_score <= 9, send: [crm.note: {text: x}]}]\n",
		"c.yaml": "rules: [{name: every, tenant: \"*\", events: [\"*\"], send: [crm]}]\n",
		"d.yaml": "tenant: acme\nrules: [{name: three, send: [crm]}]\n",
	})
	c, err := config.Load(config.Options{Path: folder, Env: lookup})
	if err != nil {
		t.Fatal(err)
	}
	sameDecisions(t, c, "acme", "beta", "gamma")
	for tenant, want := range map[string][]string{"acme": {"one", "two", "every", "three"}, "beta": {"one", "every"}, "gamma": {"every"}} {
		part, err := config.LoadKept(c.Kept, tenant)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, r := range part.Rules {
			names = append(names, r.Name)
		}
		if !slices.Equal(names, want) {
			t.Errorf("%s has %v, want %v", tenant, names, want)
		}
	}
}
