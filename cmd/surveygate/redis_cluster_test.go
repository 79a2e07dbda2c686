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

// onCluster are two replicas on a Cluster of three nodes, with a stream as a source and a webhook.
func onCluster(t *testing.T, receiver *sink, settings string) (url string, nodes []*redistest.Server, a, b *process) {
	t.Helper()
	url, nodes = redistest.StartCluster(t, redistest.Durable...)
	config := clusterConfig(url, receiver, settings)
	return url, nodes, start(t, t.TempDir(), config), start(t, t.TempDir(), config)
}

func clusterConfig(url string, receiver *sink, settings string) string {
	return fmt.Sprintf(`
redis: %q
outbound: {allow_addresses: ["127.0.0.0/8"], allow_http: true}
tokens: [{name: load, secret: %q, scopes: [publish, read, write]}]
sources: {app: {redis_stream: survey-events}}
webhooks:
  - {name: sink, url: %q, events: [response.completed], secrets: [%q]%s}
`, url, testToken, receiver.url, redisHook, settings)
}

// What a person does with a gateway, on a Cluster, asked of either replica: events are spread over four shards, and
// every question is answered over all of them.
func TestCluster(t *testing.T) {
	t.Parallel()
	var well atomic.Bool
	receiver := newSink(t, func(int, *http.Request) int {
		if well.Load() {
			return http.StatusOK
		}
		return http.StatusUnprocessableEntity // no retry: a dead letter at once
	})
	url, nodes, a, b := onCluster(t, receiver, "")
	cluster := func(args ...any) string { // the stream of the source is on one of the nodes
		for _, n := range nodes {
			if v, err := n.Try(args...); err == nil {
				return fmt.Sprint(v)
			}
		}
		t.Fatalf("no node takes %v", args)
		return ""
	}
	const events = 40
	for i := range events {
		to := []*process{a, b}[i%2]
		if status, text, err := to.publish(http.DefaultClient, fmt.Sprintf(`{"type":"response.completed","id":"c%d","nps_score":3}`, i)); err != nil || status != http.StatusOK {
			t.Fatal(status, text, err)
		}
	}
	shards := 0
	for i := range 4 {
		if cluster("XLEN", fmt.Sprintf("surveygate:{%d}:events", i)) != "0" {
			shards++
		}
	}
	if shards != 4 {
		t.Errorf("%d events are in %d of four shards", events, shards)
	}
	var list deadList
	until(t, "all are dead letters", func() bool {
		b.ask(&list, "dead", "list", "--limit", "200")
		return len(list.Data) == events
	})
	if text, code := b.say("explain", "c7"); code != 0 || !strings.Contains(text, "422") {
		t.Errorf("exit %d: %s", code, text)
	}
	well.Store(true)
	if text, code := a.say("dead", "replay", list.Data[0].ID); code != 0 {
		t.Fatalf("exit %d: %s", code, text)
	}
	receiver.await(t, func(times map[string][]time.Time) bool { return len(times[list.Data[0].ID]) == 2 })
	if text, code := a.say("dead", "drop", list.Data[1].ID); code != 0 {
		t.Errorf("exit %d: %s", code, text)
	}
	until(t, "one was delivered and one dropped", func() bool {
		a.ask(&list, "dead", "list", "--limit", "200")
		return len(list.Data) == events-2
	})

	cluster("XADD", "survey-events", "*", "event", `{"type":"response.completed","id":"streamed","nps_score":3}`)
	bad := cluster("XADD", "survey-events", "*", "evnt", "{}")
	until(t, "the stream is read", func() bool {
		b.ask(&list, "dead", "list", "--limit", "200")
		text, code := a.say("explain", "streamed", "--source", "app")
		return len(list.Events) == 1 && list.Events[0].Entry.ID == bad && code == 0 && strings.Contains(text, "delivered")
	})

	if status, text := a.request(t, http.MethodPost, "/v1/destinations/sink/pause"); status != http.StatusOK {
		t.Fatal(status, text)
	}
	held := ""
	until(t, "one waits", func() bool { // the other hears of it within a second
		held = fmt.Sprintf("held-%d", time.Now().UnixNano())
		if status, text, err := b.publish(http.DefaultClient, fmt.Sprintf(`{"type":"response.completed","id":%q,"nps_score":3}`, held)); err != nil || status != http.StatusOK {
			t.Fatal(status, text, err)
		}
		text, _ := a.say("explain", held)
		return strings.Contains(text, "waiting")
	})
	if status, text := b.request(t, http.MethodPost, "/v1/destinations/sink/resume"); status != http.StatusOK {
		t.Fatal(status, text)
	}
	until(t, "it is delivered", func() bool {
		text, _ := a.say("explain", held)
		return strings.Contains(text, "delivered: 200")
	})

	a.reload(clusterConfig(url, receiver, ", when: nps_score > 8"))
	if status, text, err := a.publish(http.DefaultClient, `{"type":"response.completed","id":"after","nps_score":9}`); err != nil || status != http.StatusOK {
		t.Fatal(status, text, err)
	}
	until(t, "it is delivered after the reload", func() bool {
		text, _ := b.say("explain", "after")
		return strings.Contains(text, "delivered: 200")
	})
}

// A node of a Cluster and a replica of the gateway are killed under load: with `appendfsync always` nothing is lost.
func TestCrashOnACluster(t *testing.T) {
	t.Parallel()
	receiver := newSink(t, nil)
	_, nodes, a, b := onCluster(t, receiver, "")
	var alone atomic.Bool
	l := newLoad(t, 200, func(n int) *process {
		if n%2 == 0 && !alone.Load() {
			return a
		}
		return b
	})
	l.more(200)
	nodes[1].Kill()
	refused := l.refused.Load()
	until(t, "intake refuses", func() bool { return l.refused.Load() > refused })
	nodes[1].Again()
	l.more(200)
	a.kill()
	alone.Store(true)
	l.more(200)
	l.end()
	if lost := l.lost(receiver, patience); len(lost) > 0 {
		t.Errorf("%d of %d accepted events were lost", len(lost), l.accepted.Load())
	}
	_, repeated := receiver.first(t)
	t.Logf("%d events, %d times 503: 0 lost, %d delivered twice", l.accepted.Load(), l.refused.Load(), repeated)
}
