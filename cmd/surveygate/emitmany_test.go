package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

type emitTotals struct {
	Sent, Accepted, Duplicates, Refused int
	AskedToWait                         int     `json:"asked_to_wait"`
	PerSecond                           float64 `json:"per_second"`
	FirstRefusal                        string  `json:"first_refusal"`
}

// An event is published again and again, each time as another response with other values; the seed of an earlier run makes duplicates.
func TestEmitRepeats(t *testing.T) {
	t.Parallel()
	hook := newSink(t, nil)
	p := start(t, t.TempDir(), fmt.Sprintf(`
outbound: {allow_addresses: ["127.0.0.0/8"], allow_http: true}
sources: {popsee: {profile: popsee, secrets: [popsee-secret-0123456789]}}
webhooks:
  - {name: hook, url: %q, events: [response.completed], when: source == "api", signature: none, body: {nps: nps_score, email: email, response: response.id}}
`, hook.url))
	var got emitTotals
	repeated := []string{"emit", "--rate", "500/s", "--count", "22", "--vary", "nps_score", "--vary", "email", "--seed", "s", `{"type": "response.completed", "nps_score": 3, "email": "jo@example.com"}`}
	p.ask(&got, repeated...)
	if got.Sent != 22 || got.Accepted != 22 || got.PerSecond <= 0 {
		t.Errorf("%+v", got)
	}
	hook.await(t, func(times map[string][]time.Time) bool { return len(times) == 22 })
	scores, emails, responses := map[int]int{}, map[string]bool{}, map[string]bool{}
	hook.mu.Lock()
	for _, body := range hook.bodies {
		var b struct {
			NPS             int
			Email, Response string
		}
		if err := json.Unmarshal([]byte(body), &b); err != nil {
			t.Fatal(err)
		}
		scores[b.NPS]++
		emails[b.Email], responses[b.Response] = true, true
	}
	hook.mu.Unlock()
	for score := range 11 {
		if scores[score] != 2 {
			t.Errorf("score %d: %d events of 22, want 2", score, scores[score])
		}
	}
	if len(emails) != 22 || len(responses) != 22 || !emails["jo22@example.com"] {
		t.Errorf("%d addresses, %d responses of 22 events", len(emails), len(responses))
	}

	p.ask(&got, repeated...)
	if got.Sent != 22 || got.Accepted != 0 || got.Duplicates != 22 {
		t.Errorf("with the seed of an earlier run: %+v", got)
	}
	for range 2 { // other ones each time
		p.ask(&got, "emit", "--sample", "popsee", "--count", "5", "--rate", "100/s")
		if got.Accepted != 5 {
			t.Errorf("samples: %+v", got)
		}
	}
	if text, code := p.say("emit", "--for", "300ms", "--rate", "100/s", `{"type": "response.completed"}`); code != 0 || !strings.Contains(text, " 0 refused; ") {
		t.Errorf("exit %d: %s", code, text)
	}
	for args, says := range map[string]string{
		"--sample popsee --count 2 --vary email":        "--vary is for an event in surveygate's own format",
		"--sample popsee --source gone --count 2":       "no such source",
		"--sample typeform --count 2":                   "use --source NAME for another source",
		"--source popsee --count 2 {}":                  "a platform's own body cannot be repeated",
		"--vary email {}":                               "--vary and --seed are for events that are repeated",
		"--rate 501/s {}":                               "at most 500/s are published",
		"--rate 5 {}":                                   "a rate is a number and a unit",
		"--count -1 {}":                                 "a number of events is 1 or more",
		"--count 2 --vary nps_scor {\"type\":\"test\"}": "did you mean `nps_score`?",
	} {
		if text, code := p.say(append([]string{"emit"}, strings.Fields(args)...)...); code == 0 || !strings.Contains(unfolded(text), says) {
			t.Errorf("emit %s: exit %d, want %q: %s", args, code, says, text)
		}
	}
	p.stop()
}

// What a gateway that is full refuses is sent again when it asked for it, and counted.
func TestEmitWaits(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	asked := map[string]int{}
	full := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		mu.Lock()
		asked[string(body)]++
		first, n := asked[string(body)] == 1, len(asked)
		mu.Unlock()
		switch {
		case n == 2 && first:
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = io.WriteString(w, `{"status":503,"detail":[{"msg":"full","type":"unavailable"}]}`)
		case n == 4 && first:
			w.WriteHeader(http.StatusUnprocessableEntity)
			_, _ = io.WriteString(w, `{"results":[{"status":"invalid","error":{"msg":"not this one","type":"validation_error"}}]}`)
		default:
			_, _ = io.WriteString(w, `{"results":[{"id":"1","status":"accepted"}]}`)
		}
	}))
	defer full.Close()
	out, errs, code := invoke(t, t.TempDir(), []string{"NO_PROXY=127.0.0.1", "no_proxy=127.0.0.1"}, "emit", "--server", full.URL, "--token", testToken,
		"--count", "6", "--rate", "20/s", "--json", `{"type": "response.completed"}`)
	var got emitTotals
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatalf("%v\n%s%s", err, out, errs)
	}
	if code != 1 || got.Sent != 6 || got.Accepted != 5 || got.Refused != 1 || got.AskedToWait != 1 || got.FirstRefusal != "not this one" {
		t.Errorf("exit %d: %+v\n%s", code, got, errs)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(asked) != 6 {
		t.Errorf("%d different events of 6", len(asked))
	}
}

// An interrupt ends it, after the requests that are being sent, and the totals are printed.
func TestEmitEndsAtAnInterrupt(t *testing.T) {
	t.Parallel()
	var came atomic.Int32
	hook := newSink(t, func(int, *http.Request) int { came.Add(1); return http.StatusOK })
	p := start(t, t.TempDir(), fmt.Sprintf(`
outbound: {allow_addresses: ["127.0.0.0/8"], allow_http: true}
webhooks: [{name: hook, url: %q, events: [response.completed], signature: none}]
`, hook.url))
	cmd := exec.CommandContext(t.Context(), binary, "emit", "--rate", "50/s", "--data", filepath.Join(p.dir, "data"), `{"type": "response.completed"}`)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	until(t, "some arrive", func() bool { return came.Load() >= 3 })
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil || !strings.Contains(out.String(), " 0 refused; ") || strings.Contains(out.String(), "\x1b") {
		t.Errorf("%v: %q", err, out.String())
	}
	p.stop()
}
