package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What a rule would have done with the events that are kept is shown, saved, compared and, on request, done: once.
func TestBacktestCommand(t *testing.T) {
	t.Parallel()
	receiver := newSink(t, func(int, *http.Request) int { return http.StatusOK })
	const text = `
outbound: {allow_addresses: ["127.0.0.0/8"], allow_http: true}
tokens: [{name: load, secret: %q, scopes: [publish, read, write]}]
webhooks:
  - {name: hook, url: %q, signature: none, headers: {X-Key: a-secret-of-mine}}
rules:
  - {name: low, when: nps_score <= 6, send: [hook]}
  - {name: off, when: nps_score <= 6, send: [hook], enabled: false}
`
	config := fmt.Sprintf(text, testToken, receiver.url)
	p := start(t, t.TempDir(), strings.ReplaceAll(config, "name: low, when: nps_score <= 6", "name: low, when: nps_score <= -1"))
	g := &atGateway{t, p.dir, map[string]bool{}}
	for n := range 30 {
		g.play(0, "accepted", "emit", fmt.Sprintf(`{"type": "response.completed", "id": "e%d", "nps_score": %d, "survey": {"id": "s%d", "title": "Survey %d"}}`, n, n%10, n%2, n%2))
	}
	wanted := g.file("wanted.yaml", config)

	// Of a file, which may be a whole configuration.
	shown := g.play(0, "asked about 30 events, received from \n\nrule low: would have matched 21 of 30 events (70 %) and sent 21 requests\n"+
		"sent\n  hook        21\n\n  by day (UTC)\nbusiest hour: from \nby source: all are of api\n\n  by survey\n  12  Survey 0 (s0)\n   9  Survey 1 (s1)\n\n"+
		"an example that is sent: event \n✓ rule low: its condition is true\nnps_score <= 6   true\n→ hook   webhook: would be sent\nPOST http\nX-Key: [secret]\nmore examples: --samples\n\n"+
		"note: as the gateway has them, and not as in the draft: webhook hook", "backtest", "-f", wanted, "--rule", "low")
	if g.fits(shown); strings.Contains(shown, "a-secret-of-mine") || strings.Count(shown, "POST ") != 1 {
		t.Errorf("shown:\n%s", shown)
	}
	if all := g.play(0, "rule low", "backtest", "-f", wanted, "--rule", "low", "--samples"); strings.Count(all, "POST ") != 3 || strings.Contains(all, "--samples") {
		t.Errorf("all examples:\n%s", all)
	}
	g.play(0, "rule low\nrule off", "backtest", "-f", wanted)
	g.play(0, "asked about 7 events\nstopped at \nbecause --limit is reached", "backtest", "-f", wanted, "--rule", "off", "--limit", "7")
	g.play(0, "asked about 0 events\nrule low: would have matched 0 of 0 events and sent 0 requests", "backtest", "--rule", "low", "--source", "nobody")
	unset := g.file("unset.yaml", "connections: {mine: {slack: {webhook: \"${NO_SUCH_VARIABLE}\"}}}\nrules: {fresh: {when: nps_score >= 9, send: [mine], tests: [{given: {}, expect: [x]}]}}\nlisten: x\n")
	g.play(0, "not set in the environment, and taken as they stand: NO_SUCH_VARIABLE\nrule fresh: would have matched 3 of 30 events (10 %)", "backtest", "-f", unset)

	// Saved and compared.
	saved := filepath.Join(g.dir, "saved.json")
	text1 := g.play(0, "", "backtest", "--rule", "low", "--json")
	if err := os.WriteFile(saved, []byte(text1), 0o600); err != nil {
		t.Fatal(err)
	}
	g.fits(g.play(0, "before: \nnow: 30 events\nrule low: would have matched 21, before 0\n              before       now  difference\n"+
		"  asked             30        30           0\n  matched            0        21         +21\n  sent               0        21         +21\n  matched, on days on which it differs\n",
		"backtest", "-f", wanted, "--rule", "low", "--against", saved))
	g.play(0, "rule low: the same", "backtest", "--rule", "low", "--against", saved)
	g.play(0, "rule off: not among those before\nrule low: not asked now", "backtest", "--rule", "off", "--against", saved)
	var compared struct {
		Rules []struct{ Before, Now struct{ Matched int } }
	}
	if err := json.Unmarshal([]byte(g.play(0, "", "backtest", "-f", wanted, "--rule", "low", "--against", saved, "--json")), &compared); err != nil || compared.Rules[0].Now.Matched != 21 {
		t.Errorf("%+v, %v", compared, err)
	}

	// What is wrong says what to do.
	g.play(2, "say which rule: --rule NAME, or -f FILE", "backtest")
	g.play(4, "no such rule `lo`; did you mean `low`?", "backtest", "--rule", "lo")
	g.play(2, "has no rule `lo`; did you mean low?", "backtest", "-f", wanted, "--rule", "lo")
	g.play(2, "has no rules: write rules:", "backtest", "-f", g.file("none.yaml", "listen: x\n"))
	g.play(2, "is not the result of a backtest", "backtest", "--rule", "low", "--against", wanted)
	g.play(2, "no such file", "backtest", "--rule", "low", "--against", filepath.Join(g.dir, "nothing"))
	g.play(2, "--limit 0: this is 1 to 1000000", "backtest", "--rule", "low", "--limit", "0")
	g.play(2, "this is a time as 2026-01-02T03:04:05Z", "backtest", "--rule", "low", "--since", "yesterday")
	g.play(2, "at most 10 rules are asked at once", "backtest", "--rule", "1,2,3,4,5,6,7,8,9,10,11")
	bad := g.file("bad.yaml", "rules:\n  - {name: good, when: nps_score <= 8, send: [hook]}\n  - {name: low, when: nps_scor <= 8, send: [hook]}\n")
	g.play(2, bad+":3:23: `nps_scor` is not a name\n^~~~~~~~ did you mean nps_score?", "backtest", "-f", bad, "--rule", "low")
	g.play(2, "--rate, --reason and --yes go with --deliver", "backtest", "--rule", "low", "--rate", "1/s")
	g.play(2, "write it first, with `surveygate rule put NAME FILE`", "backtest", "-f", wanted, "--rule", "low", "--deliver")
	g.play(2, "--deliver is for one rule at a time", "backtest", "--rule", "low,off", "--deliver")
	g.play(2, "--json cannot ask for confirmation", "backtest", "--rule", "low", "--deliver", "--json")
	g.play(1, "nothing was delivered: rule off is not enabled", "backtest", "--rule", "off", "--deliver", "--yes")
	g.play(1, "nothing was delivered: there is nothing to send", "backtest", "--rule", "low", "--deliver", "--yes")

	// The rule is changed, and delivers what it missed.
	g.file("surveygate.yaml", config)
	g.play(0, "", "reload")
	g.pipe("n\n", 1, "This replays the events received from \nup to 21\nDeliver them? [y/N]\nnothing was delivered; --yes skips the question", "backtest", "--rule", "low", "--deliver")
	deliver := func(scheduled int) {
		var j replayView
		if err := json.Unmarshal([]byte(g.play(0, "", "backtest", "--rule", "low", "--deliver", "--yes", "--rate", "100/s", "--json")), &j); err != nil {
			t.Fatal(err)
		}
		until(t, "the replay has ended", func() bool { p.get(&j, "/v1/replays/"+j.ID); return j.State == "done" })
		if j.Done != scheduled || j.Deliveries != scheduled || j.Total != 30 {
			t.Errorf("%+v, want %d deliveries", j, scheduled)
		}
	}
	delivered := func() (n int) {
		var list struct{ Data []struct{ State string } }
		p.get(&list, "/v1/deliveries?rule=low&state=delivered&limit=200")
		return len(list.Data)
	}
	deliver(21)
	until(t, "all are delivered", func() bool { return delivered() == 21 })
	deliver(0)
	if n := delivered(); n != 21 {
		t.Errorf("%d are delivered after a second time", n)
	}
	g.pipe("y\n", 0, "Deliver them? [y/N]\n; how far it is:\nsurveygate replay show job_", "backtest", "--rule", "low", "--deliver")
}
