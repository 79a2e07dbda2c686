package main

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/surveygate/surveygate/cmd/command"
)

// atGateway plays commands against one gateway.
type atGateway struct {
	*testing.T
	dir string
	// played are the paths of the commands that were played.
	played map[string]bool
}

// play
// play runs a command, and compares its exit code and what it prints: every line of want is a part of it, in this order.
func (g *atGateway) play(code int, want string, args ...string) string {
	g.Helper()
	var out bytes.Buffer
	got := command.Main(append(args, "--data", filepath.Join(g.dir, "data")), &out, &out)
	g.compare(got, out.String(), code, want, args)
	return out.String()
}

// playWith is play for the binary, with an environment, which the tests of a process share.
func (g *atGateway) playWith(env []string, code int, want string, args ...string) string {
	g.Helper()
	out, errs, got := invoke(g.T, g.dir, env, append(args, "--data", filepath.Join(g.dir, "data"))...)
	g.compare(got, out+errs, code, want, args)
	return out + errs
}

func (g *atGateway) compare(got int, text string, code int, want string, args []string) {
	g.Helper()
	if c, _, err := command.New(io.Discard, io.Discard).Find(args); err == nil {
		g.played[c.CommandPath()] = true
	}
	rest := text
	for line := range strings.SplitSeq(want, "\n") {
		_, after, found := strings.Cut(rest, line)
		if !found {
			g.Errorf("surveygate %s: no %q in\n%s", strings.Join(args, " "), line, text)
		}
		rest = after
	}
	if got != code {
		g.Errorf("surveygate %s: exit %d, want %d\n%s", strings.Join(args, " "), got, code, text)
	}
}

// pipe is play with a text on stdin.
func (g *atGateway) pipe(stdin string, code int, want string, args ...string) {
	g.Helper()
	var out bytes.Buffer
	root := command.New(&out, &out)
	root.SetIn(strings.NewReader(stdin))
	root.SetArgs(append(args, "--data", filepath.Join(g.dir, "data")))
	got := 0
	if err := root.ExecuteContext(g.Context()); err != nil {
		got = 1
		out.WriteString(err.Error())
	}
	g.compare(got, out.String(), code, want, args)
}

// file writes a file, and returns its path.
func (g *atGateway) file(name, text string) string {
	g.Helper()
	path := filepath.Join(g.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		g.Fatal(err)
	}
	return path
}

// fits fails if a line is wider than a terminal.
func (g *atGateway) fits(text string) {
	g.Helper()
	for line := range strings.Lines(text) {
		if utf8.RuneCountInString(strings.TrimRight(line, "\n")) > 80 {
			g.Errorf("wider than 80 columns: %s", line)
		}
	}
}

// Every command that writes settings, by the binary or in this process, at one gateway.
func TestCommandsForSettings(t *testing.T) {
	t.Parallel()
	p := start(t, t.TempDir(), `
outbound: {allow_addresses: ["127.0.0.0/8"], allow_http: true}
webhooks:
  - {name: warehouse, url: "http://127.0.0.1:1/", signature: none, events: [response.completed]}
rules:
  - {name: of-a-file, when: nps_score <= 6, send: [warehouse]}
`)
	played := map[string]bool{}
	for name, play := range map[string]func(*atGateway){
		"tenants": playTenants, "tokens": playTokens, "documents": playDocuments, "every kind": playEveryKind, "secrets": playSecrets,
		"import": playImport, "faults": playFaults, "try": playTry,
	} {
		t.Run(name, func(t *testing.T) { play(&atGateway{t, p.dir, played}) })
	}
	for _, group := range command.New(io.Discard, io.Discard).Commands() {
		if !slices.Contains([]string{"tenant", "token", "webhook", "connection", "source", "rule", "settings"}, group.Name()) {
			continue
		}
		elsewhere := []string{"surveygate token set", "surveygate source test", "surveygate source rejected", "surveygate source captured", "surveygate source capture"} // played by their own tests
		for _, c := range slices.Concat(group.Commands(), []*cobra.Command{group}) {
			if !c.HasSubCommands() && !played[c.CommandPath()] && !slices.Contains(elsewhere, c.CommandPath()) {
				t.Errorf("no test plays %s", c.CommandPath())
			}
			if !c.HasSubCommands() && c.Example == "" && !slices.Contains(elsewhere, c.CommandPath()) && c.CommandPath() != "surveygate source list" {
				t.Errorf("the help of %s has no example", c.CommandPath())
			}
		}
	}
}

