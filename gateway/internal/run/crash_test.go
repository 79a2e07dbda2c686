package run

import (
	"encoding/json"
	"log/slog"
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
	"github.com/surveygate/surveygate/gateway/redistest"
)

// Killed between the write of a document and its use, the built program uses it from the next start on, for the first event too.
func TestCrashBeforeDocumentIsUsed(t *testing.T) {
	t.Parallel()
	program := filepath.Join(t.TempDir(), "surveygate-crashpoints")
	build := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-tags", "crashpoints", "-o", program, "../../../cmd/surveygate")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		t.Fatal(err)
	}
	s := newSite(t)
	s.options.Redis = redistest.Start(t, redistest.Durable...).URL()
	p := exec.CommandContext(t.Context(), program, "run", "--config", s.options.Config, "--data", s.options.Data, "--listen", "127.0.0.1:0", "--redis", s.options.Redis)
	p.Env = append(os.Environ(), "HOOK_SECRET="+hookSecret, "SURVEYGATE_CRASH_AT="+crashpoint.DocumentRead+":1")
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	died := make(chan error, 1)
	go func() { died <- p.Wait() }()
	s.until("the program serves", func() bool {
		c, err := client.Dial(client.Options{Data: s.options.Data})
		if err != nil {
			return false
		}
		defer c.Close()
		return c.Do(t.Context(), client.Call{Path: "/readyz"}) == nil
	})

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
	select {
	case err := <-died:
		if err == nil {
			t.Fatal("it ended by itself")
		}
	case <-time.After(time.Minute):
		t.Fatal("it passed the point and lives")
	}

	s.run()
	s.delivered(s.publish("first", 10))
}
