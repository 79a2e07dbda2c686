package embedded

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestCheck: Check counts the records of an undamaged store, refuses an open one, and reports a damaged table with what to do.
// It changes nothing.
func TestCheck(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := Check(dir, nil); err == nil || !strings.Contains(err.Error(), "holds no store") {
		t.Fatalf("got %v", err)
	}
	s, err := open(Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 40 {
		if _, err := s.Append(t.Context(), benchEvents(t, i, 1)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Check(dir, nil); err == nil || !strings.Contains(err.Error(), "stop it first") {
		t.Fatalf("got %v", err)
	}
	if err := s.db.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if got, err := Check(dir, nil); err != nil || got.Events != 40 || got.Unreadable != 0 {
		t.Fatalf("got %+v, %v", got, err)
	}
	all, err := filepath.Glob(filepath.Join(dir, "events", "*.sst"))
	if err != nil || len(all) == 0 {
		t.Fatal(all, err)
	}
	var largest string
	var content []byte
	for _, path := range all {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if len(text) > len(content) {
			largest, content = path, text
		}
	}
	broken := bytes.Clone(content)
	for i, from := 0, len(content)/8; i < 64; i++ {
		broken[from+i] ^= 0xff
	}
	if err := os.WriteFile(largest, broken, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Check(dir, nil); err == nil || !strings.Contains(err.Error(), "is damaged") {
		t.Errorf("check: %v", err)
	}
	if after, err := os.ReadFile(largest); err != nil || !bytes.Equal(after, broken) {
		t.Errorf("the check changed a file: %v", err)
	}
}
