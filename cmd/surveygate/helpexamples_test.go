package main

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/surveygate/surveygate/cmd/command"
)

// asked returns the arguments of each surveygate that a text for a shell runs, as bash reads it. Nothing else is run.
func asked(t *testing.T, text string) (calls [][]string) {
	t.Helper()
	dir := t.TempDir()
	for word := range strings.FieldsSeq(text) { // files that examples read
		if _, after, found := strings.Cut(text, "< "+word); found && (after == "" || strings.ContainsAny(after[:1], " \n")) {
			if err := os.WriteFile(filepath.Join(dir, filepath.Base(word)), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Fatal(err)
	}
	heard := filepath.Join(dir, "heard")
	cmd := exec.CommandContext(t.Context(), bash, "--norc", "-c", `set -e
surveygate() {
	while read -r _; do :; done # what writes to it must not find the pipe closed
	printf '%s\0' "$@" $'\n' >> "$HEARD"
}
`+text)
	cmd.Dir, cmd.Env = dir, []string{"PATH=", "HEARD=" + heard}
	var out bytes.Buffer
	cmd.Stderr = &out
	if err := cmd.Run(); err != nil {
		t.Errorf("%v: %s\n%s", err, text, out.String())
	}
	record, err := os.ReadFile(heard)
	if err != nil {
		t.Errorf("no surveygate in: %s", text)
		return nil
	}
	for call := range strings.SplitSeq(strings.TrimSuffix(string(record), "\n\x00"), "\n\x00") {
		calls = append(calls, strings.Split(strings.TrimSuffix(call, "\x00"), "\x00"))
	}
	return calls
}

// Every command that runs has an example in its help, and each example is of that command, with flags and arguments that it takes.
func TestHelpExamples(t *testing.T) {
	t.Parallel()
	examples := 0
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		for _, child := range c.Commands() {
			walk(child)
		}
		if c.Example == "" {
			if !c.HasSubCommands() && !c.Hidden {
				t.Errorf("%s has no example", c.CommandPath())
			}
			return
		}
		for _, args := range asked(t, c.Example) {
			examples++
			root := command.New(io.Discard, io.Discard)
			found, rest, err := root.Find(args)
			if err == nil {
				err = found.ParseFlags(rest)
			}
			if err == nil {
				err = found.ValidateArgs(found.Flags().Args())
			}
			if err == nil {
				err = found.ValidateFlagGroups()
			}
			if err != nil {
				t.Errorf("%s: the example %q: %v", c.CommandPath(), args, err)
			}
			if found.CommandPath() != c.CommandPath() && c.HasParent() {
				t.Errorf("%s: the example %q is of %s", c.CommandPath(), args, found.CommandPath())
			}
		}
	}
	walk(command.New(io.Discard, io.Discard))
	if examples < 100 {
		t.Errorf("only %d examples", examples)
	}
}

// The reader of examples sees what bash would run.
func TestAsked(t *testing.T) {
	t.Parallel()
	got := asked(t, "  surveygate a 'b c' \"$NONE\"\n  echo x |\n    surveygate d < e\n  surveygate f \\\n    g > h")
	want := [][]string{{"a", "b c", ""}, {"d"}, {"f", "g"}}
	if len(got) != len(want) {
		t.Fatalf("%q", got)
	}
	for i := range want {
		if strings.Join(got[i], "|") != strings.Join(want[i], "|") {
			t.Errorf("%q, want %q", got[i], want[i])
		}
	}
}
