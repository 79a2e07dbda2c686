package main

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/redistest"
)

// fetching is the program with a product whose token is fetched, and with the points at which it can be made to die.
var fetching = sync.OnceValues(func() (string, error) {
	path := filepath.Join(filepath.Dir(binary), "surveygate-fetching")
	build := exec.Command("go", "build", "-buildvcs=false", "-tags", "crashpoints", "-o", path, "./testdata/fetching")
	build.Stderr = os.Stderr
	return path, build.Run()
})

func buildFetching(t *testing.T) string {
	t.Helper()
	program, err := fetching()
	if err != nil {
		t.Fatal(err)
	}
	return program
}

const fetchingConfig = `
tokens:
  - {name: load, secret: %q, scopes: [read, secrets]}
  - {name: reader, secret: reader-0123456789-0123456789-0123, scopes: [read]}
connections:
  contacts: {fetched: {base_url: "https://api.fetched.example"}}
  alarms:   {slack: {webhook: "https://hooks.slack.com/services/T0/B0/abcdefghijkl"}}
`

const firstRefresh = "refresh-token-of-a-person-0123456789"

// A first refresh token goes from stdin, over the socket or HTTP, sealed into the store, and is shown nowhere.
func TestTokenSet(t *testing.T) {
	t.Parallel()
	program := buildFetching(t)
	for _, engine := range []string{"embedded", "redis"} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			dir, config, env := t.TempDir(), fmt.Sprintf(fetchingConfig, testToken), []string{}
			key := "no key is set"
			var server *redistest.Server
			if engine == "redis" {
				server = redistest.Start(t, redistest.Durable...)
				config = fmt.Sprintf("redis: %q\n", server.URL()) + config
				printed, _, code := invoke(t, dir, nil, "secret", "--for", "key")
				if key = strings.TrimSpace(printed); code != 0 || key == "" {
					t.Fatalf("no key: exit %d", code)
				}
				env = []string{"SURVEYGATE_KEY=" + key}
			}
			p := startWith(t, []string{program}, dir, config, env...)
			data := []string{"--data", filepath.Join(dir, "data")}
			overHTTP := []string{"--server", "http://" + p.address, "--token", testToken}
			for name, c := range map[string]struct {
				stdin string
				args  []string
				code  int
				want  string
			}{
				"over the socket":      {firstRefresh + "\n", append([]string{"contacts"}, data...), 0, "contacts  fetched  refresh token stored at 2"},
				"with a return":        {firstRefresh + "\r\n", append([]string{"contacts"}, data...), 0, "refresh token stored at"},
				"without a line break": {firstRefresh, append([]string{"contacts", "--json"}, data...), 0, `"stored": "2`},
				"over HTTP":            {firstRefresh + "\n", append([]string{"contacts"}, overHTTP...), 0, "refresh token stored at"},
				"without the scope": {
					firstRefresh,
					[]string{"contacts", "--server", "http://" + p.address, "--token", "reader-0123456789-0123456789-0123"},
					1, "lacks the scope `secrets`",
				},
				"nothing on stdin":      {"", append([]string{"contacts"}, data...), 2, "stdin is empty"},
				"a line break alone":    {"\n", append([]string{"contacts"}, data...), 2, "stdin is empty"},
				"two lines":             {firstRefresh + "\n" + firstRefresh + "\n", append([]string{"contacts"}, data...), 2, "line break"},
				"white space":           {" " + firstRefresh, append([]string{"contacts"}, data...), 2, "begins or ends with white space"},
				"too long":              {strings.Repeat(firstRefresh, 3000), append([]string{"contacts"}, data...), 2, "more than 64 KiB"},
				"unknown":               {firstRefresh, append([]string{"contact"}, data...), 4, "did you mean `contacts`?"},
				"no token is fetched":   {firstRefresh, append([]string{"alarms"}, data...), 1, "for which no token is fetched"},
				"no gateway":            {firstRefresh, []string{"contacts", "--data", t.TempDir()}, 3, "no gateway is running"},
				"the token as argument": {"", append([]string{"contacts", firstRefresh}, data...), 2, "one argument too many"},
			} {
				cmd := exec.CommandContext(t.Context(), program, append([]string{"token", "set"}, c.args...)...)
				cmd.Stdin = strings.NewReader(c.stdin)
				out, _ := cmd.CombinedOutput()
				quoted := name != "the token as argument" && strings.Contains(string(out), firstRefresh)
				if code := cmd.ProcessState.ExitCode(); code != c.code || !strings.Contains(string(out), c.want) || quoted {
					t.Errorf("%s: exit %d\n%s", name, code, out)
				}
			}
			if out, code := p.say("vault", "reseal"); code != 0 || out != "0 values sealed anew with k1\n" {
				t.Errorf("vault reseal: exit %d\n%s", code, out)
			}
			for _, path := range []string{"/v1/connections", "/v1/connections/contacts", "/v1/destinations", "/v1/tokens", "/readyz"} {
				if status, text := p.request(t, http.MethodGet, path); status != http.StatusOK || strings.Contains(text, firstRefresh) {
					t.Errorf("%s: %d %s", path, status, text)
				}
			}
			p.stop()
			if strings.Contains(p.said(), firstRefresh) || strings.Contains(p.said(), key) || !strings.Contains(p.said(), `"act":"token"`) {
				t.Errorf("the log:\n%s", p.said())
			}
			if engine == "redis" {
				folder, _ := server.Do("CONFIG", "GET", "dir").([]any)
				dir = fmt.Sprint(folder[1])
			}
			kept := everyFile(t, dir)
			if bytes.Contains(kept, []byte(firstRefresh)) || bytes.Contains(kept, []byte(key)) || !bytes.Contains(kept, []byte(`{"planted":"k1:`)) {
				t.Errorf("the %d bytes that are stored hold the token, or none that is sealed", len(kept))
			}
		})
	}
}

// everyFile is the content of all files of a folder.
func everyFile(t *testing.T, dir string) []byte {
	t.Helper()
	var all []byte
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		all = append(all, text...)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// Killed between making its key and using it, the next start uses that key.
func TestKilledAfterTheKeyIsMade(t *testing.T) {
	t.Parallel()
	program := buildFetching(t)
	dir := t.TempDir()
	config, data := filepath.Join(dir, "surveygate.yaml"), filepath.Join(dir, "data")
	yaml := fmt.Sprintf(fetchingConfig, testToken)
	if err := os.WriteFile(config, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	dying := exec.CommandContext(t.Context(), program, "run", "--config", config, "--data", data, "--listen", "127.0.0.1:0")
	dying.Env = append(os.Environ(), "SURVEYGATE_CRASH_AT=key-made:1")
	ended := make(chan error, 1)
	if err := dying.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { ended <- dying.Wait() }()
	select {
	case err := <-ended:
		if err == nil || err.Error() != "signal: killed" {
			t.Fatalf("it ended with %v", err)
		}
	case <-time.After(patience):
		_ = dying.Process.Kill()
		t.Fatal("it passed the point and lives")
	}
	path := filepath.Join(data, "vault.key")
	made, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	for range 2 {
		p := startWith(t, []string{program}, dir, yaml)
		if text, err := os.ReadFile(path); err != nil || !bytes.Equal(text, made) {
			t.Errorf("another key is there: %v", err)
		}
		p.stop()
	}
}
