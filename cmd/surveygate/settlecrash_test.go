package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/redistest"
)

// Killed ten times at random moments while responses come to rest, the gateway tells of each response that matches by exactly one
// delivery, with all that is known of it, and of no other one.
func TestCrashWhileSettling(t *testing.T) {
	t.Parallel()
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		crashSettling(t, "")
	})
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		crashSettling(t, fmt.Sprintf("redis: %q\n", redistest.Start(t, redistest.EverySecond...).URL()))
	})
}

func crashSettling(t *testing.T, engine string) {
	const (
		kills   = 10
		senders = 8
		total   = 1500
	)
	receiver := newSink(t, nil)
	config := engine + fmt.Sprintf(`
outbound: {allow_addresses: ["127.0.0.0/8"], allow_http: true}
tokens: [{name: load, secret: %q, scopes: [publish, read]}]
webhooks:
  - {name: sink, url: %q, body: event, secrets: ["whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="]}
rules:
  - {name: unhappy, events: [response.*], settle: 1s, when: nps_score <= 6 and has(email), send: [sink]}
`, testToken, receiver.url)

	dir := t.TempDir()
	var current atomic.Pointer[process]
	current.Store(start(t, dir, config))
	var accepted atomic.Int64
	progress := make(chan struct{}, 1)
	work := make(chan int)
	var load sync.WaitGroup
	for range senders {
		load.Go(func() {
			client := &http.Client{Timeout: 30 * time.Second}
			pace := time.NewTicker(5 * time.Millisecond) // of repeats, so that they leave the machine to the one that starts
			defer pace.Stop()
			for n := range work {
				// All events of a response come in one call, so that they are accepted together and come to rest together.
				id := fmt.Sprintf("r-%d", n)
				body := fmt.Sprintf(`[{"type":"response.started","id":"%[1]s-1","response":{"id":%[1]q}},`+
					`{"type":"response.partial","id":"%[1]s-2","response":{"id":%[1]q},"nps_score":%[2]d},`+
					`{"type":"response.completed","id":"%[1]s-3","response":{"id":%[1]q},"email":"jo%[3]d@example.com"}]`, id, n%11, n)
				for {
					status, result, err := current.Load().publish(client, body)
					if err == nil && status == http.StatusOK && (result == "accepted" || result == "duplicate") {
						break
					}
					if err == nil && status != http.StatusServiceUnavailable {
						t.Errorf("%s: answered %d %s", id, status, result)
						break
					}
					client.CloseIdleConnections()
					<-pace.C
				}
				accepted.Add(1)
				select {
				case progress <- struct{}{}:
				default:
				}
			}
		})
	}
	go func() {
		for n := range total {
			work <- n
		}
		close(work)
	}()
	for k := range kills {
		until := int64(k*total/(kills+1)) + 1 + rand.Int64N(total/(kills+1))
		for accepted.Load() < until {
			<-progress
		}
		current.Load().kill()
		current.Store(start(t, dir, config))
	}
	load.Wait()

	want := map[string]bool{}
	for n := range total {
		if n%11 <= 6 {
			want[fmt.Sprintf("r-%d", n)] = true
		}
	}
	receiver.await(t, func(times map[string][]time.Time) bool { return len(times) >= len(want) })
	receiver.mu.Lock()
	defer receiver.mu.Unlock()
	told, repeated := map[string]string{}, 0
	for delivery, times := range receiver.times {
		var body struct {
			Data struct {
				Response struct {
					ID     string
					Status string
					Events int
					Score  struct{ NPS *float64 }
				}
				Respondent struct{ Email string }
			}
		}
		if err := json.Unmarshal([]byte(receiver.bodies[delivery]), &body); err != nil {
			t.Fatal(err)
		}
		r := &body.Data.Response
		if !want[r.ID] || r.Events != 3 || r.Status != "completed" || r.Score.NPS == nil || body.Data.Respondent.Email == "" {
			t.Errorf("told of %s", receiver.bodies[delivery])
		}
		if other := told[r.ID]; other != "" {
			t.Errorf("%s was told by %s and by %s", r.ID, other, delivery)
		}
		told[r.ID] = delivery
		repeated += len(times) - 1
	}
	for id := range want {
		if told[id] == "" {
			t.Errorf("%s was lost", id)
		}
	}
	t.Logf("%d responses, %d kills: %d told, %d requests repeated", total, kills, len(told), repeated)
}
