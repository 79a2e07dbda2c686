package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestStoreRepair: a gateway whose store was damaged begins again with what could be read, delivers what waited, and
// accepts what was lost when it is sent again. A repair is refused while the gateway runs and where nothing is damaged, can
// be killed, and where it was interrupted between its two moves no start begins with an empty store.
func TestStoreRepair(t *testing.T) {
	t.Parallel()
	const total = 400
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	release := make(chan struct{}) // until then nothing is answered, so everything waits
	var delivered sync.Map
	receiver := newSink(t, func(_ int, r *http.Request) int {
		select {
		case <-release:
			delivered.Store(r.Header.Get("webhook-id"), true)
			return http.StatusOK
		case <-r.Context().Done():
			return http.StatusServiceUnavailable
		}
	})
	config := fmt.Sprintf(`
outbound: {allow_addresses: ["127.0.0.0/8"], allow_http: true}
tokens: [{name: load, secret: %q, scopes: [publish, read]}]
webhooks:
  - {name: sink, url: %q, events: [response.completed], signature: none}
`, testToken, receiver.url)
	p := start(t, dir, config)
	client := &http.Client{Timeout: 30 * time.Second}
	body := func(i int) string {
		return fmt.Sprintf(`{"type":"response.completed","id":"r-%d","feedback":%q}`, i, strings.Repeat("x", 1500))
	}
	for i := range total {
		if status, result, err := p.publish(client, body(i)); err != nil || status != http.StatusOK || result != "accepted" {
			t.Fatal(status, result, err)
		}
	}
	p.kill()
	p = start(t, dir, config) // what is in logs is written into tables
	if _, said, code := invoke(t, dir, nil, "store", "repair", "--yes", data); code != 1 || !strings.Contains(said, "stop it first") {
		t.Errorf("exit %d: %s", code, said)
	}
	p.kill()
	if _, said, code := invoke(t, dir, nil, "store", "repair", "--yes", data); code != 1 || !strings.Contains(said, "nothing to repair") {
		t.Errorf("exit %d: %s", code, said)
	}
	if _, said, code := invoke(t, dir, nil, "store", "repair", data); code != 1 || !strings.Contains(said, "[y/N]") {
		t.Errorf("exit %d: %s", code, said)
	}

	// The largest table is damaged.
	all, err := filepath.Glob(filepath.Join(data, "store", "events", "*.sst"))
	if err != nil || len(all) == 0 {
		t.Fatal(all, err)
	}
	var largest string
	var content []byte
	for _, path := range all {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if len(text) > len(content) {
			largest, content = path, text
		}
	}
	for i := range 64 {
		content[len(content)/4+i] ^= 0xff
	}
	if err := os.WriteFile(largest, content, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, said, code := invoke(t, dir, nil, "store", "check", data); code != 1 || !strings.Contains(said, "store repair") {
		t.Fatalf("exit %d: %s", code, said)
	}

	// Killed in its middle, it leaves the former store or the new one in place.
	for range 3 {
		cmd := exec.CommandContext(t.Context(), binary, "store", "repair", "--yes", data)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_ = cmd.Wait()
		}()
		until(t, "the repair is under way", func() bool {
			select {
			case <-ended:
				return true
			default:
			}
			_, err := os.Stat(filepath.Join(data, "store.repair", "events"))
			return err == nil
		})
		_ = cmd.Process.Signal(syscall.SIGKILL)
		<-ended
		if _, err := os.Stat(filepath.Join(data, "store.repair")); err == nil {
			t.Log("killed under way")
		}
	}
	var report struct {
		Events, Pending int
		Damage          []string
		Quarantine      string
	}
	out, said, code := invoke(t, dir, nil, "store", "repair", "--yes", "--json", data)
	switch {
	case code == 0:
		if err := json.Unmarshal([]byte(out), &report); err != nil || len(report.Damage) == 0 {
			t.Fatal(err, out)
		}
	case strings.Contains(said, "nothing to repair"): // a killed one was through already
		text, err := os.ReadFile(filepath.Join(data, "store", "repaired.json"))
		if err != nil || json.Unmarshal(text, &report) != nil {
			t.Fatal(err)
		}
	default:
		t.Fatalf("exit %d: %s", code, said)
	}
	t.Logf("%+v", report)
	if kept, err := os.ReadFile(filepath.Join(report.Quarantine, "events", filepath.Base(largest))); err != nil || string(kept) != string(content) {
		t.Errorf("the quarantine differs: %v", err)
	}

	// Interrupted between the two moves: no start begins with nothing, and the next repair finishes.
	store, work := filepath.Join(data, "store"), filepath.Join(data, "store.repair")
	if err := os.Rename(store, work); err != nil {
		t.Fatal(err)
	}
	if _, said, code := invoke(t, dir, nil, "run", "--config", filepath.Join(dir, "surveygate.yaml"), "--data", data, "--listen", "127.0.0.1:0"); code != 1 || !strings.Contains(said, "store repair") {
		t.Fatalf("exit %d: %s", code, said)
	}
	if _, said, code := invoke(t, dir, nil, "store", "repair", "--yes", data); code != 0 {
		t.Fatalf("exit %d: %s", code, said)
	}
	if _, said, code := invoke(t, dir, nil, "store", "check", data); code != 0 {
		t.Fatalf("exit %d: %s", code, said)
	}

	// What waited still does, and what was lost is accepted again: all of it is delivered.
	p = start(t, dir, config)
	again := 0
	for i := range total {
		status, result, err := p.publish(client, body(i))
		if err != nil || status != http.StatusOK {
			t.Fatal(status, result, err)
		}
		if result != "duplicate" {
			again++
		}
	}
	if again+report.Events != total || again > total/2 {
		t.Errorf("%d events were read and %d accepted again, of %d", report.Events, again, total)
	}
	close(release)
	receiver.await(t, func(map[string][]time.Time) bool {
		n := 0
		delivered.Range(func(_, _ any) bool {
			n++
			return true
		})
		return n >= total
	})
}
