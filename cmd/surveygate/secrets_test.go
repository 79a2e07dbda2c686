package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway"
	"github.com/surveygate/surveygate/gateway/redistest"
)

// echo answers with all that came: the worst that a peer can do with what it is told. Whoever asks for an access token is given one.
func echo(t *testing.T, accessToken string) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if bytes.Contains(body, []byte("grant_type=")) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = fmt.Fprintf(w, `{"access_token":%q,"token_type":"Bearer","expires_in":3600,"instance_url":"http://%s"}`, accessToken, r.Host)
			return
		}
		r.Header.Del("Proxy-Authorization") // the operator's own proxy keeps what is for it
		w.Header().Set("X-Echo", r.URL.String())
		w.WriteHeader(http.StatusUnprocessableEntity)
		_, _ = fmt.Fprintf(w, "%s %s\n%v\n%s", r.Method, r.URL, r.Header, body)
	}))
	t.Cleanup(server.Close)
	return server
}

// said is what a process wrote.
type said struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *said) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(b)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// TestNoSecretIsShown: a configuration in which every secret of every setting is a marker, once written out and once from
// the environment, shows no marker anywhere: not in what check and run print and log, not in an answer of the API, a
// metric, an explanation or the history of peers that repeat all they are told, and not in what is stored.
func TestNoSecretIsShown(t *testing.T) {
	t.Parallel()
	for _, from := range []string{"literals", "environment"} {
		t.Run(from, func(t *testing.T) {
			t.Parallel()
			noSecretIsShown(t, from == "environment")
		})
	}
}

var listening = regexp.MustCompile(`listening on http://(\S+?),`)

