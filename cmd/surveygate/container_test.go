package main

import (
	"bytes"
	"debug/elf"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// instructions are those of the Dockerfile, in order.
func instructions(t *testing.T) [][2]string {
	t.Helper()
	text, err := os.ReadFile("../../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	var all [][2]string
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, rest, _ := strings.Cut(line, " ")
		all = append(all, [2]string{name, rest})
	}
	return all
}

// byDigest is an image that cannot change under its name.
var byDigest = regexp.MustCompile(`^[a-z0-9./-]+:[a-z0-9.-]+@sha256:[0-9a-f]{64}$`)

// Every image that is not built here is named by its digest.
func TestImagesByDigest(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	images := []string{}
	for _, m := range regexp.MustCompile(`(?m)^    image: (\S+)$`).FindAllStringSubmatch(string(text), -1) {
		if m[1] != "surveygate" {
			images = append(images, m[1])
		}
	}
	for _, in := range instructions(t) {
		if in[0] == "FROM" {
			images = append(images, strings.Fields(in[1])[0])
		}
	}
	if len(images) != 3 {
		t.Errorf("%d images: %q", len(images), images)
	}
	for _, image := range images {
		if !byDigest.MatchString(image) {
			t.Errorf("%s is not named by its digest", image)
		}
	}
}

// Time zones are known where the system has none, as in the image.
func TestZonesWithoutTheSystem(t *testing.T) {
	t.Parallel()
	for _, r := range packages(t) {
		if r.ImportPath == "cmd/command" {
			if !slices.Contains(r.Imports, "time/tzdata") {
				t.Error("cmd/command does not bring the zones along")
			}
			return
		}
	}
	t.Error("cmd/command is not there")
}

// list is a flow list of a page of YAML or of an instruction, as texts.
func list(t *testing.T, text string) []string {
	t.Helper()
	var all []string
	for item := range strings.SplitSeq(strings.Trim(strings.TrimSpace(text), "[]"), ", ") {
		all = append(all, strings.Trim(item, `"`))
	}
	if len(all) == 0 {
		t.Fatalf("%q is no list", text)
	}
	return all
}

// What the Dockerfile copies is there, its build command builds a static binary, and it runs as nobody in particular.
func TestDockerfile(t *testing.T) {
	t.Parallel()
	module, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	wanted := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindSubmatch(module)
	built, copied, user, from := false, map[string]bool{}, "", []string{}
	for _, in := range instructions(t) {
		switch in[0] {
		case "FROM":
			from = append(from, in[1])
		case "USER":
			user = in[1]
		case "COPY":
			words := strings.Fields(in[1])
			if strings.HasPrefix(words[0], "--from") {
				continue
			}
			for _, source := range words[:len(words)-1] {
				copied[source] = true
				if _, err := os.Stat("../../" + source); err != nil {
					t.Errorf("COPY: %v", err)
				}
			}
		case "RUN":
			if !strings.Contains(in[1], "go build") {
				continue
			}
			built = true
			out := filepath.Join(t.TempDir(), "surveygate")
			cmd := exec.CommandContext(t.Context(), "sh", "-c", strings.ReplaceAll(in[1], "/out/surveygate", out))
			cmd.Dir, cmd.Env = "../..", append(os.Environ(), "VERSION=1.2.3", "GOFLAGS=-buildvcs=false")
			if text, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, text)
			}
			if text, err := exec.CommandContext(t.Context(), out, "version").Output(); err != nil || !strings.Contains(string(text), "1.2.3") {
				t.Errorf("version: %v %s", err, text)
			}
			file, err := elf.Open(out)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range file.Progs {
				if p.Type == elf.PT_INTERP {
					t.Error("the binary is not static")
				}
			}
			_ = file.Close()
		}
	}
	if !built || len(from) != 2 || !strings.HasPrefix(from[0], "golang:"+string(wanted[1])+"@") || !strings.HasPrefix(from[1], "gcr.io/distroless/static") {
		t.Errorf("built %t from %v", built, from)
	}
	if user == "" || strings.HasPrefix(user, "0") || user == "root" {
		t.Errorf("it runs as %q", user)
	}
	// All that the binary is made of is copied.
	for _, r := range packages(t) {
		top, _, _ := strings.Cut(r.ImportPath, "/")
		if top != "examples" && top != ".ci" && !copied[top] {
			t.Errorf("the Dockerfile does not copy %s", top)
		}
	}
}

