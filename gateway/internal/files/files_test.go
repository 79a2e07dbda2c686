package files_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/files"
)

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func link(t *testing.T, to, at string) {
	t.Helper()
	if err := os.Symlink(to, at+".new"); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(at+".new", at); err != nil {
		t.Fatal(err)
	}
}

func yaml(name string) bool { return filepath.Ext(name) == ".yaml" }

// TestChanged: whatever changes in what was read shows, and nothing else does.
func TestChanged(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 100_000)
	cases := []struct {
		name    string
		prepare func(t *testing.T, dir string)
		read    string // the file, or the folder where it ends in a slash
		change  func(t *testing.T, dir string)
		want    bool
	}{
		{"nothing", func(t *testing.T, dir string) { write(t, dir+"/a", "1") }, "a", func(*testing.T, string) {}, false},
		{"content of the same size and time", func(t *testing.T, dir string) { write(t, dir+"/a", "one") }, "a", func(t *testing.T, dir string) {
			info, err := os.Stat(dir + "/a")
			if err != nil {
				t.Fatal(err)
			}
			write(t, dir+"/a", "two")
			if err := os.Chtimes(dir+"/a", info.ModTime(), info.ModTime()); err != nil {
				t.Fatal(err)
			}
		}, true},
		{"size of a large file", func(t *testing.T, dir string) { write(t, dir+"/a", long) }, "a", func(t *testing.T, dir string) { write(t, dir+"/a", long+"y") }, true},
		{"time of a large file", func(t *testing.T, dir string) { write(t, dir+"/a", long) }, "a", func(t *testing.T, dir string) {
			if err := os.Chtimes(dir+"/a", time.Unix(1, 0), time.Unix(1, 0)); err != nil {
				t.Fatal(err)
			}
		}, true},
		{"another file of the same content", func(t *testing.T, dir string) { write(t, dir+"/a", "1") }, "a", func(t *testing.T, dir string) {
			write(t, dir+"/b", "1")
			if err := os.Rename(dir+"/b", dir+"/a"); err != nil {
				t.Fatal(err)
			}
		}, true},
		{"removed", func(t *testing.T, dir string) { write(t, dir+"/a", "1") }, "a", func(t *testing.T, dir string) { _ = os.Remove(dir + "/a") }, true},
		{"made", func(*testing.T, string) {}, "a", func(t *testing.T, dir string) { write(t, dir+"/a", "1") }, true},
		{"still missing", func(*testing.T, string) {}, "a", func(t *testing.T, dir string) { write(t, dir+"/b", "1") }, false},
		{"a link to another file of the same content", func(t *testing.T, dir string) {
			write(t, dir+"/1", "1")
			write(t, dir+"/2", "1")
			link(t, "1", dir+"/a")
		}, "a", func(t *testing.T, dir string) { link(t, "2", dir+"/a") }, true},
		{"a link on the way", func(t *testing.T, dir string) {
			for _, v := range []string{"v1", "v2"} {
				if err := os.Mkdir(filepath.Join(dir, v), 0o700); err != nil {
					t.Fatal(err)
				}
				write(t, filepath.Join(dir, v, "a"), "1")
			}
			link(t, "v1", dir+"/data")
		}, "data/a", func(t *testing.T, dir string) { link(t, "v2", dir+"/data") }, true},
		{"a file more in a folder", func(t *testing.T, dir string) { write(t, dir+"/a.yaml", "1") }, "/", func(t *testing.T, dir string) { write(t, dir+"/b.yaml", "1") }, true},
		{"another sort of file in a folder", func(t *testing.T, dir string) { write(t, dir+"/a.yaml", "1") }, "/", func(t *testing.T, dir string) { write(t, dir+"/.b.swp", "1") }, false},
		{"a folder where none was", func(*testing.T, string) {}, "sub/", func(t *testing.T, dir string) {
			if err := os.Mkdir(dir+"/sub", 0o700); err != nil {
				t.Fatal(err)
			}
		}, true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			c.prepare(t, dir)
			r := &files.Reader{}
			path := filepath.Join(dir, c.read)
			if strings.HasSuffix(c.read, "/") {
				_, _, _ = r.Folder(path, yaml)
			} else {
				_, _ = r.ReadFile(path)
			}
			if got := r.Changed(); got != "" {
				t.Fatalf("%s changed before anything did", got)
			}
			c.change(t, dir)
			if got := r.Changed(); (got != "") != c.want {
				t.Errorf("changed: %q, want %t", got, c.want)
			}
		})
	}
}

// TestPipe: a pipe is read once. What comes through it belongs to whoever reads next.
func TestPipe(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	go func() { _ = os.WriteFile(path, []byte("secret"), 0) }()
	r := &files.Reader{}
	if text, err := r.ReadFile(path); err != nil || string(text) != "secret" {
		t.Fatal(string(text), err)
	}
	if got := r.Changed(); got != "" { // would wait for ever for a writer
		t.Errorf("%s changed", got)
	}
}

// TestChangedWhileReading: the first look at a file counts, however often it is read.
func TestChangedWhileReading(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a")
	r := &files.Reader{}
	write(t, path, "1")
	_, _ = r.ReadFile(path)
	write(t, path, "22")
	_, _ = r.ReadFile(path)
	if r.Changed() != path {
		t.Error("a change between two reads does not show")
	}
}

// TestReadFileEnds: neither a pipe that nobody writes to nor a file of any size keeps who reads it.
func TestReadFileEnds(t *testing.T) {
	t.Parallel()
	var r files.Reader
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	huge := filepath.Join(t.TempDir(), "huge")
	write(t, huge, "")
	if err := os.Truncate(huge, 1<<40); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{pipe: "it is a pipe", huge: "larger than 8 MiB", "/dev/zero": "larger than 8 MiB"} {
		if _, err := r.ReadFile(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", path, err)
		}
	}

	// One that is written, as <(…) of a shell is, is read whole.
	reading, writing, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = reading.Close() }()
	if _, err := writing.WriteString("secret"); err != nil {
		t.Fatal(err)
	}
	if err := writing.Close(); err != nil {
		t.Fatal(err)
	}
	if text, err := r.ReadFile(fmt.Sprintf("/dev/fd/%d", reading.Fd())); err != nil || string(text) != "secret" {
		t.Errorf("a pipe that is written: %q, %v", text, err)
	}
}
