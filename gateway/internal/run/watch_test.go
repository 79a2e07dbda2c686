package run

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/surveygate/surveygate/gateway/client"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// turn makes a link lead somewhere else in one step, as Kubernetes does.
func turn(t *testing.T, link, to string) {
	t.Helper()
	if err := os.Symlink(to, link+".new"); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(link+".new", link); err != nil {
		t.Fatal(err)
	}
}

const ownProfile = "source: own\nverify:\n  - {kind: hmac, header: X-Sign}\ntype: {path: event, map: {%s: response.completed}}\ndedupe: \"{id}\"\n"

// Everything that a configuration was read from is watched: a change in any of it is loaded without a signal.
func TestWatchesAllThatWasRead(t *testing.T) {
	t.Parallel()
	const of = "webhooks:\n  - {name: hook, url: \"https://hook.example.com/in\", secrets: [%q]}\n"
	cases := []struct {
		name string
		// prepare writes the configuration into a folder, and says where it is and what changes it.
		prepare func(t *testing.T, dir string) (config string, change func())
		refused bool // the change is refused at first, and then mended
	}{
		{"a secret in a file, of the same size and time", func(t *testing.T, dir string) (string, func()) {
			secret := filepath.Join(dir, "run", "secret")
			put(t, secret, hookSecret)
			put(t, dir+"/c.yaml", fmt.Sprintf(of, "${file:"+secret+"}"))
			return dir + "/c.yaml", func() {
				info, err := os.Stat(secret)
				if err != nil {
					t.Fatal(err)
				}
				put(t, secret, strings.Replace(hookSecret, "M", "N", 1))
				if err := os.Chtimes(secret, info.ModTime(), info.ModTime()); err != nil {
					t.Fatal(err)
				}
			}
		}, false},
		{"a profile outside the folder", func(t *testing.T, dir string) (string, func()) {
			profile := filepath.Join(dir, "profiles", "own.yaml")
			put(t, profile, fmt.Sprintf(ownProfile, "done"))
			put(t, dir+"/conf/c.yaml", "sources:\n  own: {profile: ../profiles/own.yaml, secrets: [x]}\n")
			return dir + "/conf", func() { put(t, profile, fmt.Sprintf(ownProfile, "finished")) }
		}, false},
		{"a folder that is a link", func(t *testing.T, dir string) (string, func()) {
			put(t, dir+"/v1/c.yaml", fmt.Sprintf(of, hookSecret))
			put(t, dir+"/v2/c.yaml", fmt.Sprintf(of, hookSecret))
			turn(t, dir+"/conf", "v1")
			return dir + "/conf", func() { turn(t, dir+"/conf", "v2") }
		}, false},
		{"a file that is a link", func(t *testing.T, dir string) (string, func()) {
			put(t, dir+"/1.yaml", fmt.Sprintf(of, hookSecret))
			put(t, dir+"/2.yaml", fmt.Sprintf(of, hookSecret))
			turn(t, dir+"/c.yaml", "1.yaml")
			return dir + "/c.yaml", func() { turn(t, dir+"/c.yaml", "2.yaml") }
		}, false},
		{"a folder that Kubernetes mounts", func(t *testing.T, dir string) (string, func()) {
			for _, v := range []string{"..v1", "..v2"} {
				put(t, filepath.Join(dir, v, "c.yaml"), fmt.Sprintf(of, hookSecret))
			}
			turn(t, dir+"/..data", "..v1")
			turn(t, dir+"/c.yaml", "..data/c.yaml")
			return dir, func() {
				turn(t, dir+"/..data", "..v2")
				if err := os.RemoveAll(dir + "/..v1"); err != nil {
					t.Fatal(err)
				}
			}
		}, false},
		{"one more file", func(t *testing.T, dir string) (string, func()) {
			put(t, dir+"/a.yaml", fmt.Sprintf(of, hookSecret))
			return dir, func() { put(t, dir+"/b.yaml", "tenant: acme\n") }
		}, false},
		{"a file that is missing, and then there", func(t *testing.T, dir string) (string, func()) {
			secret := filepath.Join(dir, "run", "secret")
			put(t, dir+"/c.yaml", fmt.Sprintf(of, hookSecret))
			return dir + "/c.yaml", func() { put(t, dir+"/c.yaml", fmt.Sprintf(of, "${file:"+secret+"}")) }
		}, true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			said := &lines{}
			s := newSite(t)
			s.options.Log = slog.New(slog.NewTextHandler(said, nil))
			dir := t.TempDir()
			config, change := c.prepare(t, dir)
			s.options.Config = config
			s.start()
			change()
			if c.refused {
				s.until("the change is refused", func() bool { return strings.Contains(said.String(), "is refused") })
				var ready struct{ Warnings []string }
				if err := s.client.Do(t.Context(), client.Call{Method: http.MethodGet, Path: "/readyz", Into: &ready}); err != nil || !strings.Contains(strings.Join(ready.Warnings, "\n"), "is not in use: it has faults") {
					t.Errorf("readiness says %v, %v", ready.Warnings, err)
				}
				put(t, filepath.Join(dir, "run", "secret"), hookSecret)
			}
			s.until("the change is loaded", func() bool { return strings.Contains(said.String(), "configuration loaded") })
		})
	}
}

