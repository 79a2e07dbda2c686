package config_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/connectors/slack"
	"github.com/surveygate/surveygate/connectors/webhook"
	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/outbound"
	"github.com/surveygate/surveygate/rules/event"
)

var env = map[string]string{
	"POLLQR_SECRET": "pollqr-secret", "SLACK": "https://hooks.slack.com/services/T/B/x", "SLACK_TOKEN": "xoxb-1",
	"HOOK": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "TOKEN": strings.Repeat("t", 32), "PATH_TOKEN": strings.Repeat("p", 22),
}

const whole = `
listen: 127.0.0.1:9999
data: /var/lib/surveygate
retention: {events: {age: 3d, bytes: 1.5GiB}, history: {per_destination: 5}, waiting: {count: 7}}
outbound: {allow_addresses: ["127.0.0.0/8", "10.1.2.3"]}
tokens:
  - {name: ci, secret: "${TOKEN}", scopes: [publish, read]}

sources:
  pollqr:
    profile: pollqr
    secrets: ["${POLLQR_SECRET}"]
    surveys:
      550e8400-e29b-41d4-a716-446655440000: {name: onboarding, roles: {"2": feedback, "3": email}}
  poltio: {profile: poltio, path_token: "${PATH_TOKEN}", timezone: Europe/Istanbul, allow_from: [192.0.2.0/24], enabled: false, capture: 1h}

connections:
  alarms: {slack: {webhook: "${SLACK}"}, rate: 10/s, timeout: 3s, concurrency: 2, capture: all, transport: std}
  bot:    {slack: {token: "${SLACK_TOKEN}", channel: "#nps", text: "from the connection"}, retry: [5s, 1m]}

webhooks:
  - {name: warehouse, url: "https://hook.example.com/in", events: [SURVEY_COMPLETED, survey.*], when: nps_score <= 6, secrets: ["${HOOK}"], preset: popsee, retry: pollqr, send_incomplete: true, delay: 1m}
  - {name: local, url: "http://127.0.0.1:9000/in", signature: none}

rules:
  - name: detractor
    when: nps_score <= 6
    delay: 2m
    once: response
    send:
      - alarms
      - bot: {text: "NPS {{ nps_score }}"}
      - {bot: {channel: C1}, as: bot-other}
      - local: {body: {segment: "'detractor'", nps: nps_score, deep: {list: [1, true, "'x'"]}}}
    tests:
      - {given: {nps_score: 3, email: jo@example.com}, expect: [alarms, bot, bot-other, local]}
      - {given: {nps_score: 9}, expect: []}
      - {given: {source: pollqr, file: testdata/pollqr-3.json}, expect: [alarms]}
  - {name: "off", enabled: false, events: ["*"], send: [alarms]}
`

