package run

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/client"
	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/crashpoint"
	"github.com/surveygate/surveygate/gateway/internal/settings"
	"github.com/surveygate/surveygate/gateway/internal/state/redis"
	"github.com/surveygate/surveygate/gateway/internal/vault"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/redistest"
)

// Killed between the write of a document and its use, the built program uses it from the next start on, for the first event too.
func TestCrashBeforeDocumentIsUsed(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.options.Redis = redistest.Start(t, redistest.Durable...).URL()
	died := s.runUntil(crashpoint.DocumentRead)

	// Another replica takes the write, as its API would.
	store, err := redis.Open(redis.Options{URL: s.options.Redis, Prefix: "surveygate", Holder: "writer", Clock: clock.System(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	w := &settings.Writer{Store: store, Vault: vault.New(vault.Options{Store: store}), Clock: clock.System()}
	d := settings.Draft{Name: "rule/high", Spec: json.RawMessage(`{"when": "nps_score >= 9", "send": ["hook"]}`)}
	if _, err := w.Put(t.Context(), "default", d, 0); err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	s.awaitDeath(died)

	s.run()
	s.delivered(s.publish("first", 10))
}

// Killed within a change, the built program has written nothing of it, and the same change is made after the next start: neither what it
// noted nor its lease is in the way for long. Of a deletion, the destination and what holds it are as before.
func TestCrashWithinAChange(t *testing.T) {
	t.Parallel()
	for what, method := range map[string]string{"made": http.MethodPut, "deleted": http.MethodDelete} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			s.options.Redis = redistest.Start(t, redistest.Durable...).URL()
			s.withKeys(keyOne)
			spec := `{"url": "https://hook.example.com/in", "events": ["response.completed"], "when": "nps_score > 6"}`
			if method == http.MethodDelete {
				s.start()
				call[view.Webhook](s, http.MethodPut, "/v1/webhooks/own", spec)
				s.until("it is on hold", func() bool {
					return s.client.Do(t.Context(), client.Call{Method: http.MethodPost, Path: "/v1/destinations/own/pause"}) == nil
				})
				if err := s.stop(); err != nil {
					t.Fatal(err)
				}
			}
			died := s.runUntil(crashpoint.DocumentChecked)
			c, err := client.Dial(client.Options{Data: s.options.Data})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if err := c.Do(t.Context(), client.Call{Method: method, Path: "/v1/webhooks/own", Body: []byte(spec), ContentType: "application/json"}); err == nil {
				t.Error("the change was answered")
			}
			s.awaitDeath(died)

			s.start()
			var d view.Destination
			err = s.client.Do(t.Context(), client.Call{Path: "/v1/destinations/own", Into: &d})
			if method == http.MethodDelete {
				if err != nil || d.State != "paused" {
					t.Errorf("%+v, %v", d, err)
				}
			} else if err == nil {
				t.Errorf("%+v", d)
			}
			s.until("the change is made", func() bool {
				return s.client.Do(t.Context(), client.Call{Method: method, Path: "/v1/webhooks/own", Body: []byte(spec), ContentType: "application/json"}) == nil
			})
		})
	}
}

// runUntil runs the built program on the site's store until it passes a crash point, where it dies.
func (s *site) runUntil(point string) (died chan error) {
	s.t.Helper()
	program := filepath.Join(s.t.TempDir(), "surveygate-crashpoints")
	build := exec.CommandContext(s.t.Context(), "go", "build", "-buildvcs=false", "-tags", "crashpoints", "-o", program, "../../../cmd/surveygate")
	build.Stderr, build.Env = os.Stderr, append(os.Environ(), "CGO_ENABLED=0") // as cmd/surveygate's tests build it
	if err := build.Run(); err != nil {
		s.t.Fatal(err)
	}
	p := exec.CommandContext(s.t.Context(), program, "run", "--config", s.options.Config, "--data", s.options.Data, "--listen", "127.0.0.1:0", "--redis", s.options.Redis)
	p.Env = append(os.Environ(), "SURVEYGATE_CRASH_AT="+point+":1")
	for _, name := range []string{"HOOK_SECRET", "SURVEYGATE_KEY"} {
		if value, ok := s.options.Env(name); ok {
			p.Env = append(p.Env, name+"="+value)
		}
	}
	if err := p.Start(); err != nil {
		s.t.Fatal(err)
	}
	died = make(chan error, 1)
	go func() { died <- p.Wait() }()
	s.until("the program serves", func() bool {
		c, err := client.Dial(client.Options{Data: s.options.Data})
		if err != nil {
			return false
		}
		defer c.Close()
		return c.Do(s.t.Context(), client.Call{Path: "/readyz"}) == nil
	})
	return died
}

// awaitDeath waits until the built program has died.
func (s *site) awaitDeath(died chan error) {
	s.t.Helper()
	select {
	case err := <-died:
		if err == nil {
			s.t.Fatal("it ended by itself")
		}
	case <-time.After(time.Minute):
		s.t.Fatal("it passed the point and lives")
	}
}
