package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// resident returns how many bytes of memory the process holds.
func (p *process) resident() int {
	p.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, err := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")))
			if err != nil {
				p.t.Fatal(err)
			}
			return kib << 10
		}
	}
	p.t.Fatal("no VmRSS")
	return 0
}

// open makes a connection to the gateway and writes text on it.
func (p *process) open(text string) net.Conn {
	p.t.Helper()
	var d net.Dialer
	conn, err := d.DialContext(context.Background(), "tcp", p.address)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = conn.Close() })
	if _, err := io.WriteString(conn, text); err != nil {
		p.t.Fatal(err)
	}
	return conn
}

// healthy asks the gateway whether it is alive, on a connection of its own, and returns how long that took.
func (p *process) healthy() time.Duration {
	p.t.Helper()
	client := &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	began := time.Now()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://"+p.address+"/healthz", nil)
	if err != nil {
		p.t.Fatal(err)
	}
	res, err := client.Do(req)
	if err != nil {
		p.t.Fatalf("healthz: %v\n%s", err, p.said())
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusOK {
		p.t.Fatalf("healthz: %d", res.StatusCode)
	}
	return time.Since(began)
}

const strangersYAML = `
sources: {pollqr: {profile: pollqr, secrets: [pollqr-secret-0123456789]}}
`

// What a stranger announces takes no memory: only what was sent does.
func TestAnnouncedBodiesTakeNoMemory(t *testing.T) {
	t.Parallel()
	p := start(t, t.TempDir(), strangersYAML)
	p.healthy()
	before := p.resident()
	const each = 200
	for _, path := range []string{"/in/pollqr", "/in/nobody", "/nowhere"} {
		for range each {
			conn := p.open("POST " + path + " HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2097152\r\n\r\n")
			// 100 says that the gateway is about to read the body, anything else that it will not.
			line, err := bufio.NewReader(conn).ReadString('\n')
			if err != nil || !strings.HasPrefix(line, "HTTP/1.1 ") {
				t.Fatalf("%s: %q, %v", path, line, err)
			}
			if _, err := io.WriteString(conn, "{"); err != nil && strings.Contains(line, "100") {
				t.Fatal(err)
			}
		}
	}
	p.healthy()
	if grown := p.resident() - before; grown > 100<<20 {
		t.Errorf("%d connections that sent no body took %d MiB", 3*each, grown>>20)
	}
}

// limited runs the gateway with so many file descriptors.
func limited(t *testing.T, descriptors int, yaml string) *process {
	t.Helper()
	return startWith(t, []string{"sh", "-c", fmt.Sprintf(`ulimit -n %d; exec "$0" "$@"`, descriptors), binary}, t.TempDir(), yaml)
}

// More strangers than the gateway has room for keep nobody out: those that send no request give way.
func TestSlowConnectionsGiveWay(t *testing.T) {
	t.Parallel()
	p := limited(t, 512, strangersYAML)
	for i := range 600 {
		// Half a header, nothing at all, or half a body.
		p.open([]string{"GET / HTTP/1.1\r\nX: ", "", "POST /in/pollqr HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"}[i%3])
		if i%50 == 0 {
			p.healthy()
		}
	}
	if took := p.healthy(); took > 10*time.Second {
		t.Errorf("a fresh client was answered after %s", took)
	}
}

// Few descriptors and slow receivers: the gateway goes on, takes events, and delivers each of them everywhere.
func TestFewDescriptors(t *testing.T) {
	t.Parallel()
	const receivers, events = 20, 24
	var yaml strings.Builder
	fmt.Fprintf(&yaml, "outbound: {allow_addresses: [\"127.0.0.0/8\"], allow_http: true}\n"+
		"tokens: [{name: load, secret: %q, scopes: [publish, read]}]\nwebhooks:\n", testToken)
	sinks := make([]*sink, receivers)
	for i := range sinks {
		sinks[i] = newSink(t, func(int, *http.Request) int { time.Sleep(500 * time.Millisecond); return http.StatusOK })
		fmt.Fprintf(&yaml, "  - {name: sink%d, url: %q, events: [response.completed], signature: none, retry: [1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s]}\n", i, sinks[i].url)
	}
	p := limited(t, 256, yaml.String())
	// Strangers take part too.
	for range 300 {
		p.open("GET / HTTP/1.1\r\n")
	}
	client := &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	var group sync.WaitGroup
	for n := range events {
		group.Go(func() {
			for {
				status, result, err := p.publish(client, fmt.Sprintf(`{"type":"response.completed","id":"few-%d"}`, n))
				switch {
				case err == nil && status == http.StatusOK:
					return
				case err == nil && status == http.StatusServiceUnavailable:
					time.Sleep(100 * time.Millisecond)
				default:
					t.Errorf("%d %s, %v", status, result, err)
					return
				}
			}
		})
	}
	group.Wait()
	if t.Failed() {
		t.Fatal(p.said())
	}
	for _, s := range sinks {
		s.await(t, func(times map[string][]time.Time) bool { return len(times) >= events })
	}
	p.healthy()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+p.address+"/readyz", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK || !bytes.Contains(text, []byte("file descriptors")) {
		t.Errorf("readyz: %d %s, %v", res.StatusCode, text, err)
	}
	p.stop()
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("it ended with %d:\n%s", code, p.said())
	}
	for _, bad := range []string{"store is broken", "too many open files"} {
		if strings.Contains(p.said(), bad) {
			t.Errorf("%s:\n%s", bad, p.said())
		}
	}
}

// The control socket answers the operator while strangers hold the port.
func TestControlSocketWhileThePortIsFull(t *testing.T) {
	t.Parallel()
	p := limited(t, 256, strangersYAML)
	for range 300 {
		p.open("GET / HTTP/1.1\r\n")
	}
	_, stderr, code := invoke(t, p.dir, nil, "dead", "list", "--data", filepath.Join(p.dir, "data"))
	if code != 0 {
		t.Errorf("dead list: %d %s", code, stderr)
	}
}
