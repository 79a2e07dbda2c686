package run

import (
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/client"
	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/state/redis"
	"github.com/surveygate/surveygate/gateway/internal/vault"
	"github.com/surveygate/surveygate/gateway/offline"
	"github.com/surveygate/surveygate/gateway/redistest"
	"github.com/surveygate/surveygate/rules/event"
)

// fetched is a product whose access token is fetched with a refresh token.
type fetched struct{}

func (*fetched) request() *connectors.Request {
	return connectors.Post("https://api.fetched.example/records", nil).As(connectors.OAuth2{
		Grant: connectors.GrantRefreshToken, TokenURL: "https://api.fetched.example/token",
	})
}
func (f *fetched) Build(*event.Event) (*connectors.Request, error) { return f.request(), nil }
func (f *fetched) Check() []*connectors.Request                    { return []*connectors.Request{f.request()} }
func (*fetched) JudgeCheck(*connectors.Response) connectors.Proof  { return connectors.Proof{} }

func init() { connectors.Register("fetched", func() connectors.Connector { return &fetched{} }) }

const fetching = "connections: {contacts: {fetched: {}}}\n"

// Keys of tests, in base64.
const (
	keyOne = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
	keyTwo = "YWJjZGVmZ2hpamtsbW5vcDAxMjM0NTY3ODlhYmNkZWY="
)

// withKeys sets the keys of a site's environment.
func (s *site) withKeys(keys string) {
	s.options.Env = func(name string) (string, bool) {
		switch name {
		case "SURVEYGATE_KEY":
			return keys, keys != ""
		case "HOOK_SECRET":
			return hookSecret, true
		}
		return "", false
	}
}

// refused starts a site that must not start, and returns why.
func (s *site) refused() error {
	s.t.Helper()
	err := Run(s.t.Context(), s.options)
	if err == nil {
		s.t.Fatal("it started and stopped")
	}
	return err
}

// plant stores a refresh token.
func (s *site) plant(token string) {
	s.t.Helper()
	if _, err := s.client.StoreToken(s.t.Context(), "contacts", connectors.NewSecret(token)); err != nil {
		s.t.Fatal(err)
	}
}

// holdsToken starts a gateway without serving, and compares the refresh token that is stored.
func (s *site) holdsToken(want string) {
	s.t.Helper()
	g, err := open(s.t.Context(), s.options)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = g.life.stop(s.t.Context()) }()
	if p, err := g.vault.Planted(s.t.Context(), "default", "contacts"); err != nil || string(p.Token) != want {
		s.t.Errorf("stored is %q, %v", p.Token, err)
	}
}

// The embedded engine makes its key once; where it is lost, the start says what is lost and what to do.
func TestOwnKey(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.writeText(fetching)
	s.start()
	path := filepath.Join(s.options.Data, vault.KeyFile)
	made, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	s.plant("first")
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	s.holdsToken("first")
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	s.start()
	if want := "chmod 600 " + path; !strings.Contains(strings.Join(s.started.Warnings, "\n"), want) || !strings.Contains(s.readyWarnings(), want) {
		t.Errorf("of a key that others may read, the start warns of %q, readyz of %s", s.started.Warnings, s.readyWarnings())
	}
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	err = s.refused()
	for _, want := range []string{"needs the key k1", "token-planted of tenant default", "put " + path + " back from the backup", "or set SURVEYGATE_KEY", "--lost-key k1"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the start says %v, not %q", err, want)
		}
	}
	if _, err := os.Stat(path); err == nil {
		t.Fatal("another key was made")
	}
	// A backup brings it back.
	if err := os.WriteFile(path, made, 0o600); err != nil {
		t.Fatal(err)
	}
	s.holdsToken("first")
	// Without one, the operator's word deletes what is lost. Repeated, it deletes nothing.
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	s.options.LostKeys = []string{"k1"}
	s.start()
	s.plant("second")
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	s.holdsToken("second")
}

