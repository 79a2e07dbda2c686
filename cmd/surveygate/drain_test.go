package main

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// draining is a configuration that says how long a stop goes on accepting.
func draining(d string) string {
	return "drain: " + d + "\ntokens: [{name: test, secret: " + testToken + ", scopes: [publish, read]}]\n"
}

// Told to stop, a gateway is not ready at once and accepts everything until `drain` is over, so that a balancer loses no
// request. A second signal does not wait for that.
func TestDrain(t *testing.T) {
	t.Parallel()
	for name, again := range map[string]os.Signal{"SIGTERM": syscall.SIGTERM, "interrupt": os.Interrupt} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := start(t, t.TempDir(), draining("10m"))
			_ = p.cmd.Process.Signal(syscall.SIGTERM)
			until(t, "it is not ready", func() bool {
				status, body := p.request(t, http.MethodGet, "/readyz")
				return status == http.StatusServiceUnavailable && strings.Contains(body, "the gateway is stopping")
			})
			if text, code := p.say("run", "--health"); code != 1 || !strings.Contains(text, "the gateway is stopping") {
				t.Errorf("run --health: exit %d:\n%s", code, text)
			}
			status, result, err := p.publish(http.DefaultClient, `{"type": "response.completed", "id": "late"}`)
			if err != nil || status != http.StatusOK || result != "accepted" {
				t.Errorf("published: %d %s, %v", status, result, err)
			}
			_ = p.cmd.Process.Signal(again)
			p.exits(0)
		})
	}
}

// The port closes by itself once `drain` is over.
func TestDrainEnds(t *testing.T) {
	t.Parallel()
	p := start(t, t.TempDir(), draining("1ms"))
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	p.exits(0)
}

// Clients that send nothing, or do not come to an end, delay nothing: deliveries stop before they are
// closed, and the exit code says that all went well.
func TestStopAmongSlowClients(t *testing.T) {
	t.Parallel()
	p := start(t, t.TempDir(), draining("0s"))
	talk := func(text string) net.Conn {
		var d net.Dialer
		c, err := d.DialContext(t.Context(), "tcp", p.address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		if _, err := io.WriteString(c, text); err != nil {
			t.Fatal(err)
		}
		return c
	}
	silent := talk("")
	half := talk("POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n")
	kept := talk("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
	if line, err := bufio.NewReader(kept).ReadString('\n'); err != nil || !strings.Contains(line, "200") {
		t.Fatalf("%s, %v", line, err)
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	_, _ = io.ReadAll(silent)
	text, _ := io.ReadAll(half)
	if !strings.Contains(string(text), "503") {
		t.Errorf("half a request is answered %q", text)
	}
	if !strings.Contains(p.said(), "deliveries have stopped") {
		t.Errorf("the clients were closed before deliveries stopped:\n%s", p.said())
	}
	p.exits(0)
}

// Whatever a process is started with, nobody else can read what it keeps.
func TestFilesAreOurs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := startWith(t, []string{"sh", "-c", `umask 0; exec "$0" "$@"`, binary}, dir, draining("0s"))
	if _, _, err := p.publish(http.DefaultClient, `{"type": "response.completed", "id": "one"}`); err != nil {
		t.Fatal(err)
	}
	p.stop()
	err := filepath.WalkDir(filepath.Join(dir, "data"), func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %s", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// exits waits for the end.
func (p *process) exits(code int) {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(patience):
		p.t.Fatalf("the gateway did not stop:\n%s", p.said())
	}
	if got := p.cmd.ProcessState.ExitCode(); got != code {
		p.t.Errorf("exit %d:\n%s", got, p.said())
	}
}
