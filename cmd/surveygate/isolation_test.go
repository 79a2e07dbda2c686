package main

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// A receiver that never answers beside a healthy one: the healthy one hears of each event at once.
func TestHangingReceiverBesideAHealthyOne(t *testing.T) {
	t.Parallel()
	const events = 60
	release := make(chan struct{})
	healthy := newSink(t, nil)
	hanging := newSink(t, func(int, *http.Request) int { <-release; return http.StatusOK })
	t.Cleanup(sync.OnceFunc(func() { close(release) }))
	p := start(t, t.TempDir(), fmt.Sprintf(`
outbound: {allow_addresses: ["127.0.0.0/8"], allow_http: true}
tokens: [{name: load, secret: %q, scopes: [publish, read]}]
webhooks:
  - {name: hanging, url: %q, events: [response.completed], signature: none, concurrency: 4}
  - {name: healthy, url: %q, events: [response.completed], signature: none}
`, testToken, hanging.url, healthy.url))

	late := lateness(t)
	client := &http.Client{Timeout: 10 * time.Second}
	answered := make([]time.Time, events)
	for n := range events {
		status, result, err := p.publish(client, fmt.Sprintf(`{"type":"response.completed","id":"h-%d"}`, n))
		if err != nil || status != http.StatusOK {
			t.Fatal(status, result, err)
		}
		answered[n] = time.Now()
		healthy.await(t, func(times map[string][]time.Time) bool { return len(times) == n+1 })
	}
	healthy.mu.Lock()
	defer healthy.mu.Unlock()
	var waits []time.Duration
	for id, times := range healthy.times {
		var n int
		if _, err := fmt.Sscanf(healthy.bodies[id][strings.Index(healthy.bodies[id], "h-"):], "h-%d", &n); err != nil {
			t.Fatal(err)
		}
		waits = append(waits, times[0].Sub(answered[n]))
	}
	slices.Sort(waits)
	if median := waits[len(waits)/2]; median > 50*time.Millisecond+late() {
		t.Errorf("half of the first attempts came %s or more after the 200", median)
	}
	t.Logf("first attempt after the 200: median %s, slowest %s; the machine is late by %s", waits[len(waits)/2], waits[len(waits)-1], late())
}

// Retries come at the schedule: never earlier, and at most a tenth and a second later.
func TestRetriesKeepTheSchedule(t *testing.T) {
	t.Parallel()
	late := lateness(t)
	waits := []time.Duration{time.Second, 2 * time.Second, 3 * time.Second}
	failing := newSink(t, func(int, *http.Request) int { return http.StatusServiceUnavailable })
	p := start(t, t.TempDir(), fmt.Sprintf(`
outbound: {allow_addresses: ["127.0.0.0/8"], allow_http: true}
tokens: [{name: load, secret: %q, scopes: [publish, read]}]
webhooks:
  - {name: failing, url: %q, events: [response.completed], signature: none, retry: [1s, 2s, 3s]}
`, testToken, failing.url))
	if status, result, err := p.publish(http.DefaultClient, `{"type":"response.completed","id":"s-1"}`); err != nil || status != http.StatusOK {
		t.Fatal(status, result, err)
	}
	failing.await(t, func(times map[string][]time.Time) bool {
		for _, all := range times {
			return len(all) == len(waits)+1
		}
		return false
	})
	failing.mu.Lock()
	defer failing.mu.Unlock()
	for id, times := range failing.times {
		for i, wait := range waits {
			gap := times[i+1].Sub(times[i])
			// Due times are kept in milliseconds.
			if most := wait + wait/10 + time.Second + late(); gap < wait-5*time.Millisecond || gap > most {
				t.Errorf("%s: attempt %d came %s after the one before, want %s to %s", id, i+2, gap, wait, most)
			}
		}
	}
}

// A mapping that is corrected while a delivery waits goes out corrected.
func TestRetryIsBuiltFromTodaysConfiguration(t *testing.T) {
	t.Parallel()
	receiver := newSink(t, func(n int, _ *http.Request) int { return map[bool]int{true: 503, false: 200}[n == 1] })
	config := `
outbound: {allow_addresses: ["127.0.0.0/8"], allow_http: true}
tokens: [{name: load, secret: %q, scopes: [publish, read]}]
webhooks:
  - {name: crm, url: %q, events: [response.completed], signature: none, retry: [1h], body: {segment: %q}}
`
	p := start(t, t.TempDir(), fmt.Sprintf(config, testToken, receiver.url, "'wrong'"))
	if status, result, err := p.publish(http.DefaultClient, `{"type":"response.completed","id":"m-1"}`); err != nil || status != http.StatusOK {
		t.Fatal(status, result, err)
	}
	receiver.await(t, func(times map[string][]time.Time) bool { return len(times) == 1 })
	var waiting struct{ Data []shownDelivery }
	until(t, "it waits for its retry", func() bool {
		p.ask(&waiting, "deliveries", "list", "--state", "waiting")
		return len(waiting.Data) == 1 && waiting.Data[0].Attempts == 1
	})
	p.reload(fmt.Sprintf(config, testToken, receiver.url, "'right'"))
	p.ask(nil, "deliveries", "retry", waiting.Data[0].ID) // and waits no longer
	receiver.await(t, func(times map[string][]time.Time) bool {
		for _, all := range times {
			return len(all) == 2
		}
		return false
	})
	receiver.mu.Lock()
	defer receiver.mu.Unlock()
	for _, body := range receiver.bodies {
		if body != `{"segment":"right"}` {
			t.Errorf("the second attempt sent %s", body)
		}
	}
}
