package config_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/document"
	"github.com/surveygate/surveygate/gateway/internal/vault"
	"github.com/surveygate/surveygate/rules/event"
)

// Keys of tests, in base64.
const (
	keyOne = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
	keyTwo = "YWJjZGVmZ2hpamtsbW5vcDAxMjM0NTY3ODlhYmNkZWY="
)

func parseKeys(t *testing.T, text string) vault.Keys {
	t.Helper()
	keys, err := vault.ParseKeys(text, "the test")
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// The vault's keys: the environment before the file, which is relative to the configuration's. They are in no kept text.
func TestKeys(t *testing.T) {
	t.Parallel()
	folder := write(t, map[string]string{"surveygate.yaml": "key_file: secrets/key\n", "secrets/key": "k2:" + keyTwo + "\nk1:" + keyOne + "\n"})
	absolute := write(t, map[string]string{"surveygate.yaml": fmt.Sprintf("key_file: %q\n", filepath.Join(folder, "secrets/key"))})
	none := write(t, map[string]string{"surveygate.yaml": "drain: 1s\n"})
	for name, c := range map[string]struct{ folder, variable, want string }{
		"file":                   {folder, "", "k2:" + keyTwo + ",k1:" + keyOne},
		"absolute path":          {absolute, "", "k2:" + keyTwo + ",k1:" + keyOne},
		"variable":               {none, keyOne, "k1:" + keyOne},
		"variable before a file": {folder, " " + keyOne + "\n", "k1:" + keyOne},
	} {
		loaded, err := config.Load(config.Options{Path: c.folder, Env: func(name string) (string, bool) {
			return c.variable, name == "SURVEYGATE_KEY" && c.variable != ""
		}})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !loaded.Keys.Equal(parseKeys(t, c.want)) {
			t.Errorf("%s: other keys", name)
		}
		if text := string(loaded.Kept) + fmt.Sprintf("%+v", loaded); strings.Contains(text, keyOne[:20]) || strings.Contains(text, "0123456789abcdef") {
			t.Errorf("%s: the key is shown", name)
		}
	}
	if loaded, err := config.Load(config.Options{Path: none, Env: lookup}); err != nil || !loaded.Keys.IsZero() {
		t.Errorf("none: %v", err)
	}
}

// A weak or mistyped key is refused, and never quoted, not even where it stands in the place of its file's name.
func TestKeyFaults(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ text, key, variable, want string }{
		"no file":               {"key_file: missing", "", "", "the file of `key_file` cannot be read"},
		"the key itself":        {"key_file: " + keyOne, "", "", "the file of `key_file` cannot be read"},
		"empty name":            {`key_file: ""`, "", "", "`key_file` is empty"},
		"empty file":            {"key_file: key", "\n", "", "the file of `key_file` holds no key"},
		"short":                 {"key_file: key", keyOne[:40], "", "k1 has 30 bytes and needs 32"},
		"zeros":                 {"key_file: key", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "", "k1 is not random"},
		"two without ids":       {"key_file: key", keyOne + "\n" + keyTwo, "", "key 1 has no id"},
		"variable":              {"", "", keyOne[:40], "SURVEYGATE_KEY k1 has 30 bytes"},
		"variable is not a key": {"", "", "hunter2-hunter2", "SURVEYGATE_KEY k1 "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder := write(t, map[string]string{"surveygate.yaml": "drain: 1s\n" + c.text + "\n", "key": c.key})
			if c.key == "" {
				if err := os.Remove(filepath.Join(folder, "key")); err != nil {
					t.Fatal(err)
				}
			}
			err := loadError(config.Options{Path: filepath.Join(folder, "surveygate.yaml"), Env: func(name string) (string, bool) {
				return c.variable, name == "SURVEYGATE_KEY" && c.variable != ""
			}})
			faults, ok := errors.AsType[document.Faults](err)
			if !ok || len(faults) != 1 || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "surveygate secret --for key") {
				t.Fatalf("said %v", err)
			}
			for _, secret := range []string{keyOne[:12], keyTwo[:12], "hunter2"} {
				if strings.Contains(err.Error()+faults[0].Source(), secret) {
					t.Errorf("it shows the key: %v, %s", err, faults[0].Source())
				}
			}
		})
	}
}

