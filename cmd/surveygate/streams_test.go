package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

const streamSources = `
outbound: {allow_addresses: ["127.0.0.0/8"], allow_http: true}
tokens: [{name: test, secret: "` + testToken + `", scopes: [publish, read, write]}]
webhooks:
  - {name: sink, url: %q, events: [response.completed], signature: none}
sources:
  app: {redis_stream: survey-events%s}
`

type deadList struct {
	Data   []shownDelivery
	Events []struct {
		ID, Type, Source, Dead string
		Entry                  *struct{ Stream, ID string }
	}
}

// Entries of a stream are delivered; bad ones are dead letters that the commands and the API show, read again and drop.
func TestStreamSourceAndItsDeadLetters(t *testing.T) {
	t.Parallel()
	for _, engine := range []string{"embedded", "redis"} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			server := startRedis(t)
			receiver := newSink(t, nil)
			at, top := ", redis: "+server.url(), ""
			if engine == "redis" {
				at, top = "", "redis: "+server.url()+"\n"
			}
			p := start(t, t.TempDir(), top+fmt.Sprintf(streamSources, receiver.url, at))
			server.do("XADD", "survey-events", "*", "event", `{"type":"response.completed","id":"good","nps_score":3}`)
			entries := []string{}
			for _, field := range [][2]string{
				{"event", `{"type":"response.completed","nps":3}`},
				{"evnt", "{}"},
				{"body", `{"event":"response.created","survey_id":"s1","response_id":"r1","timestamp":"2026-03-01T11:59:00Z","response":{"nps_score":3}}`},
			} {
				entries = append(entries, server.do("XADD", "survey-events", "*", field[0], field[1]))
			}
			receiver.await(t, func(times map[string][]time.Time) bool { return len(times) == 1 })

			var list deadList
			until(t, "the dead letters", func() bool {
				p.ask(&list, "dead", "list")
				return len(list.Events) == 3
			})
			body, field := list.Events[0], list.Events[2] // newest first
			if field.Entry == nil || field.Entry.Stream != "survey-events" || field.Entry.ID != entries[0] || !strings.Contains(field.Dead, "`nps`") {
				t.Errorf("listed %+v", field)
			}
			listed, _ := p.say("dead", "list")
			for _, want := range []string{body.ID + "  entry " + entries[2] + " of stream survey-events, source app", "its source has no profile"} {
				if !strings.Contains(listed, want) {
					t.Errorf("`dead list` does not say %q:\n%s", want, listed)
				}
			}
			if text, _ := p.say("explain", body.ID); !strings.Contains(text, "entry "+entries[2]+" of the Redis stream survey-events") || !strings.Contains(text, "dead replay "+body.ID) {
				t.Errorf("explained:\n%s", text)
			}
			// Nothing has changed, so it still cannot be read, and stays.
			if text, code := p.say("dead", "replay", body.ID); code != 1 || !strings.Contains(text, "it still cannot be read: it has `body`, and its source has no profile") {
				t.Errorf("exit %d: %s", code, text)
			}
			// With a profile it can.
			p.reload(top + fmt.Sprintf(streamSources, receiver.url, at+", profile: pollqr"))
			// One that still cannot be read keeps none behind it from being read.
			text, code := p.say("dead", "replay", field.ID, body.ID)
			if code != 1 || !strings.Contains(text, field.ID+": it still cannot be read") || !strings.Contains(text, body.ID+": read again, event ") || !strings.Contains(text, "accepted") {
				t.Errorf("exit %d: %s", code, text)
			}
			receiver.await(t, func(times map[string][]time.Time) bool { return len(times) == 2 })
			// And the API drops one.
			if status := p.post(t, "/v1/events/"+field.ID+"/drop"); status != http.StatusOK {
				t.Errorf("dropped: %d", status)
			}
			p.ask(&list, "dead", "list")
			if len(list.Events) != 1 || list.Events[0].Entry.ID != entries[1] {
				t.Errorf("left are %+v", list.Events)
			}
			// It has no address.
			if status := p.post(t, "/in/app"); status != http.StatusNotFound {
				t.Errorf("POST /in/app: %d", status)
			}
			if out, code := p.say("check", "--config", p.dir+"/surveygate.yaml"); code != 0 || !strings.Contains(out, "reads the Redis stream survey-events") {
				t.Errorf("check: exit %d\n%s", code, out)
			}
			p.stop()
		})
	}
}

// Two customers may name their sources alike: what is printed at the start and by `check` says whose each is.
func TestSourcesAreNamedWithTheirTenant(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const yaml = `
tokens: [{name: test, secret: "` + testToken + `", scopes: [publish]}]
sources:
  app:  {redis_stream: survey-events, redis: "redis://127.0.0.1:1/0"}
  shop: {redis_stream: acme-events, redis: "redis://127.0.0.1:1/0", tenant: acme}
`
	config := filepath.Join(dir, "surveygate.yaml")
	if err := os.WriteFile(config, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	checked, errs, code := invoke(t, dir, nil, "check", "--config", config)
	if code != 0 {
		t.Fatal(checked, errs)
	}
	cmd := exec.CommandContext(t.Context(), binary, "run", "--config", config, "--data", filepath.Join(dir, "data"), "--listen", "127.0.0.1:0")
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	var started strings.Builder
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		started.WriteString(lines.Text() + "\n")
		if strings.Contains(lines.Text(), "reads the Redis stream acme-events") {
			break // it is the last line
		}
	}
	for what, text := range map[string]string{"check": checked, "run": started.String()} {
		if !strings.Contains(text, "\n  acme/shop ") || !strings.Contains(text, "\n  app ") {
			t.Errorf("%s names no tenant:\n%s", what, text)
		}
	}
}

