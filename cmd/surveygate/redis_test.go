package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/redistest"
)

const redisHook = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="

// onRedis is a configuration that keeps everything in a Redis and sends every response to a receiver.
func onRedis(server *redistest.Server, receiver *sink, settings string) string {
	return fmt.Sprintf(`
redis: %q
outbound: {allow_addresses: ["127.0.0.0/8"], allow_http: true}
tokens: [{name: load, secret: %q, scopes: [publish, read, write]}]
webhooks:
  - {name: sink, url: %q, events: [response.completed], secrets: [%q]%s}
`, server.URL(), testToken, receiver.url, redisHook, settings)
}

// delivered is how many deliveries a gateway made itself.
func (p *process) delivered(t *testing.T) (n int) {
	t.Helper()
	_, text := p.request(t, http.MethodGet, "/metrics")
	for line := range strings.SplitSeq(text, "\n") {
		if strings.HasPrefix(line, "surveygate_deliveries_total") && strings.Contains(line, `verdict="delivered"`) {
			_, _ = fmt.Sscanf(line[strings.LastIndexByte(line, ' ')+1:], "%d", &n)
		}
	}
	return n
}

// Two replicas on one Redis share the work, also where all of it comes in at one of them. What is put on hold at one is
// on hold at the other.
func TestReplicas(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.EverySecond...)
	receiver := newSink(t, nil)
	a := start(t, t.TempDir(), onRedis(server, receiver, ""))
	b := start(t, t.TempDir(), onRedis(server, receiver, ""))

	l := newLoad(t, 400, func(int) *process { return a })
	until(t, "both deliver", func() bool { return a.delivered(t) > 0 && b.delivered(t) > 0 })
	l.end()
	if lost := l.lost(receiver, patience); len(lost) > 0 {
		t.Fatalf("%d events did not arrive", len(lost))
	}
	if _, repeated := receiver.first(t); repeated > 0 {
		t.Errorf("%d deliveries were made twice", repeated)
	}
	t.Logf("of %d events that one took in, it delivered %d and the other %d", l.accepted.Load(), a.delivered(t), b.delivered(t))

	if status, text := a.request(t, http.MethodPost, "/v1/destinations/sink/pause"); status != http.StatusOK {
		t.Fatal(status, text)
	}
	paused := func(p *process) bool {
		_, text := p.request(t, http.MethodGet, "/v1/destinations/sink")
		return strings.Contains(text, `"paused"`)
	}
	until(t, "the other sees the pause", func() bool { return paused(b) })
	if status, text := b.request(t, http.MethodPost, "/v1/destinations/sink/resume"); status != http.StatusOK {
		t.Fatal(status, text)
	}
	until(t, "the first sees its end", func() bool { return !paused(a) })
	again := newLoad(t, 200, func(int) *process { return a })
	again.more(20)
}

// A replica killed under load loses nothing, and another one goes on with what it held.
func TestCrashOfAReplica(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.EverySecond...)
	receiver := newSink(t, func(int, *http.Request) int {
		time.Sleep(100 * time.Millisecond) // a receiver that takes its time, so that much is held when the kill comes
		return http.StatusOK
	})
	a := start(t, t.TempDir(), onRedis(server, receiver, ", concurrency: 64"))
	b := start(t, t.TempDir(), onRedis(server, receiver, ", concurrency: 64"))
	var alone atomic.Bool
	l := newLoad(t, 600, func(n int) *process {
		if n%2 == 0 && !alone.Load() {
			return a
		}
		return b
	})
	l.more(600)
	a.kill()
	killed := time.Now()
	alone.Store(true)
	l.more(600)
	l.end()
	if lost := l.lost(receiver, patience); len(lost) > 0 {
		t.Fatalf("%d of %d accepted events were lost", len(lost), l.accepted.Load())
	}
	until(t, "what the killed one held is taken over", func() bool {
		_, text := b.request(t, http.MethodGet, "/readyz")
		return strings.Contains(text, `"pending":0,`)
	})
	took := time.Since(killed)
	if took > 30*time.Second {
		t.Errorf("what it held was taken over after %s", took)
	}
	_, repeated := receiver.first(t)
	t.Logf("%d events: 0 lost, %d delivered twice; what the killed one held was taken over after %s", l.accepted.Load(), repeated, took.Round(time.Millisecond))
}

