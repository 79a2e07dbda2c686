package vault

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The first start makes a key, which later ones find.
func TestKeyFile(t *testing.T) {
	t.Parallel()
	store, folder := local(t), t.TempDir()
	path := filepath.Join(folder, KeyFile)
	// What a start left that was killed while it wrote.
	if err := os.WriteFile(path+".new", []byte("k1:half"), 0o600); err != nil {
		t.Fatal(err)
	}
	first, err := OwnKeys(t.Context(), folder, store)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if _, err := os.Stat(path + ".new"); err == nil {
		t.Error("the draft is left")
	}
	again, err := OwnKeys(t.Context(), folder, store)
	if err != nil || !again.Equal(first) {
		t.Errorf("the second start: %v", err)
	}
	if problem := KeyFileProblem(folder); problem != "" {
		t.Error(problem)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if problem := KeyFileProblem(folder); !strings.Contains(problem, "chmod 600 "+path) {
		t.Errorf("of a file that the group may read it says %q", problem)
	}
	if problem := KeyFileProblem(t.TempDir()); problem != "" {
		t.Errorf("of no file it says %q", problem)
	}
}

// A lost key is not replaced while the store holds what was sealed with it.
func TestLostKeyFile(t *testing.T) {
	t.Parallel()
	store, folder := local(t), t.TempDir()
	own, err := OwnKeys(t.Context(), folder, store)
	if err != nil {
		t.Fatal(err)
	}
	v := New(Options{Keys: own, Store: store, Context: t.Context()})
	if err := v.Prove(t.Context()); err != nil {
		t.Fatal(err)
	}
	keepRecord(t, v, "acme", "crm")
	path := filepath.Join(folder, KeyFile)
	if err := os.Rename(path, path+".old"); err != nil {
		t.Fatal(err)
	}
	_, err = OwnKeys(t.Context(), folder, store)
	lost, ok := errors.AsType[*LostKeyError](err)
	if !ok || lost.ID != "k1" || !strings.Contains(err.Error(), "put "+path+" back from the backup") || !strings.Contains(err.Error(), "token of tenant acme") {
		t.Errorf("said %v", err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("another key was made")
	}
	if deleted, err := Forget(t.Context(), store, Keys{}, "k1"); err != nil || deleted != 1 {
		t.Errorf("deleted %d, %v", deleted, err)
	}
	anew, err := OwnKeys(t.Context(), folder, store)
	if err != nil || anew.Equal(own) {
		t.Errorf("afterwards: %v", err)
	}
}

// A key file that is no key file is refused in words, and stays as it is.
func TestStrangeKeyFile(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		make func(path string) error
		want string
	}{
		"empty":         {func(p string) error { return os.WriteFile(p, nil, 0o600) }, "holds no key; put it back"},
		"too short":     {func(p string) error { return os.WriteFile(p, []byte("k1:c2hvcnQ=\n"), 0o600) }, "k1 has 5 bytes and needs 32"},
		"zeros":         {func(p string) error { return os.WriteFile(p, make([]byte, 32), 0o600) }, "k1 is not base64"},
		"huge":          {func(p string) error { return os.WriteFile(p, make([]byte, 1<<20), 0o600) }, "is too large to hold keys"},
		"a folder":      {func(p string) error { return os.Mkdir(p, 0o700) }, "is not a file"},
		"a broken link": {func(p string) error { return os.Symlink(filepath.Join(filepath.Dir(p), "away"), p) }, "cannot be read"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			path := filepath.Join(folder, KeyFile)
			if err := c.make(path); err != nil {
				t.Fatal(err)
			}
			if _, err := OwnKeys(t.Context(), folder, local(t)); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("said %v", err)
			}
		})
	}
	t.Run("a link to a key", func(t *testing.T) { // as Kubernetes mounts secrets
		t.Parallel()
		folder := t.TempDir()
		if err := os.WriteFile(filepath.Join(folder, "data"), []byte(one), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink("data", filepath.Join(folder, KeyFile)); err != nil {
			t.Fatal(err)
		}
		if own, err := OwnKeys(t.Context(), folder, local(t)); err != nil || !own.Equal(keys(t, one)) {
			t.Errorf("said %v", err)
		}
	})
}
