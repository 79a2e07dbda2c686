package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/redistest"
)

// TestAddingAPlatform follows configs/sources/ADDING.md to the letter: its files are written, its commands run, and
// what it shows is printed.
func TestAddingAPlatform(t *testing.T) {
	t.Parallel()
	page := &pageReader{t: t, dir: t.TempDir(), address: "127.0.0.1:8080", receiver: fmt.Sprint("127.0.0.1:", redistest.Port(t))}
	played := page.follow("../../configs/sources/ADDING.md")
	if played["sh"] < 5 || played["text"] < 3 || played["yaml"] < 4 {
		t.Errorf("the page lost its steps: %v", played)
	}
	if n := strings.Count(page.files["acme.yaml"], "\n"); n < 10 || n > 15 {
		t.Errorf("the profile has %d lines; 15 are promised", n)
	}
	if heard := page.receiverSaid(); !strings.Contains(heard, "signature ok") || !strings.Contains(heard, `"full_name": "Jo Doe"`) {
		t.Errorf("the receiver heard:\n%s", heard)
	}
}

// pageReader does what a page says.
type pageReader struct {
	t                 *testing.T
	dir               string
	address, receiver string // what stands for the page's 127.0.0.1:8080 and :9000
	env               []string
	gateway           *process
	files             map[string]string
	out               string   // of the last command
	expect            []string // what it should print
	delivery          string   // what stands for the page's dl_DELIVERY

	mu    sync.Mutex
	heard bytes.Buffer
}

// follow plays every block of a page, and counts them by kind: files are written (```yaml NAME), commands run, and
// texts looked for in what the command before them printed.
func (f *pageReader) follow(path string) (played map[string]int) {
	f.t.Helper()
	return f.play(blocks(f.t, path))
}

// play is follow for some blocks of a page.
func (f *pageReader) play(all []block) (played map[string]int) {
	f.t.Helper()
	played = map[string]int{}
	f.files = map[string]string{}
	for i, b := range all {
		kind, name, _ := strings.Cut(b.language, " ")
		played[kind]++
		switch {
		case kind == "text":
			f.shows(b)
		case kind == "sh":
			lines := commands(b.text)
			for j, line := range lines {
				f.expect = nil
				if j == len(lines)-1 && i+1 < len(all) && all[i+1].language == "text" {
					f.expect = shown(all[i+1])
				}
				f.do(b, line)
			}
		case name != "":
			f.write(name, b.text)
		default:
			f.t.Errorf("%s:%d: nobody plays a block of %q", b.page, b.line, b.language)
		}
	}
	return played
}

func (f *pageReader) receiverSaid() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.heard.String()
}

func (f *pageReader) here(text string) string {
	return strings.NewReplacer("127.0.0.1:8080", f.address, "127.0.0.1:9000", f.receiver, "dl_DELIVERY", f.delivery).Replace(text)
}

func (f *pageReader) write(name, text string) {
	f.t.Helper()
	f.files[name] = text
	if name == "surveygate.yaml" && f.gateway != nil {
		f.gateway.reload(f.here(text))
		return
	}
	if err := os.WriteFile(filepath.Join(f.dir, name), []byte(f.here(text)), 0o600); err != nil {
		f.t.Fatal(err)
	}
}

func (f *pageReader) shell(line string) *exec.Cmd {
	cmd := exec.CommandContext(context.Background(), "bash", "-c", "set -o pipefail; "+f.here(line))
	cmd.Dir = f.dir
	cmd.Env = append(append(os.Environ(), f.env...),
		"NO_PROXY=127.0.0.1", "no_proxy=127.0.0.1", "PATH="+filepath.Dir(binary)+":"+os.Getenv("PATH"), "SURVEYGATE_DATA="+filepath.Join(f.dir, "data"))
	return cmd
}

func (f *pageReader) do(b block, line string) {
	f.t.Helper()
	if pair, ok := strings.CutPrefix(line, "export "); ok {
		if name, value, _ := strings.Cut(pair, "="); strings.HasPrefix(value, "$(") {
			out, err := f.shell("printf %s " + value).Output()
			if err != nil || len(out) == 0 {
				f.t.Fatalf("%s:%d: %s: %v\n%s", b.page, b.line, line, err, out)
			}
			pair = name + "=" + string(out)
		}
		f.env = append(f.env, pair)
		return
	}
	line = strings.TrimSuffix(line, " &")
	switch {
	case line == "surveygate run":
		text, err := os.ReadFile(filepath.Join(f.dir, "surveygate.yaml"))
		if err != nil {
			f.t.Fatal(err)
		}
		f.gateway = start(f.t, f.dir, string(text), f.env...)
		f.address = f.gateway.address
		return
	case strings.HasPrefix(line, "surveygate listen"):
		f.listen(line)
		return
	}
	for end := time.Now().Add(patience); ; {
		out, err := f.shell(line).CombinedOutput()
		if f.out = string(out); err != nil {
			f.t.Fatalf("%s:%d: %s: %v\n%s", b.page, b.line, line, err, out)
		}
		// What is only looked at may be shown as it will be in a moment: decided, delivered.
		looks := strings.HasPrefix(line, "surveygate explain") || strings.HasPrefix(line, "curl") && !strings.Contains(line, " -X") && !strings.Contains(line, " -d") && !strings.Contains(line, " --data")
		if !looks || len(f.missing(f.expect)) == 0 || time.Now().After(end) {
			return
		}
	}
}

// listen starts the receiver, which ends with the test.
func (f *pageReader) listen(line string) {
	f.t.Helper()
	cmd := f.shell("exec " + line)
	writer := &lockedWriter{w: &f.heard, mu: &f.mu}
	cmd.Stdout, cmd.Stderr = writer, writer
	if err := cmd.Start(); err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
	})
	until(f.t, "the receiver listens", func() bool { return strings.Contains(f.receiverSaid(), "listening on") })
}

// shown are the lines of a text block.
func shown(b block) []string {
	var lines []string
	for line := range strings.Lines(b.text) {
		if line = strings.TrimRight(line, "\n"); line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}

// missing are lines that do not stand in what was printed by the last command and then by the receiver, in their order; … stands for anything, and an id that the
// page calls dl_DELIVERY for the first one that stands in its place.
func (f *pageReader) missing(lines []string) (gone []string) {
	text := f.out + f.receiverSaid()
	for _, line := range lines {
		for part := range strings.SplitSeq(line, "…") {
			if before, after, named := strings.Cut(part, "dl_DELIVERY"); named {
				_, rest, found := strings.Cut(text, before+"dl_")
				id, _, closed := strings.Cut(rest, after[:1])
				if !found || !closed {
					return append(gone, line)
				}
				f.delivery = "dl_" + id
				part = before + f.delivery + after
			}
			_, after, found := strings.Cut(text, part)
			if !found {
				gone = append(gone, line)
				break
			}
			text = after
		}
	}
	return gone
}

func (f *pageReader) shows(b block) {
	f.t.Helper()
	for _, line := range f.missing(shown(b)) {
		f.t.Errorf("%s:%d: it prints no %q:\n%s%s", b.page, b.line, line, f.out, f.receiverSaid())
	}
}