// A replica is killed while retries run that it had leased: the other makes them as soon as it has the events of the
// killed one, and not when the leases end.
func TestLeasesOfAKilledReplica(t *testing.T) {
	t.Parallel()
	const events = 8 // fewer than open the circuit
	server := redistest.Start(t, redistest.EverySecond...)
	var hanging atomic.Int64
	receiver := newSink(t, func(n int, r *http.Request) int {
		switch n {
		case 1:
			return http.StatusServiceUnavailable
		case 2:
			hanging.Add(1)
			<-r.Context().Done()
		}
		return http.StatusOK
	})
	config := onRedis(server, receiver, ", concurrency: 32, timeout: 100s, retry: [1s, 1s, 1s]") // leases of 305 s
	a := start(t, t.TempDir(), config)
	client := &http.Client{Timeout: 10 * time.Second}
	for i := range events {
		if status, text, err := a.publish(client, fmt.Sprintf(`{"type":"response.completed","id":"leased-%d","nps_score":3}`, i)); err != nil || status != http.StatusOK {
			t.Fatal(status, text, err)
		}
	}
	until(t, "the retries run", func() bool { return hanging.Load() == events })
	b := start(t, t.TempDir(), config)
	a.kill()
	killed := time.Now()
	receiver.await(t, func(times map[string][]time.Time) bool {
		for _, all := range times {
			if len(all) < 3 {
				return false
			}
		}
		return len(times) == events
	})
	took := time.Since(killed)
	if took > 90*time.Second {
		t.Errorf("what it had leased was taken over after %s", took)
	}
	until(t, "nothing waits", func() bool {
		_, text := b.request(t, http.MethodGet, "/v1/deliveries?state=waiting&limit=1")
		return strings.Contains(text, `"data":[]`)
	})
	t.Logf("what the killed one had leased was taken over after %s", took.Round(time.Millisecond))
}

// The only gateway on a Redis, told to stop under load and started again, hands over what it holds: nothing is lost and
// nothing is delivered twice.
func TestDrainOnRedis(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.EverySecond...)
	var asked, refused atomic.Int64
	receiver := newSink(t, func(n int, _ *http.Request) int {
		if n == 1 && asked.Add(1)%5 == 0 { // not ten in a row, which would open the circuit
			refused.Add(1)
			return http.StatusServiceUnavailable // its retry may be another process's
		}
		return http.StatusOK
	})
	dir, config := t.TempDir(), onRedis(server, receiver, ", retry: [1s, 1s, 1s, 1s]")
	var current atomic.Pointer[process]
	current.Store(start(t, dir, config))
	l := newLoad(t, 300, func(int) *process { return current.Load() })
	for range 3 {
		l.more(150)
		current.Load().stop()
		current.Store(start(t, dir, config))
	}
	l.end()
	if lost := l.lost(receiver, patience); len(lost) > 0 {
		t.Fatalf("%d of %d accepted events were lost", len(lost), l.accepted.Load())
	}
	until(t, "what was refused was sent again", func() bool { // what is held waits nowhere yet
		_, repeated := receiver.first(t)
		return int64(repeated) >= refused.Load()
	})
	until(t, "nothing waits any more", func() bool {
		_, text := current.Load().request(t, http.MethodGet, "/v1/deliveries?state=waiting&limit=1")
		return strings.Contains(text, `"data":[]`)
	})
	if _, repeated := receiver.first(t); int64(repeated) != refused.Load() {
		t.Errorf("%d deliveries were sent again, and %d were refused once", repeated, refused.Load())
	}
	t.Logf("%d events over 3 restarts", l.accepted.Load())
}

// While replicas have different configurations, a delivery whose step only the newer one has waits for it: the older one
// counts no attempt and makes no dead letter of it.
func TestReplicasOfTwoConfigurations(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.EverySecond...)
	var well atomic.Bool
	receiver := newSink(t, func(_ int, r *http.Request) int {
		if r.Header.Get("X-Step") == "late" && !well.Load() {
			return http.StatusServiceUnavailable
		}
		return http.StatusOK
	})
	rules := func(send string) string {
		return strings.Replace(onRedis(server, receiver, ", retry: [15s, 2s, 2s, 2s, 2s, 2s, 2s, 2s]"), "events: [response.completed], ", "", 1) +
			"rules:\n  - {name: all, when: nps_score <= 10, send: [" + send + "]}\n"
	}
	older := start(t, t.TempDir(), rules("sink"))
	newer := start(t, t.TempDir(), rules("sink, {sink: {headers: {X-Step: late}}, as: late}"))

	// The newer one decides, and its first attempt fails.
	older.signal(syscall.SIGSTOP)
	if status, result, err := newer.publish(http.DefaultClient, `{"type":"response.completed","id":"rolling","nps_score":3}`); err != nil || status != http.StatusOK {
		t.Fatal(status, result, err)
	}
	type owed struct {
		State, Step, Reason string
		Attempts            int
	}
	late := func(p *process) (d owed) {
		_, text := p.request(t, http.MethodGet, "/v1/deliveries")
		var page struct {
			Data []owed
		}
		if err := json.Unmarshal([]byte(text), &page); err != nil {
			t.Fatal(err, text)
		}
		for _, found := range page.Data {
			if found.Step == "late" {
				d = found
			}
		}
		return d
	}
	// Long enough for the newer one to be stopped before.
	until(t, "it waits for its retry", func() bool { d := late(newer); return d.State == "waiting" && d.Attempts == 1 })
	// The older one claims it, with nobody else there.
	newer.signal(syscall.SIGSTOP)
	older.signal(syscall.SIGCONT)
	until(t, "the older one left it alone", func() bool {
		d := late(older)
		if d.State != "waiting" || d.Attempts != 1 {
			t.Fatalf("the older configuration made it %+v", d)
		}
		return strings.Contains(d.Reason, "newer configuration")
	})
	well.Store(true)
	newer.signal(syscall.SIGCONT)
	until(t, "the newer one delivers it", func() bool { return late(newer).State == "delivered" })
}

// signal sends a signal, and one that stops it is taken back when the test ends.
func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}