// fetching is a product whose access token is fetched.
type fetching struct {
	grant   connectors.Grant
	refresh string
}

func (f fetching) request() *connectors.Request {
	return connectors.Post("https://api.example.com", nil).As(connectors.OAuth2{Grant: f.grant, RefreshToken: connectors.NewSecret(f.refresh)})
}
func (f fetching) Build(*event.Event) (*connectors.Request, error) { return f.request(), nil }
func (f fetching) Check() []*connectors.Request                    { return []*connectors.Request{f.request()} }
func (fetching) JudgeCheck(*connectors.Response) connectors.Proof  { return connectors.Proof{} }

// Connections that are given one refresh token use it up for each other.
func TestSharedTokens(t *testing.T) {
	t.Parallel()
	var c config.Config
	for name, token := range map[string]fetching{
		"a": {connectors.GrantRefreshToken, "one"}, "b": {connectors.GrantRefreshToken, "two"}, "c": {connectors.GrantRefreshToken, ""},
		"d": {connectors.GrantRefreshToken, ""}, "e": {connectors.GrantClientCredentials, "one"},
	} {
		c.Destinations = append(c.Destinations, &config.Destination{Item: config.Item{Name: name}, Enabled: true, Alone: token})
	}
	if faults := c.SharedTokens(); len(faults) != 0 {
		t.Errorf("%v", faults)
	}
	c.Destinations = append(c.Destinations, &config.Destination{Item: config.Item{Name: "f"}, Enabled: true, Alone: fetching{connectors.GrantRefreshToken, "one"}})
	if faults := c.SharedTokens(); len(faults) != 1 || faults[0].Message != "`f` has the same refresh token as `a`, and a product may accept it once" {
		t.Errorf("%v", faults)
	}
}

// Only Redis needs a key, and only for a destination that is served and whose token is fetched.
func TestMissingKey(t *testing.T) {
	t.Parallel()
	onRedis := config.Redis{URL: connectors.NewSecret("redis://localhost")}
	destination := func(name string, enabled bool, alone connectors.Connector) *config.Destination {
		return &config.Destination{Item: config.Item{Name: name}, Enabled: enabled, Alone: alone}
	}
	token := fetching{grant: connectors.GrantClientCredentials}
	for name, c := range map[string]struct {
		config config.Config
		want   string
	}{
		"embedded":    {config.Config{Destinations: []*config.Destination{destination("crm", true, token)}}, ""},
		"no token":    {config.Config{Redis: onRedis, Destinations: []*config.Destination{destination("crm", true, nil)}}, ""},
		"disabled":    {config.Config{Redis: onRedis, Destinations: []*config.Destination{destination("crm", false, token)}}, ""},
		"with a key":  {config.Config{Redis: onRedis, Keys: parseKeys(t, keyOne), Destinations: []*config.Destination{destination("crm", true, token)}}, ""},
		"without one": {config.Config{Redis: onRedis, Destinations: []*config.Destination{destination("crm", true, token)}}, "tokens for `crm` and needs a key"},
		"many": {config.Config{Redis: onRedis, Destinations: []*config.Destination{
			destination("a", true, token), destination("b", true, token), destination("c", true, token), destination("d", true, token), destination("e", true, token),
		}}, "tokens for `a`, `b`, `c` and 2 more and needs a key"},
	} {
		switch fault := c.config.MissingKey(); {
		case (fault == nil) != (c.want == ""):
			t.Errorf("%s: %v", name, fault)
		case fault != nil && !strings.Contains(fault.Message, c.want):
			t.Errorf("%s: %v", name, fault)
		}
	}
}
