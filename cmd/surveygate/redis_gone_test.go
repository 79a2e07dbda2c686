package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/surveygate/surveygate/gateway/redistest"
)

// While a Redis hangs, or is gone, the commands say so and end, and the log stays one line for one thing: nothing writes
// beside it.
func TestCommandsWhileRedisIsGone(t *testing.T) {
	t.Parallel()
	for name, begin := range map[string]func() (url string, nodes []*redistest.Server){
		"single": func() (string, []*redistest.Server) {
			s := redistest.Start(t, redistest.Durable...)
			return s.URL() + "?timeout=300ms", []*redistest.Server{s}
		},
		"cluster": func() (string, []*redistest.Server) {
			url, nodes := redistest.StartCluster(t, redistest.Durable...)
			return url + "&timeout=300ms", nodes
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, nodes := begin()
			receiver := newSink(t, nil)
			p := start(t, t.TempDir(), clusterConfig(url, receiver, ""), "SURVEYGATE_LOG_LEVEL=debug")
			until(t, "it is accepted", func() bool { // a busy machine may take longer than the timeout
				status, text, err := p.publish(http.DefaultClient, `{"type":"response.completed","id":"one","nps_score":3}`)
				if err != nil || status != http.StatusOK && status != http.StatusServiceUnavailable {
					t.Fatal(status, text, err)
				}
				return status == http.StatusOK
			})
			var page struct{ Data []shownDelivery }
			until(t, "it is delivered", func() bool {
				text, code := p.say("deliveries", "list", "--json")
				return code == 0 && json.Unmarshal([]byte(text), &page) == nil && len(page.Data) == 1
			})
			say := func(when string) {
				for _, args := range [][]string{
					{"deliveries", "list"}, {"deliveries", "show", page.Data[0].ID}, {"dead", "list"}, {"source", "list"}, {"explain", page.Data[0].Event},
				} {
					if text, code := p.say(args...); code != 1 || !strings.Contains(text, "nothing can be read or kept now") {
						t.Errorf("%s, %s: exit %d, %q", when, args, code, text)
					}
				}
				if text, code := p.say("run", "--health"); code != 1 || !strings.Contains(text, "store unavailable") {
					t.Errorf("%s, run --health: exit %d, %q", when, code, text)
				}
			}
			for _, n := range nodes {
				n.Freeze()
			}
			say("frozen")
			for _, n := range nodes {
				n.Thaw()
			}
			until(t, "it goes on", func() bool {
				_, code := p.say("deliveries", "list")
				return code == 0
			})
			for _, n := range nodes {
				n.Kill()
			}
			say("gone")
			said := p.said()
			whole := said[:strings.LastIndexByte(said, '\n')] // what follows may come in parts
			for line := range strings.SplitSeq(whole, "\n") {
				var entry struct{ Time, Level, Msg string }
				if err := json.Unmarshal([]byte(line), &entry); err != nil || entry.Time == "" || entry.Level == "" || entry.Msg == "" {
					t.Errorf("not a line of the log: %q", line)
				}
			}
			if !strings.Contains(said, "Redis cannot be reached") {
				t.Errorf("the log does not say that Redis is gone:\n%s", said)
			}
		})
	}
}