func write(t *testing.T, files map[string]string) string {
	t.Helper()
	folder := t.TempDir()
	for name, text := range files {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

func lookup(name string) (string, bool) { v, ok := env[name]; return v, ok }

func load(t *testing.T, o config.Options, text string) *config.Config {
	t.Helper()
	o.Path = filepath.Join(write(t, map[string]string{"surveygate.yaml": text}), "surveygate.yaml")
	if o.Env == nil {
		o.Env = lookup
	}
	c, err := config.Load(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func destination(t *testing.T, c *config.Config, name string) *config.Destination {
	t.Helper()
	for _, d := range c.Destinations {
		if d.Name == name {
			return d
		}
	}
	t.Fatalf("no destination %s", name)
	return nil
}

func rule(t *testing.T, c *config.Config, name string) *config.Rule {
	t.Helper()
	for _, r := range c.Rules {
		if r.Name == name {
			return r
		}
	}
	t.Fatalf("no rule %s", name)
	return nil
}

func TestWhole(t *testing.T) {
	t.Parallel()
	c := load(t, config.Options{Now: time.Unix(1, 0)}, whole)

	if c.Listen != "127.0.0.1:9999" || c.Data != "/var/lib/surveygate" {
		t.Errorf("listen %s, data %s", c.Listen, c.Data)
	}
	if got := c.Retention; got.Events.Age != 72*time.Hour || got.Events.Bytes != 3<<29 || got.History.PerDestination != 5 ||
		got.History.Age != 30*24*time.Hour || got.Waiting.Count != 7 || got.Waiting.Bytes != 0 || got.Dedupe.Bytes != 0 {
		t.Errorf("retention %+v", got)
	}
	if got := c.Outbound.AllowAddresses; len(got) != 2 || got[1].String() != "10.1.2.3/32" {
		t.Errorf("allow_addresses %v", got)
	}
	if len(c.Tokens) != 1 || c.Tokens[0].Tenant != config.DefaultTenant || !slices.Equal(c.Tokens[0].Scopes, []string{"publish", "read"}) {
		t.Errorf("tokens %+v", c.Tokens)
	}
	if !slices.Equal(c.Tokens[0].Sources, []string{"api"}) {
		t.Errorf("without sources a token publishes as %q", c.Tokens[0].Sources)
	}
	if len(c.Sources) != 2 || !c.Sources[0].Enabled || c.Sources[1].Enabled || c.Sources[1].Capture != time.Hour || c.Sources[1].Receiver.Timezone.String() != "Europe/Istanbul" {
		t.Errorf("sources %+v", c.Sources)
	}

	alarms := destination(t, c, "alarms")
	if alarms.Rate != (config.Rate{Events: 10, Per: time.Second}) || alarms.Timeout != 3*time.Second || alarms.Concurrency != 2 ||
		!alarms.CaptureAll || alarms.Transport != "std" || len(alarms.Retry.Waits) != 9 || len(alarms.Credentials) != 2 {
		t.Errorf("alarms %+v", alarms)
	}
	if bot := destination(t, c, "bot"); !slices.Equal(bot.Retry.Waits, []time.Duration{5 * time.Second, time.Minute}) || bot.Concurrency != 16 || bot.Timeout != 15*time.Second {
		t.Errorf("bot %+v", bot)
	}
	if bot := destination(t, c, "bot"); bot.Transport != outbound.Std {
		t.Errorf("a connection's transport is %s where none is said", bot.Transport)
	}
	if local := destination(t, c, "local"); local.Transport != outbound.Fast {
		t.Errorf("a webhook's transport is %s where none is said", local.Transport)
	}
	for _, d := range c.Destinations {
		if !d.Trusted {
			t.Errorf("%s comes from a file and is not trusted", d.Name)
		}
	}
	warehouse := destination(t, c, "warehouse")
	if warehouse.Address.Expose() != "https://hook.example.com/in" || warehouse.Timeout != 15*time.Second || warehouse.Retry.Waits[0] != 10*time.Second || warehouse.Product != "webhook" {
		t.Errorf("warehouse %+v", warehouse)
	}

	r := rule(t, c, "detractor")
	if r.Delay != 2*time.Minute || !r.Once || r.Match.When == nil || !slices.Equal(r.Match.Events, []string{"response.completed"}) {
		t.Errorf("detractor %+v", r)
	}
	var steps []string
	for _, s := range r.Steps {
		steps = append(steps, s.Name+" "+s.Destination+" "+s.Connector(destination(t, c, s.Destination)))
	}
	if diff := cmp.Diff([]string{"alarms alarms slack", "bot bot slack", "bot-other bot slack", "local local webhook"}, steps); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
	if len(r.Tests) != 3 || r.Tests[2].Source != "pollqr" || string(r.Tests[0].Given) != `{"nps_score":3,"email":"jo@example.com"}` {
		t.Errorf("tests %+v", r.Tests)
	}
	if off := rule(t, c, "off"); !off.Match.Disabled {
		t.Error("`enabled: false` does not switch the rule off")
	}
	hook := rule(t, c, "warehouse")
	if diff := cmp.Diff([]string{"response.completed", "survey.*", "response.partial"}, hook.Match.Events); diff != "" {
		t.Errorf("events of the webhook (-want +got):\n%s", diff)
	}
	if destination(t, c, "warehouse").Delay != time.Minute || c.Rules[len(c.Rules)-1] != hook {
		t.Errorf("the webhook's rule %+v", hook)
	}
	if len(c.Rules) != 3 {
		t.Errorf("%d rules: a webhook without events is no rule", len(c.Rules))
	}
}

// TestSteps: defaults, the connection and the step are laid over each other, and steps do not disturb each other.
func TestSteps(t *testing.T) {
	t.Parallel()
	r := rule(t, load(t, config.Options{}, whole), "detractor")
	ev, err := event.ParseOne([]byte(`{"type":"response.completed","nps_score":3}`), event.Defaults{Tenant: "default", Received: time.Unix(1, 0)})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []struct{ channel, text string }{1: {"#nps", "NPS 3"}, 2: {"C1", "from the connection"}} {
		if want.text == "" {
			continue
		}
		c := r.Steps[i].Build[config.DefaultTenant].(*slack.Connector)
		text, err := c.Text.Render(ev)
		if err != nil || c.Channel != want.channel || text != want.text || c.Token != connectors.NewSecret(env["SLACK_TOKEN"]) {
			t.Errorf("step %d: channel %q, text %q, %v", i, c.Channel, text, err)
		}
	}
	req, err := r.Steps[3].Build[config.DefaultTenant].Build(ev)
	if err != nil || string(req.Body) != `{"segment":"detractor","nps":3,"deep":{"list":[1,true,"x"]}}` {
		t.Errorf("the step's body: %s, %v", req.Body, err)
	}
}

func TestFlagsWinOverEnvironmentWinsOverFiles(t *testing.T) {
	t.Parallel()
	with := func(name string) (string, bool) {
		if name == "SURVEYGATE_LISTEN" || name == "SURVEYGATE_DATA" {
			return "env:1", true
		}
		return lookup(name)
	}
	for _, tt := range []struct {
		o            config.Options
		text         string
		listen, data string
	}{
		{config.Options{}, "", config.DefaultListen, config.DefaultData},
		{config.Options{}, "listen: file:1\ndata: file:1\n", "file:1", "file:1"},
		{config.Options{Env: with}, "listen: file:1\ndata: file:1\n", "env:1", "env:1"},
		{config.Options{Env: with, Listen: "flag:1"}, "listen: file:1\n", "flag:1", "env:1"},
	} {
		if c := load(t, tt.o, tt.text); c.Listen != tt.listen || c.Data != tt.data {
			t.Errorf("%+v: listen %s, data %s", tt.o, c.Listen, c.Data)
		}
	}
}

// TestFolder: every .yaml of a folder is one configuration, and each may say whose it is.
func TestFolder(t *testing.T) {
	t.Parallel()
	folder := write(t, map[string]string{
		"surveygate.yaml": "connections:\n  alarms: {slack: {webhook: \"${SLACK}\"}}\n  shared: {tenant: acme, slack: {webhook: \"${SLACK}\"}}\nrules:\n  - {name: everybody, tenant: \"*\", send: [alarms, shared: {text: hello}]}\n",
		"acme.yaml":       "tenant: acme\nsources:\n  pollqr: {profile: pollqr, secrets: [x]}\nconnections:\n  alarms: {slack: {webhook: \"${SLACK}\"}}\nrules:\n  - {name: own, send: [alarms]}\n",
		"globex.yml":      "tenant: globex\nsources:\n  pollqr: {profile: pollqr, secrets: [x]}\n",
		".hidden.yaml":    "not: read",
		"notes.txt":       "not: read",
	})
	c, err := config.Load(config.Options{Path: folder, Env: lookup})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range c.Sources {
		names = append(names, s.Tenant+"/"+s.Name)
	}
	for _, d := range c.Destinations {
		names = append(names, d.Tenant+"/"+d.Name)
	}
	for _, r := range c.Rules {
		names = append(names, r.Tenant+"/"+r.Name)
	}
	want := []string{"acme/pollqr", "globex/pollqr", "acme/alarms", "default/alarms", "acme/shared", "acme/own", "*/everybody"}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	steps := rule(t, c, "everybody").Steps
	if len(steps[0].Build) != 2 || len(steps[1].Build) != 1 || steps[1].Build["acme"] == nil {
		t.Errorf("a rule of every tenant is built for %v and %v", steps[0].Build, steps[1].Build)
	}
	if empty := write(t, map[string]string{"notes.txt": ""}); !errors.Is(loadError(config.Options{Path: empty}), config.ErrNone) {
		t.Error("a folder without files is no configuration")
	}
	if err := loadError(config.Options{Path: filepath.Join(folder, "none.yaml")}); !errors.Is(err, config.ErrNone) || !strings.Contains(err.Error(), "surveygate demo") {
		t.Errorf("no file: %v", err)
	}
}

func loadError(o config.Options) error { _, err := config.Load(o); return err }

// TestOwnProfile: a profile of one's own is found from the file that names it, and is part of the generation.
func TestOwnProfile(t *testing.T) {
	t.Parallel()
	const own = "source: own\nverify:\n  - {kind: hmac, header: X-Sign}\ntype: {path: event, map: {done: response.completed}}\ndedupe: \"{id}\"\n"
	of := func(profile string) *config.Config {
		folder := write(t, map[string]string{
			"surveygate.yaml":   "sources:\n  own: {profile: profiles/own.yaml, secrets: [x]}\n",
			"profiles/own.yaml": profile,
		})
		c, err := config.Load(config.Options{Path: folder, Env: lookup})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	c := of(own)
	if got := c.Sources[0].Receiver.Profile.Name; got != "own" {
		t.Errorf("profile %s", got)
	}
	if of(own).Generation != c.Generation {
		t.Error("another folder makes another generation")
	}
	if of(strings.Replace(own, "done", "finished", 1)).Generation == c.Generation {
		t.Error("another profile has the same generation")
	}
}

// TestUnsetIsAllowedForTests: `surveygate test` needs no secrets, but rules, mappings and names are checked.
func TestUnsetIsAllowedForTests(t *testing.T) {
	t.Parallel()
	none := func(string) (string, bool) { return "", false }
	c := load(t, config.Options{AllowUnset: true, Env: none}, whole)
	if r := rule(t, c, "detractor"); len(r.Steps) != 4 || r.Steps[1].Build[config.DefaultTenant] == nil {
		t.Errorf("steps %+v", r.Steps)
	}
	if len(c.Sources) != 2 || c.Sources[0].Receiver == nil {
		t.Errorf("sources %+v", c.Sources)
	}
	path := filepath.Join(write(t, map[string]string{"surveygate.yaml": strings.Replace(whole, "nps_score <= 6", "nps_scor <= 6", 1)}), "surveygate.yaml")
	if err := loadError(config.Options{Path: path, AllowUnset: true, Env: none}); err == nil || !strings.Contains(err.Error(), "nps_scor") {
		t.Errorf("a misspelt name passes: %v", err)
	}
}

func TestPresets(t *testing.T) {
	t.Parallel()
	c := load(t, config.Options{}, `
webhooks:
  - {name: a, url: "https://example.com", signature: none, events: [test]}
  - {name: b, url: "https://example.com", preset: chattosurvey, events: [test]}
  - {name: c, url: "https://example.com", preset: popsee, secrets: [x], timeout: 9s, events: [test]}
  - {name: d, url: "https://example.com", signature: none, retry: [], events: [test]}
connections:
  e: {ga4: {measurement_id: G-AB12, api_secret: x}, retry: chattosurvey}   # answers 204, and counts a repeat twice
  f: {webhook: {url: "https://example.com", signature: none}, retry: chattosurvey}
`)
	for name, want := range map[string]struct {
		waits   int
		timeout time.Duration
		only200 bool
	}{"a": {9, 15 * time.Second, false}, "b": {5, 30 * time.Second, true}, "c": {3, 9 * time.Second, false}, "d": {0, 15 * time.Second, false}, "e": {5, 30 * time.Second, false}, "f": {5, 30 * time.Second, true}} {
		d := destination(t, c, name)
		if len(d.Retry.Waits) != want.waits || d.Timeout != want.timeout || d.Retry.Only200 != want.only200 {
			t.Errorf("%s: %+v", name, d)
		}
	}
	if w := rule(t, c, "c").Steps[0].Build[config.DefaultTenant].(*webhook.Connector); w.Style().Style != "popsee" {
		t.Errorf("the preset's signature is %s", w.Style().Style)
	}
}

func TestWarnings(t *testing.T) {
	t.Parallel()
	c := load(t, config.Options{Now: time.Unix(1, 0)}, `
sources:
  popsee: {profile: popsee, unverified: true, accept_test: 10m}
  pollqr: {profile: pollqr, secrets: [x]}
webhooks:
  - {name: deaf, url: "https://example.com", signature: none}
  - {name: moved, url: "https://example.com", signature: pollqr, secrets: [x], events: [response.completed]}
  - {name: mute, url: "https://example.com", signature: none, events: [response.partial]}
`)
	var got []string
	for _, w := range c.Warnings {
		got = append(got, w.Message)
	}
	want := []string{
		"requests of popsee can be verified by hmac, but without secrets they are not",
		"for 10m0s after loading, requests without a proof are accepted as tests",
		"the webhook `deaf` receives nothing: it has no events, and no rule names it",
		"receivers that use PollQR's sample code to verify may refuse raw bodies of popsee, whose JSON may not be compact",
		"`response.partial` is subscribed to but never sent",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// FuzzConfig: whatever bytes a file holds, loading says faults or a configuration, and never panics.
func FuzzConfig(f *testing.F) {
	f.Add([]byte(whole))
	archives, _ := filepath.Glob("testdata/errors/*.txtar")
	for _, path := range archives {
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
		if _, body, ok := bytes.Cut(text, []byte("-- surveygate.yaml --\n")); ok {
			body, _, _ = bytes.Cut(body, []byte("-- error --\n"))
			f.Add(body)
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := config.LoadText(text)
		if (c == nil) == (err == nil) {
			t.Fatalf("neither a configuration nor an error: %v", err)
		}
		if err != nil {
			_ = err.Error()
		}
	})
}

// A source that reads a stream is proved by its Redis, and by headers where it has the secrets for them.
func TestStreams(t *testing.T) {
	t.Parallel()
	c := load(t, config.Options{}, `
redis: redis://engine:6379/0
sources:
  bare:   {redis_stream: a}
  plain:  {redis_stream: b, profile: pollqr}
  proved: {redis_stream: c, profile: pollqr, secrets: [x], redis: redis://other:6379/0}
  path:   {redis_stream: d, profile: poltio}
  http:   {profile: pollqr, secrets: [x]}
`)
	want := map[string]string{
		"bare": "a bare=true headers=false own=false", "plain": "b bare=false headers=false own=false",
		"proved": "c bare=false headers=true own=true", "path": "d bare=false headers=false own=false", "http": "none",
	}
	got := map[string]string{}
	for _, s := range c.Sources {
		got[s.Name] = "none"
		if s.Stream != nil {
			got[s.Name] = fmt.Sprintf("%s bare=%t headers=%t own=%t", s.Stream.Name, s.Stream.Bare, s.Stream.Headers, !s.Stream.URL.IsZero())
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if len(c.Warnings) > 0 {
		t.Errorf("warned: %v", c.Warnings)
	}
}