func playTenants(g *atGateway) {
	g.play(0, "created: shop  Shop\nwebhooks: at most 10, its own limit\nmetadata plan: team",
		"tenant", "put", "shop", "--title", "Shop", "--limit", "webhooks=10", "--metadata", "plan=team")
	g.play(0, "written: shop  Shop\nwebhooks: at most 100\nevents_per_minute: at most 60, its own", // the title stays
		"tenant", "put", "shop", "--limit", "webhooks=", "--limit", "events_per_minute=60")
	g.play(0, "shop  Shop\nversion \n  rules: 0 of at most 100", "tenant", "show", "shop")
	g.play(0, "default  file\nshop     api   Shop", "tenant", "list")
	g.play(1, "was written by socket at ", "tenant", "put", "shop", "--title", "X", "--if-version", "999999")
	g.play(2, `this is no whole number`, "tenant", "put", "shop", "--limit", "webhooks=many")
	g.play(2, `write NAME=VALUE`, "tenant", "put", "shop", "--metadata", "plan")
	bad := g.file("tenant.yaml", "limits:\n  webhooks: 1\n  rulez: 4\n")
	g.play(2, bad+":3:3: `rulez` is not a field here\n^~~~~", "tenant", "put", "shop", bad)
	good := g.file("tenant.yaml", "title: The shop\n")
	g.play(2, "a file replaces all", "tenant", "put", "shop", good, "--title", "x")
	g.play(0, "written: shop  The shop", "tenant", "put", "shop", good)
	if shown := g.play(0, "", "tenant", "show", "shop", "--json"); strings.Contains(shown, "team") || strings.Contains(shown, "events_per_minute\": 60") {
		g.Errorf("the file did not replace all: %s", shown)
	}
	g.play(4, "no such tenant (404)", "tenant", "show", "nobody")
	g.play(0, "created", "webhook", "put", "in", g.file("in.yaml", "{url: https://a.example/, events: [response.completed], signature: none}"), "--tenant", "shop")
	g.play(1, "it still owns 1 webhook", "tenant", "delete", "shop")
	g.play(0, "tenant shop: deleted", "tenant", "delete", "shop", "--cascade", "--wait")
	g.play(4, "no such tenant", "tenant", "show", "shop")
	g.play(0, "created: brief", "tenant", "put", "brief")
	g.play(0, `"deleted": "brief"`, "tenant", "delete", "brief", "--json")

	// Its name is not given away while an event of it is kept, except to the same customer.
	g.play(0, "created: gone", "tenant", "put", "gone", "--title", "First")
	g.play(0, "", "emit", `{"type":"response.completed","id":"g1","nps_score":9}`, "--tenant", "gone")
	g.play(0, `"deleted": "gone"`, "tenant", "delete", "gone", "--json")
	g.play(1, "surveygate tenant put gone --restore", "tenant", "put", "gone", "--title", "Again")
	g.play(2, "leave --if-version out", "tenant", "put", "gone", "--restore", "--if-version", "3")
	g.play(0, "created: gone  Again", "tenant", "put", "gone", "--title", "Again", "--limit", "webhooks=", "--restore")
	g.play(1, "it is there already", "tenant", "put", "gone", good, "--restore")
	g.play(0, "response.completed", "events", "list", "--tenant", "gone")
}