// Credentials that were refused pause their connection; new ones in the same file lift that, and what waited goes out.
func TestRotatedCredentialsLiftThePause(t *testing.T) {
	t.Parallel()
	const old, fresh = "pat-eu1-old", "pat-eu1-new"
	product := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if r.Header.Get("Authorization") != "Bearer "+fresh {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.WriteHeader(http.StatusOK)
		_ = json.NewEncoder(w).Encode(map[string]any{"status": "COMPLETE", "results": []any{map[string]any{"id": "1"}}})
	}))
	t.Cleanup(product.Close)
	s := newSite(t)
	secret := filepath.Join(t.TempDir(), "token")
	put(t, secret, old)
	s.writeText(fmt.Sprintf(`
outbound: {allow_addresses: ["127.0.0.0/8"], allow_http: true}
connections:
  crm: {hubspot: {token: "${file:%s}", base_url: %q}}
rules:
  - {name: all, send: [crm]}
`, secret, product.URL))
	s.start()
	got, err := s.client.Publish(t.Context(), "", []byte(`{"type":"response.completed","email":"jo@example.com"}`))
	if err != nil {
		t.Fatal(err)
	}
	state := func() (state string, held bool) {
		x := s.explained(got[0].ID)
		for _, r := range x.Rules {
			for _, step := range r.Steps {
				if step.Delivery != nil {
					state, held = string(step.Delivery.State), step.Hold != nil && step.Hold.Kind == "revoked"
				}
			}
		}
		return state, held
	}
	s.until("the connection is paused", func() bool { _, held := state(); return held })
	warned := func() bool {
		var ready struct{ Warnings []string }
		err := s.client.Do(t.Context(), client.Call{Method: http.MethodGet, Path: "/readyz", Into: &ready})
		all := strings.Join(ready.Warnings, "\n")
		return err == nil && strings.Contains(all, "crm is on hold since ") && strings.Contains(all, "1 delivery waits for it: its credentials are refused")
	}
	s.until("readiness warns of it", warned)
	put(t, secret, fresh)
	s.until("what waited is delivered", func() bool { now, _ := state(); return now == "delivered" })
	s.until("readiness warns no more", func() bool { return !warned() })
}

// unkeeping is a store that keeps no configuration until it may.
type unkeeping struct {
	state.Store
	may atomic.Bool
}

func (u *unkeeping) WriteAll(ctx context.Context, b *state.Batch) ([]uint64, error) {
	for _, w := range b.Writes {
		if w.Kind == kindGeneration && !u.may.Load() {
			return nil, state.ErrUnavailable
		}
	}
	return u.Store.WriteAll(ctx, b)
}

// A change that the store could not keep is tried again, without a further change.
func TestReloadIsTriedAgain(t *testing.T) {
	t.Parallel()
	said := &lines{}
	s := newSite(t)
	s.options.Log = slog.New(slog.NewTextHandler(said, nil))
	g, err := open(t.Context(), s.options)
	if err != nil {
		t.Fatal(err)
	}
	store := &unkeeping{Store: g.store}
	g.store, g.stored = store, newStoredGenerations(store, g.clock)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- g.serve(ctx) }()
	s.write(9)
	s.until("the store refuses", func() bool { return strings.Contains(said.String(), "cannot be used") })
	store.may.Store(true)
	s.until("the change is loaded", func() bool { return strings.Contains(said.String(), "configuration loaded") })
	cancel()
	if err := errors.Join(<-ended, g.life.stop(t.Context())); err != nil {
		t.Error(err)
	}
}
