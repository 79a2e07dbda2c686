package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const twoTenants = `
sources:
  pollqr: {profile: pollqr, secrets: [pollqr-secret-0123456789]}
  typos:  {profile: popsee, unverified: true, capture: 1h}
  branch: {profile: pollqr, secrets: [branch-secret-0123456789], tenant: acme}
webhooks:
  - {name: crm, url: "https://hook.example.com/in", secrets: [whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=]}
  - {name: hers, url: "https://hook.example.com/in", secrets: [whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=], tenant: acme}
`

// What a person looks for by its name, and what is said where there is none of it; each tenant sees its own.
func TestSourceCommands(t *testing.T) {
	t.Parallel()
	p := start(t, t.TempDir(), twoTenants)
	for _, path := range []string{"/in/pollqr", "/t/acme/in/branch", "/in/typos"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+p.address+path, strings.NewReader(`{"event":"response.completed","response":{"id":"of `+path+`"}}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-PollQR-Signature", strings.Repeat("00", 32))
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
	}
	body := filepath.Join(p.dir, "platform.json")
	content := []byte(`{"event":"response.created","survey_id":"s","response_id":"r","response":{"nps_score":9}}`)
	if err := os.WriteFile(body, content, 0o600); err != nil {
		t.Fatal(err)
	}
	sum := hmac.New(sha256.New, []byte("pollqr-secret-0123456789"))
	sum.Write(content)
	signature := hex.EncodeToString(sum.Sum(nil))
	for _, c := range []struct {
		args string
		code int
		says []string
		not  string
	}{
		{args: "source list", says: []string{"pollqr  pollqr  /in/pollqr  no event", "typos   popsee  /in/typos   last event 20"}, not: "branch"},
		{args: "source list --tenant acme", says: []string{"branch", "/t/acme/in/branch"}, not: "typos"},
		{args: "source list --tenant *", says: []string{"acme/branch     pollqr  /t/acme/in/branch", "default/pollqr  pollqr  /in/pollqr"}},
		{args: "destinations list --tenant *", says: []string{"acme/hers    webhook", "default/crm  webhook"}},
		{args: "webhook list --tenant *", says: []string{"acme/hers    active  file", "default/crm  active  file"}},
		{args: "deliveries list --tenant *", says: []string{"none"}},
		{args: "dead list --tenant *", says: []string{"of one tenant at a time", "none"}},
		{args: "dead list --tenant * --json", says: []string{`"events": []`}},
		{args: "events list --tenant *", code: 2, says: []string{"--tenant '*' is for lists of states", "name it"}},
		{args: "deliveries show dl_x --tenant *", code: 2, says: []string{"--tenant '*' is for lists of states"}},
		{args: "explain jo@example.com --tenant *", code: 2, says: []string{"--tenant '*' is for lists of states"}},
		{args: "source list --tenant nobody", code: 4, says: []string{"no such tenant"}},
		{args: "source rejected pollqr", says: []string{"401  signature", "failed: the signature does not match", "signed: {body}", "given:  0000", "POST /in/pollqr  from 127.0.0.1", "of /in/pollqr"}, not: "pollqr-secret"},
		{args: "source rejected branch --tenant acme", says: []string{"of /t/acme/in/branch"}, not: "branch-secret"},
		{args: "source rejected branch", code: 4, says: []string{"no such source"}, not: "mean"},
		{args: "source rejected polqr", code: 4, says: []string{"no such source `polqr`; did you mean `pollqr`?"}},
		{args: "source rejected typos", says: []string{"none in the last day"}},
		{args: "source rejected pollqr --limit 0", code: 2, says: []string{"at least 1"}},
		{args: "source captured typos", says: []string{"200  POST /in/typos  63 bytes"}},
		{args: "source captured pollqr", says: []string{"none: surveygate source capture pollqr --for 1h"}},
		{args: "source capture pollqr --for 2h", says: []string{"source pollqr: keeps requests until 20", "to see them: surveygate source captured pollqr"}},
		{args: "source captured pollqr", says: []string{"none yet; requests until 20"}},
		{args: "source capture pollqr --for 0s --json", says: []string{`"capture_until": null`}},
		{args: "source capture pollqr --for 48h", code: 1, says: []string{"up to 24h; 0s ends it (422)"}},
		{args: "source capture polqr", code: 4, says: []string{"did you mean `pollqr`?"}},
		{args: "source test pollqr platform.json --running --header X-PollQR-Signature:" + signature, says: []string{"event 1 of 1: response.completed", "passed, with secret 1", "not mapped: nothing", "the platform would get: 200 OK"}, not: "pollqr-secret"},
		{args: "source test pollqr platform.json --running --header X-PollQR-Signature:0000", code: 1, says: []string{"failed: the signature has not the form", "the platform would get: 401 Unauthorized"}, not: "pollqr-secret"},
		{args: "source test pollqr platform.json --running --secret mine", code: 2, says: []string{"leave out --secret"}},
		{args: "source test branch platform.json --running", code: 4, says: []string{"no such source"}},
		{args: "source test branch platform.json --running --tenant acme --json", code: 1, says: []string{`"proved": false`, `"status": 401`}},
		{args: "source captured typos --tenant acme", code: 4, says: []string{"no such source"}},
		{args: "deliveries retry nonsense", code: 4, says: []string{"no such delivery"}},
		{args: "deliveries list --destination crn", code: 4, says: []string{"no such destination `crn`; did you mean `crm`?"}},
		{args: "deliveries list --destination hers", code: 4, says: []string{"no such destination"}, not: "mean"},
		{args: "deliveries list --destination hers --tenant acme", says: []string{"none"}},
		{args: "dead list --destination crn", code: 4, says: []string{"did you mean `crm`?"}},
		{args: "deliveries list --rule crmm", code: 4, says: []string{"no such rule or webhook `crmm`; did you mean `crm`?"}},
		{args: "emit --sample popsee", code: 4, says: []string{"no such source (404): a sample goes to the source with the platform's name, `popsee`; use --source NAME for another source of that platform"}},
		{args: "emit --sample popsee --source typo", code: 4, says: []string{"no such source `typo`; did you mean `typos`? (404)"}, not: "of its name"},
		{args: "emit --sample popsee --source typos", says: []string{"accepted"}},
		{args: "explain platform.jsn", code: 4, says: []string{"no such event"}},
		{args: "explain ./platform.jsn", code: 4, says: []string{"there is neither a file `./platform.jsn` nor an event with that id"}},
		{args: "explain nowhere.json", code: 4, says: []string{"there is neither a file `nowhere.json` nor an event with that id"}},
		{args: "explain platform.json", code: 2, says: []string{"`event` is not a field of an event", "name its source: --source NAME"}},
		{args: "explain platform.json --source polqr", code: 2, says: []string{"did you mean `pollqr`?"}},
		{args: "explain platform.json --source pollqr", says: []string{"response.completed from pollqr"}},
	} {
		out, errs, code := invoke(t, p.dir, nil, append(strings.Fields(c.args), "--data", filepath.Join(p.dir, "data"))...)
		for _, want := range c.says {
			if !strings.Contains(out+errs, want) {
				t.Errorf("surveygate %s: no %q:\n%s%s", c.args, want, out, errs)
			}
		}
		if code != c.code || c.not != "" && strings.Contains(out+errs, c.not) {
			t.Errorf("surveygate %s: exit %d, want %d, without %q:\n%s%s", c.args, code, c.code, c.not, out, errs)
		}
	}

	// Published: what did not fit, where a line is wrong, and the event by its own id.
	text, code := p.say("emit", `{"type":"response.completed","id":"my own/id","nps_score":42}`)
	if code != 0 || !strings.Contains(text, "accepted\n  warning: response.score.nps left out: not between 0 and 10") {
		t.Errorf("exit %d: %s", code, text)
	}
	text, code = p.say("emit", `{"type":"response.completed","id":"a"}`+"\n{\"type\":\n"+`{"type":"nope"}`)
	if code != 1 || !strings.Contains(text, "invalid line 2: the line is not JSON") || !strings.Contains(text, "invalid line 3: type: `type` is not a canonical type") {
		t.Errorf("exit %d: %s", code, text)
	}
	if text, code = p.say("explain", "my own/id"); code != 0 || !strings.Contains(text, "response.completed from api") {
		t.Errorf("exit %d: %s", code, text)
	}
	if text, code = p.say("explain", "my own/id", "--tenant", "acme"); code != 4 {
		t.Errorf("exit %d: %s", code, text)
	}
}

// Anybody may send a body that is refused: shown to a person, it must neither steer the terminal nor flood it.
func TestRefusedBodiesAreShownSafely(t *testing.T) {
	t.Parallel()
	p := start(t, t.TempDir(), twoTenants)
	send := func(body string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+p.address+"/in/pollqr", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
	}
	send("{\"a\": \"\x1b]0;title\a\x1b[31mred\u009b2J\r\"}\n")
	send(strings.Repeat("x", 100_000))
	text, code := p.say("source", "rejected", "pollqr")
	if code != 0 || strings.ContainsAny(text, "\x1b\a\r\u009b") || !strings.Contains(text, `{"a": "\x1b]0;title\x07\x1b[31mred\u009b2J\x0d"}`) {
		t.Errorf("exit %d: %q", code, text[max(0, len(text)-600):])
	}
	if len(text) > 8_000 || !strings.Contains(text, "100000 bytes") || !strings.Contains(text, "more with --json") {
		t.Errorf("%d characters: %q", len(text), text[max(0, len(text)-600):])
	}
	if whole, _ := p.say("source", "rejected", "pollqr", "--json"); !strings.Contains(whole, strings.Repeat("x", 60_000)) || !strings.Contains(whole, `\u001b]0;title`) {
		t.Errorf("--json cuts: %d characters, %.400q", len(whole), whole)
	}
	// Of very many at once some are not kept, and that is said.
	for text, code = p.say("source", "rejected", "pollqr"); code == 0 && !strings.Contains(text, "more were refused since"); text, code = p.say("source", "rejected", "pollqr") {
		for range 100 {
			send("x")
		}
	}
	if code != 0 || !strings.Contains(text, "because there were too many: 0 verified, ") {
		t.Errorf("exit %d: %q", code, text[max(0, len(text)-600):])
	}
}

func TestSourceTest(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"mine.yaml":  "source: mine\nverify: [{kind: hmac, header: X-Sign, signed: \"{timestamp}.{body}\", timestamp: {header: X-Time}}]\ntype: {const: done, map: {done: response.completed}}\ndedupe: \"{id}\"\ntime: [at]\nmap: {response.id: id, nps_score: score}\n",
		"bad.yaml":   "source: bad\nverify: [{kind: hmac}]\ntype: {default: unknown}\ndedupe: \"{id}\"\nmap: {response.idd: x}\n",
		"body.json":  `{"id": 7, "at": "2026-07-02T12:00:00", "score": 42, "extra": {"a": [1, 2], "b": null}}`,
		"none.json":  `score=9`,
		"body.heads": "X-Time: 1767355200\r\nX-Sign: 00ff\n\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		args []string
		code int
		says []string
	}{
		{[]string{"mine.yaml", "body.json"}, 0, []string{"event 1 of 1: response.completed", "warning: response.score.nps: the value of `score` is not a number from 0 to 10", "\nnot read: extra.a.#\n", "proof: not verified, without --secret; mine uses", "HMAC-SHA256 in hex in header `X-Sign`", "not mapped:\n  extra.a.#\n  extra.b  (it is empty)\n"}},
		{[]string{"mine.yaml", "body.json", "--timezone", "Europe/Istanbul"}, 0, []string{`"time": "2026-07-02T09:00:00Z"`}},
		{[]string{"mine.yaml", "body.json", "--secret", "s3cret-of-the-platform", "--headers", "body.heads"}, 1, []string{"failed: the timestamp", "signed: 1767355200.{body}", "given:  00ff"}},
		{[]string{"mine.yaml", "body.json", "--secret", "s3cret-of-the-platform", "--headers", "body.heads", "--at", "2026-01-02T12:00:00Z"}, 1, []string{"failed: the signature has not the form"}},
		{[]string{"pollarix", "body.json"}, 0, []string{"unknown", "proof: not verified"}},
		{[]string{"poltio", "body.json"}, 0, []string{"proof: poltio has none; its URL must be secret"}},
		{[]string{"surveymonkey", "body.json"}, 0, []string{"proof: not verified, without --secret and --var api_key=VALUE; surveymonkey uses\n  HMAC-SHA1"}},
		{[]string{"surveymonkey", "body.json", "--secret", "s3cret-of-the-platform"}, 2, []string{"requests of surveymonkey are verified with `api_key` besides the secret: add --var api_key=VALUE"}},
		{[]string{"surveymonkey", "body.json", "--secret", "s3cret-of-the-platform", "--var", "api_key=x"}, 1, []string{"keyed with `{api_key}&{secret}`: failed: the signature is missing"}},
		{[]string{"mine.yaml", "none.json"}, 1, []string{"no event: not JSON"}},
		{[]string{"bad.yaml", "body.json"}, 2, []string{"bad.yaml:5:7", "did you mean response.id?"}},
		{[]string{"polqr", "body.json"}, 2, []string{"there is no profile `polqr`; did you mean `pollqr`?"}},
		{[]string{"nowhere.yaml", "body.json"}, 2, []string{"nowhere.yaml"}},
		{[]string{"mine.yaml", "nowhere.json"}, 2, []string{"nowhere.json"}},
		{[]string{"mine.yaml", "body.json", "--header", "no header"}, 2, []string{"write 'Name: value'"}},
		{[]string{"mine.yaml", "body.json", "--at", "noon"}, 2, []string{"--at"}},
		{[]string{"mine.yaml", "body.json", "--timezone", "Mars/Base"}, 2, []string{"--timezone"}},
		{[]string{"mine.yaml", "body.json", "--query", "x", "--var", "y"}, 2, []string{"name=value"}},
	} {
		out, errs, code := invoke(t, dir, nil, append([]string{"source", "test"}, c.args...)...)
		for _, want := range c.says {
			if !strings.Contains(out+errs, want) {
				t.Errorf("source test %s: no %q:\n%s%s", c.args, want, out, errs)
			}
		}
		if code != c.code || strings.Contains(out+errs, "s3cret") {
			t.Errorf("source test %s: exit %d, want %d:\n%s%s", c.args, code, c.code, out, errs)
		}
	}
	var tested struct {
		Profile  string
		Events   []struct{ Type string }
		Unmapped []struct{ Path string }
	}
	out, _, _ := invoke(t, dir, nil, "source", "test", "mine.yaml", "body.json", "--json")
	if err := json.Unmarshal([]byte(out), &tested); err != nil || tested.Profile != "mine" || len(tested.Events) != 1 || len(tested.Unmapped) != 2 || tested.Unmapped[0].Path != "extra.a.#" {
		t.Errorf("%v: %+v\n%s", err, tested, out)
	}
}