func playTokens(g *atGateway) {
	g.play(0, "created", "tenant", "put", "tokens")
	of := func(args ...string) []string { return append(append([]string{"token"}, args...), "--tenant", "tokens") }
	g.play(0, "none", of("list")...)
	g.play(0, "token ci of tenant tokens: read settings, until 2\nshown this once:\nsg_", of("create", "ci", "--scopes", "read,settings", "--expires", "90d")...)
	if alone := g.play(0, "sg_", of("create", "quiet", "--scopes", "publish", "--sources", "api", "--quiet")...); !regexp.MustCompile(`^sg_\S+\n$`).MatchString(alone) {
		g.Errorf("more than the secret: %q", alone)
	}
	var all []struct{ Name, Tenant string }
	if err := json.Unmarshal([]byte(g.play(0, "", of("list", "--json")...)), &all); err != nil || len(all) != 2 || all[0].Name != "ci" {
		g.Errorf("%v %+v", err, all)
	}
	g.fits(g.play(0, "ci     api  until 2\nquiet  api  for ever", of("list")...))
	g.fits(g.play(0, "default/first  first  for ever\ntokens/ci", "token", "list", "--tenant", "*"))
	g.play(1, "has a token `ci` already (409)", of("create", "ci", "--scopes", "read")...)
	g.play(1, "scopes: `rea` is no scope", of("create", "x", "--scopes", "rea")...)
	g.play(0, "token ci: deleted", of("delete", "ci")...)
	g.play(4, "no such token", of("delete", "ci")...)
}

func playDocuments(g *atGateway) {
	long := strings.Repeat("a-very-long-name-", 3) + "x"
	hook := g.file("hook.yaml", "# a receiver\nurl: https://hook.example.com/in\nevents: [response.completed]\nheaders: {X-Key: \"${KEY}\"}\n")
	g.play(2, hook+":4:19: `KEY` is not set in the environment\n^~~~~~ set it", "webhook", "put", "docs", hook)
	env := []string{"KEY=of ${this} kind", "TOKEN=+49"}
	g.playWith(env, 0, "webhook docs: would be created", "webhook", "put", "docs", hook, "--dry-run")
	g.play(4, "no such webhook", "webhook", "show", "docs")
	g.playWith(env, 0, "webhook docs: created, version \nits secret, shown this once:\nwhsec_", "webhook", "put", "docs", hook)

	// What `show` prints is taken back, with its masks, and is the same.
	shown := g.play(0, "# webhook docs of tenant default: active\nwritten by socket at\nX-Key: \"••••••••-", "webhook", "show", "docs")
	back := g.file("back.yaml", shown)
	g.play(0, "webhook docs: unchanged, version ", "webhook", "put", "docs", back)
	g.play(0, "nothing would change", "webhook", "put", "docs", back, "--dry-run")
	if again := g.play(0, "", "webhook", "show", "docs"); again != shown {
		g.Errorf("shown again:\n%s\nbefore:\n%s", again, shown)
	}
	g.play(1, "(412)", "webhook", "put", "docs", back, "--if-version", "999999")
	g.play(0, "webhook docs: disabled, version \n, disabled", "webhook", "disable", "docs")
	g.play(0, "webhook docs: enabled, version \n, active", "webhook", "enable", "docs")
	rule := g.file("rule.json", `{"when": "nps_score <= 6 and feedback contains 'something that nobody reads to its end in a list'", "send": ["docs"]}`)
	g.play(0, "created", "rule", "put", long, rule)
	g.fits(strings.ReplaceAll(g.play(0, long+"\n  active  api, v\ndocs when nps_score <= 6\nof-a-file\nactive  file\nwarehouse when nps_score", "rule", "list"), long, ""))
	g.fits(g.play(0, "docs       active  api, v\nhttps://hook.example.com/in\nwarehouse  active  file", "webhook", "list"))
	g.play(0, "defined in \nsurveygate.yaml:4, where\nis changed", "webhook", "show", "warehouse")
	g.play(1, "`of-a-file` is defined in\n(403)", "rule", "put", "of-a-file", rule)
	g.play(1, "is needed as it is by rule/"+long, "webhook", "delete", "docs")
	g.play(0, "would be deleted", "rule", "delete", long, "--dry-run")
	g.play(0, ": deleted", "rule", "delete", long)
	g.play(0, `"waiting": 0`, "webhook", "delete", "docs", "--json")
	g.play(4, "no such webhook", "webhook", "enable", "docs")
	g.pipe("{when: nps_score <= 6, send: [warehouse]}", 0, "rule piped: created", "rule", "put", "piped")
	g.pipe(`{"when": "nps_score <= 6", "send": ["warehouse"]}`, 0, "rule piped: unchanged", "rule", "put", "piped", "-")
	g.pipe("{when: scor, send: [warehouse]}", 1, "stdin:1:8: `scor` is not a name", "rule", "put", "piped", "-")
	g.play(0, ": deleted", "rule", "delete", "piped")
}

