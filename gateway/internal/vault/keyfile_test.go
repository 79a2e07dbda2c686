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
	first, err := OwnKeys(t.Context(), folder, store, Keys{})
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if _, err := os.Stat(path + ".new"); err == nil {
		t.Error("the draft is left")
	}
	again, err := OwnKeys(t.Context(), folder, store, Keys{})
	if err != nil || !again.Equal(first) {
		t.Errorf("the second start: %v", err)
	}
}

// A lost key is not replaced while the store holds what was sealed with it.
func TestLostKeyFile(t *testing.T) {
	t.Parallel()
	store, folder := local(t), t.TempDir()
	own, err := OwnKeys(t.Context(), folder, store, Keys{})
	if err != nil {
		t.Fatal(err)
	}
	v := New(Options{Keys: own, Store: store})
	if err := v.Prove(t.Context()); err != nil {
		t.Fatal(err)
	}
	keepRecord(t, v, "acme", "crm")
	path := filepath.Join(folder, KeyFile)
	if err := os.Rename(path, path+".old"); err != nil {
		t.Fatal(err)
	}
	_, err = OwnKeys(t.Context(), folder, store, Keys{})
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
	anew, err := OwnKeys(t.Context(), folder, store, Keys{})
	if err != nil || anew.Equal(own) {
		t.Errorf("afterwards: %v", err)
	}
}

// A key with which nothing was sealed is no loss: another one is made.
func TestUnusedKeyFile(t *testing.T) {
	t.Parallel()
	store, folder := local(t), t.TempDir()
	for range 2 {
		own, err := OwnKeys(t.Context(), folder, store, Keys{})
		if err != nil {
			t.Fatal(err)
		}
		v := New(Options{Keys: own, Store: store})
		if err := v.Prove(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(filepath.Join(folder, KeyFile)); err != nil {
			t.Fatal(err)
		}
	}
}

// With keys that are set, no file is needed; one that is there stands behind them.
func TestKeyFileBehindOthers(t *testing.T) {
	t.Parallel()
	store, folder, set := local(t), t.TempDir(), keys(t, "k2:"+two)
	v := New(Options{Keys: set, Store: store})
	if err := v.Prove(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, err := OwnKeys(t.Context(), folder, store, set); err != nil || !got.Equal(set) {
		t.Errorf("without a file: %v", err)
	}
	if _, err := os.Stat(filepath.Join(folder, KeyFile)); err == nil {
		t.Error("a file was made")
	}
	if err := os.WriteFile(filepath.Join(folder, KeyFile), []byte(one), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := OwnKeys(t.Context(), folder, store, set); err != nil || !got.Equal(keys(t, "k2:"+two+",k1:"+one)) {
		t.Errorf("with a file: %v", err)
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
			if _, err := OwnKeys(t.Context(), folder, local(t), Keys{}); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
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
		if own, err := OwnKeys(t.Context(), folder, local(t), Keys{}); err != nil || !own.Equal(keys(t, one)) {
			t.Errorf("said %v", err)
		}
	})
}
