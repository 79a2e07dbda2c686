package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// What a platform may send wrong, signed rightly: each has its answer, and nothing is lost.
func TestBadInput(t *testing.T) {
	t.Parallel()
	p := start(t, t.TempDir(), `
sources:
  pollqr: {profile: pollqr, secrets: [platform-secret]}
`)
	many := make([]string, 2001)
	for i := range many {
		many[i] = fmt.Sprintf(`"q%d":1`, i)
	}
	cases := []struct {
		name, body string
		forged     bool
		status     int
		says       string
	}{
		{name: "not JSON", body: `{"event":`, status: 400, says: "validation_error"},
		{name: "JSON that maps to nothing", body: `{"hello":"world"}`, status: 200, says: `"status":"accepted"`},
		{name: "an unknown event", body: `{"event":"response.exploded","response_id":"r9"}`, status: 200, says: `"status":"accepted"`},
		{name: "a list", body: `[1,2,3]`, status: 200, says: `"status":"accepted"`},
		{name: "over 1 MiB", body: `{"event":"` + strings.Repeat("x", 1<<20) + `"}`, status: 413, says: "too_large"},
		{name: "too deep", body: strings.Repeat(`{"a":`, 65) + "1" + strings.Repeat("}", 65), status: 422, says: "validation_error"},
		{
			name: "too many answers", body: `{"event":"response.created","response_id":"r1","response":{"answers":{` + strings.Join(many, ",") + `}}}`,
			status: 422, says: "validation_error",
		},
		{name: "forged", body: `{"event":"response.created"}`, forged: true, status: 401, says: "authentication_error"},
		{name: "empty", body: ``, status: 400, says: "validation_error"},
	}
	for _, c := range cases {
		mac := hmac.New(sha256.New, []byte(map[bool]string{true: "somebody else", false: "platform-secret"}[c.forged]))
		mac.Write([]byte(c.body))
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+p.address+"/in/pollqr", strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-PollQR-Signature", hex.EncodeToString(mac.Sum(nil)))
		req.Header.Set("Content-Type", "application/json")
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		text, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if res.StatusCode != c.status || !strings.Contains(string(text), c.says) {
			t.Errorf("%s: %d %s, want %d with %s", c.name, res.StatusCode, text, c.status, c.says)
		}
		if c.name == "an unknown event" {
			var answer struct{ ID string }
			if err := json.Unmarshal(text, &answer); err != nil {
				t.Fatal(err)
			}
			said, _ := p.say("explain", answer.ID)
			if !strings.Contains(said, "unknown from pollqr") || !strings.Contains(said, "response.exploded") {
				t.Errorf("an unknown event is not explained as one:\n%s", said)
			}
		}
	}
}

// A rule that fails on an event is recorded with its error, and the others go on.
func TestFailingRuleStopsNobody(t *testing.T) {
	t.Parallel()
	receiver := newSink(t, nil)
	p := start(t, t.TempDir(), fmt.Sprintf(`
outbound: {allow_addresses: ["127.0.0.0/8"], allow_http: true}
webhooks:
  - {name: crm, url: %q, signature: none}
rules:
  - name: too-much
    when: all(response.answers, any(response.answers, none(response.answers, .value == "no such")))
    send: [crm]
  - {name: simple, when: nps_score <= 6, send: [crm]}
`, receiver.url))
	answers := make([]string, 500)
	for i := range answers {
		answers[i] = fmt.Sprintf(`"q%d":"no such%d"`, i, i)
	}
	var emitted []struct{ ID, Status string }
	p.ask(&emitted, "emit", `{"type":"response.completed","id":"f","nps_score":3,"response":{"answers":{`+strings.Join(answers, ",")+`}}}`)
	receiver.await(t, func(times map[string][]time.Time) bool { return len(times) == 1 })
	until(t, "the error is recorded", func() bool {
		var x struct {
			Rules []struct {
				Name, Error string
				Matched     bool
			}
		}
		p.ask(&x, "explain", emitted[0].ID)
		for _, r := range x.Rules {
			if r.Name == "too-much" && r.Error != "" && !r.Matched {
				return true
			}
		}
		return false
	})
}

