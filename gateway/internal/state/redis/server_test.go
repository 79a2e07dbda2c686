package redis

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/surveygate/surveygate/gateway/redistest"
)

// server is a redis-server of one test, in its own folder and on its own port.
type server struct {
	t     testing.TB
	dir   string
	port  int
	args  []string
	first []string // arguments before all others
	cmd   *exec.Cmd
	done  chan struct{}
}

const install = "redis-server is not installed; the tests of this engine need it: sudo apt-get install -y redis-server"

func redisServer(t testing.TB) string {
	t.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		t.Fatal(install)
	}
	return path
}

// start starts a server that ends with its test. If another process takes its port first, it tries another one.
func start(t testing.TB, args ...string) *server {
	t.Helper()
	s := &server{t: t, dir: folder(t), args: args}
	for range 5 {
		s.port = redistest.Port(t)
		if s.run() {
			return s
		}
	}
	t.Fatalf("redis-server does not start: %s", s.log())
	return nil
}

// folder makes a folder for a server. It is not t.TempDir, which fails if a child of Redis writes into it while it is removed.
func folder(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "surveygate-redis-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func (s *server) log() string {
	text, err := os.ReadFile(filepath.Join(s.dir, "log"))
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// run starts the process and waits until it answers; false means that it ended.
func (s *server) run() bool {
	s.t.Helper()
	args := append(slices.Clone(s.first),
		"--port", strconv.Itoa(s.port), "--bind", "127.0.0.1", "--dir", s.dir, "--logfile", filepath.Join(s.dir, "log"),
	)
	if s.first == nil {
		args = append(args, "--save", "", "--enable-debug-command", "yes")
	}
	args = append(args, s.args...)
	s.cmd = exec.Command(redisServer(s.t), args...)
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	done := make(chan struct{})
	s.done = done
	cmd := s.cmd
	go func() {
		cmd.Wait()
		close(done)
	}()
	s.t.Cleanup(func() {
		cmd.Process.Kill()
		<-done
	})
	c := s.client()
	defer c.Close()
	mine := fmt.Sprintf("\r\nprocess_id:%d\r\n", cmd.Process.Pid) // and not another's that has the port
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); {
		if c.Ping(s.t.Context()).Err() == nil && strings.Contains(c.Info(s.t.Context(), "server").Val(), mine) {
			return true
		}
		select {
		case <-done:
			return false
		case <-time.After(5 * time.Millisecond):
		}
	}
	return false
}

// kill ends the server like kill -9.
func (s *server) kill() {
	s.t.Helper()
	if err := s.cmd.Process.Kill(); err != nil {
		s.t.Fatal(err)
	}
	<-s.done
}

// again restarts the server on the same port and folder.
func (s *server) again() {
	s.t.Helper()
	until(s.t, "redis starts again", s.run)
}

func (s *server) url() string { return fmt.Sprintf("redis://127.0.0.1:%d/0", s.port) }

func (s *server) client() *goredis.Client {
	return goredis.NewClient(&goredis.Options{Addr: fmt.Sprintf("127.0.0.1:%d", s.port), Protocol: 2, MaxRetries: -1})
}

// do runs one command.
func (s *server) do(args ...any) any {
	s.t.Helper()
	c := s.client()
	defer c.Close()
	v, err := c.Do(context.Background(), args...).Result()
	if err != nil && err != goredis.Nil { //nolint:errorlint // go-redis returns it bare
		s.t.Fatalf("%v: %v", args, err)
	}
	return v
}

// try runs one command and returns nil if it fails.
func (s *server) try(args ...any) any {
	s.t.Helper()
	c := s.client()
	defer c.Close()
	v, err := c.Do(context.Background(), args...).Result()
	if err != nil {
		return nil
	}
	return v
}

func (s *server) config(name, value string) { s.t.Helper(); s.do("CONFIG", "SET", name, value) }

// info returns a field of INFO.
func (s *server) info(section, name string) string {
	s.t.Helper()
	for l := range strings.SplitSeq(asText(s.do("INFO", section)), "\n") {
		if n, v, ok := strings.Cut(strings.TrimSpace(l), ":"); ok && n == name {
			return v
		}
	}
	return ""
}

// until waits for a condition. Its bound is for a slow and busy machine.
func until(t testing.TB, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(3 * time.Minute); time.Now().Before(deadline); {
		if is() {
			return
		}
		time.Sleep(5 * time.Millisecond) // between looks at another process
	}
	t.Fatalf("waited in vain: %s", what)
}
