package run

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	_ "github.com/surveygate/surveygate/connectors/all"
	"github.com/surveygate/surveygate/gateway/client"
	"github.com/surveygate/surveygate/gateway/internal/leaktest"
	"github.com/surveygate/surveygate/gateway/internal/socket"
	"github.com/surveygate/surveygate/gateway/receiver"
	"github.com/surveygate/surveygate/gateway/redistest"
)

func TestMain(m *testing.M) {
	leaktest.Main(m,
		// Both end by themselves: the one with the process, the other at its next look, 10 s after its server stopped.
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"))
}

const hookSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// site is a gateway with a folder, a configuration file and a receiver of its own.
type site struct {
	t       *testing.T
	options Options
	hook    string
	came    chan receiver.Received
	started Started
	stop    func() error
	client  *client.Client
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{t: t, came: make(chan receiver.Received, 100)}
	receiver, err := receiver.Listen(t.Context(), receiver.Options{
		Listen: "127.0.0.1:0", Style: "standard", Secrets: []string{hookSecret}, Heard: func(r receiver.Received) { s.came <- r },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = receiver.Close() })
	s.hook = receiver.URL()
	dir := t.TempDir()
	s.options = Options{
		Config: filepath.Join(dir, "surveygate.yaml"), Data: filepath.Join(dir, "data"), Listen: "127.0.0.1:0", lookEvery: 20 * time.Millisecond,
		Env: func(name string) (string, bool) { return hookSecret, name == "HOOK_SECRET" },
		Log: slog.New(slog.DiscardHandler),
	}
	s.write(6)
	return s
}

// write makes a configuration that sends scores up to most to the receiver.
func (s *site) write(most int) {
	s.t.Helper()
	s.writeText(fmt.Sprintf(`
outbound: {allow_addresses: ["127.0.0.0/8"], allow_http: true}
webhooks:
  - {name: hook, url: %q, secrets: ["${HOOK_SECRET}"]}
rules:
  - {name: low, when: nps_score <= %d, send: [hook]}
`, s.hook, most))
}

func (s *site) writeText(text string) {
	s.t.Helper()
	// Renamed, so that nobody ever reads half a file.
	if err := os.WriteFile(s.options.Config+".new", []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	if err := os.Rename(s.options.Config+".new", s.options.Config); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) start() {
	s.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	up, ended := make(chan Started, 1), make(chan error, 1)
	o := s.options
	o.Started = func(st Started) { up <- st }
	go func() { ended <- Run(ctx, o) }()
	select {
	case s.started = <-up:
	case err := <-ended:
		cancel()
		s.t.Fatal(err)
	}
	client, err := client.Dial(client.Options{Data: s.options.Data})
	if err != nil {
		s.t.Fatal(err)
	}
	s.client = client
	stopped := false
	s.stop = func() error {
		if stopped {
			return nil
		}
		stopped = true
		client.Close()
		cancel()
		return <-ended
	}
	s.t.Cleanup(func() { _ = s.stop() })
}

func (s *site) publish(id string, score int) string {
	s.t.Helper()
	body := fmt.Sprintf(`{"type":"response.completed","id":%q,"nps_score":%d}`, id, score)
	got, err := s.client.Publish(s.t.Context(), "", []byte(body))
	if err != nil || len(got) != 1 {
		s.t.Fatal(got, err)
	}
	return got[0].ID
}

// until waits for what a file's change or a commit makes true.
func (s *site) until(what string, true func() bool) {
	s.t.Helper()
	end := time.After(2 * time.Minute)
	for !true() {
		select {
		case <-time.After(10 * time.Millisecond):
		case <-end:
			s.t.Fatalf("not reached: %s", what)
		}
	}
}

func (s *site) explained(id string) *client.Explanation {
	s.t.Helper()
	x, err := s.client.Explain(s.t.Context(), id, "")
	if err != nil {
		s.t.Fatal(err)
	}
	return x
}

func (s *site) decided(id string) *client.Explanation {
	s.t.Helper()
	var x *client.Explanation
	s.until("decided", func() bool { x = s.explained(id); return x.State == "decided" })
	return x
}

func (s *site) delivered(id string) {
	s.t.Helper()
	s.until("delivered", func() bool {
		page, err := s.client.Deliveries(s.t.Context(), url.Values{"event": {id}})
		return err == nil && len(page.Data) == 1 && page.Data[0].State == "delivered"
	})
	if r := <-s.came; !r.Good {
		s.t.Errorf("signature: %s", r.Fault)
	}
}

// A gateway's life: an event in, out and explained; another configuration; a bad one; a stop; a start that knows it all.
func TestLife(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.start()
	first := s.started
	if first.Token == "" || first.Data != s.options.Data {
		t.Errorf("started %+v", first)
	}
	low := s.publish("low", 3)
	s.delivered(low)
	high := s.publish("high", 9)
	x := s.decided(high)
	if len(x.Rules) != 1 || x.Rules[0].Matched || x.Generation == "" {
		t.Errorf("explained %+v", x)
	}

	s.write(10)
	s.until("the file is read", func() bool { return s.explained(high).Changed != nil })
	if again := s.explained(high); again.Generation != x.Generation || again.Unknown {
		t.Errorf("decided by %s, and now explained with %s", x.Generation, again.Generation)
	}
	higher := s.publish("higher", 9)
	s.delivered(higher)

	s.writeText("rules: [{name: x, when: nps_scor <= 3, send: [nobody]}]")
	bad := s.publish("after-a-bad-file", 9)
	s.delivered(bad)

	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(first.Socket); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the socket is left behind: %v", err)
	}
	if _, err := s.client.Explain(t.Context(), low, ""); !errors.Is(err, client.ErrNotRunning) {
		t.Errorf("asked after the stop: %v", err)
	}
	s.write(10)
	s.start()
	if s.started.Token != "" {
		t.Error("the first token was shown twice")
	}
	if x := s.explained(high); x.State != "decided" || x.Unknown {
		t.Errorf("after the restart: %+v", x)
	}
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	if n := len(s.came); n > 0 {
		t.Errorf("%d more requests than events", n)
	}
	secretsKept(t, s.options.Data, hookSecret, first.Token)
}

// secretsKept fails where a file of the data folder holds a secret as it is.
func secretsKept(t *testing.T, dir string, secrets ...string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(name)
		for _, secret := range secrets {
			if bytes.Contains(text, []byte(secret)) {
				t.Errorf("%s holds a secret", name)
			}
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// What keeps a gateway from starting is said, and everything that was open is closed: it starts once that is gone.
func TestCannotStart(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name string
		// hinder puts something in the way and returns what takes it away.
		hinder func(t *testing.T, s *site) (undo func())
		want   string
	}{
		{"port taken", func(t *testing.T, s *site) func() {
			s.options.Listen = fmt.Sprintf("127.0.0.1:%d", redistest.Port(t)) // which stays free when it is given back
			l, err := net.Listen("tcp", s.options.Listen)
			if err != nil {
				t.Fatal(err)
			}
			return func() { _ = l.Close() }
		}, "address already in use"},
		{"folder locked", func(t *testing.T, s *site) func() {
			other := *s
			other.start()
			return func() { _ = other.stop() }
		}, "another gateway runs with this data folder"},
		{"folder is a file", func(t *testing.T, s *site) func() {
			if err := os.WriteFile(s.options.Data, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			return func() { _ = os.Remove(s.options.Data) }
		}, "not a directory"},
		{"socket in the way", func(t *testing.T, s *site) func() {
			dir := filepath.Join(s.options.Data, socket.Name)
			if err := os.MkdirAll(filepath.Join(dir, "full"), 0o700); err != nil {
				t.Fatal(err)
			}
			return func() { _ = os.RemoveAll(dir) }
		}, "control socket"},
		{"bad file", func(t *testing.T, s *site) func() {
			s.writeText("rules: [{name: x, when: nps_scor <= 3, send: []}]")
			return func() { s.write(6) }
		}, "did you mean nps_score?"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			undo := c.hinder(t, s)
			err := Run(t.Context(), s.options)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("said %v, want %q in it", err, c.want)
			}
			undo()
			s.start()
			if err := s.stop(); err != nil {
				t.Error(err)
			}
		})
	}
}

// Stopped before its servers run, a gateway stops all the same.
func TestStoppedAtOnce(t *testing.T) {
	t.Parallel()
	for range 5 {
		s := newSite(t)
		ctx, cancel := context.WithCancel(t.Context())
		s.options.Started = func(Started) { cancel() }
		ended := make(chan error, 1)
		go func() { ended <- Run(ctx, s.options) }()
		select {
		case err := <-ended:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(time.Minute):
			t.Fatal("still running")
		}
	}
}

// A client that keeps its connection does not keep the gateway from stopping.
func TestStopsWithIdleConnections(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.start()
	res, err := http.Get("http://" + s.started.Address + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	began := time.Now()
	if err := s.stop(); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took >= stopWithin {
		t.Errorf("stopped after %s", took)
	}
	http.DefaultClient.CloseIdleConnections()
}

// What is left of a killed gateway is no obstacle, and paths longer than a socket's address may be are none either.
func TestSocket(t *testing.T) {
	t.Parallel()
	for _, folder := range []string{"data", strings.Repeat("long/", 40) + "data"} {
		s := newSite(t)
		s.options.Data = filepath.Join(filepath.Dir(s.options.Data), folder)
		if err := os.MkdirAll(s.options.Data, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(s.options.Data, socket.Name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		s.start()
		info, err := os.Stat(s.started.Socket)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Fatal(info, err)
		}
		before := openFiles(t)
		for i := range 20 {
			s.publish(fmt.Sprint("e", i), 9)
			s.client.Close() // the next one dials again
		}
		if after := openFiles(t); after > before+10 {
			t.Errorf("%d more files are open after 20 dials", after-before)
		}
		if err := s.stop(); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(s.started.Socket); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the socket is left behind: %v", err)
		}
	}
}

// openFiles counts this process's folders that are open; other tests' come and go by few.
func openFiles(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0 // only Linux needs them
	}
	n := 0
	for _, f := range all {
		if to, err := os.Readlink("/proc/self/fd/" + f.Name()); err == nil && strings.Contains(to, "long/long") && !strings.Contains(to, "/store/") {
			n++
		}
	}
	return n
}
