package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/redistest"
)

// contacts is a fake of HubSpot's upsert: it remembers who was in each request, and may be told to keep them waiting.
type contacts struct {
	*httptest.Server
	mu      sync.Mutex
	times   map[string]int
	largest int
	n       int    // requests
	refuse  string // one record that makes its whole batch a 400
	hang    chan struct{}
	hanging chan struct{}
}

func newContacts(t *testing.T) *contacts {
	t.Helper()
	c := &contacts{times: map[string]int{}, hanging: make(chan struct{}, 1)}
	c.Server = httptest.NewServer(c)
	t.Cleanup(c.Close)
	return c
}

func (c *contacts) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var body struct{ Inputs []struct{ ID string } }
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	c.largest = max(c.largest, len(body.Inputs))
	c.n++
	bad := false
	for _, in := range body.Inputs {
		c.times[in.ID]++
		bad = bad || in.ID == c.refuse
	}
	hang := c.hang
	c.mu.Unlock()
	if hang != nil {
		select {
		case c.hanging <- struct{}{}:
		default:
		}
		select {
		case <-hang:
		case <-r.Context().Done():
			return
		}
	}
	if bad {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = fmt.Fprint(w, `{"status":"error","category":"VALIDATION_ERROR","errors":[{"code":"INVALID_EMAIL","context":{"propertyName":["email"]}}]}`)
		return
	}
	results := make([]map[string]any, len(body.Inputs))
	for i, in := range body.Inputs {
		results[i] = map[string]any{"id": fmt.Sprint(i + 1), "properties": map[string]string{"email": in.ID}}
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"status": "COMPLETE", "results": results})
}

// told counts how many of the people between two numbers were told of, and how many more than once.
func (c *contacts) told(from, to int) (once, more int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := from; i < to; i++ {
		switch c.times[person(i)] {
		case 0:
		case 1:
			once++
		default:
			more++
		}
	}
	return once, more
}

func person(i int) string { return fmt.Sprintf("p%d@example.com", i) }

func people(from, to int) string {
	var b strings.Builder
	for i := from; i < to; i++ {
		fmt.Fprintf(&b, "{\"type\":\"response.completed\",\"id\":\"r%d\",\"email\":%q}\n", i, person(i))
	}
	return b.String()
}

// A kill in the middle of a batch repeats what was held, and nothing that was committed before.
func TestKilledInTheMiddleOfABatch(t *testing.T) {
	t.Parallel()
	fake := newContacts(t)
	dir := t.TempDir()
	config := fmt.Sprintf(`
outbound: {allow_addresses: ["127.0.0.0/8"], allow_http: true}
tokens: [{name: test, secret: %q, scopes: [publish, read]}]
connections:
  crm: {hubspot: {token: pat, base_url: %q}, rate: 1000/s}
rules:
  - {name: everybody, send: [crm]}
`, testToken, fake.URL)
	p := start(t, dir, config)
	send := func(from, to int) {
		t.Helper()
		status, result, err := p.publishLines(people(from, to))
		if err != nil || status != http.StatusOK {
			t.Fatal(status, result, err)
		}
	}
	const first, all = 40, 240
	send(0, first)
	until(t, "the first are committed", func() bool {
		return strings.Count(p.fetch(t, "/v1/deliveries?state=delivered&limit=200"), `"dl_`) >= first
	})
	if metrics := p.fetch(t, "/metrics"); !strings.Contains(metrics, `surveygate_batch_size_count{stage="deliver"}`) {
		t.Error("the sizes of batches are not measured")
	}

	fake.mu.Lock()
	fake.hang = make(chan struct{})
	hang := fake.hang
	fake.mu.Unlock()
	send(first, all)
	<-fake.hanging
	p.kill()
	close(hang)
	fake.mu.Lock()
	fake.hang = nil
	fake.mu.Unlock()

	p = start(t, dir, config)
	until(t, "everybody is told of", func() bool {
		once, more := fake.told(0, all)
		return once+more == all
	})
	if once, more := fake.told(0, first); once != first {
		t.Errorf("%d of %d that were committed before the kill are repeated", more, first)
	}
	fake.mu.Lock()
	largest := fake.largest
	fake.mu.Unlock()
	if largest > 100 || largest < 2 {
		t.Errorf("the largest request told of %d", largest)
	}
	p.stop()
}

// One bad record costs itself alone, whoever it went with, and a few requests: the refused batch is halved, also by a gateway that is
// killed while it does that.
func TestOneBadRecordOfABatch(t *testing.T) {
	t.Parallel()
	const all = 100
	for name, killed := range map[string]bool{"embedded": false, "redis": false, "killed": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fake := newContacts(t)
			fake.refuse = person(7)
			dir, config := t.TempDir(), fmt.Sprintf(`
outbound: {allow_addresses: ["127.0.0.0/8"], allow_http: true}
tokens: [{name: test, secret: %q, scopes: [publish, read]}]
connections:
  crm: {hubspot: {token: pat, base_url: %q}, rate: 1000/s}
rules:
  - {name: everybody, send: [crm]}
`, testToken, fake.URL)
			if name == "redis" {
				config = fmt.Sprintf("redis: %q\n", redistest.Start(t, redistest.Durable...).URL()) + config
			}
			most := 2*15 + 2 // should the events be claimed in two portions
			var p *process
			if killed {
				program, err := mortal()
				if err != nil {
					t.Fatal(err)
				}
				p = startWith(t, []string{program}, dir, config, "SURVEYGATE_CRASH_AT=sent:3")
				most *= 2
			} else {
				p = start(t, dir, config)
			}
			status, result, err := p.publishLines(people(0, all))
			if !killed && (err != nil || status != http.StatusOK) {
				t.Fatal(status, result, err)
			}
			if killed {
				select {
				case <-p.ended:
				case <-time.After(patience):
					t.Fatalf("it lives:\n%s", p.said())
				}
				p = start(t, dir, config)
			}
			until(t, "the others are delivered", func() bool {
				return strings.Count(p.fetch(t, "/v1/deliveries?state=delivered&limit=200"), `"dl_`) >= all-1
			})
			until(t, "the bad one is a dead letter", func() bool {
				return strings.Contains(p.fetch(t, "/v1/deliveries?state=dead"), "VALIDATION_ERROR INVALID_EMAIL email")
			})
			p.stop()
			fake.mu.Lock()
			defer fake.mu.Unlock()
			if fake.n > most {
				t.Errorf("%d requests for %d events, one of which is bad; at most %d", fake.n, all, most)
			}
			if len(fake.times) != all {
				t.Errorf("told of %d of %d", len(fake.times), all)
			}
		})
	}
}

// publishLines posts events as NDJSON.
func (p *process) publishLines(lines string) (status int, result string, err error) {
	req, err := http.NewRequestWithContext(p.t.Context(), http.MethodPost, "http://"+p.address+"/v1/events", strings.NewReader(lines))
	if err != nil {
		return 0, "", err
	}
	req.Header.Set("Authorization", "Bearer "+p.token)
	req.Header.Set("Content-Type", "application/x-ndjson")
	return do(req)
}

// fetch is the body of a GET.
func (p *process) fetch(t *testing.T, path string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+p.address+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+p.token)
	status, body, err := do(req)
	if err != nil || status != http.StatusOK {
		t.Fatal(path, status, body, err)
	}
	return body
}

func do(req *http.Request) (status int, body string, err error) {
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	return res.StatusCode, string(text), err
}
