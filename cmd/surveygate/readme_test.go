package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"

	"github.com/surveygate/surveygate/cmd/command"
	"github.com/surveygate/surveygate/connectors/connectortest/credentials"
	"github.com/surveygate/surveygate/gateway/offline"
	"github.com/surveygate/surveygate/gateway/redistest"
)

// block is a fenced block of a page; part is the heading above it.
type block struct {
	page, part, language, text string
	line                       int
}

func blocks(t *testing.T, path string) []block {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var all []block
	var open *block
	var part string
	scanner := bufio.NewScanner(strings.NewReader(string(text)))
	scanner.Buffer(nil, 1<<20)
	for n := 1; scanner.Scan(); n++ {
		line := scanner.Text()
		language, fence := strings.CutPrefix(line, "```")
		switch {
		case fence && open == nil:
			open = &block{page: path, part: part, language: language, line: n}
		case fence:
			all = append(all, *open)
			open = nil
		case open != nil:
			open.text += line + "\n"
		case strings.HasPrefix(line, "#"):
			part = strings.TrimLeft(line, "# ")
		}
	}
	if open != nil {
		t.Fatalf("%s:%d: the block never ends", path, open.line)
	}
	return all
}

// Every YAML block of every page that is a configuration loads, and the tests of its rules pass.
func TestReadmeYAML(t *testing.T) {
	t.Parallel()
	env := map[string]string{}
	for _, pair := range exampleEnv {
		name, value, _ := strings.Cut(pair, "=")
		env[name] = value
	}
	played, tested, transcripts := 0, 0, 0
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && strings.HasPrefix(d.Name(), ".") && len(d.Name()) > 2 {
			return filepath.SkipDir
		}
		if filepath.Ext(path) != ".md" {
			return nil
		}
		all := blocks(t, path)
		for i, b := range all {
			if b.language != "yaml" {
				continue
			}
			played++
			file := filepath.Join(t.TempDir(), "surveygate.yaml")
			if err := os.WriteFile(file, []byte(b.text), 0o600); err != nil {
				return err
			}
			for j := i + 1; j < len(all) && all[j].language != "yaml"; j++ { // transcripts are of the block before them
				if all[j].language == "txtar" {
					transcripts++
					if err := os.WriteFile(filepath.Join(filepath.Dir(file), fmt.Sprintf("%d.txtar", j)), []byte(all[j].text), 0o600); err != nil {
						return err
					}
				}
			}
			lookup := func(name string) (string, bool) {
				v, ok := env[name]
				if !ok {
					v, ok = credentials.Named(name) // the page of a connector ends with its first transcript
				}
				if !ok && !strings.HasPrefix(name, "SURVEYGATE_") && strings.HasPrefix(filepath.ToSlash(path), "../../configs/sources/") {
					// The page of platforms has a variable for each of them; this value does as every kind of secret.
					return env["HOOK_SECRET"], true
				}
				return v, ok
			}
			options := offline.Options{Config: file, Env: lookup}
			if _, err := offline.Check(options, ""); err != nil {
				t.Errorf("%s:%d: the block does not load:\n%v", path, b.line, err)
				continue
			}
			run, err := offline.Test(offline.TestOptions{Options: options})
			if err != nil {
				return err
			}
			tested += len(run.Results)
			for _, r := range run.Results {
				if !r.Passed {
					t.Errorf("%s:%d: a test of rule %s in the block expects %v, and %v is sent: %v\n%s%s", path, b.line, r.Rule, r.Want, r.Got, r.Why, r.Error, r.Diff)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if played < 2 || tested < 2 || transcripts < 2 {
		t.Fatalf("only %d blocks, %d tests and %d transcripts were found", played, tested, transcripts)
	}
}

var (
	volatile = []struct {
		what *regexp.Regexp
		with string
	}{
		{regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`), "UUID"},
		{regexp.MustCompile(`[0-9a-f]{32}`), "ID"},
		{regexp.MustCompile(`127\.0\.0\.1:\d+`), "ADDRESS"},
		{regexp.MustCompile(`\S*surveygate-demo-\d+\S*`), "FOLDER"},
		{regexp.MustCompile(`sg_[A-Za-z0-9_-]+`), "TOKEN"},
		{regexp.MustCompile(`by configuration [0-9a-f]+`), "by configuration HASH"},
		{regexp.MustCompile(`\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?Z?`), "TIME"},
		{regexp.MustCompile(`\d\d:\d\d:\d\d(\.\d+)?`), "TIME"},
		{regexp.MustCompile(`surveygate (v[0-9.]\S*|devel\S*)`), "surveygate VERSION"},
		{regexp.MustCompile(`resp_\d+`), "RESPONSE"},
		{regexp.MustCompile(`[0-9.]+ ?(ms|µs|s)\b`), "TOOK"},
		{regexp.MustCompile(` +`), " "},
	}
	demoOutput = regexp.MustCompile("(?s)<!-- demo -->\n```text\n(.*?)```\n<!-- /demo -->")
)

func steady(text string) string {
	for _, v := range volatile {
		text = v.what.ReplaceAllString(text, v.with)
	}
	return text
}

// The README's first screen shows what the demo really prints, but for ids, times and addresses.
func TestReadmeDemo(t *testing.T) {
	t.Parallel()
	out, errs, code := invoke(t, t.TempDir(), []string{"TMPDIR=" + t.TempDir()}, "demo", "--once") // which leaves its folder behind
	if code != 0 {
		t.Fatalf("exit %d\n%s%s", code, out, errs)
	}
	if n := strings.Count(out, "\n"); n > 60 {
		t.Errorf("the demo prints %d lines; at most 60 are read", n)
	}
	for line := range strings.Lines(out) {
		named := strings.Contains(line, "surveygate-demo-") || strings.Contains(line, "Bearer ") // the folder and the token have their own length
		if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > 80 && !named {
			t.Errorf("%d columns, which a terminal breaks: %s", n, line)
		}
	}
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	at := demoOutput.FindSubmatchIndex(readme)
	if at == nil {
		t.Fatal("the README shows no output of the demo")
	}
	shown := string(readme[at[2]:at[3]])
	if diff := cmp.Diff(strings.Split(steady(shown), "\n"), strings.Split(steady(out), "\n")); diff != "" {
		if *update {
			fresh := string(readme[:at[2]]) + out + string(readme[at[3]:])
			if err := os.WriteFile("../../README.md", []byte(fresh), 0o600); err != nil {
				t.Fatal(err)
			}
			return
		}
		t.Errorf("the README shows something else than the demo prints (-README +demo):\n%s", diff)
	}
}

// With --json the demo counts the sample of each platform once, and none of its stories.
func TestDemoJSON(t *testing.T) {
	t.Parallel()
	out, errs, code := invoke(t, t.TempDir(), []string{"TMPDIR=" + t.TempDir()}, "demo", "--once", "--json")
	if code != 0 {
		t.Fatalf("exit %d\n%s%s", code, out, errs)
	}
	type tally struct {
		Platform    string `json:"platform"`
		Received    int    `json:"received"`
		Matched     int    `json:"matched"`
		Delivered   int    `json:"delivered"`
		SignatureOK int    `json:"signature_ok"`
	}
	var got, want []tally
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, platform := range []string{"pollqr", "popsee", "pollarix", "poltio", "chattosurvey"} {
		want = append(want, tally{platform, 1, 1, 1, 1})
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// Every command of the README's shell blocks runs: those of the gateway as they stand, in a folder with the twelve lines.
func TestReadmeCommands(t *testing.T) {
	t.Parallel()
	all := blocks(t, "../../README.md")
	var twelve string
	for _, b := range all {
		if b.language == "yaml" && twelve == "" {
			twelve = b.text
		}
	}
	dir := t.TempDir()
	env := append(slices.Clone(exampleEnv), "SURVEYGATE_DATA="+filepath.Join(dir, "data"))
	p := start(t, dir, twelve+fmt.Sprintf("tokens: [{name: readme, secret: %q, scopes: [publish, read]}]\n", testToken), exampleEnv...)
	for _, b := range all {
		if b.language != "sh" || b.part == platformPart {
			continue
		}
		for _, line := range commands(b.text) {
			t.Run(line, func(t *testing.T) {
				switch name := strings.Fields(line)[0]; name {
				case "go": // the demo, which TestReadmeDemo plays with the binary; here only that it is there
					if !strings.HasPrefix(line, "go run ./cmd/surveygate demo") {
						t.Errorf("nobody plays %q", line)
					}
				case "apt-get": // what it installs is there: other commands of the page run with it
					for _, tool := range strings.Fields(line)[3:] {
						if _, err := exec.LookPath(tool); err != nil {
							t.Error(err)
						}
					}
				case "make":
					cmd := exec.CommandContext(t.Context(), "make", "-n", strings.Fields(line)[1])
					cmd.Dir = "../.."
					if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "go test") {
						t.Errorf("%v\n%s", err, out)
					}
				case "docker": // TestCompose plays the file, and TestDockerfile the image
					if !strings.HasPrefix(line, "docker compose up") {
						t.Errorf("nobody plays %q", line)
					}
				case "surveygate":
					args := strings.Fields(line)[1:]
					if args[0] == "run" {
						return // p is it
					}
					if out, errs, code := invoke(t, dir, env, args...); code != 0 {
						t.Errorf("exit %d\n%s%s", code, out, errs)
					}
				case "curl":
					script := strings.ReplaceAll(line, "http://127.0.0.1:8080", "http://"+p.address)
					cmd := exec.CommandContext(t.Context(), "bash", "-c", script+" -sS --fail-with-body")
					cmd.Env = append(os.Environ(), "NO_PROXY=127.0.0.1", "no_proxy=127.0.0.1", "TOKEN="+testToken)
					out, err := cmd.CombinedOutput()
					if err != nil || !strings.Contains(string(out), `"status":"accepted"`) {
						t.Errorf("%v\n%s", err, out)
					}
				default:
					t.Errorf("nobody plays %q", line)
				}
			})
		}
	}
}

// platformPart is the part of the README for platforms.
const platformPart = "Many customers: settings by API"

// The README's part for platforms runs from its first command to its last, and each prints what is shown below it.
func TestReadmePlatform(t *testing.T) {
	t.Parallel()
	var part []block
	for _, b := range blocks(t, "../../README.md") {
		if b.part == platformPart {
			part = append(part, b)
		}
	}
	page := &pageReader{t: t, dir: t.TempDir(), address: "127.0.0.1:8080", receiver: fmt.Sprint("127.0.0.1:", redistest.Port(t))}
	if played := page.play(part); played["sh"] < 4 || played["text"] < 4 {
		t.Errorf("the part lost its steps: %v", played)
	}
	// Sent again after the secret was rotated, the event is signed with both.
	until(t, "the replay arrives", func() bool { return strings.Count(page.receiverSaid(), "signature ok") == 2 })
}

// The README names every command: in its table beside the command that it belongs to, or in its text.
func TestReadmeNamesEveryCommand(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	var rows []string
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "| `") {
			rows = append(rows, line)
		}
	}
	named := func(words []string) bool {
		if strings.Contains(string(text), "`surveygate "+strings.Join(words, " ")) {
			return true
		}
		for _, row := range rows {
			all := true
			for _, word := range words {
				all = all && regexp.MustCompile("`(\\w+ )*"+regexp.QuoteMeta(word)+"[ `]").MatchString(row)
			}
			if all {
				return true
			}
		}
		return false
	}
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		words := strings.Fields(c.CommandPath())[1:]
		for _, child := range c.Commands() {
			if child.Name() != "help" && child.Name() != "completion" {
				walk(child)
			}
		}
		if !c.HasSubCommands() && !c.Hidden && !named(words) {
			t.Errorf("the README does not name surveygate %s", strings.Join(words, " "))
		}
	}
	walk(command.New(io.Discard, io.Discard))
}

// commands are a shell block's lines, continued ones joined, comments cut off.
func commands(text string) []string {
	var all []string
	for line := range strings.Lines(strings.ReplaceAll(text, "\\\n", " ")) {
		line, _, _ = strings.Cut(line, "  # ")
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			all = append(all, line)
		}
	}
	return all
}

// TestContributingNamesFiles: what CONTRIBUTING points to exists.
func TestContributingNamesFiles(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../CONTRIBUTING.md")
	if err != nil {
		t.Fatal(err)
	}
	paths := regexp.MustCompile("`((?:cmd|configs|connectors|examples|gateway|rules)/[a-z0-9_./-]+)`").FindAllSubmatch(page, -1)
	if len(paths) < 15 {
		t.Fatalf("found %d paths", len(paths))
	}
	for _, m := range paths {
		path := string(m[1])
		if strings.HasSuffix(path, "/yours") {
			continue // the reader's own
		}
		if _, err := os.Stat(filepath.Join("../..", path)); err != nil {
			t.Errorf("CONTRIBUTING.md names %s: %v", path, err)
		}
	}
}
