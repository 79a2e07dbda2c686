package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/redistest"
)

// One of ten events kills the gateway whenever it is delivered, and the gateway is started again each time: the nine
// others are delivered, and that one alone is a dead letter after its seventh death.
func TestPoison(t *testing.T) {
	t.Parallel()
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		poison(t, "", func() {})
	})
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		server := redistest.Start(t, redistest.Durable...)
		poison(t, fmt.Sprintf("redis: %q\n", server.URL()), func() {
			// Ten seconds later.
			const holders = "surveygate:{0}:holders"
			for _, holder := range server.Do("ZRANGE", holders, 0, -1).([]any) {
				server.Do("ZADD", holders, 1, holder)
			}
		})
	})
}

func poison(t *testing.T, engine string, died func()) {
	var mu sync.Mutex
	var current *os.Process
	deaths := 0
	var receiver *sink
	receiver = newSink(t, func(_ int, r *http.Request) int {
		receiver.mu.Lock()
		kills := strings.Contains(receiver.bodies[r.Header.Get("webhook-id")], `"e-3"`)
		receiver.mu.Unlock()
		if kills {
			mu.Lock()
			defer mu.Unlock()
			deaths++
			_ = current.Kill()
			return http.StatusServiceUnavailable
		}
		return http.StatusOK
	})
	config := engine + fmt.Sprintf(`
outbound: {allow_addresses: ["127.0.0.0/8"], allow_http: true}
tokens: [{name: load, secret: %q, scopes: [publish, read]}]
webhooks:
  - {name: sink, url: %q, events: [response.completed], secrets: [%q]}
`, testToken, receiver.url, redisHook)
	dir := t.TempDir()
	file := filepath.Join(dir, "surveygate.yaml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}

	// What starts services does: it starts the gateway again whenever it ends.
	ctx, cancel := context.WithCancel(t.Context())
	listens, ended := make(chan string, 1), make(chan struct{})
	go func() {
		defer close(ended)
		for ctx.Err() == nil {
			cmd := exec.CommandContext(ctx, binary, "run", "--config", file, "--data", filepath.Join(dir, "data"), "--listen", "127.0.0.1:0", "--json")
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			err = cmd.Start()
			current = cmd.Process
			mu.Unlock()
			if err != nil {
				if ctx.Err() == nil {
					t.Error(err)
				}
				return
			}
			var said struct{ Address string }
			if json.NewDecoder(out).Decode(&said) == nil {
				select {
				case <-listens:
				default:
				}
				listens <- said.Address
			}
			_ = cmd.Wait() // killed, as it says
			died()
		}
	}()
	t.Cleanup(func() { cancel(); <-ended })

	var events []string
	for n := range 10 {
		events = append(events, fmt.Sprintf(`{"type":"response.completed","id":"e-%d","nps_score":3}`, n))
	}
	p := &process{t: t, token: testToken, address: <-listens}
	// Killed, it may not answer any more; what it accepted is kept.
	_, _, _ = p.publish(&http.Client{Timeout: patience}, "["+strings.Join(events, ",")+"]")

	end := time.After(patience)
	var dead struct{ Data []struct{ Dead string } }
	for len(dead.Data) == 0 {
		select {
		case p.address = <-listens:
		case <-receiver.came:
		case <-time.After(100 * time.Millisecond): // what becomes of the dead one says nothing by itself
		case <-end:
			mu.Lock()
			defer mu.Unlock()
			t.Fatalf("no dead letter after %d deaths", deaths)
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+p.address+"/v1/events?dead=true", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+testToken)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			continue // it is being started again
		}
		err = json.NewDecoder(res.Body).Decode(&dead)
		_ = res.Body.Close()
		if err != nil && res.StatusCode == http.StatusOK {
			continue // it was killed while it answered
		}
	}
	if want := "claimed 7 times without a commit, 5 of them alone"; dead.Data[0].Dead != want || len(dead.Data) != 1 {
		t.Errorf("%d dead letters, the first: %s", len(dead.Data), dead.Data[0].Dead)
	}
	receiver.await(t, func(times map[string][]time.Time) bool { return len(times) == len(events) })
	mu.Lock()
	defer mu.Unlock()
	if deaths != 7 {
		t.Errorf("%d deaths", deaths)
	}
}
