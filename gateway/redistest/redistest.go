// Package redistest runs redis-server processes for tests of other packages, each in its own folder and on its own port.
package redistest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Server is one redis-server. It ends with its test.
type Server struct {
	t    testing.TB
	dir  string
	port int
	args []string
	cmd  *exec.Cmd
	done chan struct{}
}

// Durable are the arguments of a Redis that loses no write that it has confirmed.
var Durable = []string{"--appendonly", "yes", "--appendfsync", "always"}

// EverySecond are the arguments of a Redis that may lose the last second, which is the usual setting.
var EverySecond = []string{"--appendonly", "yes", "--appendfsync", "everysec"}

// New finds a folder and a port for a server that is not started yet.
func New(t testing.TB, args ...string) *Server {
	t.Helper()
	dir, err := os.MkdirTemp("", "surveygate-redis-")
	if err != nil {
		t.Fatal(err)
	}
	// Not t.TempDir, which fails if a child of Redis writes into it while it is removed.
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return &Server{t: t, dir: dir, port: Port(t), args: args}
}

// Start starts a server. If another process takes its port first, it tries another one.
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	s := New(t, args...)
	for range 5 {
		if s.run() {
			return s
		}
		s.port = Port(t)
	}
	t.Fatalf("redis-server does not start:\n%s", s.log())
	return nil
}

// Port returns a free port. It is below the ports that the system gives to clients, so that no connection takes it while its
// server is down. So is the port of a Cluster's bus, which is 10,000 higher.
func Port(t testing.TB) int {
	t.Helper()
	var lc net.ListenConfig
	for range 1000 {
		port := 10000 + rand.IntN(11000)
		l, err := lc.Listen(t.Context(), "tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		return port
	}
	t.Fatal("no port is free")
	return 0
}

func (s *Server) log() string {
	text, err := os.ReadFile(filepath.Join(s.dir, "log"))
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// run starts the process and waits until it answers; false means that it ended.
func (s *Server) run() bool {
	s.t.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		s.t.Fatal("redis-server is not installed; these tests need it: sudo apt-get install -y redis-server")
	}
	args := append([]string{
		"--port", strconv.Itoa(s.port), "--bind", "127.0.0.1", "--dir", s.dir, "--logfile", filepath.Join(s.dir, "log"), "--save", "",
	}, s.args...)
	cmd := exec.CommandContext(context.Background(), path, args...)
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(done)
	}()
	s.cmd, s.done = cmd, done
	s.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-done
	})
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); {
		if s.answers() {
			return true
		}
		select {
		case <-done:
			return false
		case <-time.After(5 * time.Millisecond): // between looks at another process
		}
	}
	return false
}

// Again restarts the server on the same port and folder.
func (s *Server) Again() {
	s.t.Helper()
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); { // the port of a killed server may still be in use for a moment
		if s.run() {
			return
		}
		time.Sleep(10 * time.Millisecond) // between looks at another process
	}
	s.t.Fatalf("redis-server does not start again:\n%s", s.log())
}

// Kill ends the server like kill -9.
func (s *Server) Kill() {
	_ = s.cmd.Process.Kill()
	<-s.done
}

// Freeze stops the server like a machine that hangs; Thaw continues it.
func (s *Server) Freeze() { s.signal(syscall.SIGSTOP) }

// Thaw ends Freeze.
func (s *Server) Thaw() { s.signal(syscall.SIGCONT) }

func (s *Server) signal(sig os.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Fatal(err)
	}
}

// PID returns the process ID.
func (s *Server) PID() int { return s.cmd.Process.Pid }

// URL returns the address of the server.
func (s *Server) URL() string { return fmt.Sprintf("redis://127.0.0.1:%d/0", s.port) }

// answers reports whether this server, and not another one on the port, answers.
func (s *Server) answers() bool {
	if _, err := s.command("PING"); err != nil {
		return false
	}
	text, err := s.command("INFO", "server")
	said, _ := text.(string)
	return err == nil && strings.Contains(said, fmt.Sprintf("\r\nprocess_id:%d\r\n", s.PID()))
}

// Do runs one command and returns its reply: a string, an int64, nil, or a list of these.
func (s *Server) Do(args ...any) any {
	s.t.Helper()
	v, err := s.Try(args...)
	if err != nil {
		s.t.Fatalf("%v: %v", args, err)
	}
	return v
}

// Try is Do for a command that may fail.
func (s *Server) Try(args ...any) (any, error) {
	texts := make([]string, len(args))
	for i, a := range args {
		texts[i] = fmt.Sprint(a)
	}
	return s.command(texts...)
}

// Info returns a field of INFO.
func (s *Server) Info(section, name string) string {
	s.t.Helper()
	text, _ := s.Do("INFO", section).(string)
	for l := range strings.SplitSeq(text, "\n") {
		if n, v, ok := strings.Cut(strings.TrimSpace(l), ":"); ok && n == name {
			return v
		}
	}
	return ""
}

// command speaks the protocol of Redis itself, as go-redis may not be imported here.
func (s *Server) command(args ...string) (any, error) {
	var d net.Dialer
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	c, err := d.DialContext(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", s.port))
	if err != nil {
		return nil, err
	}
	defer func() { _ = c.Close() }()
	if end, ok := ctx.Deadline(); ok {
		_ = c.SetDeadline(end)
	}
	request := fmt.Appendf(nil, "*%d\r\n", len(args))
	for _, a := range args {
		request = fmt.Appendf(request, "$%d\r\n%s\r\n", len(a), a)
	}
	if _, err := c.Write(request); err != nil {
		return nil, err
	}
	return reply(bufio.NewReader(c))
}

func reply(r *bufio.Reader) (any, error) {
	line, err := r.ReadString('\n')
	if err != nil {
		return nil, err
	}
	kind, text := line[0], strings.TrimSpace(line[1:])
	switch kind {
	case '+':
		return text, nil
	case '-':
		return nil, errors.New(text)
	}
	n, err := strconv.ParseInt(text, 10, 64)
	switch {
	case err != nil || kind == ':':
		return n, err
	case n < 0:
		return nil, nil
	case kind == '$':
		b := make([]byte, n+2)
		_, err := io.ReadFull(r, b)
		return string(b[:n]), err
	}
	list := make([]any, n)
	for i := range list {
		if list[i], err = reply(r); err != nil {
			return nil, err
		}
	}
	return list, nil
}
