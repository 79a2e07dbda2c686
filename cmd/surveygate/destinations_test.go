package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
)

type shownDestination struct {
	Name, Product, State string
	Waiting              int
	OldestWaiting        string `json:"oldest_waiting"`
	Hold                 *struct{ Kind, Reason, Since, Hint string }
}

// Destinations are listed with what waits and what holds them; retry says what holds one, and resuming lets it go.
func TestDestinationsArePausedResumedAndTested(t *testing.T) {
	t.Parallel()
	for _, engine := range []string{"embedded", "redis"} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			top := ""
			if engine == "redis" {
				top = "redis: " + startRedis(t).url() + "\n"
			}
			var status atomic.Int32
			status.Store(http.StatusServiceUnavailable)
			receiver := newSink(t, func(int, *http.Request) int { return int(status.Load()) })
			p := start(t, t.TempDir(), top+fmt.Sprintf(`
outbound: {allow_addresses: ["127.0.0.0/8"], allow_http: true}
webhooks:
  - {name: crm, url: %[1]q, events: [response.completed], signature: none}
  - {name: tests, url: %[1]q, events: [test], signature: none}
  - {name: off, url: %[1]q, events: [response.updated], signature: none, enabled: false}
`, receiver.url))

			p.ask(nil, "emit", `{"type": "response.completed", "id": "one", "nps_score": 3}`)
			var page struct{ Data []shownDelivery }
			until(t, "it waits", func() bool {
				p.ask(&page, "deliveries", "list", "--destination", "crm", "--state", "waiting")
				return len(page.Data) == 1
			})
			id := page.Data[0].ID
			for since, want := range map[string]int{"1h": 1, "2100-01-01T00:00:00Z": 0} {
				p.ask(&page, "deliveries", "list", "--since", since)
				if len(page.Data) != want {
					t.Errorf("--since %s lists %d deliveries, not %d", since, len(page.Data), want)
				}
			}

			paused, code := p.say("destinations", "pause", "crm", "--reason", "moving")
			if code != 0 || !strings.Contains(paused, "crm  webhook  paused\n  on hold: crm is paused since 2") || !strings.Contains(paused, ": moving\n") ||
				!strings.Contains(paused, "surveygate destinations resume crm") {
				t.Errorf("exit %d: %s", code, paused)
			}
			retry := func(args ...string) (said string) {
				until(t, "it is not being delivered", func() bool { // a pause is heeded within a second
					said, code = p.say(append([]string{"deliveries", "retry", id}, args...)...)
					return code == 0
				})
				return said
			}
			retried := retry()
			if want := id + ": is due, and waits: crm is paused since 2"; !strings.HasPrefix(retried, want) || !strings.Contains(retried, "resume crm") {
				t.Error(retried)
			}
			var answers []struct {
				State string
				Hold  *struct{ Kind string }
			}
			if err := json.Unmarshal([]byte(retry("--json")), &answers); err != nil {
				t.Fatal(err)
			}
			if len(answers) != 1 || answers[0].Hold == nil || answers[0].Hold.Kind != "paused" {
				t.Errorf("retry as JSON: %+v", answers)
			}
			if shown, _ := p.say("deliveries", "show", id); !strings.Contains(shown, "on hold: crm is paused") || strings.Contains(shown, "next attempt") {
				t.Errorf("shown: %s", shown)
			}
			tested, code := p.say("destinations", "test", "crm")
			if code != 1 || !strings.Contains(tested, "not sent yet: crm is paused") {
				t.Errorf("a test of a paused one, exit %d: %s", code, tested)
			}

			var all []shownDestination
			until(t, "both wait", func() bool {
				p.ask(&all, "destinations", "list")
				return len(all) == 3 && all[0].Waiting == 2
			})
			if d := all[0]; d.Name != "crm" || d.State != "paused" || d.OldestWaiting == "" || d.Hold == nil || d.Hold.Reason != "moving" || d.Hold.Since == "" {
				t.Errorf("%+v", d)
			}
			if all[1].State != "disabled" || all[2].State != "serving" || all[2].Waiting != 0 {
				t.Errorf("%+v", all[1:])
			}
			list, _ := p.say("destinations", "list")
			if lines := strings.Split(list, "\n"); len(lines) != 5 || !strings.Contains(lines[0], "2 waiting, oldest of 2") || !strings.HasSuffix(lines[1], ": moving") {
				t.Errorf("listed:\n%s", list)
			}

			status.Store(http.StatusOK)
			if resumed, code := p.say("destinations", "resume", "crm"); code != 0 || !strings.HasPrefix(resumed, "crm  webhook  serving\n") {
				t.Errorf("exit %d: %s", code, resumed)
			}
			until(t, "what waited is delivered", func() bool {
				p.ask(&page, "deliveries", "list", "--destination", "crm", "--state", "delivered")
				return len(page.Data) == 2
			})
			tested, code = p.say("destinations", "test", "crm")
			if code != 0 || !strings.HasPrefix(tested, "delivered: 200, in ") {
				t.Errorf("exit %d: %s", code, tested)
			}
			if tested, code = p.say("destinations", "test", "off"); code != 1 || !strings.Contains(unfolded(tested), "off is switched off: `enabled: false` in ") {
				t.Errorf("exit %d: %s", code, tested)
			}
			if paused, code := p.say("destinations", "pause", "off"); code != 0 || !strings.Contains(unfolded(paused), "And it is switched off: take `enabled: false` out of ") {
				t.Errorf("exit %d: %s", code, paused)
			}
			status.Store(http.StatusUnprocessableEntity)
			if tested, code = p.say("destinations", "test", "crm"); code != 1 || !strings.HasPrefix(tested, "rejected: 422") || !strings.Contains(tested, "dead replay dl_") {
				t.Errorf("exit %d: %s", code, tested)
			}
			if missing, code := p.say("destinations", "show", "cmr"); code != 4 || !strings.Contains(missing, "did you mean") {
				t.Errorf("exit %d: %s", code, missing)
			}

			// Only the destination heard of it, of an event that says what it is; and the explanation says why.
			receiver.mu.Lock()
			bodies := fmt.Sprint(receiver.bodies)
			n := len(receiver.bodies)
			receiver.mu.Unlock()
			if n != 4 || strings.Count(bodies, "This is a test delivery of surveygate") != 3 {
				t.Errorf("%d deliveries: %s", n, bodies)
			}
			var dead struct{ Data []shownDelivery }
			p.ask(&dead, "dead", "list")
			if len(dead.Data) != 1 {
				t.Fatalf("dead: %+v", dead)
			}
			why, _ := p.say("explain", dead.Data[0].Event)
			if !strings.Contains(unfolded(why), "✓ test crm: somebody asked for a test delivery") || strings.Contains(why, "tests") {
				t.Errorf("explained:\n%s", why)
			}
		})
	}
}
