package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
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

// A data folder that somebody removes, or puts another one in place of, while the gateway runs: nothing is accepted from
// then on, because nothing would be there after a restart, and the gateway ends with one line that says so.
func TestDataFolderRemoved(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(store string) error{
		"removed": removeAll,
		"moved":   func(store string) error { return os.Rename(store, store+".away") },
		"emptied": func(store string) error { return removeAll(filepath.Join(store, "events")) },
		"replaced": func(store string) error {
			away := store + ".away"
			return errors.Join(os.Rename(store, away), untilDone(func() error {
				return errors.Join(removeAll(store), os.CopyFS(store, os.DirFS(away)))
			}))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			p := start(t, dir, fmt.Sprintf("tokens: [{name: load, secret: %q, scopes: [publish, read]}]\n", testToken))
			client := &http.Client{Timeout: 10 * time.Second}
			if status, result, err := p.publish(client, `{"type":"response.completed","id":"before"}`); err != nil || status != http.StatusOK {
				t.Fatal(status, result, err)
			}
			if err := damage(filepath.Join(dir, "data", "store")); err != nil {
				t.Fatal(err)
			}
			if status, result, err := p.publish(client, `{"type":"response.completed","id":"after"}`); err == nil && status == http.StatusOK {
				t.Errorf("it was accepted: %s", result)
			}
			select {
			case <-p.ended:
			case <-time.After(patience):
				t.Fatalf("it goes on:\n%s", p.said())
			}
			said := strings.Split(strings.TrimSpace(p.said()), "\n")
			var about []string
			for _, line := range said {
				if strings.Contains(line, "was removed or replaced while the gateway ran") && !strings.HasPrefix(line, "{") {
					about = append(about, line)
				}
			}
			if code := p.cmd.ProcessState.ExitCode(); code != 1 || len(about) != 1 || said[len(said)-1] != about[0] {
				t.Errorf("exit %d, said:\n%s", code, strings.Join(said, "\n"))
			}
		})
	}
}

// removeAll removes a folder in which the gateway still makes files.
func removeAll(dir string) error { return untilDone(func() error { return os.RemoveAll(dir) }) }

// untilDone repeats what fails because files of a running gateway come and go meanwhile.
func untilDone(do func() error) error {
	for end := time.Now().Add(patience); ; {
		if err := do(); err == nil || time.Now().After(end) {
			return err
		}
	}
}
