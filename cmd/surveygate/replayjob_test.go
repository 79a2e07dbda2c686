package main

import (
	"fmt"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/redistest"
)

// replayView is what tests read of a replay.
type replayView struct {
	ID, State, Fault, Waits, ETA string
	Total, Done, Deliveries      int
	LeftAlone                    int `json:"left_alone"`
	NotKept                      int `json:"not_kept"`
	Why                          map[string]int
}

// askReplay returns the status of an answer; 0: there is none.
func (p *process) askReplay(t *testing.T, client *http.Client, path, body string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+p.address+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+p.token)
	res, err := client.Do(req)
	if err != nil {
		return 0
	}
	_ = res.Body.Close()
	return res.StatusCode
}

// A replay whose process is killed between any two of its steps goes on where it was: it sends everything, and nothing that it had
// scheduled is scheduled again.
func TestReplayIsResumed(t *testing.T) {
	t.Parallel()
	const events, rate = 14, 7 // two batches
	for _, point := range []string{"job-selected:1", "job-intended:1", "job-intended:2", "job-scheduled:1", "job-scheduled:2"} {
		for _, engine := range []string{"embedded", "redis"} {
			for _, as := range []string{"same", "fresh", "today"} {
				if as != "same" && point != "job-scheduled:1" {
					continue
				}
				t.Run(point+"/"+engine+"/"+as, func(t *testing.T) {
					t.Parallel()
					program, err := mortal()
					if err != nil {
						t.Fatal(err)
					}
					var works atomic.Bool
					receiver := newSink(t, func(int, *http.Request) int {
						if works.Load() {
							return http.StatusOK
						}
						return http.StatusBadRequest
					})
					config := ""
					if engine == "redis" {
						config = fmt.Sprintf("redis: %q\n", redistest.Start(t, redistest.Durable...).URL())
					}
					config += fmt.Sprintf(`
outbound: {allow_addresses: ["127.0.0.0/8"], allow_http: true}
tokens: [{name: load, secret: %q, scopes: [publish, read, write]}]
webhooks:
  - {name: sink, url: %q, events: [response.completed], secrets: ["whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="]}
`, testToken, receiver.url)
					dir := t.TempDir()
					p := startWith(t, []string{program}, dir, config, "SURVEYGATE_CRASH_AT="+point)
					client := &http.Client{Timeout: patience}
					defer client.CloseIdleConnections()
					for n := range events {
						if status, result, err := p.publish(client, body(fmt.Sprint("e-", n))); err != nil || status != http.StatusOK || result != "accepted" {
							t.Fatalf("%d %s, %v", status, result, err)
						}
					}
					until(t, "all are dead letters", func() bool {
						var list struct{ Data []struct{ State string } }
						p.get(&list, "/v1/deliveries?state=dead&limit=200")
						return len(list.Data) == events
					})
					works.Store(true)
					// The answer may be missing: the gateway dies while the request waits for the total.
					replay := fmt.Sprintf(`{"of": {"destination": "sink", "state": "dead"}, "as": %q, "rate": "%d/s"}`, as, rate)
					if status := p.askReplay(t, client, "/v1/replays", replay); status != 0 && status != http.StatusAccepted {
						t.Fatalf("answered %d", status)
					}
					select {
					case <-p.ended:
					case <-time.After(patience):
						t.Fatalf("it passed the point and lives:\n%s", p.said())
					}
					p = startWith(t, []string{program}, dir, config)
					var job replayView
					until(t, "the replay ends", func() bool {
						var list struct{ Data []replayView }
						p.get(&list, "/v1/replays")
						if len(list.Data) != 1 {
							t.Fatalf("%d replays", len(list.Data))
						}
						job = list.Data[0]
						return job.State != "running" && job.State != "queued"
					})
					if job.State != "done" || job.Total != events || job.Done != events || job.LeftAlone+job.NotKept != 0 {
						t.Errorf("ended: %+v", job)
					}
					until(t, "all are delivered", func() bool { return p.countDelivered(t) == events })
					p.stop()
					receiver.mu.Lock()
					defer receiver.mu.Unlock()
					requests := map[string]int{}
					for delivery, times := range receiver.times {
						requests[receiver.eventOf(delivery)] += len(times)
					}
					extra := 0
					for n := range events {
						id := fmt.Sprint("e-", n)
						if requests[id] < 2 {
							t.Errorf("%s came %d times", id, requests[id])
						}
						extra += requests[id] - 2
					}
					// What was sent when the process died may come once more. A batch that is scheduled again would be more.
					if extra > 1 {
						t.Errorf("%d requests too many: %v", extra, requests)
					}
				})
			}
		}
	}
}