// Every command of a kind is there for each, with the settings that its help names.
func playEveryKind(g *atGateway) {
	for kind, spec := range map[string]string{
		"webhook":    "{url: https://k.example/in, events: [response.completed], signature: none}",
		"connection": "hubspot: {token: pat-0123456789}",
		"source":     "{profile: pollqr, secrets: [what-pollqr-shows]}",
		"rule":       "{when: nps_score <= 6, send: [warehouse]}",
	} {
		name := "kind-" + kind
		file := g.file(name+".yaml", spec)
		g.play(0, kind+" "+name+": created", kind, "put", name, file)
		back := g.file(name+"-back.yaml", g.play(0, "# "+kind+" "+name, kind, "show", name))
		g.play(0, kind+" "+name+": unchanged", kind, "put", name, back)
		g.fits(g.play(0, name, kind, "list"))
		g.play(0, `"name": "`+name+`"`, kind, "list", "--json")
		g.play(0, `"kind": "`+kind+`"`, kind, "show", name, "--json")
		g.play(0, "disabled", kind, "disable", name)
		g.play(0, "enabled", kind, "enable", name)
		if kind == "connection" {
			until(g.T, "the connection is in use", func() bool { // within a second
				return command.Main([]string{"destinations", "show", name, "--data", filepath.Join(g.dir, "data")}, io.Discard, io.Discard) == 0
			})
			g.play(0, "its settings: surveygate connection show "+name, "destinations", "show", name)
		}
		g.play(0, kind+" "+name+": deleted", kind, "delete", name)
		g.play(4, "no such "+kind, kind, "delete", name)
	}
	g.play(0, "created", "tenant", "put", "empty")
	g.play(0, "none", "connection", "list", "--tenant", "empty")
}

func playSecrets(g *atGateway) {
	g.play(0, "created", "webhook", "put", "signed", g.file("signed.yaml", "{url: https://s.example/in, events: [response.completed]}"))
	if alone := g.play(0, "whsec_", "webhook", "secret", "rotate", "signed", "--overlap", "1h", "-q"); strings.Count(alone, "\n") != 1 {
		g.Errorf("more than the secret: %q", alone)
	}
	g.fits(g.play(0, "s_\nwhsec_…\nsince\nuntil", "webhook", "secret", "list", "signed"))
	var all []struct{ ID, Until string }
	if err := json.Unmarshal([]byte(g.play(0, "", "webhook", "secret", "list", "signed", "--json")), &all); err != nil || len(all) != 2 {
		g.Fatalf("%v %+v", err, all)
	}
	for _, s := range all {
		if s.Until != "" {
			g.play(0, "whsec_", "webhook", "secret", "delete", "signed", s.ID)
		}
	}
	g.play(4, "no such secret", "webhook", "secret", "delete", "signed", "s_none")
	g.play(0, "webhook signed: secret s_\nshown this once:\nwhsec_", "webhook", "secret", "rotate", "signed")
	g.play(0, "sealed anew with k1", "settings", "rotate-key")
	g.play(0, "sealed anew with k1", "vault", "reseal")
}

