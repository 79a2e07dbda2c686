package main

import (
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// vendoredFile is a row of a SOURCES.md: the file, its package with the version, its path there, its hash.
var vendoredFile = regexp.MustCompile("(?m)^\\| `([^`]+)` \\| `[^`]+@[^`]+` \\| `[^`]+` \\| `([0-9a-f]{64})` \\|$")

// TestVendoredFiles compares the files of other projects with the hashes in their SOURCES.md, which `make assets` compares
// with the published packages. A minified file that no SOURCES.md names is an error as well.
func TestVendoredFiles(t *testing.T) {
	t.Parallel()
	named, minified := map[string]bool{}, []string{}
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && strings.HasPrefix(d.Name(), ".git"), d.IsDir() && d.Name() == "bin":
			return filepath.SkipDir
		case strings.Contains(d.Name(), ".min."):
			minified = append(minified, path)
		case d.Name() == "SOURCES.md":
			sources, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			for _, row := range vendoredFile.FindAllSubmatch(sources, -1) {
				file := filepath.Join(filepath.Dir(path), string(row[1]))
				named[file] = true
				content, err := os.ReadFile(file)
				if err != nil {
					t.Error(err)
				} else if sum := sha256.Sum256(content); hex.EncodeToString(sum[:]) != string(row[2]) {
					t.Errorf("%s has the SHA-256 %x, %s says %s", file, sum, path, row[2])
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range minified {
		if !named[file] {
			t.Errorf("%s is in no SOURCES.md", file)
		}
	}
	if len(minified) == 0 {
		t.Error("found no file of another project")
	}
}
