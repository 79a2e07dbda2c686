package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
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

// binary is the built program, made once for all tests of this folder.
var binary string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "surveygate-test-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer func() { _ = os.RemoveAll(dir) }()
		if binary = os.Getenv("SURVEYGATE_BENCH_BINARY"); binary != "" {
			return m.Run() // a build with a profiler in it
		}
		binary = filepath.Join(dir, "surveygate")
		// Without its revision: a checkout need not be one that git, where there is one, wants to look at.
		build := exec.CommandContext(context.Background(), "go", "build", "-buildvcs=false", "-o", binary, ".")
		build.Stderr = os.Stderr
		if err := build.Run(); err != nil {
			return 1
		}
		return m.Run()
	}())
}

// process is a running gateway: the real binary.
type process struct {
	t       testing.TB
	cmd     *exec.Cmd
	address string
	token   string
	dir     string
	ended   chan struct{}
	log     *bytes.Buffer
	logMu   *sync.Mutex
}

// patience bounds the wait for what must happen: it is for a machine that is slow and busy with other things.
const patience = 3 * time.Minute

const testToken = "test-token-of-more-than-thirty-two-characters"

// start runs the binary on a folder and waits until it listens. The same folder may be started again after it ended.
func start(t testing.TB, dir, yaml string, env ...string) *process {
	t.Helper()
	return startWith(t, []string{binary}, dir, yaml, env...)
}

// startWith is start for another program, or one that is started by another.
func startWith(t testing.TB, program []string, dir, yaml string, env ...string) *process {
	t.Helper()
	config := filepath.Join(dir, "surveygate.yaml")
	if err := os.WriteFile(config, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	p := &process{
		t: t, dir: dir, ended: make(chan struct{}), log: &bytes.Buffer{}, logMu: &sync.Mutex{}, token: testToken,
	}
	p.cmd = exec.CommandContext(context.Background(), program[0], append(program[1:len(program):len(program)],
		"run", "--config", config, "--data", filepath.Join(dir, "data"), "--listen", "127.0.0.1:0", "--json")...)
	p.cmd.Env = append(os.Environ(), env...)
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.cmd.Stderr = &lockedWriter{w: p.log, mu: p.logMu}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.kill() })
	started := make(chan string, 1)
	go func() {
		dec := json.NewDecoder(bufio.NewReader(stdout))
		var s struct{ Address string }
		if dec.Decode(&s) == nil {
			started <- s.Address
		} else {
			close(started)
		}
		_, _ = io.Copy(io.Discard, stdout)
		_ = p.cmd.Wait()
		close(p.ended)
	}()
	select {
	case p.address = <-started:
	case <-time.After(patience):
	}
	if p.address == "" {
		p.kill()
		t.Fatalf("the gateway did not start:\n%s", p.said())
	}
	return p
}

type lockedWriter struct {
	w  io.Writer
	mu *sync.Mutex
}

func (l *lockedWriter) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(b)
}

func (p *process) said() string {
	p.logMu.Lock()
	defer p.logMu.Unlock()
	return p.log.String()
}

// kill ends it as a power cut would: SIGKILL, at whatever it is doing.
func (p *process) kill() {
	_ = p.cmd.Process.Signal(syscall.SIGKILL)
	<-p.ended
}

// stop asks it to end, as a person does who does not wait for a balancer, and waits.
func (p *process) stop() {
	p.t.Helper()
	_ = p.cmd.Process.Signal(os.Interrupt)
	select {
	case <-p.ended:
	case <-time.After(patience):
		p.t.Fatalf("the gateway did not stop:\n%s", p.said())
	}
}

// invoke runs the binary for a moment and returns what it printed and its exit code.
func invoke(t testing.TB, dir string, env []string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	return call(t, binary, dir, env, args...)
}

// call is invoke for another program.
func call(t testing.TB, program, dir string, env []string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if _, failed := err.(*exec.ExitError); err != nil && !failed { //nolint:errorlint // exec returns it as it is
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// publish posts events in the form a person writes and returns the status of the answer and the first result.
func (p *process) publish(client *http.Client, body string) (status int, result string, err error) {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, "http://"+p.address+"/v1/events", strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	req.Header.Set("Authorization", "Bearer "+p.token)
	req.Header.Set("Content-Type", "application/json")
	res, err := client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = res.Body.Close() }()
	var answer struct {
		Results []struct{ ID, Status, Error string }
	}
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, "", err
	}
	if json.Unmarshal(text, &answer) == nil && len(answer.Results) > 0 {
		return res.StatusCode, answer.Results[0].Status, nil
	}
	return res.StatusCode, string(text), nil
}

// sink is a receiver that remembers what came, by delivery.
type sink struct {
	server *http.Server
	url    string

	mu     sync.Mutex
	times  map[string][]time.Time // by delivery id
	bodies map[string]string
	came   chan struct{} // receives after each request
}

// newSink answers with what answer says, once it says so.
func newSink(t *testing.T, answer func(n int, r *http.Request) int) *sink {
	t.Helper()
	s := &sink{times: map[string][]time.Time{}, bodies: map[string]string{}, came: make(chan struct{}, 1)}
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.url = "http://" + l.Addr().String()
	s.server = &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		id := r.Header.Get("webhook-id")
		s.mu.Lock()
		s.times[id] = append(s.times[id], time.Now())
		s.bodies[id] = string(body)
		n := len(s.times[id])
		s.mu.Unlock()
		status := http.StatusOK
		if answer != nil {
			status = answer(n, r)
		}
		w.WriteHeader(status)
		select {
		case s.came <- struct{}{}:
		default:
		}
	})}
	go func() { _ = s.server.Serve(l) }()
	t.Cleanup(func() { _ = s.server.Close() })
	return s
}

// await waits until the sink is as wanted.
func (s *sink) await(t *testing.T, wanted func(times map[string][]time.Time) bool) {
	t.Helper()
	end := time.After(patience)
	for {
		s.mu.Lock()
		ok := wanted(s.times)
		n := len(s.times)
		s.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-s.came:
		case <-end:
			t.Fatalf("the receiver heard of %d deliveries and that is not all", n)
		}
	}
}

// reload gives the gateway another configuration, and waits until it runs.
func (p *process) reload(yaml string) {
	p.t.Helper()
	loaded := func() int { return strings.Count(p.said(), "configuration loaded") }
	before := loaded()
	p.rewrite(yaml)
	until(p.t, "the new configuration is loaded", func() bool { return loaded() > before })
}

// rewrite gives the gateway another file, at once and whole, because it looks at it by itself too.
func (p *process) rewrite(yaml string) {
	p.t.Helper()
	file := filepath.Join(p.dir, "surveygate.yaml")
	if err := os.WriteFile(file+".new", []byte(yaml), 0o600); err != nil {
		p.t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		p.t.Fatal(err)
	}
	p.signal(syscall.SIGHUP)
}
