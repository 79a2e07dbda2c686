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

// Killed five times at random moments under load, the gateway loses nothing that it answered 200 for, and delivers
// twice only what was held when it was killed.
func TestCrashLosesNothing(t *testing.T) {
	t.Parallel()
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		crash(t, "")
	})
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		crash(t, fmt.Sprintf("redis: %q\n", redistest.Start(t, redistest.EverySecond...).URL()))
	})
}

func crash(t *testing.T, engine string) {
	const (
		kills   = 5
		senders = 8
		total   = 6000
		// heldAtMost is design's bound on how long an event is held, with room.
		heldAtMost = 3 * time.Second
	)
	late := lateness(t)
	receiver := newSink(t, nil)
	config := engine + fmt.Sprintf(`
outbound: {allow_addresses: ["127.0.0.0/8"], allow_http: true}
tokens: [{name: load, secret: %q, scopes: [publish, read]}]
webhooks:
  - {name: sink, url: %q, events: [response.completed], secrets: ["whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="]}
`, testToken, receiver.url)

	dir := t.TempDir()
	var current atomic.Pointer[process]
	current.Store(start(t, dir, config))

	var accepted atomic.Int64
	var ids sync.Map
	work := make(chan int)
	var load sync.WaitGroup
	for range senders {
		load.Go(func() {
			client := &http.Client{Timeout: 30 * time.Second}
			pace := time.NewTicker(5 * time.Millisecond) // of repeats, so that they leave the machine to the one that starts
			defer pace.Stop()
			for n := range work {
				id := fmt.Sprintf("e-%d", n)
				body := fmt.Sprintf(`{"type":"response.completed","id":%q,"nps_score":%d,"email":"jo%d@example.com"}`, id, n%11, n)
				for { // as a platform does: until it is answered 200
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
				ids.Store(id, true)
				accepted.Add(1)
			}
		})
	}
	go func() {
		for n := range total {
			work <- n
		}
		close(work)
	}()

	var killed []time.Time
	for k := range kills {
		// A random moment within this kill's share of the load.
		until := int64(k*total/(kills+1)) + 1 + rand.Int64N(total/(kills+1))
		for accepted.Load() < until {
			<-receiver.came
		}
		p := current.Load()
		killed = append(killed, time.Now())
		p.kill()
		current.Store(start(t, dir, config))
	}
	load.Wait()

	receiver.await(t, func(times map[string][]time.Time) bool { return len(times) >= total })
	receiver.mu.Lock()
	defer receiver.mu.Unlock()
	heard, repeated := map[string]bool{}, 0
	for delivery, times := range receiver.times {
		var body struct{ ID string }
		if err := json.Unmarshal([]byte(receiver.bodies[delivery]), &body); err != nil {
			t.Fatal(err)
		}
		heard[body.ID] = true
		for _, again := range times[1:] {
			repeated++
			if !duringKill(killed, times[0], again, heldAtMost, late()) {
				t.Errorf("%s was delivered at %s and again at %s, and was not held at any of the kills %s", body.ID, times[0], again, killed)
			}
		}
	}
	lost := 0
	ids.Range(func(id, _ any) bool {
		if !heard[id.(string)] {
			lost++
		}
		return true
	})
	if lost > 0 {
		t.Errorf("%d of %d accepted events were lost", lost, total)
	}
	t.Logf("%d events, %d kills: %d lost, %d delivered twice", total, kills, lost, repeated)
}

// duringKill: the first delivery came at most held before a kill that came before the second; what was under way may
// be heard of a little after the kill.
func duringKill(kills []time.Time, first, again time.Time, held, late time.Duration) bool {
	for _, k := range kills {
		if first.After(k.Add(-held-late)) && first.Before(k.Add(time.Second+late)) && again.After(k) {
			return true
		}
	}
	return false
}
