package run

import (
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/client"
	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/rules"
)

// readyWarnings are what readiness warns of.
func (s *site) readyWarnings() string {
	s.t.Helper()
	var ready struct{ Warnings []string }
	if err := s.client.Do(s.t.Context(), client.Call{Method: http.MethodGet, Path: "/readyz", Into: &ready}); err != nil {
		s.t.Fatal(err)
	}
	return strings.Join(ready.Warnings, "\n")
}

func (s *site) reload(force string) (r view.Reloaded) {
	s.t.Helper()
	call := client.Call{Method: http.MethodPost, Path: "/v1/reload", Query: url.Values{"force": {force}}, Into: &r}
	if err := s.client.Do(s.t.Context(), call); err != nil {
		s.t.Fatal(err)
	}
	return r
}

func (s *site) metric(line string) bool {
	s.t.Helper()
	var text []byte
	if err := s.client.Do(s.t.Context(), client.Call{Method: http.MethodGet, Path: "/metrics", Into: &text}); err != nil {
		s.t.Fatal(err)
	}
	return strings.Contains(string(text), line+"\n")
}

// A file that is emptied, or cut off, is not used: everything goes on as before until it is whole again.
func TestEmptiedFileWaits(t *testing.T) {
	t.Parallel()
	said := &lines{}
	s := newSite(t)
	s.options.Log = slog.New(slog.NewTextHandler(said, nil))
	s.options.unchangedFor = time.Hour
	s.start()
	whole, err := os.ReadFile(s.options.Config)
	if err != nil {
		t.Fatal(err)
	}
	s.writeText("\n")
	s.until("it waits", func() bool { return strings.Contains(said.String(), "removes much") })
	if all := s.readyWarnings(); !strings.Contains(all, "1 of 1 webhook, 1 of 1 rule") || !strings.Contains(all, "surveygate reload --force") {
		t.Errorf("readiness warns %q", all)
	}
	if !s.metric("surveygate_config_reload_waiting 1") || !s.metric("surveygate_config_last_reload_successful 0") {
		t.Error("the metrics do not say that it waits")
	}
	if r := s.reload("false"); r.Status != view.ReloadWaits || r.Difference != "-1 webhook, -1 rule" {
		t.Errorf("%+v", r)
	}
	s.delivered(s.publish("goes-on", 3))
	s.writeText(string(whole))
	s.until("it is loaded", func() bool { return strings.Contains(said.String(), "configuration loaded") })
	if all := s.readyWarnings(); strings.Contains(all, "configuration") {
		t.Errorf("readiness still warns %q", all)
	}
	if !s.metric("surveygate_config_reload_waiting 0") || !s.metric("surveygate_config_last_reload_successful 1") {
		t.Error("the metrics do not say that it is loaded")
	}
	s.delivered(s.publish("still", 3))
}

// Somebody who insists, and files that stand unchanged, are believed.
func TestEmptiedFileIsUsed(t *testing.T) {
	t.Parallel()
	for name, insist := range map[string]func(s *site, signals chan<- os.Signal){
		"force": func(s *site, _ chan<- os.Signal) {
			if r := s.reload("true"); r.Status != view.ReloadLoaded {
				s.t.Errorf("%+v", r)
			}
		},
		"two signals": func(_ *site, signals chan<- os.Signal) {
			signals <- syscall.SIGHUP
			signals <- syscall.SIGHUP
		},
		"time": nil,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			said := &lines{}
			s := newSite(t)
			s.options.Log = slog.New(slog.NewTextHandler(said, nil))
			s.options.unchangedFor = time.Hour
			if insist == nil {
				s.options.unchangedFor = time.Nanosecond
			}
			signals := make(chan os.Signal)
			s.options.Reload = signals
			s.start()
			s.writeText("\n")
			s.until("it waits", func() bool { return strings.Contains(said.String(), "removes much") })
			if insist != nil {
				insist(s, signals)
			}
			s.until("it is loaded", func() bool {
				return strings.Contains(said.String(), `difference="-1 webhook, -1 rule"`) && strings.Contains(said.String(), `names="rule low, webhook hook"`)
			})
		})
	}
}

// What counts as taking away much.
func TestDrastic(t *testing.T) {
	t.Parallel()
	of := func(tenant string, n, sources int) *config.Config {
		c := &config.Config{}
		for i := range n {
			c.Rules = append(c.Rules, &config.Rule{Item: config.Item{Tenant: tenant, Name: string(rune('a' + i))}, Match: &rules.Rule{}})
		}
		for i := range sources {
			c.Sources = append(c.Sources, &config.Source{Item: config.Item{Tenant: tenant, Name: string(rune('a' + i))}})
		}
		return c
	}
	both := func(a, b *config.Config) *config.Config {
		return &config.Config{Rules: append(a.Rules, b.Rules...), Sources: append(a.Sources, b.Sources...)}
	}
	for _, c := range []struct {
		name          string
		before, after *config.Config
		why           string
	}{
		{"one of two", of("default", 2, 0), of("default", 1, 0), ""},
		{"the only one", of("default", 1, 3), of("default", 0, 3), "1 of 1 rule"},
		{"a third", of("default", 6, 0), of("default", 4, 0), ""},
		{"more than a third", of("default", 5, 0), of("default", 3, 0), "2 of 5 rules"},
		{"everything", of("default", 2, 1), &config.Config{}, "1 of 1 source, 2 of 2 rules, and everything of tenant default"},
		{"more", of("default", 1, 1), of("default", 9, 9), ""},
		{"one tenant of many", both(of("acme", 1, 0), of("default", 9, 0)), of("default", 9, 0), "everything of tenant acme"},
	} {
		if why := differ(c.before, c.after).drastic(); why != c.why {
			t.Errorf("%s: %q, want %q", c.name, why, c.why)
		}
	}
}

// A token that may do something else is part of a reload's difference.
func TestDifferenceTellsTokens(t *testing.T) {
	t.Parallel()
	load := func(scope string) *config.Config {
		path := filepath.Join(t.TempDir(), "surveygate.yaml")
		text := "tokens: [{name: app, secret: " + strings.Repeat("x", 40) + ", scopes: [" + scope + "]}]\n"
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := Options{Config: path}.load()
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	if d := differ(load("read"), load("write")).String(); d != "~1 token" {
		t.Errorf("the difference is %q", d)
	}
}