func playImport(g *atGateway) {
	g.play(0, "created", "tenant", "put", "acme")
	settings := func(args ...string) []string {
		return append(append([]string{"settings"}, args...), "--tenant", "acme")
	}
	const two = "connections:\n  crm: {hubspot: {token: \"${TOKEN}\"}}\n"
	all := g.file("all.yaml", two+`webhooks:
  - {name: partner, url: "https://p.example/in", events: [response.completed], signature: none, title: "a $${b}"}
rules:
  - {name: detractor, when: nps_score <= 6, send: [partner]}
`)
	env := []string{"TOKEN=pat-0123456789"}
	g.play(2, all+":2:27: `TOKEN` is not set", settings("import", all)...)
	g.playWith(env, 0, "+ connection acme/crm\n+ webhook acme/partner\n+ rule acme/detractor\nplan: +3 ~0 -0", settings("import", all, "--dry-run")...)
	g.play(0, "none", "rule", "list", "--tenant", "acme")
	g.playWith(env, 0, "plan: +3 ~0 -0\ndone: +3 ~0 -0", settings("import", all, "--owner", "ci", "--lock")...)
	g.playWith(env, 0, "plan: +0 ~0 -0, 3 unchanged", settings("import", all, "--owner", "ci", "--lock")...)
	g.play(1, "managed by `ci`", "webhook", "disable", "partner", "--tenant", "acme")
	g.play(0, "imported by ci, and locked\na $${b}", "webhook", "show", "partner", "--tenant", "acme")

	out := filepath.Join(g.dir, "export.yaml")
	g.play(0, "", settings("export", "--out", out)...)
	exported, err := os.ReadFile(out)
	if err != nil {
		g.Fatal(err)
	}
	variable := regexp.MustCompile(`\$\{(ACME_\w+)\}`).FindSubmatch(exported)
	if variable == nil {
		g.Fatalf("exported:\n%s", exported)
	}
	if printed := g.play(0, "tenant: acme", settings("export")...); printed != string(exported) {
		g.Errorf("printed:\n%s\nwritten:\n%s", printed, exported)
	}
	g.playWith([]string{string(variable[1]) + "=pat-0123456789"}, 0, "plan: +0 ~0 -0, 3 unchanged", settings("import", out, "--owner", "ci", "--lock", "--dry-run")...)

	less := g.file("less.yaml", two)
	g.play(2, "need --owner", settings("import", less, "--replace")...)
	g.playWith(env, 2, "- rule acme/detractor\n- webhook acme/partner\n-2\ndeletes 2 documents: nothing was changed; --yes", settings("import", less, "--owner", "ci", "--replace")...)
	g.play(0, "detractor", "rule", "list", "--tenant", "acme")
	g.playWith(env, 0, "~ connection acme/crm\n    no longer locked\nplan: +0 ~1 -2", settings("import", less, "--owner", "ci", "--replace", "--dry-run")...)
	g.playWith(env, 0, "done: +0 ~\n-2", settings("import", less, "--owner", "ci", "--replace", "--yes")...)
	g.play(0, "none", "rule", "list", "--tenant", "acme")
	g.pipe("rules: [{name: piped, when: nps_score <= 6, send: [crm]}]", 0, "+ rule acme/piped\ndone: +1", settings("import")...)
	g.pipe("rules: [{name: piped, when: nps_score <= 6, send: [crm]}]", 0, "~ rule acme/piped\n    owner: none → console\nplan: +0 ~1 -0", settings("import", "-", "--owner", "console", "--dry-run")...)
	g.playWith(env, 0, "~ connection acme/crm\n    owner: ci → console\n    locked\n    warning: `ci` manages this document", settings("import", less, "--owner", "console", "--lock", "--dry-run")...)
	g.pipe("{}", 1, "`connection/crm` is needed as it is by rule/piped", settings("import", "-", "--owner", "ci", "--replace")...)
	bad := g.file("bad.yaml", "rules:\n  - name: r\n    when: nps_score <= scor\n    send: [nobody]\n")
	g.play(2, bad+":3:24: `scor` is not a name\n^~~~\n"+bad+":4:12: there is no connection or webhook `nobody`\n^~~~~~", settings("import", bad)...)
}

// What the API refuses is shown in the lines of the file, without what may be a secret.
func playFaults(g *atGateway) {
	bad := g.file("faults.yaml", `url: https://hook.example.com/in
events: [response.complete]
when: nps_score >= 11 and
  foo == 1
headerz: {a: a-secret-of-mine}
timeout: 90m
`)
	out := g.play(2, bad+":2:10: `response.complete` is not an event\n^~~~~~~~~~~~~~~~~ did you mean response.completed?\n"+
		bad+":4:3: `foo` is not a name\n^~~\n"+bad+":5:1: `headerz` is not a setting here\n^~~~~~~ did you mean headers?\n"+bad+":6:10: ", "webhook", "put", "faulty", bad)
	if strings.Contains(out, "a-secret-of-mine") {
		g.Errorf("a secret is shown:\n%s", out)
	}
	asJSON := g.file("faults.json", `{"when": "nps_scor <= 6", "send": ["warehouse"]}`)
	g.play(2, asJSON+":1:11: `nps_scor` is not a name\n  ^~~~~~~~", "rule", "put", "faulty", asJSON)
	g.play(2, "this must be a mapping, and is a list", "rule", "put", "faulty", g.file("list.yaml", "[a]"))
	g.play(2, "is empty", "rule", "put", "faulty", g.file("empty.yaml", ""))
	g.play(2, "no such file", "rule", "put", "faulty", filepath.Join(g.dir, "none.yaml"))
}

