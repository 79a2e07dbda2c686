package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/surveygate/surveygate/gateway/redistest"
)

// mortal is the built program with the points at which it can be made to die, made once.
var mortal = sync.OnceValues(func() (string, error) {
	path := filepath.Join(filepath.Dir(binary), "surveygate-crashpoints")
	build := exec.Command("go", "build", "-buildvcs=false", "-tags", "crashpoints", "-o", path, ".")
	build.Stderr = os.Stderr
	return path, build.Run()
})

// Killed between any two steps of an event's way, the gateway loses nothing; it sends again only what was sent and not
// committed, as the same delivery.
func TestCrashPoints(t *testing.T) {
	t.Parallel()
	const dies = "e-3" // the event that kills the gateway when it passes the point
	for point, want := range map[string]struct {
		refused  string         // the event whose first attempt is answered 503
		requests map[string]int // to the receiver, by event
		early    bool           // the event may have been sent when the gateway dies, as a delivery does not wait for the sender's answer
	}{
		"appended":  {"", map[string]int{"e-1": 1, "e-2": 1, dies: 1}, true},
		"claimed":   {"", map[string]int{"e-1": 1, "e-2": 1, dies: 1}, false},
		"sent":      {"", map[string]int{"e-1": 1, "e-2": 1, dies: 2}, false},
		"committed": {dies, map[string]int{"e-1": 1, "e-2": 1, dies: 2}, false},
	} {
		for _, engine := range []string{"embedded", "redis"} {
			t.Run(point+"/"+engine, func(t *testing.T) {
				t.Parallel()
				program, err := mortal()
				if err != nil {
					t.Fatal(err)
				}
				var receiver *sink
				receiver = newSink(t, func(n int, r *http.Request) int {
					if n == 1 && receiver.event(r.Header.Get("webhook-id")) == want.refused {
						return http.StatusServiceUnavailable
					}
					return http.StatusOK
				})
				config := ""
				if engine == "redis" {
					config = fmt.Sprintf("redis: %q\n", redistest.Start(t, redistest.Durable...).URL())
				}
				config += fmt.Sprintf(`
outbound: {allow_addresses: ["127.0.0.0/8"], allow_http: true}
tokens: [{name: load, secret: %q, scopes: [publish, read]}]
webhooks:
  - {name: sink, url: %q, retry: [1s, 1s], events: [response.completed], secrets: ["whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="]}
`, testToken, receiver.url)
				dir := t.TempDir()
				p := startWith(t, []string{program}, dir, config)
				client := &http.Client{Timeout: patience}
				defer client.CloseIdleConnections()
				for n, id := range []string{"e-1", "e-2"} {
					if status, result, err := p.publish(client, body(id)); err != nil || status != http.StatusOK || result != "accepted" {
						t.Fatalf("%s is answered %d %s, %v", id, status, result, err)
					}
					until(t, id+" is delivered and committed", func() bool { return p.countDelivered(t) == n+1 })
				}
				// How often they pass the point is not certain: a delivery that takes long is committed in two steps.
				p.stop()
				p = startWith(t, []string{program}, dir, config, "SURVEYGATE_CRASH_AT="+point+":1")
				status, result, err := p.publish(client, body(dies))
				if err == nil && point == "appended" {
					t.Errorf("%s is answered %d %s, and the gateway was to die before", dies, status, result)
				}
				select {
				case <-p.ended:
				case <-time.After(patience):
					t.Fatalf("it passed the point and lives:\n%s", p.said())
				}

				p = startWith(t, []string{program}, dir, config)
				until(t, "everything is delivered", func() bool { return p.countDelivered(t) == 3 })
				// Its sender repeats what has no answer.
				if status, result, err := p.publish(client, body(dies)); err != nil || status != http.StatusOK || result != "duplicate" {
					t.Errorf("repeated, it is answered %d %s, %v", status, result, err)
				}
				p.stop()
				requests := map[string]int{}
				receiver.mu.Lock()
				defer receiver.mu.Unlock()
				for delivery, times := range receiver.times {
					id := receiver.eventOf(delivery)
					if requests[id] > 0 {
						t.Errorf("%s came as two deliveries", id)
					}
					requests[id] += len(times)
				}
				if want.early && requests[dies] == 2 {
					requests[dies] = 1
				}
				if diff := cmp.Diff(want.requests, requests); diff != "" {
					t.Errorf("requests by event (-want +got):\n%s", diff)
				}
			})
		}
	}
}

func body(id string) string {
	return fmt.Sprintf(`{"type":"response.completed","id":%q,"nps_score":9}`, id)
}

// countDelivered counts the deliveries that are committed as delivered.
func (p *process) countDelivered(t *testing.T) int {
	t.Helper()
	status, text := p.request(t, http.MethodGet, "/v1/deliveries?state=delivered")
	if status != http.StatusOK {
		t.Fatalf("answered %d %s", status, text)
	}
	var page struct{ Data []struct{} }
	if err := json.Unmarshal([]byte(text), &page); err != nil {
		t.Fatal(err)
	}
	return len(page.Data)
}

// event is the id of the event that a delivery told of.
func (s *sink) event(delivery string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.eventOf(delivery)
}

// eventOf is event for who holds s.mu.
func (s *sink) eventOf(delivery string) string {
	var body struct{ ID string }
	_ = json.Unmarshal([]byte(s.bodies[delivery]), &body)
	return body.ID
}
