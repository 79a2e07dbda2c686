package main

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/redistest"
)

// Redis killed under load and started again on its folder: with `appendfsync always` nothing is lost that was accepted;
// with `everysec` at most what was accepted within the last moments, and it is counted here.
func TestCrashOfRedis(t *testing.T) {
	t.Parallel()
	for name, durable := range map[string][]string{"always": redistest.Durable, "everysec": redistest.EverySecond} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t, durable...)
			late := lateness(t)
			receiver := newSink(t, nil)
			p := start(t, t.TempDir(), onRedis(server, receiver, ""))
			l := newLoad(t, 400, func(int) *process { return p })
			var killed []time.Time
			for range 3 {
				l.more(300)
				killed = append(killed, time.Now())
				server.Kill()
				server.Again()
			}
			l.more(300)
			l.end()
			bound := patience
			if name == "everysec" {
				bound = 45 * time.Second // what is lost never comes
			}
			lost := l.lost(receiver, bound)
			if name == "always" && len(lost) > 0 {
				t.Errorf("%d of %d accepted events were lost", len(lost), l.accepted.Load())
			}
			for id, at := range lost {
				within := false
				for _, k := range killed {
					// Redis' own bound is two.
					within = within || at.Before(k.Add(time.Second+late())) && at.After(k.Add(-2*time.Second-late()))
				}
				if !within {
					t.Errorf("%s was accepted at %s, and Redis was killed at %s", id, at, killed)
				}
			}
			_, repeated := receiver.first(t)
			t.Logf("%d events, Redis killed %d times: %d lost, %d delivered twice", l.accepted.Load(), len(killed), len(lost), repeated)
		})
	}
}

// Redis gone for 20 s under load, killed or hanging: intake answers 503 with Retry-After, and when Redis is there again
// everything goes on by itself.
func TestRedisGone(t *testing.T) {
	t.Parallel()
	const gone = 20 * time.Second
	for name, away := range map[string][2]func(*redistest.Server){
		"killed":  {(*redistest.Server).Kill, (*redistest.Server).Again},
		"hanging": {(*redistest.Server).Freeze, (*redistest.Server).Thaw},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t, redistest.Durable...)
			receiver := newSink(t, nil)
			p := start(t, t.TempDir(), onRedis(server, receiver, ""))
			l := newLoad(t, 200, func(int) *process { return p })
			l.more(200)
			away[0](server)
			back := time.After(gone)
			until(t, "intake refuses", func() bool { return l.refused.Load() > 0 })
			until(t, "it is not ready", func() bool { // it looks once a second
				status, _ := p.request(t, http.MethodGet, "/readyz")
				return status == http.StatusServiceUnavailable
			})
			if status, _ := p.request(t, http.MethodGet, "/healthz"); status != http.StatusOK {
				t.Errorf("a restart would mend nothing, and it asks for one: %d", status)
			}
			<-back // the time itself is what is tested
			away[1](server)
			l.more(200)
			l.end()
			if lost := l.lost(receiver, patience); len(lost) > 0 {
				t.Errorf("%d of %d accepted events were lost", len(lost), l.accepted.Load())
			}
			until(t, "it is ready again", func() bool { status, _ := p.request(t, http.MethodGet, "/readyz"); return status == http.StatusOK })
			_, repeated := receiver.first(t)
			t.Logf("%d events, %d times 503: 0 lost, %d delivered twice", l.accepted.Load(), l.refused.Load(), repeated)
		})
	}
}

// A gateway whose Redis is gone can still be told to stop; what it held is delivered by the next one.
func TestStopWithoutRedis(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.Durable...)
	receiver := newSink(t, nil)
	dir, config := t.TempDir(), onRedis(server, receiver, "")
	p := start(t, dir, config)
	l := newLoad(t, 400, func(int) *process { return p })
	l.more(200)
	server.Kill()
	refused := l.refused.Load()
	until(t, "intake refuses", func() bool { return l.refused.Load() > refused })
	l.end()
	p.stop()
	server.Again()
	start(t, dir, config)
	if lost := l.lost(receiver, patience); len(lost) > 0 {
		t.Errorf("%d of %d accepted events were lost", len(lost), l.accepted.Load())
	}
}

// A Redis that is full takes nothing new in, but what waits still drains; with room again it goes on.
func TestRedisFull(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, append([]string{"--maxmemory", "48mb", "--maxmemory-policy", "noeviction"}, redistest.EverySecond...)...)
	var well atomic.Bool
	receiver := newSink(t, func(int, *http.Request) int {
		if well.Load() {
			return http.StatusOK
		}
		return http.StatusServiceUnavailable
	})
	p := start(t, t.TempDir(), onRedis(server, receiver, ", retry: ["+strings.TrimSuffix(strings.Repeat("1s, ", 40), ", ")+"]")+"retention: {events: {bytes: 1GiB}, waiting: {bytes: 1GiB}}\n")
	client := &http.Client{Timeout: 10 * time.Second}
	feedback := strings.Repeat("x", 100_000)
	accepted := 0
	for full := false; !full; {
		body := fmt.Sprintf(`{"type":"response.completed","id":"full-%d","nps_score":3,"feedback":%q}`, accepted, feedback)
		status, result, err := p.publish(client, body)
		switch {
		case err != nil:
			t.Fatal(err)
		case status == http.StatusServiceUnavailable:
			full = true
		case status != http.StatusOK:
			t.Fatal(status, result)
		default:
			accepted++
		}
		if accepted > 1000 {
			t.Fatal("it is never full")
		}
	}
	until(t, "readiness says that it is full", func() bool { // it believes a look for a second
		status, text := p.request(t, http.MethodGet, "/readyz")
		return status == http.StatusServiceUnavailable && strings.Contains(text, "memory")
	})
	well.Store(true)
	until(t, "what waits is delivered", func() bool {
		_, text := p.request(t, http.MethodGet, "/v1/deliveries?state=waiting&limit=1")
		return strings.Contains(text, `"data":[]`)
	})
	if _, dead := p.request(t, http.MethodGet, "/v1/deliveries?state=dead&limit=1"); !strings.Contains(dead, `"data":[]`) {
		t.Errorf("dead letters: %s", dead)
	}
	server.Do("CONFIG", "SET", "maxmemory", "100mb")
	until(t, "it takes events in again", func() bool {
		status, _, err := p.publish(client, `{"type":"response.completed","id":"after","nps_score":3}`)
		return err == nil && status == http.StatusOK
	})
	receiver.await(t, func(times map[string][]time.Time) bool { return len(times) == accepted+1 })
	t.Logf("full after %d events of 100 kB", accepted)
}