func noSecretIsShown(t *testing.T, fromEnvironment bool) {
	t.Helper()
	server := redistest.Start(t, "--appendonly", "yes", "--aof-use-rdb-preamble", "no")
	m := &markers{}
	c := secretConfiguration(t, m, echo(t, m.of("%s")).URL, server.URL())
	marked := markedPaths(c, "", freeNames)
	for _, path := range secretPaths(t) {
		if path == ".redis" && slices.Contains(marked, ".redis.url") {
			continue // written as one text, or as a mapping
		}
		if !slices.Contains(marked, path) {
			t.Errorf("%s is a secret, and this test gives it none", path)
		}
	}

	dir := t.TempDir()
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	env := []string{"SURVEYGATE_KEY=" + m.key()}
	if fromEnvironment {
		for i, value := range m.values {
			env = append(env, fmt.Sprintf("M%d=%s", i, value))
			text = bytes.ReplaceAll(text, []byte(quoted(value)), fmt.Appendf(nil, `"${M%d}"`, i))
		}
		if bytes.Contains(text, []byte("MARKER")) {
			t.Fatalf("a marker is still written out: %s", text)
		}
	}
	config := filepath.Join(dir, "surveygate.yaml")
	write := func(text []byte) {
		if err := os.WriteFile(config+".new", text, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(config+".new", config); err != nil {
			t.Fatal(err)
		}
	}
	write(text)
	path := pathToken(c)
	shown := func(what, text string) {
		t.Helper()
		if found := m.shownIn(text); len(found) > 0 {
			t.Errorf("%s shows %v:\n%s", what, found, text)
		}
	}
	run := func(args ...string) string {
		out, errs, _ := invoke(t, dir, env, args...)
		return out + errs
	}
	check := run("check", "--config", config)
	if !strings.Contains(check, "no faults") || !strings.Contains(check, path) {
		t.Fatalf("check says:\n%s", check)
	}
	shown("check", strings.ReplaceAll(check, path, "the token of the URL to paste"))
	event := filepath.Join(dir, "event.json")
	if err := os.WriteFile(event, []byte(secretEvent), 0o600); err != nil {
		t.Fatal(err)
	}
	dry := run("explain", "--config", config, event)
	if !strings.Contains(dry, "would be sent") {
		t.Errorf("explain says:\n%s", dry)
	}
	shown("explain of a file", dry)
	shown("test", run("test", "--config", config))

	// Every fault shows its line, and all of the configuration is one line.
	for _, secret := range m.values {
		at := bytes.Index(text, []byte(quoted(secret)))
		if at < 0 {
			continue
		}
		for _, wrong := range []string{`{"a":` + quoted(secret) + `}`, "[" + quoted(secret) + "]", quoted(secret) + `,"zzz":1`} {
			bad := filepath.Join(dir, "bad.yaml")
			if err := os.WriteFile(bad, slices.Concat(text[:at], []byte(wrong), text[at+len(quoted(secret)):]), 0o600); err != nil {
				t.Fatal(err)
			}
			fault := run("check", "--config", bad)
			shown("check of a fault", strings.ReplaceAll(fault, path, "the token of the URL to paste"))
		}
	}

	log := &said{}
	data := filepath.Join(dir, "data")
	cmd := exec.CommandContext(context.Background(), binary, "run", "--config", config, "--data", data, "--listen", "127.0.0.1:0", "--log-level", "debug")
	cmd.Env, cmd.Stdout, cmd.Stderr = append(os.Environ(), env...), log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	t.Cleanup(func() { _ = cmd.Process.Kill(); <-ended })
	until(t, "the gateway listens", func() bool { return listening.MatchString(log.String()) })
	base := "http://" + listening.FindStringSubmatch(log.String())[1]
	token := c["tokens"].(array)[0].(object)["secret"].(string)
	ask := func(method, path, body string) string {
		req, err := http.NewRequestWithContext(t.Context(), method, base+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		req.Header.Set("Content-Type", "application/json")
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = res.Body.Close() }()
		answer, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(res.Header, string(answer))
	}
	published := ask(http.MethodPost, "/v1/events", secretEvent)
	id := regexp.MustCompile(`"id":"([0-9a-f]+)"`).FindStringSubmatch(published)
	if id == nil {
		t.Fatal(published)
	}
	ask(http.MethodPost, "/in/poltio/"+path, `{"type":"x"}`)
	ask(http.MethodPost, "/in/poltio/wrong", `{"type":"x"}`)
	ask(http.MethodPost, "/in/monkey", `{"type":"x"}`)
	owed := len(c["rules"].(array)[0].(object)["send"].(array)) + len(c["webhooks"].(array))
	until(t, "everything owed was tried", func() bool {
		page := ask(http.MethodGet, "/v1/deliveries?event="+id[1], "")
		return strings.Count(page, `"attempts":1`) == owed || strings.Count(page, `"state":"waiting"`)+strings.Count(page, `"state":"dead"`) == owed && !strings.Contains(page, `"attempts":0`)
	})

	// Another configuration runs, and the first one still explains.
	write(bytes.Replace(text, []byte(`"name":"all","send"`), []byte(`"name":"all","when":"nps_score <= 9","send"`), 1))
	until(t, "the new configuration is loaded", func() bool { return strings.Contains(log.String(), "configuration loaded") })
	explained := ask(http.MethodGet, "/v1/events/"+id[1]+"/explain", "")
	if strings.Contains(explained, "generation_unknown") || !strings.Contains(explained, `"step":"step"`) {
		t.Errorf("explained: %s", explained)
	}
	for _, delivery := range regexp.MustCompile(`"id":"(dl_[^"]+)"`).FindAllStringSubmatch(explained, -1) {
		one := ask(http.MethodGet, "/v1/deliveries/"+delivery[1], "")
		if !strings.Contains(one, `"response":"422`) {
			t.Errorf("the peer's answer is not kept: %s", one)
		}
		shown("a delivery", one)
	}
	names := map[string][]string{"sources": {"monkey", "poltio", "stream"}, "connections": {"contacts", "channel"}, "webhooks": {"hook"}, "rules": {"all"}, "destinations": {"hook", "bot"}}
	for _, r := range gateway.Routes() {
		if r.Method != http.MethodGet || r.Path == "/v1/live" || r.Path == "/v1/tail" { // their answers have no end
			continue
		}
		kind := strings.Split(r.Path, "/")[2]
		for _, name := range append(names[kind], id[1]) {
			at := strings.NewReplacer(":name", name, ":id", name).Replace(r.Path)
			shown("GET "+at, ask(http.MethodGet, at, ""))
		}
	}
	for name := range c["connections"].(object) {
		at := "/v1/connections/" + name + "/check"
		checked := ask(http.MethodPost, at, "")
		if !strings.Contains(checked, `"standing":`) {
			t.Errorf("checked: %s", checked)
		}
		shown("POST "+at, checked)
	}
	for _, at := range []string{"/metrics", "/readyz", "/healthz", "/v1/deliveries?state=waiting", "/v1/deliveries?state=dead", "/in/poltio/" + url.PathEscape("wrong")} {
		shown("GET "+at, ask(http.MethodGet, at, ""))
	}
	for _, args := range [][]string{{"explain", id[1]}, {"deliveries", "list"}, {"dead", "list"}, {"source", "list"}, {"source", "rejected", "poltio"}, {"source", "rejected", "monkey"}} {
		shown(strings.Join(args, " "), run(append(args, "--data", data)...))
	}
	if whole := run("source", "list", "--show-secrets", "--data", data); !strings.Contains(whole, "/in/poltio/"+path) {
		t.Errorf("--show-secrets shows no secret:\n%s", whole)
	}

	// A reload that is refused, and a stop, are logged too.
	write(bytes.Replace(text, []byte(`"nps_score`), []byte(`"nps_scor`), 1))
	write(append([]byte(`{"zzz": 1, `), text[1:]...))
	until(t, "the bad configuration is refused", func() bool { return strings.Contains(log.String(), "is refused") })
	_ = cmd.Process.Signal(os.Interrupt)
	select {
	case <-ended:
	case <-time.After(patience):
		t.Fatal("the gateway does not stop")
	}
	if !strings.Contains(log.String(), "/in/poltio/[secret]") {
		t.Error("run does not say where Poltio sends to")
	}
	shown("run", log.String())
	stored(t, server, shown)
}

// stored looks through all that was ever written to Redis.
func stored(t *testing.T, server *redistest.Server, shown func(what, text string)) {
	t.Helper()
	dir, _ := server.Do("CONFIG", "GET", "dir").([]any)
	var all bytes.Buffer
	err := filepath.WalkDir(fmt.Sprint(dir[1]), func(name string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.Contains(name, ".aof") {
			return err
		}
		text, err := os.ReadFile(name)
		all.Write(text)
		return err
	})
	if err != nil || !bytes.Contains(all.Bytes(), []byte("surveygate-rules/")) {
		t.Fatalf("what is stored cannot be looked at: %v, %d bytes", err, all.Len())
	}
	shown("what is stored", all.String())
}