// The command counts first, asks above 100, says what it did, and lists, shows and cancels.
func TestReplayCommand(t *testing.T) {
	t.Parallel()
	var works atomic.Bool
	receiver := newSink(t, func(int, *http.Request) int {
		if works.Load() {
			return http.StatusOK
		}
		return http.StatusBadRequest
	})
	dir := t.TempDir()
	p := start(t, dir, fmt.Sprintf(`
outbound: {allow_addresses: ["127.0.0.0/8"], allow_http: true}
tokens: [{name: load, secret: %q, scopes: [publish, read, write]}]
webhooks:
  - {name: sink, url: %q, events: [response.completed], secrets: ["whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="]}
`, testToken, receiver.url))
	client := &http.Client{Timeout: patience}
	defer client.CloseIdleConnections()
	const events = 101
	for n := range events {
		if status, result, err := p.publish(client, body(fmt.Sprint("e-", n))); err != nil || status != http.StatusOK || result != "accepted" {
			t.Fatalf("%d %s, %v", status, result, err)
		}
	}
	until(t, "all are dead letters", func() bool {
		var list struct{ Data []struct{ State string } }
		p.get(&list, "/v1/deliveries?state=dead&limit=200")
		return len(list.Data) == events
	})
	works.Store(true)
	data := []string{"--data", filepath.Join(dir, "data")}
	ask := func(code int, want string, args ...string) string {
		t.Helper()
		stdout, stderr, got := invoke(t, dir, nil, append(args, data...)...)
		if got != code || !strings.Contains(stdout+stderr, want) {
			t.Errorf("%v: exit code %d, want %d with %q:\n%s%s", args, got, code, want, stdout, stderr)
		}
		return stdout
	}
	dead := []string{"replay", "--destination", "sink", "--state", "dead", "--status", "4xx", "--since", "1h"}
	ask(0, "101 deliveries of 101 events, the oldest of", append(dead, "--dry-run")...)
	ask(0, "0 deliveries", "replay", "--destination", "sink", "--status", "5xx", "--dry-run")
	ask(1, "nothing was replayed", dead...) // there is nobody to say yes
	ask(2, "--json cannot ask", append(dead, "--json")...)
	ask(2, "by ids or by filters", append(dead, "61cc5a12f7d1b0c2a9e04c1c4c53be0c")...)
	ask(2, "select them by filters", "replay")
	ask(2, "--normalise takes", append(dead, "--normalise")...)
	ask(1, "a status is a number", "replay", "--destination", "sink", "--status", "bad")
	ask(4, "sink", "replay", "--destination", "sinc")
	ask(0, "none", "replay", "list")

	ask(0, "done: 101 of 101", append(dead, "--rate", "200/s", "--reason", "sink was away", "--yes", "--wait")...)
	until(t, "all are delivered", func() bool {
		var list struct{ Data []struct{ State string } }
		p.get(&list, "/v1/deliveries?state=delivered&limit=200")
		return len(list.Data) == events
	})
	said := ask(0, "destination sink state dead status 4xx since 1h", "replay", "list")
	id, _, _ := strings.Cut(said, " ")
	ask(0, "sink was away", "replay", "show", id)
	ask(1, "ended already", "replay", "cancel", id)
	ask(4, "no such replay", "replay", "show", "job_none")

	// A slow one is cancelled; without a terminal, the command does not wait.
	said = ask(0, "replay show", "replay", "--destination", "sink", "--rate", "1/s", "--yes")
	id = regexp.MustCompile("job_[a-z0-9]+").FindString(said)
	ask(0, id, "replay", "cancel", id)
	until(t, "it is cancelled", func() bool {
		var job replayView
		p.get(&job, "/v1/replays/"+id)
		return job.State == "cancelled" && job.Done < events
	})
}
