package declared_test

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/surveygate/surveygate/connectors/declared"
)

type account struct {
	// Token is the credential.
	Token string `yaml:"token"`
}

type product struct {
	account `yaml:",inline"`

	// Text says something.
	Text   string `yaml:"text,omitempty"`
	Hidden string `yaml:"-"`
	Silent string
}

func TestSettingsFollowTheStruct(t *testing.T) {
	t.Parallel()
	type row struct {
		Name     string
		Required bool
		In       string
	}
	var got []row
	for _, s := range declared.Settings(reflect.TypeFor[*product]()) {
		got = append(got, row{s.Name, s.Required, s.In.Name()})
	}
	want := []row{{"token", true, "account"}, {"text", false, "product"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestCommentsComeFromTheSource(t *testing.T) {
	t.Parallel()
	p, err := declared.Read(".")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := p.Field("Setting", "Required"), "Required settings have no omitempty in their tag."; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := p.Field("Setting", "Field"); got != "" {
		t.Errorf("a field without a comment has %q", got)
	}
	if p.Comment == "" {
		t.Error("the package comment is missing")
	}
}

func TestDescribeUsesTheSettingsName(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	text, err := os.ReadFile("declared_test.go")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "copy.go"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := declared.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	for field, want := range map[string]string{"Text": "`text` says something.", "Silent": ""} {
		if got := p.Describe("product", field); got != want {
			t.Errorf("%s: got %q, want %q", field, got, want)
		}
	}
	if got, want := p.Describe("account", "Token"), "The credential."; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestAFolderWithoutSourceIsAnError(t *testing.T) {
	t.Parallel()
	if _, err := declared.Read(t.TempDir()); err == nil {
		t.Error("no error")
	}
}

// Commands to copy keep their lines.
func TestIndentedParagraphs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	source := "// Package p does\n// it:\n//\n//\tcurl \\\n//\t  URL\n//\n// or\n// not.\npackage p\n"
	if err := os.WriteFile(filepath.Join(dir, "p.go"), []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := declared.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("Package p does it:\n\n    curl \\\n      URL\n\nor not.", p.Comment); diff != "" {
		t.Error(diff)
	}
}