// A second gateway on the same folder is refused, and the first one goes on.
func TestOneGatewayPerFolder(t *testing.T) {
	t.Parallel()
	p := start(t, t.TempDir(), "sources: {api-only: {profile: pollqr, secrets: [x]}}\n")
	out, errs, code := invoke(t, p.dir, nil, "run", "--config", filepath.Join(p.dir, "surveygate.yaml"), "--data", filepath.Join(p.dir, "data"), "--listen", "127.0.0.1:0")
	if code != 1 || !strings.Contains(errs, "another gateway runs with this data folder") {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
	p.ask(nil, "emit", `{"type":"response.completed","id":"still"}`)
}

// A start that fails must not make the API's first token: it is shown only once.
func TestFirstTokenSurvivesAFailedStart(t *testing.T) {
	t.Parallel()
	taken := newSink(t, nil)
	dir := t.TempDir()
	config := filepath.Join(dir, "surveygate.yaml")
	if err := os.WriteFile(config, []byte("listen: 127.0.0.1:18181\nsources: {s: {profile: pollqr, secrets: [x]}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"run", "--config", config, "--data", filepath.Join(dir, "data"), "--listen"}
	out, errs, code := invoke(t, dir, nil, append(args, strings.TrimPrefix(taken.url, "http://"))...)
	if code != 1 || !strings.Contains(errs, "address already in use") {
		t.Fatalf("exit %d\n%s%s", code, out, errs)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, append(args, "127.0.0.1:0", "--json")...)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var started struct {
		Time, Level, Msg string
		TokenFile        string `json:"token_file"`
	}
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	if err != nil || json.Unmarshal(line, &started) != nil || started.Time == "" || started.Level != "INFO" || started.Msg != "listening" {
		t.Errorf("the first line is %s, %v", line, err)
	}
	token, err := os.ReadFile(started.TokenFile)
	if err != nil || !strings.HasPrefix(string(token), "sg_") || bytes.Contains(line, bytes.TrimSpace(token)) {
		t.Errorf("no token is shown, or in the line: %q, %v", token, err)
	}
	out, _, _ = invoke(t, dir, nil, "check", "--config", config)
	if !strings.Contains(out, "http://127.0.0.1:18181/in/s") {
		t.Errorf("check prints another address than the file's:\n%s", out)
	}
}

// What check prints with --json is JSON also where the configuration has faults, with their places.
func TestCheckJSON(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	check := func(text string) (found struct {
		Faults, Warnings []struct {
			File, Message, Remedy string
			Line, Column, Length  int
		}
		Rules *int
	}, code int,
	) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, "surveygate.yaml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		out, errs, code := invoke(t, dir, nil, "check", "--json")
		if err := json.Unmarshal([]byte(out), &found); err != nil || errs != "" {
			t.Errorf("%v: %s\n%s", err, out, errs)
		}
		return found, code
	}
	if found, code := check("rules:\n  - {name: r, wehn: x}\n"); code != 2 || len(found.Faults) == 0 || found.Faults[0].Line != 2 || found.Faults[0].File == "" || found.Faults[0].Message == "" || found.Faults[0].Remedy == "" {
		t.Errorf("exit %d: %+v", code, found)
	}
	if found, code := check("sources: {"); code != 2 || len(found.Faults) != 1 {
		t.Errorf("exit %d: %+v", code, found)
	}
	if found, code := check("listen: 127.0.0.1:0\n"); code != 0 || found.Faults == nil || len(found.Faults) != 0 || found.Rules == nil {
		t.Errorf("exit %d: %+v", code, found)
	}
	if found, code := check("sources: {open: {profile: popsee, unverified: true}}\n"); code != 0 || len(found.Warnings) == 0 || found.Warnings[0].Line != 1 {
		t.Errorf("exit %d: %+v", code, found)
	}
}

// `run` exits like `check` when the configuration is faulty, missing or unreadable.
func TestRunRefusesAFaultyConfiguration(t *testing.T) {
	t.Parallel()
	for name, lay := range map[string]func(path string) error{
		"faulty":     func(path string) error { return os.WriteFile(path, []byte("rules: [{nmae: r}]\n"), 0o600) },
		"missing":    func(string) error { return nil },
		"empty":      func(path string) error { return os.Mkdir(path, 0o700) },
		"unreadable": func(path string) error { return os.Symlink(path, path) },
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, "surveygate.yaml")
		if err := lay(path); err != nil {
			t.Fatal(err)
		}
		for _, command := range []string{"run", "check"} {
			if out, errs, code := invoke(t, dir, nil, command, "--config", path); code != 2 || errs == "" {
				t.Errorf("%s of a configuration that is %s: exit %d\n%s%s", command, name, code, out, errs)
			}
		}
	}
}
