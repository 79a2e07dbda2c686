package document_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/surveygate/surveygate/connectors"
	_ "github.com/surveygate/surveygate/connectors/all"
	"github.com/surveygate/surveygate/connectors/connectortest"
	"github.com/surveygate/surveygate/connectors/connectortest/credentials"
	"github.com/surveygate/surveygate/gateway/internal/document"
)

// TestTranscriptsAreBoundAlike plays the connectors' transcripts with this reader of YAML: the one they are
// written with is made for tests only, and must not be kinder or harder than what users meet.
func TestTranscriptsAreBoundAlike(t *testing.T) {
	t.Parallel()
	for _, name := range connectors.Names() {
		product, action, _ := strings.Cut(name, ".")
		files, err := filepath.Glob(filepath.Join("../../../connectors", product, "testdata", action, "*.txtar"))
		if err != nil || len(files) == 0 {
			t.Fatalf("no transcripts of %s (%v)", name, err)
		}
		for _, file := range files {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got, err := connectortest.Transcribe(name, txtar.Format(archive), bind)
			if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			if want, got := outcome(archive), outcome(txtar.Parse(got)); want != got {
				t.Errorf("%s: got\n%s\nwant\n%s", file, got, want)
			}
		}
	}
}

func bind(text []byte, into connectors.Connector) error {
	node, faults := document.Parse("config.yaml", text)
	if len(faults) == 0 {
		_, faults = node.Expand(document.Lookup{Env: credentials.Named})
	}
	if len(faults) == 0 {
		faults = document.Bind(node, into, document.Options{})
	}
	if len(faults) > 0 {
		return errors.New("refused")
	}
	if v, ok := into.(connectors.Validator); ok {
		return v.Validate()
	}
	return nil
}

// outcome is what Build made of it; of a refused configuration only that it was refused, since the words differ.
func outcome(archive *txtar.Archive) string {
	for _, part := range archive.Files {
		if text := string(part.Data); part.Name == "request" || part.Name == "build" {
			if strings.HasPrefix(text, "invalid: ") {
				return "invalid"
			}
			return text
		}
	}
	return ""
}
