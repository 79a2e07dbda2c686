package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// A disk that fails ends the gateway with a line that says so, because only another start mends it; that one knows
// everything that was accepted.
func TestDiskFails(t *testing.T) {
	t.Parallel()
	receiver := newSink(t, nil)
	dir := t.TempDir()
	yaml := fmt.Sprintf(`
outbound: {allow_addresses: ["127.0.0.0/8"], allow_http: true}
tokens: [{name: load, secret: %q, scopes: [publish, read]}]
webhooks:
  - {name: sink, url: %q, events: [response.completed], signature: none}
`, testToken, receiver.url)
	// Files of the process may have a few MiB, so that the log it writes events to fails in the middle of one.
	p := startWith(t, []string{"sh", "-c", `ulimit -f 4096; exec "$0" "$@"`, binary}, dir, yaml)
	client := &http.Client{Timeout: 10 * time.Second}
	accepted := map[string]bool{}
	for n := 0; ; n++ {
		id := fmt.Sprintf("disk-%d", n)
		body := fmt.Sprintf(`{"type":"response.completed","id":%q,"feedback":%q}`, id, strings.Repeat("x", 20_000))
		status, result, err := p.publish(client, body)
		if err == nil && status == http.StatusOK {
			accepted[id] = true
			continue
		}
		if err == nil && status != http.StatusServiceUnavailable {
			t.Errorf("answered %d %s", status, result)
		}
		break
	}
	select {
	case <-p.ended:
	case <-time.After(patience):
		t.Fatalf("it goes on:\n%s", p.said())
	}
	said := strings.TrimSpace(p.said())
	last := said[strings.LastIndexByte(said, '\n')+1:]
	if code := p.cmd.ProcessState.ExitCode(); code != 1 || !strings.Contains(last, "the disk failed") {
		t.Errorf("exit %d, its last line: %s", code, last)
	}
	again := start(t, dir, yaml)
	receiver.await(t, func(times map[string][]time.Time) bool { return len(times) >= len(accepted) })
	heard, _ := receiver.first(t)
	for id := range accepted {
		if _, ok := heard[id]; !ok {
			t.Errorf("%s was accepted and is lost", id)
		}
	}
	again.stop()
	t.Logf("%d events before the disk failed", len(accepted))
}
