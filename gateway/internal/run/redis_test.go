package run

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/redistest"
)

// lines is a log that can be read while it is written.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// A gateway's life on Redis: what it keeps is found by the next start, and what could lose data is said.
func TestLifeOnRedis(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := newSite(t)
	s.options.Redis = server.URL()
	s.start()
	if s.started.Engine != config.EngineRedis || s.started.Prefix != "surveygate" || s.started.Token == "" {
		t.Errorf("started %+v", s.started)
	}
	if all := strings.Join(s.started.Warnings, "\n"); !strings.Contains(all, "appendonly is no") {
		t.Errorf("warned of %q", all)
	}
	low := s.publish("low", 3)
	s.delivered(low)
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	s.start()
	if s.started.Token != "" {
		t.Error("the first token was shown twice")
	}
	if x := s.explained(low); x.State != "decided" || x.Unknown {
		t.Errorf("after the restart: %+v", x)
	}
}

// Of gateways that start at once on an empty Redis, one makes the first token and shows it; it opens all of them.
func TestFirstTokenOfReplicas(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	const replicas = 5
	sites := make([]*site, replicas)
	for i := range sites {
		sites[i] = newSite(t)
		sites[i].options.Redis = server.URL()
	}
	var starting sync.WaitGroup
	for _, s := range sites {
		starting.Go(s.start)
	}
	starting.Wait()
	var shown []string
	for _, s := range sites {
		if s.started.Token != "" {
			shown = append(shown, s.started.Token)
		}
	}
	if len(shown) != 1 {
		t.Fatalf("%d tokens were shown", len(shown))
	}
	for i, s := range sites {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.started.Address+"/v1/deliveries", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+shown[0])
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != http.StatusOK {
			t.Errorf("replica %d answers the token with %d", i, res.StatusCode)
		}
	}
	http.DefaultClient.CloseIdleConnections()
}

// A gateway may start before its Redis.
func TestRedisComesLater(t *testing.T) {
	t.Parallel()
	server := redistest.New(t)
	said := &lines{}
	s := newSite(t)
	s.options.Redis = server.URL()
	s.options.Log = slog.New(slog.NewTextHandler(said, nil))
	up := make(chan struct{})
	go func() {
		defer close(up)
		s.start()
	}()
	s.until("it says that it waits", func() bool { return strings.Contains(said.String(), "Redis does not answer yet") })
	server.Again()
	select {
	case <-up:
	case <-time.After(2 * time.Minute):
		t.Fatal("not started")
	}
	s.delivered(s.publish("low", 3))
}

// An outage of the store has a first and a last line in the log.
func TestOutageIsLogged(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	said := &lines{}
	s := newSite(t)
	s.options.Redis = server.URL()
	s.options.Log = slog.New(slog.NewTextHandler(said, nil))
	s.start()
	server.Kill()
	s.until("the log says that it is away", func() bool {
		return strings.Contains(said.String(), "level=ERROR msg=\"the store cannot make events durable")
	})
	server.Again()
	s.until("the log says that it is back", func() bool { return strings.Contains(said.String(), "level=INFO msg=\"the store works again\" after=") })
	s.delivered(s.publish("low", 3))
}

// How long a start waits is bounded, what waiting cannot mend is said at once, and a stop ends it.
func TestAwait(t *testing.T) {
	t.Parallel()
	away := fmt.Errorf("%w: nobody there", state.ErrUnavailable)
	t.Run("gives up", func(t *testing.T) {
		t.Parallel()
		manual := clock.NewManual(time.Unix(1e9, 0))
		g := &gateway{clock: manual, log: slog.New(slog.DiscardHandler)}
		ended := make(chan error, 1)
		tries := 0
		go func() {
			ended <- g.await(t.Context(), func() error { tries++; return away })
		}()
		for {
			select {
			case <-manual.Set():
				manual.Advance(redisRetryMax)
				continue
			case err := <-ended:
				if !errors.Is(err, state.ErrUnavailable) || !strings.Contains(err.Error(), "did not answer for 1m0s") {
					t.Errorf("said %v", err)
				}
				if tries < 12 {
					t.Errorf("%d tries", tries)
				}
			}
			break
		}
	})
	t.Run("refused", func(t *testing.T) {
		t.Parallel()
		g := &gateway{clock: clock.System(), log: slog.New(slog.DiscardHandler)}
		refused := errors.New("this Redis is version 6")
		if err := g.await(t.Context(), func() error { return refused }); !errors.Is(err, refused) {
			t.Errorf("said %v", err)
		}
	})
	t.Run("stopped", func(t *testing.T) {
		t.Parallel()
		g := &gateway{clock: clock.System(), log: slog.New(slog.DiscardHandler)}
		ctx, cancel := context.WithCancel(t.Context())
		err := g.await(ctx, func() error { cancel(); return away })
		if !errors.Is(err, state.ErrUnavailable) {
			t.Errorf("said %v", err)
		}
	})
	t.Run("told to leave", func(t *testing.T) {
		t.Parallel()
		manual := clock.NewManual(time.Unix(1e9, 0))
		leave := make(chan os.Signal, 1)
		g := &gateway{clock: manual, log: slog.New(slog.DiscardHandler), options: Options{Leave: leave}}
		ended := make(chan error, 1)
		go func() {
			ended <- g.await(t.Context(), func() error { return away })
		}()
		<-manual.Set()
		leave <- os.Interrupt
		select {
		case err := <-ended:
			if !errors.Is(err, state.ErrUnavailable) || !strings.Contains(err.Error(), "stopped while waiting for Redis") {
				t.Errorf("said %v", err)
			}
		case <-time.After(5 * time.Second):
			t.Error("the start still waits for Redis")
		}
	})
}

