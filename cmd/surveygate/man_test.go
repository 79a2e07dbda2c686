package main

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/surveygate/surveygate/cmd/command"
)

// escapes are the ones that a page uses; every other backslash would be a mistake.
var escapes = regexp.MustCompile(`\\(?:f[BIR]|[-e&]|\((?:aq|dq|ga|ha|ti|bu)|\[u[0-9A-F]{4,5}\])`)

// Every command that the help shows has a manual page, which is the language of man(7) and names all that the help does.
func TestManPages(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "man1")
	if out, errs, code := invoke(t, t.TempDir(), nil, "man", "--dir", dir); code != 0 || !strings.Contains(out, "pages are written to") {
		t.Fatalf("exit %d\n%s%s", code, out, errs)
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var left []string
	for _, f := range files {
		left = append(left, f.Name())
	}
	groff, err := exec.LookPath("groff")
	if err != nil {
		groff = "" // the syntax is checked all the same
	}
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		for _, child := range c.Commands() {
			if child.IsAvailableCommand() {
				walk(child)
			}
		}
		name := strings.ReplaceAll(c.CommandPath(), " ", "-") + ".1"
		at := slices.Index(left, name)
		if at < 0 {
			t.Errorf("%s has no page", c.CommandPath())
			return
		}
		left = slices.Delete(left, at, at+1)
		page, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		checkRoff(t, name, string(page))
		if groff == "" || strings.Count(c.CommandPath(), " ") > 1 && c.Name() != "list" { // the same kinds of pages
			return
		}
		cmd := exec.CommandContext(t.Context(), groff, "-man", "-Tutf8", "-ww", "-P-cbou")
		cmd.Stdin = strings.NewReader(string(page))
		var faults strings.Builder
		cmd.Stderr = &faults
		text, err := cmd.Output()
		if err != nil || faults.Len() > 0 {
			t.Errorf("%s: %v: %s", name, err, faults.String())
		}
		c.NonInheritedFlags().VisitAll(func(f *pflag.Flag) {
			if !f.Hidden && !strings.Contains(string(text), "--"+f.Name) {
				t.Errorf("%s does not show --%s:\n%s", name, f.Name, text)
			}
		})
		for line := range strings.Lines(c.Example) {
			if !strings.Contains(unfolded(string(text)), unfolded(line)) {
				t.Errorf("%s does not show the example %s:\n%s", name, line, text)
			}
		}
	}
	walk(command.New(io.Discard, io.Discard))
	if len(left) > 0 {
		t.Errorf("pages of no command: %v", left)
	}
	if out, errs, code := invoke(t, t.TempDir(), nil, "man"); code != 2 || !strings.Contains(errs, "surveygate man --dir man1") {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
}

// checkRoff holds a page against the requests and escapes that it may use.
func checkRoff(t *testing.T, name, page string) {
	t.Helper()
	if !strings.HasPrefix(page, ".TH \"SURVEYGATE") || !strings.Contains(page, "\n.SH NAME\n") || !strings.Contains(page, "\n.SH SYNOPSIS\n") {
		t.Errorf("%s does not begin as a page does:\n%s", name, page)
	}
	open, copied := 0, false
	for line := range strings.Lines(page) {
		line = strings.TrimRight(line, "\n")
		if rest := escapes.ReplaceAllString(line, ""); strings.Contains(rest, `\`) {
			t.Errorf("%s: an escape of another kind: %s", name, line)
		}
		if strings.ContainsFunc(line, func(r rune) bool { return r > '~' || r < ' ' }) {
			t.Errorf("%s: a character that is not ASCII: %q", name, line)
		}
		request, _, _ := strings.Cut(line, " ")
		switch {
		case !strings.HasPrefix(line, "."):
		case request == ".RS":
			open++
		case request == ".RE":
			open--
		case request == ".nf" || request == ".fi":
			if copied == (request == ".nf") {
				t.Errorf("%s: %s twice", name, request)
			}
			copied = request == ".nf"
		case slices.Contains([]string{".TH", ".SH", ".PP", ".TP", ".IP"}, request):
		default:
			t.Errorf("%s: no such request: %s", name, line)
		}
	}
	if open != 0 || copied {
		t.Errorf("%s: a block that does not end:\n%s", name, page)
	}
}