// The compose file's Redis and its gateway, with the image's environment and its health check, by the built binary.
func TestCompose(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	commands := regexp.MustCompile(`(?m)^    command: (\[.*\])$`).FindAllStringSubmatch(string(text), -1)
	variables := regexp.MustCompile(`(?m)^    environment: (\[.*\])$`).FindStringSubmatch(string(text))
	if len(commands) != 2 || variables == nil {
		t.Fatalf("%d commands", len(commands))
	}
	server := startRedis(t, list(t, commands[0][1])[1:]...)

	dir := t.TempDir()
	env := []string{"PATH=" + filepath.Dir(binary)}
	var health []string
	for _, in := range instructions(t) {
		switch in[0] {
		case "ENV":
			env = append(env, strings.Fields(strings.NewReplacer("/etc/surveygate", dir, "/data", filepath.Join(dir, "data"), "0.0.0.0:8080", "127.0.0.1:0").Replace(in[1]))...)
		case "HEALTHCHECK":
			_, command, _ := strings.Cut(in[1], "CMD ")
			health = list(t, command)
		}
	}
	for _, name := range list(t, variables[1]) {
		for _, pair := range exampleEnv {
			if strings.HasPrefix(pair, name+"=") {
				env = append(env, pair)
			}
		}
	}
	if len(env) != 4+len(list(t, variables[1])) || len(health) == 0 || health[0] != filepath.Base(binary) {
		t.Fatalf("environment %q, health check %q", env, health)
	}
	var twelve string
	for _, b := range blocks(t, "../../README.md") {
		if b.language == "yaml" && twelve == "" {
			twelve = b.text
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "surveygate.yaml"), []byte(twelve), 0o600); err != nil {
		t.Fatal(err)
	}

	run := func(args ...string) *exec.Cmd {
		cmd := exec.CommandContext(t.Context(), binary, args...)
		cmd.Env = env
		return cmd
	}
	healthy := func() (string, bool) {
		t.Helper()
		out, err := run(append(health[1:], "--json")...).CombinedOutput()
		return string(out), err == nil
	}
	if out, ok := healthy(); ok {
		t.Errorf("healthy before it runs: %s", out)
	}
	gateway := run(strings.Split(strings.ReplaceAll(strings.Join(list(t, commands[1][1]), "\x00"), "redis://redis:6379/0", server.url()), "\x00")...)
	var log bytes.Buffer
	var logMu sync.Mutex
	gateway.Stderr = &lockedWriter{w: &log, mu: &logMu}
	said := func() string {
		logMu.Lock()
		defer logMu.Unlock()
		return log.String()
	}
	gateway.Cancel = func() error { return gateway.Process.Signal(os.Interrupt) }
	if err := gateway.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- gateway.Wait() }()
	for end := time.Now().Add(patience); ; {
		out, ok := healthy()
		if ok {
			var ready struct {
				Status   string
				Warnings []string
			}
			if err := json.Unmarshal([]byte(out), &ready); err != nil || ready.Status != "ready" || len(ready.Warnings) > 0 {
				t.Errorf("%v: %s", err, out)
			}
			break
		}
		if time.Now().After(end) {
			t.Fatalf("never healthy: %s\n%s", out, said())
		}
		time.Sleep(20 * time.Millisecond) // between looks at another process
	}
	if err := gateway.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Errorf("stopped with %v\n%s", err, said())
	}
	if out, ok := healthy(); ok {
		t.Errorf("healthy after it ended: %s", out)
	}
}