// A file that is no key stops the start, and stays as it is.
func TestStrangeKey(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	if err := os.MkdirAll(s.options.Data, 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(s.options.Data, vault.KeyFile)
	if err := os.WriteFile(path, []byte("k1:c2hvcnQ="), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.refused(); !strings.Contains(err.Error(), path+" k1 has 5 bytes and needs 32") || strings.Contains(err.Error(), "c2hvcnQ") {
		t.Errorf("said %v", err)
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "k1:c2hvcnQ=" {
		t.Errorf("it is %q now, %v", text, err)
	}
}

// Redis needs a key only for a configuration that has something to seal. Check warns of it; a start and a reload are refused.
func TestRedisWithoutAKey(t *testing.T) {
	t.Parallel()
	server, said := redistest.Start(t), &lines{}
	s := newSite(t)
	s.options.Redis = server.URL()
	s.options.Log = slog.New(slog.NewTextHandler(said, nil))
	s.writeText(fetching)
	const want = "needs a key to seal them in Redis, and none is set"
	if err := s.refused(); !config.IsLoadError(err) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "set SURVEYGATE_KEY") {
		t.Errorf("the start says %v", err)
	}
	report, err := offline.Check(offline.Options{Config: s.options.Config, Redis: server.URL(), Env: s.options.Env}, "")
	if err != nil || len(report.Warnings) != 1 || !strings.Contains(report.Warnings[0].String(), want) {
		t.Errorf("check says %v, %v", report, err)
	}
	if report, err = offline.Check(offline.Options{Config: s.options.Config, Env: s.options.Env}, ""); err != nil || len(report.Warnings) > 0 {
		t.Errorf("on the embedded engine check says %v, %v", report, err)
	}
	s.write(6)
	s.start()
	if len(s.started.Warnings) > 0 && strings.Contains(strings.Join(s.started.Warnings, "\n"), "key") {
		t.Errorf("a gateway that seals nothing warns of %q", s.started.Warnings)
	}
	s.delivered(s.publish("low", 3))
	s.writeText(fetching)
	s.until("the reload is refused", func() bool { return strings.Contains(said.String(), want) })
	if _, err := s.client.Reseal(t.Context()); err == nil || !strings.Contains(err.Error(), "set SURVEYGATE_KEY") {
		t.Errorf("reseal says %v", err)
	}
	// A key that comes with a reload takes effect at the next start.
	s.options.Env = nil
	keyFile := filepath.Join(filepath.Dir(s.options.Config), "key")
	if err := os.WriteFile(keyFile, []byte(keyOne), 0o600); err != nil {
		t.Fatal(err)
	}
	s.writeText("key_file: key\n" + fetching)
	s.until("a restart is asked for", func() bool { return strings.Contains(said.String(), "takes effect at the next start: restart") })
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	s.start()
	s.plant("first")
	if strings.Contains(said.String(), keyOne) {
		t.Error("the log shows the key")
	}
}

// A replica with another key than the store's, or with none, is noticed at its start.
func TestReplicasWithDifferentKeys(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	replica := func(keys string) *site {
		s := newSite(t)
		s.options.Redis = server.URL()
		s.withKeys(keys)
		s.writeText(fetching)
		return s
	}
	first := replica(keyOne)
	first.start()
	if err := replica(keyTwo).refused(); !strings.Contains(err.Error(), "k1 is not the one that the store was sealed with") {
		t.Errorf("another key of the same id: %v", err)
	}
	if err := replica("k2:" + keyTwo).refused(); !strings.Contains(err.Error(), "needs the key k1") || !strings.Contains(err.Error(), "`k2:…,k1:…`") {
		t.Errorf("another key: %v", err)
	}
	first.plant("first")
	replica(keyOne).holdsToken("first")
	// One that needs none starts, and warns.
	without := replica("")
	without.write(6)
	without.start()
	if want := "secrets in the store cannot be opened: no connection of the files needs them now, and documents of tenants that have some are broken"; !strings.Contains(strings.Join(without.started.Warnings, "\n"), want) || !strings.Contains(without.readyWarnings(), want) {
		t.Errorf("without a key, the start warns of %q, readyz of %s", without.started.Warnings, without.readyWarnings())
	}
	without.publish("low", 3)
	// An emptied store is marked again.
	server.Do("FLUSHALL")
	first.until("the key is recorded again", func() bool { return slices.Contains(neededKeys(t, server), "k1") })
	if err := replica(keyTwo).refused(); !strings.Contains(err.Error(), "k1 is not the one") {
		t.Errorf("after it was emptied: %v", err)
	}
}

// neededKeys returns which keys the store needs.
func neededKeys(t *testing.T, server *redistest.Server) []string {
	t.Helper()
	store, err := redis.Open(redis.Options{URL: server.URL(), Prefix: "surveygate", Clock: clock.System()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	ids, err := vault.Needed(t.Context(), store)
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

// A rotation with the commands' own calls, on each engine.
func TestRotateTheKey(t *testing.T) {
	t.Parallel()
	for _, engine := range []config.Engine{config.EngineEmbedded, config.EngineRedis} {
		t.Run(string(engine), func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			if engine == config.EngineRedis {
				s.options.Redis = redistest.Start(t).URL()
				s.withKeys(keyOne)
			}
			s.writeText(fetching)
			s.start()
			s.plant("first")
			if err := s.stop(); err != nil {
				t.Fatal(err)
			}
			s.withKeys("k2:" + keyTwo) // before the embedded engine's own
			if engine == config.EngineRedis {
				s.withKeys("k2:" + keyTwo + ",k1:" + keyOne)
			}
			s.start()
			for _, want := range []client.Resealed{
				{Current: "k2", Resealed: 1, Needed: []string{}, Unneeded: []string{"k1"}},
				{Current: "k2", Needed: []string{}, Unneeded: []string{}},
			} {
				got, err := s.client.Reseal(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(&want, got); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			}
			if err := s.stop(); err != nil {
				t.Fatal(err)
			}
			if engine == config.EngineRedis {
				s.withKeys("k2:" + keyTwo)
			} else if err := os.Remove(filepath.Join(s.options.Data, vault.KeyFile)); err != nil {
				t.Fatal(err)
			}
			s.holdsToken("first")
		})
	}
}

// A key of the environment stands before the data folder's own, and may not have its id.
func TestKeyBesideTheOwn(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.start()
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	s.withKeys(keyTwo)
	if err := s.refused(); !strings.Contains(err.Error(), "different keys with the id k1") || !strings.Contains(err.Error(), "`k2:…`") {
		t.Errorf("said %v", err)
	}
	s.withKeys("k2:" + keyTwo)
	s.start()
	if status := s.readyWarnings(); strings.Contains(status, "key") {
		t.Errorf("readyz warns of %s", status)
	}
	if err := s.client.Do(t.Context(), client.Call{Method: http.MethodPost, Path: "/v1/vault/reseal"}); err != nil {
		t.Error(err)
	}
}
