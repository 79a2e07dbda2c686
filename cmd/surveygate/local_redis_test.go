package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/redistest"
)

// localRedis is a redis-server of a test's own, spoken to as a person would: with redis-cli.
type localRedis struct {
	t    testing.TB
	port string
}

func startRedis(t testing.TB, args ...string) *localRedis {
	t.Helper()
	for range 5 {
		if r := (&localRedis{t, strconv.Itoa(redistest.Port(t))}); r.run(args) {
			return r
		}
	}
	t.Fatal("redis-server does not start; where it is not installed: make needs")
	return nil
}

// run is false where somebody else took the port.
func (r *localRedis) run(args []string) bool {
	r.t.Helper()
	dir, err := os.MkdirTemp("", "surveygate-redis-")
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = os.RemoveAll(dir) })
	cmd := exec.Command("redis-server", append([]string{
		"--port", r.port, "--bind", "127.0.0.1", "--dir", dir, "--save", "", "--logfile", filepath.Join(dir, "log"),
	}, args...)...)
	if err := cmd.Start(); err != nil {
		r.t.Fatalf("%v; `make needs` installs it", err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	r.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
	})
	mine := fmt.Sprintf("process_id:%d\r", cmd.Process.Pid) // and not another's that has the port
	for end := time.Now().Add(patience); time.Now().Before(end); {
		pong, err := exec.CommandContext(r.t.Context(), "redis-cli", "-p", r.port, "PING").Output()
		if err == nil && strings.HasPrefix(string(pong), "PONG") {
			if out, err := exec.CommandContext(r.t.Context(), "redis-cli", "-p", r.port, "INFO", "server").Output(); err == nil && strings.Contains(string(out), mine) {
				return true
			}
		}
		select {
		case <-ended:
			return false
		case <-time.After(10 * time.Millisecond): // between looks at another process
		}
	}
	return false
}

func (r *localRedis) url() string { return "redis://127.0.0.1:" + r.port + "/0" }

// do runs a command and returns its answer as redis-cli prints it, line by line.
func (r *localRedis) do(args ...any) string {
	r.t.Helper()
	line := []string{"-p", r.port}
	for _, a := range args {
		line = append(line, fmt.Sprint(a))
	}
	out, err := exec.CommandContext(r.t.Context(), "redis-cli", line...).CombinedOutput()
	text := strings.TrimSpace(string(out))
	if err != nil || strings.HasPrefix(text, "ERR ") || strings.HasPrefix(text, "NOGROUP ") {
		r.t.Fatalf("%v: %v\n%s", args, err, text)
	}
	return text
}

// pending is how many entries of a stream were given to a group and not acknowledged.
func (r *localRedis) pending(stream, group string) string {
	r.t.Helper()
	count, _, _ := strings.Cut(r.do("XPENDING", stream, group), "\n")
	return count
}
