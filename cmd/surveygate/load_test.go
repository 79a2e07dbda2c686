package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// load publishes events at a rate, each again and again until it is accepted, as a platform does, and remembers when
// each was. What may answer it: 200, 503 with Retry-After, or nobody.
type load struct {
	t        *testing.T
	to       func(n int) *process
	stop     chan struct{}
	senders  sync.WaitGroup
	next     atomic.Int64
	accepted atomic.Int64 // how many
	refused  atomic.Int64 // answers 503
	came     chan struct{}

	mu  sync.Mutex
	ids map[string]time.Time
}

// newLoad begins to publish perSecond events a second to the gateways that `to` names, in turn.
func newLoad(t *testing.T, perSecond int, to func(n int) *process) *load {
	t.Helper()
	l := &load{t: t, to: to, stop: make(chan struct{}), came: make(chan struct{}, 1), ids: map[string]time.Time{}}
	const senders = 8
	for range senders {
		l.senders.Go(func() { l.send(time.Second * senders / time.Duration(perSecond)) })
	}
	t.Cleanup(func() { l.end() })
	return l
}

func (l *load) send(every time.Duration) {
	client := &http.Client{Timeout: 10 * time.Second}
	defer client.CloseIdleConnections()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-l.stop:
			return
		case <-tick.C:
		}
		n := int(l.next.Add(1))
		id := fmt.Sprintf("e-%d", n)
		for !l.publish(client, l.to(n), id, n) {
			client.CloseIdleConnections()
			select {
			case <-l.stop:
				return // nobody accepted it
			case <-tick.C: // not more often than new ones
			}
		}
	}
}

// publish is true when the event was accepted.
func (l *load) publish(client *http.Client, p *process, id string, n int) bool {
	body := fmt.Sprintf(`{"type":"response.completed","id":%q,"nps_score":%d,"email":"jo%d@example.com"}`, id, n%11, n)
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, "http://"+p.address+"/v1/events", strings.NewReader(body))
	if err != nil {
		l.t.Error(err)
		return false
	}
	req.Header.Set("Authorization", "Bearer "+p.token)
	res, err := client.Do(req)
	if err != nil {
		return false
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	switch {
	case err != nil:
		return false
	case res.StatusCode == http.StatusOK && (strings.Contains(string(text), `"accepted"`) || strings.Contains(string(text), `"duplicate"`)):
		l.mu.Lock()
		l.ids[id] = time.Now()
		l.mu.Unlock()
		l.accepted.Add(1)
		select {
		case l.came <- struct{}{}:
		default:
		}
		return true
	case res.StatusCode == http.StatusServiceUnavailable && res.Header.Get("Retry-After") != "":
		l.refused.Add(1)
	default:
		l.t.Errorf("%s: answered %d %s, Retry-After %q", id, res.StatusCode, text, res.Header.Get("Retry-After"))
	}
	return false
}

// more waits until so many more are accepted.
func (l *load) more(n int64) {
	l.t.Helper()
	end := time.After(patience)
	for until := l.accepted.Load() + n; l.accepted.Load() < until; {
		select {
		case <-l.came:
		case <-end:
			l.t.Fatalf("%d of %d events were accepted", l.accepted.Load(), until)
		}
	}
}

// end stops it. What was sent and not accepted by then need not arrive.
func (l *load) end() {
	select {
	case <-l.stop:
	default:
		close(l.stop)
	}
	l.senders.Wait()
}

// first are the times at which a receiver first heard of each event, and repeated how many it heard of again.
func (s *sink) first(t *testing.T) (heard map[string]time.Time, repeated int) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	heard = map[string]time.Time{}
	for delivery, times := range s.times {
		var body struct{ ID string }
		if err := json.Unmarshal([]byte(s.bodies[delivery]), &body); err != nil {
			t.Fatal(err)
		}
		heard[body.ID] = times[0]
		repeated += len(times) - 1
	}
	return heard, repeated
}

// lost waits until a receiver heard of every accepted event, or for the whole bound, and returns when those that it never
// heard of were accepted.
func (l *load) lost(receiver *sink, bound time.Duration) (lost map[string]time.Time) {
	l.t.Helper()
	end := time.After(bound)
	for {
		heard, _ := receiver.first(l.t)
		lost = map[string]time.Time{}
		l.mu.Lock()
		for id, at := range l.ids {
			if _, ok := heard[id]; !ok {
				lost[id] = at
			}
		}
		l.mu.Unlock()
		if len(lost) == 0 {
			return lost
		}
		select {
		case <-receiver.came:
		case <-end:
			return lost
		}
	}
}
