package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const root = "../.."

func TestDerivedFilesAreFresh(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := run(&out, root, true); err != nil {
		t.Errorf("%v\n%s", err, &out)
	}
}

func TestStaleFilesAreSeenAndWritten(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, folder := range sources {
		if err := os.CopyFS(filepath.Join(dir, folder), os.DirFS(filepath.Join(root, folder))); err != nil {
			t.Fatal(err)
		}
	}
	files, err := derive(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		path := filepath.Join(dir, filepath.FromSlash(f.path))
		if err := os.WriteFile(path, []byte("stale"), 0o600); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if err := run(&out, dir, true); err == nil || !strings.Contains(out.String(), f.path+" is stale") {
			t.Errorf("%s: -check said %v\n%s", f.path, err, &out)
		}
		if text, err := os.ReadFile(path); err != nil || string(text) != "stale" {
			t.Errorf("%s: -check wrote it", f.path)
		}
		if err := run(io.Discard, dir, false); err != nil {
			t.Fatal(err)
		}
		if text, err := os.ReadFile(path); err != nil || !bytes.Equal(text, f.text) {
			t.Errorf("%s was not written (%v)", f.path, err)
		}
	}
}

// sources are what pages are made of.
var sources = []string{"connectors"}

func TestASettingWithoutACommentIsAnError(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, folder := range sources {
		if err := os.CopyFS(filepath.Join(dir, folder), os.DirFS(filepath.Join(root, folder))); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, "connectors", "slack", "slack.go")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	silent := bytes.ReplaceAll(text, []byte("\t// Token is a bot's"), []byte("\t//\n\n\t// Nobody is a bot's"))
	silent = bytes.ReplaceAll(silent, []byte("\tToken connectors.Secret"), []byte("\n\tToken connectors.Secret"))
	if bytes.Equal(text, silent) {
		t.Fatal("the comment was not found")
	}
	if err := os.WriteFile(path, silent, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := derive(dir); err == nil || !strings.Contains(err.Error(), "Token has no comment") {
		t.Errorf("got %v", err)
	}
}
