package config_test

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/surveygate/surveygate/connectors"
	_ "github.com/surveygate/surveygate/connectors/all"
	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/document"
)

var update = flag.Bool("update", false, "rewrite the error texts in testdata")

// TestErrors loads the files of each archive in testdata/errors and compares what is said with its last section.
// Files `env` hold NAME=value lines; everything else is written beside each other, `surveygate.yaml` or a folder.
func TestErrors(t *testing.T) {
	t.Parallel()
	archives, err := filepath.Glob("testdata/errors/*.txtar")
	if err != nil || len(archives) < 40 {
		t.Fatalf("found %d archives: %v", len(archives), err)
	}
	for _, path := range archives {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			t.Parallel()
			archive, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			got := "\n" + said(t, archive)
			last := &archive.Files[len(archive.Files)-1]
			if last.Name != "error" {
				t.Fatalf("the last section is %s, want error", last.Name)
			}
			if *update {
				last.Data = []byte(strings.TrimPrefix(got, "\n") + "\n")
				if err := os.WriteFile(path, txtar.Format(archive), 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff("\n"+strings.TrimSuffix(string(last.Data), "\n"), got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// said is what loading an archive's files says, with paths as somebody in their folder sees them.
func said(t *testing.T, archive *txtar.Archive) string {
	t.Helper()
	folder := t.TempDir()
	env := map[string]string{}
	for _, f := range archive.Files {
		switch f.Name {
		case "error":
		case "env":
			for line := range strings.SplitSeq(strings.TrimSpace(string(f.Data)), "\n") {
				name, value, _ := strings.Cut(line, "=")
				env[name] = value
			}
		default:
			path := filepath.Join(folder, f.Name)
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, f.Data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	path := folder
	if single := filepath.Join(folder, "surveygate.yaml"); exists(single) {
		path = single
	}
	_, err := config.Load(config.Options{Path: path, Env: func(name string) (string, bool) { v, ok := env[name]; return v, ok }})
	if err == nil {
		t.Fatal("the configuration has no fault")
	}
	if faults := (document.Faults{}); !errors.As(err, &faults) {
		t.Fatalf("not faults of the files: %v", err)
	}
	text := strings.ReplaceAll(err.Error(), folder+string(filepath.Separator), "")
	text = strings.ReplaceAll(text, strings.Join(products(), ", "), "PRODUCTS") // another product is no other error
	for name, value := range env {
		if len(value) > 8 && strings.Contains(text, value) {
			t.Errorf("the value of %s is shown", name)
		}
	}
	return text
}

func products() []string {
	return slices.DeleteFunc(connectors.Names(), func(name string) bool { return strings.Contains(name, ".") })
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