// post makes a request without a body.
func (p *process) post(t *testing.T, path string) int {
	t.Helper()
	status, _ := p.request(t, http.MethodPost, path)
	return status
}

// page is what a path answers with 200.
func (p *process) page(t *testing.T, path string) string {
	t.Helper()
	status, text := p.request(t, http.MethodGet, path)
	if status != http.StatusOK {
		t.Fatalf("%s: %d\n%s", path, status, text)
	}
	return text
}

func (p *process) request(t *testing.T, method, path string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+p.address+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+p.token)
	client := &http.Client{Timeout: time.Minute}
	defer client.CloseIdleConnections()
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(text)
}

// gate lets everything through to a Redis but XACK, which it holds for ever once it is closed.
type gate struct {
	url  string
	held chan struct{} // closed at the first XACK that is held
}

func newGate(t *testing.T, server string) *gate {
	t.Helper()
	to, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	g := &gate{url: "redis://" + l.Addr().String() + "/0", held: make(chan struct{})}
	var once sync.Once
	go func() {
		for {
			from, err := l.Accept()
			if err != nil {
				return
			}
			redis, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", to.Host)
			if err != nil {
				_ = from.Close()
				return
			}
			go func() { _, _ = io.Copy(from, redis); _ = from.Close() }()
			go func() {
				defer func() { _ = redis.Close() }()
				b := make([]byte, 64<<10)
				for {
					n, err := from.Read(b)
					if err != nil {
						return
					}
					if bytes.Contains(bytes.ToUpper(b[:n]), []byte("\r\nXACK\r\n")) {
						once.Do(func() { close(g.held) })
						_, _ = io.Copy(io.Discard, from)
						return
					}
					if _, err := redis.Write(b[:n]); err != nil {
						return
					}
				}
			}()
		}
	}()
	return g
}

// Killed after its events were made durable and before it acknowledged them, the gateway reads the entries again, and
// nobody hears of them twice; what it never read is not lost.
func TestStreamSourceKilledBetweenAppendAndAck(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	receiver := newSink(t, nil)
	g := newGate(t, server.url())
	dir := t.TempDir()
	const entries = 5
	for i := range entries {
		server.do("XADD", "survey-events", "*", "event", fmt.Sprintf(`{"type":"response.completed","id":"e%d","nps_score":3}`, i))
	}
	bad := server.do("XADD", "survey-events", "*", "event", "{")
	p := start(t, dir, fmt.Sprintf(streamSources, receiver.url, ", redis: "+g.url))
	<-g.held
	p.kill()
	if pending := server.pending("survey-events", "surveygate:default:app"); pending != strconv.Itoa(entries+1) {
		t.Fatalf("pending %s", pending)
	}
	server.do("XADD", "survey-events", "*", "event", `{"type":"response.completed","id":"late","nps_score":3}`)

	p = start(t, dir, fmt.Sprintf(streamSources, receiver.url, ", redis: "+server.url()))
	// A dead reader's entries are anybody's after ten seconds.
	for end := time.Now().Add(patience); server.pending("survey-events", "surveygate:default:app") != "0"; {
		if time.Now().After(end) {
			t.Fatalf("not all are acknowledged:\n%s", p.said())
		}
		time.Sleep(10 * time.Millisecond) // between looks at another process
	}
	receiver.await(t, func(times map[string][]time.Time) bool { return len(times) >= entries+1 })
	var list deadList
	p.ask(&list, "dead", "list")
	if len(list.Events) != 1 || list.Events[0].Entry.ID != bad {
		t.Errorf("dead letters: %+v", list.Events)
	}
	var events struct {
		Data []struct{ OrigID string } `json:"data"`
	}
	if err := json.Unmarshal([]byte(p.page(t, "/v1/events?type=response.completed")), &events); err != nil {
		t.Fatal(err)
	}
	if len(events.Data) != entries+1 {
		t.Errorf("%d events are kept: %v", len(events.Data), events.Data)
	}
	receiver.mu.Lock()
	defer receiver.mu.Unlock()
	if len(receiver.times) != entries+1 {
		t.Errorf("the receiver heard of %d deliveries", len(receiver.times))
	}
	metrics := p.page(t, "/metrics")
	if want := fmt.Sprintf(`surveygate_events_total{outcome="duplicate",source="app"} %d`, entries+1); !strings.Contains(metrics, want) {
		t.Errorf("metrics lack %s", want)
	}
}
