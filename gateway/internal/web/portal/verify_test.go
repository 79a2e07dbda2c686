package portal

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/signature"
)

// runners run a snippet: a program beside it, which reads a request as JSON and exits with 0 if the snippet accepts it, else with 3.
var runners = map[string]struct {
	command []string
	file    string // where the program is written
	program string
}{
	"go": {[]string{"go", "run", "."}, "main.go", `package main

import ("encoding/json"; "example.com/webhook"; "net/http"; "os")

func main() {
	var in struct{ Secret, Body string; Headers map[string]string }
	if json.NewDecoder(os.Stdin).Decode(&in) != nil { os.Exit(4) }
	h := http.Header{}
	for name, value := range in.Headers { h.Set(name, value) }
	if webhook.Verify(in.Secret, h, []byte(in.Body)) != nil { os.Exit(3) }
}
`},
	"node": {[]string{"node", "main.js"}, "main.js", `const { verify } = require("./verify.js");
const r = JSON.parse(require("fs").readFileSync(0, "utf8"));
try { verify(r.Secret, r.Headers, Buffer.from(r.Body)); } catch (e) { process.exit(e.message.startsWith("webhook: ") ? 3 : 4); }
`},
	"python": {[]string{"python3", "main.py"}, "main.py", `import json, sys
from verify import verify
r = json.load(sys.stdin)
try:
    verify(r["Secret"], r["Headers"], r["Body"].encode())
except ValueError:
    sys.exit(3)
`},
	"php": {[]string{"php", "main.php"}, "main.php", `<?php
require 'verify.php';
$r = json_decode(stream_get_contents(STDIN), true);
try { verify($r['Secret'], $r['Headers'], $r['Body']); } catch (RuntimeException $e) { exit(3); }
`},
	"ruby": {[]string{"ruby", "main.rb"}, "main.rb", `require "json"
require_relative "verify"
r = JSON.parse(STDIN.read)
begin
  verify(r["Secret"], r["Headers"], r["Body"])
rescue RuntimeError => e
  exit(e.message.start_with?("webhook: ") ? 3 : 4)
end
`},
}

type signedRequest struct {
	Secret, Body string
	Headers      map[string]string
}

// requestOf signs a body as the gateway signs each delivery.
func requestOf(t *testing.T, body string, at time.Time, secrets ...string) signedRequest {
	t.Helper()
	var keys []connectors.Secret
	for _, s := range secrets {
		keys = append(keys, connectors.NewSecret(s))
	}
	fields, err := signature.Sign(connectors.Signature{Style: "standard"}, keys, signature.Message{ID: "dl_ev_1_2", At: at, Body: []byte(body)})
	if err != nil {
		t.Fatal(err)
	}
	r := signedRequest{Secret: secrets[len(secrets)-1], Body: body, Headers: map[string]string{}}
	for _, f := range fields {
		r.Headers[strings.ToLower(f.Name)] = f.Value
	}
	return r
}

// Each snippet accepts what the gateway signs, with one secret and during a rotation, and refuses what was changed, what is old, and what
// another secret signed.
func TestSnippetsVerify(t *testing.T) {
	t.Parallel()
	const secret, other = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA="
	const body = `{"type":"response.completed","data":{"feedback":"Zürich 👍\n","nps_score":9}}`
	good := requestOf(t, body, time.Now(), secret)
	changed, otherSecret, unsigned, renamed := good, good, good, good
	changed.Body = strings.Replace(body, "9", "8", 1)
	otherSecret.Secret = other
	unsigned.Headers = map[string]string{"webhook-id": "dl_ev_1_2", "webhook-timestamp": good.Headers["webhook-timestamp"]}
	renamed.Headers = map[string]string{}
	maps.Copy(renamed.Headers, good.Headers)
	renamed.Headers["webhook-id"] = "dl_ev_1_3"
	cases := []struct {
		name    string
		request signedRequest
		code    int
	}{
		{"signed", good, 0},
		{"during a rotation", requestOf(t, body, time.Now(), other, secret), 0},
		{"another body", changed, 3},
		{"another id", renamed, 3},
		{"another secret", otherSecret, 3},
		{"not signed", unsigned, 3},
		{"old", requestOf(t, body, time.Now().Add(-6*time.Minute), secret), 3},
		{"nothing", signedRequest{Secret: secret, Body: body, Headers: map[string]string{}}, 3},
	}
	for _, s := range Snippets() {
		t.Run(s.Key, func(t *testing.T) {
			t.Parallel()
			run, ok := runners[s.Key]
			if !ok {
				t.Fatalf("nothing runs %s", s.File)
			}
			if _, err := exec.LookPath(run.command[0]); err != nil {
				t.Fatalf("%s is not installed; this test needs it: .ci/need %s", run.command[0], run.command[0])
			}
			for i, line := range strings.Split(s.Code, "\n") {
				if len(line) > 80 {
					t.Errorf("%s:%d is too long for a page", s.File, i+1)
				}
			}
			dir := t.TempDir()
			files := map[string]string{run.file: run.program, s.File: s.Code}
			if s.Key == "go" {
				files = map[string]string{run.file: run.program, "webhook/verify.go": s.Code, "go.mod": "module example.com\n\ngo 1.24\n"}
			}
			for name, text := range files {
				path := filepath.Join(dir, name)
				if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			command := run.command
			if s.Key == "go" {
				build := exec.CommandContext(t.Context(), "go", "build", "-o", "verify.exe", ".")
				build.Dir = dir
				if out, err := build.CombinedOutput(); err != nil {
					t.Fatalf("%v: %s", err, out)
				}
				command = []string{filepath.Join(dir, "verify.exe")}
			}
			for _, c := range cases {
				in, err := json.Marshal(c.request)
				if err != nil {
					t.Fatal(err)
				}
				verify := exec.CommandContext(t.Context(), command[0], command[1:]...)
				verify.Dir, verify.Stdin = dir, bytes.NewReader(in)
				out, _ := verify.CombinedOutput() // the code says what came of it
				if got := verify.ProcessState.ExitCode(); got != c.code {
					t.Errorf("%s: exit code %d, want %d: %s", c.name, got, c.code, out)
				}
			}
		})
	}
}
