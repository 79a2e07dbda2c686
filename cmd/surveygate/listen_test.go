package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// listener is a running `surveygate listen`.
type listener struct {
	t        testing.TB
	url      string
	mu       sync.Mutex
	out, err bytes.Buffer
}

func (l *listener) said() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.out.String()
}

// listen starts `surveygate listen` on a free port, until the end of the test.
func listen(t testing.TB, args ...string) *listener {
	t.Helper()
	l := &listener{t: t}
	cmd := exec.CommandContext(context.Background(), binary, append([]string{"listen", "--listen", "127.0.0.1:0"}, args...)...)
	cmd.Stdout, cmd.Stderr = &lockedWriter{w: &l.out, mu: &l.mu}, &lockedWriter{w: &l.err, mu: &l.mu}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		if err := cmd.Wait(); err != nil {
			t.Errorf("listen: %v", err)
		}
	})
	until(t, "it listens", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		_, rest, found := strings.Cut(l.err.String(), "listening on ")
		l.url, _, _ = strings.Cut(rest, ",")
		return found && strings.HasSuffix(l.err.String(), "\n")
	})
	return l
}

// attempted are the lines of what was received.
var attempted = regexp.MustCompile(`(?m)POST /in  (.*)  dl_\S+  (attempt \d)$`)

// A person sees the retries of a delivery: the first attempts are refused, the next one is accepted.
func TestListenFails(t *testing.T) {
	t.Parallel()
	failing := listen(t, "--signature", "none", "--fail", "2", "--status", "503")
	asJSON := listen(t, "--signature", "none", "--fail", "1", "--json")
	down := listen(t, "--signature", "none", "--answer", "410")
	p := start(t, t.TempDir(), fmt.Sprintf(`
outbound: {allow_addresses: ["127.0.0.0/8"], allow_http: true}
webhooks:
  - {name: failing, url: "%s/in", events: [response.completed], signature: none, retry: [1s, 1s]}
  - {name: json, url: "%s/in", events: [response.completed], signature: none, retry: [1s]}
  - {name: down, url: "%s/in", events: [response.completed], signature: none}
`, failing.url, asJSON.url, down.url))
	p.ask(nil, "emit", `{"type": "response.completed", "id": "one"}`)

	until(t, "the third attempt", func() bool { return strings.Contains(failing.said(), "attempt 3") })
	var got []string
	for _, m := range attempted.FindAllStringSubmatch(failing.said(), -1) {
		got = append(got, m[1]+": "+m[2])
	}
	want := []string{"not verified  answered 503: attempt 1", "not verified  answered 503: attempt 2", "not verified  answered 200: attempt 3"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q in:\n%s", got, want, failing.said())
	}

	type line struct {
		ID              string
		Attempt, Status int
	}
	var lines []line
	until(t, "the second attempt", func() bool {
		lines = nil
		for dec := json.NewDecoder(strings.NewReader(asJSON.said())); ; {
			var l line
			if dec.Decode(&l) != nil {
				return len(lines) == 2
			}
			lines = append(lines, l)
		}
	})
	if id := lines[0].ID; id == "" || lines[0] != (line{id, 1, 500}) || lines[1] != (line{id, 2, 200}) {
		t.Errorf("%+v", lines)
	}
	until(t, "the refused one", func() bool { return strings.Contains(down.said(), "answered 410  dl_") })
}