// What a draft would do is shown before it is written, with one request of each step, in the width of a terminal.
func playTry(g *atGateway) {
	of := func(args ...string) []string { return append(append([]string{"try"}, args...), "--tenant", "trial") }
	g.play(0, "created", "tenant", "put", "trial")
	hook := "{url: \"https://try.example.com/in\", events: [response.updated], signature: none, headers: {X-Key: a-secret-of-mine}}"
	g.play(0, "created", "webhook", "put", "hook", g.file("try-hook.yaml", hook), "--tenant", "trial")
	g.play(0, "asked about 0 events", of()...)
	for _, score := range []string{"3", "7", "9"} {
		g.play(0, "accepted", "emit", `{"type": "response.completed", "id": "of-`+score+`", "nps_score": `+score+`}`, "--tenant", "trial")
	}
	draft := g.file("try.yaml", "rules:\n  - name: passive\n    when: nps_score <= 8\n    send: [hook]\n")
	var tried struct {
		Asked      int
		Difference struct{ Added int }
	}
	if err := json.Unmarshal([]byte(g.play(0, "", of("-f", draft, "--json")...)), &tried); err != nil || tried.Asked != 3 || tried.Difference.Added != 2 {
		g.Errorf("%v %+v", err, tried)
	}
	shown := g.play(0, "asked about 3 events, back to 20\nrule passive: would be created, active\n\n"+
		"deliveries: 0 without the draft, 2 with it: 2 added, 0 removed, 0 changed\n  + rule passive → hook: its condition is true\n    event \n"+
		"rule passive → hook: would be sent\n    POST https://try.example.com/in\n[secret]\none request of each", of("-f", draft)...)
	if g.fits(shown); strings.Contains(shown, "a-secret-of-mine") || strings.Count(shown, "POST ") != 1 {
		g.Errorf("shown:\n%s", shown)
	}
	one := g.file("try-one.json", `{"when": "nps_score <= 4", "send": ["hook"]}`)
	g.play(0, "2 with it", of("-f", g.file("try-as.yaml", "when: nps_score <= 8\nsend: [hook]\n"), "--as", "rule/x", "--last", "500")...)
	g.play(2, "`when` is not a kind of settings\nor say what this is: --as rule/NAME", of("-f", one)...)
	event := g.file("try-event.json", `{"type": "response.completed", "id": "of-a-file", "nps_score": 4}`)
	g.fits(g.play(0, "asked about 1 event\n✓ rule x: its condition is true\n→ hook   webhook: would be sent\nPOST http", of("-f", one, "--as", "rule/x", "--event", event)...))
	g.play(0, "asked about 1 event\n\nevent ", of("--event", event)...)
	g.play(4, "no such event: nope", of("--event-id", "nope")...)
	g.play(2, "exclude each other", of("--event", event, "--last", "3")...)
	g.play(2, "--last 501: this is 1 to 500", of("--last", "501")...)
	bad := g.file("try-bad.yaml", "rules:\n  - {name: good, when: nps_score <= 8, send: [hook]}\n  - {name: bad, when: nps_scor <= 8, send: [hook]}\n")
	g.play(2, bad+":3:23: `nps_scor` is not a name\n^~~~~~~~ did you mean nps_score?", of("-f", bad)...)
	named := g.file("try-map.yaml", "rules:\n  bad:\n    when: nps_score <= 8\n    send: [nobody]\n")
	g.play(2, named+":4:12: there is no connection or webhook `nobody`", of("-f", named)...)
	g.play(0, "webhook hook: would be deleted", of("-f", g.file("try-delete.yaml", "webhooks: {hook: null}"))...)
	g.play(2, "write rule/NAME, webhook/NAME", of("-f", one, "--as", "rules/x")...)
	g.play(4, "no such tenant", "try", "--tenant", "nobody")
	g.fits(g.play(0, "response.completed", "events", "list", "--tenant", "trial"))
	g.fits(g.play(0, "webhook.create  webhook/hook", "audit", "--tenant", "trial"))
	g.fits(g.play(0, "response.completed from api", "explain", "of-3", "--tenant", "trial"))
}