// Where everything is kept is no matter of a reload.
func TestReloadKeepsItsRedis(t *testing.T) {
	t.Parallel()
	server, said := redistest.Start(t), &lines{}
	s := newSite(t)
	s.options.Log = slog.New(slog.NewTextHandler(said, nil))
	s.writeText(fmt.Sprintf("redis: %q\n", server.URL()))
	s.start()
	for _, text := range []string{"listen: 127.0.0.1:0\n", fmt.Sprintf("redis: {url: %q, prefix: other}\n", server.URL())} {
		before := strings.Count(said.String(), "needs a restart")
		s.writeText(text)
		s.until("the file is refused", func() bool { return strings.Count(said.String(), "needs a restart") > before })
	}
	if strings.Contains(said.String(), "configuration loaded") {
		t.Errorf("a change of redis was loaded:\n%s", said)
	}
}

// Replicas on one machine have a folder each: the second one in a folder is told so, and the first keeps its socket.
func TestFolderOfAReplica(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := newSite(t)
	s.options.Redis = server.URL()
	s.start()
	if err := Run(t.Context(), s.options); err == nil || !strings.Contains(err.Error(), "another gateway runs in") {
		t.Errorf("said %v", err)
	}
	s.publish("still-there", 9)
	other := *s
	other.options.Data = filepath.Join(t.TempDir(), "other")
	other.start()
	other.publish("there-too", 9)
}

// TestEmptiedStore: somebody empties Redis while replicas run. Each of them warns, one makes another first token, which
// opens both, and the former goes on to open them; what is published afterwards is explained as before.
func TestEmptiedStore(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	said := make(chan string, 2)
	var sites [2]*site
	for i := range sites {
		sites[i] = newSite(t)
		sites[i].options.Redis = server.URL()
		sites[i].options.Token = func(_, token string) { said <- token }
		sites[i].start()
	}
	former := sites[0].started.Token
	sites[0].decided(sites[0].publish("before", 3))
	server.Do("FLUSHALL")
	var anew string
	select {
	case anew = <-said:
	case <-time.After(2 * time.Minute):
		t.Fatal("no token was said anew")
	}
	for i, s := range sites {
		s.until("it warns", func() bool { return strings.Contains(s.readyWarnings(), "was found empty") })
		s.until("it takes both tokens", func() bool {
			return opens(t, s.started.Address, anew) && opens(t, s.started.Address, former)
		})
		after := s.publish(fmt.Sprint("after", i), 3)
		s.until("what is decided from then on is explained", func() bool { // by the other one too, once it has noticed
			x := s.explained(after)
			return x.State == "decided" && !x.Unknown
		})
		if err := s.stop(); err != nil {
			t.Fatal(err)
		}
	}
	if len(said) > 0 {
		t.Error("two tokens were said anew")
	}
	sites[0].start()
	if sites[0].started.Token != "" || !opens(t, sites[0].started.Address, anew) || opens(t, sites[0].started.Address, former) {
		t.Error("after a restart only the token that was said anew opens, and no other is made")
	}
	if !strings.Contains(strings.Join(sites[0].started.Warnings, "\n"), "was found empty") {
		t.Errorf("the restart warns of %q", sites[0].started.Warnings)
	}
}

// opens reports whether a token may list deliveries.
func opens(t *testing.T, address, token string) bool {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+"/v1/deliveries", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	return res.StatusCode == http.StatusOK
}
