package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// tails runs `tail` until the test ends it, and returns its lines once the gateway listens.
func tails(t *testing.T, p *process, args ...string) (lines <-chan string, end func() int) {
	t.Helper()
	cmd := exec.CommandContext(context.Background(), binary, append(append([]string{"tail"}, args...), "--data", filepath.Join(p.dir, "data"))...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	errs, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	if said, err := bufio.NewReader(errs).ReadString('\n'); err != nil || !strings.Contains(said, "waiting") {
		t.Fatalf("it says %q, %v", said, err)
	}
	all := make(chan string, 100)
	go func() {
		defer close(all)
		for scan := bufio.NewScanner(out); scan.Scan(); {
			all <- scan.Text()
		}
	}()
	return all, func() int {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
		return cmd.ProcessState.ExitCode()
	}
}

// `tail` shows what happens, by its filters, goes on over a restart of the gateway, and ends cleanly.
func TestTail(t *testing.T) {
	t.Parallel()
	s := newSink(t, func(n int, _ *http.Request) int {
		if n == 1 {
			return http.StatusServiceUnavailable
		}
		return http.StatusOK
	})
	dir := t.TempDir()
	yaml := `
outbound: {allow_addresses: ["127.0.0.0/8"], allow_http: true}
webhooks: [{name: hook, url: "` + s.url + `", signature: none, events: [response.completed], retry: [200ms, 200ms]}]
rules: [{name: promoter, when: nps_score >= 9, send: [hook]}]
`
	p := start(t, dir, yaml)
	all, end := tails(t, p)
	failed, endFailed := tails(t, p, "--json", "--failed", "--destination", "hook")
	p.ask(nil, "emit", `{"type":"response.completed","id":"e1","nps_score":3}`)
	for _, want := range []string{"event     response.completed from api; matched webhook hook", "retry     webhook hook: 503, ", "delivered webhook hook: 200, "} {
		if line := <-all; !strings.Contains(line, want) {
			t.Errorf("%q, want %q", line, want)
		}
	}
	var line struct {
		Kind, Verdict, State, Due string
		Status                    int
	}
	if err := json.Unmarshal([]byte(<-failed), &line); err != nil || line.Status != 503 || line.Verdict != "retry" || line.State != "waiting" || line.Due == "" {
		t.Errorf("the failed one is %+v, %v", line, err)
	}
	if code := endFailed(); code != 0 {
		t.Errorf("interrupted, it exits with %d", code)
	}

	p.kill()
	p = start(t, dir, yaml)
	n := 0
	until(t, "tail is there again", func() bool {
		n++ // the same event twice would be one
		p.ask(nil, "emit", fmt.Sprintf(`{"type":"survey.closed","id":"closed-%d"}`, n))
		select {
		case line := <-all:
			return strings.Contains(line, "survey.closed from api; no rule matched")
		default:
			return false
		}
	})
	if code := end(); code != 0 {
		t.Errorf("interrupted, it exits with %d", code)
	}
	p.kill()
	out, errs, code := invoke(t, dir, nil, "tail", "--data", filepath.Join(dir, "data"))
	if code != 3 || out != "" || !strings.Contains(errs, "no gateway is running") {
		t.Errorf("without a gateway: %d, %s%s", code, out, errs)
	}
}
