package command

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/offline"
)

// starting holds the arguments of `init`.
type starting struct {
	*globals
	source, to, out string
	usual           string // the file that commands read without --config
}

// started is the output of `init --json`.
type started struct {
	File string `json:"file"`
	// Variables are to be set before the start, and Examples are settings of the destination to be changed.
	Variables []string `json:"variables"`
	Examples  []string `json:"examples,omitempty"`
	Tests     int      `json:"tests"`
}

func (g *globals) init() *cobra.Command {
	s := &starting{globals: g}
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Write a first configuration",
		Long: `Write a configuration to start with: a source for one platform, one destination, and one rule with its test. Comments say where each
secret is found; the secrets themselves stay in the environment. A file that exists is never changed.

On a terminal, what is not given by flags is asked for. Then the file is checked and its tests are run, and the next steps are printed.`,
		Example: `  surveygate init
  surveygate init --source pollqr --to slack
  surveygate init --source typeform --to webhook --out typeform.yaml`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s.usual = cmd.Flag("config").DefValue
			return s.run(cmd.InOrStdin())
		},
	}
	f := cmd.Flags()
	f.StringVar(&s.source, "source", "", "the platform that sends, such as pollqr")
	f.StringVar(&s.to, "to", "", "where events go: a product, such as slack, or webhook")
	f.StringVar(&s.out, "out", "", "the file to write (default: that of --config)")
	_ = cmd.RegisterFlagCompletionFunc("source", cobra.FixedCompletions(platformNames(), cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("to", func(_ *cobra.Command, _ []string, begun string) ([]string, cobra.ShellCompDirective) {
		return beginning(offline.StarterDestinations(), begun), cobra.ShellCompDirectiveNoFileComp
	})
	return cmd
}

func platformNames() []string {
	var names []string
	for _, p := range config.Platforms() {
		names = append(names, p.Name)
	}
	return names
}

func (s *starting) run(stdin io.Reader) error {
	asked := s.out == "" && (s.source == "" || s.to == "")
	if s.out == "" {
		s.out = s.config
	}
	if s.source == "" || s.to == "" {
		if s.json || !isTerminal(stdin) {
			return &exit{exitUsage, errors.New("name the platform and the destination: surveygate init --source pollqr --to slack\n" +
				"(on a terminal, `surveygate init` asks for them)")}
		}
		if err := s.ask(bufio.NewReader(stdin), asked); err != nil {
			return &exit{exitUsage, err}
		}
	}
	starter, err := offline.NewStarter(s.source, s.to)
	if err != nil {
		return &exit{exitUsage, err}
	}
	if err := s.write(starter.Text); err != nil {
		return &exit{exitUsage, err}
	}
	tested, err := offline.Test(offline.TestOptions{Options: offline.Options{Config: s.out}})
	if err != nil {
		return &exit{exitFailed, err}
	}
	own := tested.Results[:0]
	for _, r := range tested.Results {
		if r.Transcript == "" { // one beside the file is of another configuration
			own = append(own, r)
		}
	}
	if tested.Results = own; tested.Failed() > 0 {
		s.printTests(tested)
		return &exit{code: exitFailed}
	}
	if s.json {
		return s.print(started{s.out, starter.Variables, starter.Examples, len(own)})
	}
	s.next(starter, len(own))
	return nil
}

// ask asks for what no flag says. An answer that is not known is explained, and asked for again.
func (s *starting) ask(in *bufio.Reader, out bool) error {
	for _, q := range []struct {
		what  string
		names []string
		into  *string
	}{{"Which platform sends?", platformNames(), &s.source}, {"Where do its events go?", offline.StarterDestinations(), &s.to}} {
		for *q.into == "" {
			s.printf("%s One of\n", q.what)
			for _, line := range wrap(strings.Join(q.names, ", "), columns-2) {
				s.printf("  %s\n", line)
			}
			answer, err := s.answer(in, "> ")
			if err != nil {
				return err
			}
			if known := offline.StarterName(answer, q.names); known != nil {
				s.printf("%s\n", known)
				continue
			}
			*q.into = answer
		}
	}
	if !out {
		return nil
	}
	answer, err := s.answer(in, fmt.Sprintf("Write it to which file? [%s] ", s.out))
	if answer != "" {
		s.out = answer
	}
	return err
}

// answer reads a line.
func (s *starting) answer(in *bufio.Reader, question string) (string, error) {
	s.printf("%s", question)
	line, err := in.ReadString('\n')
	if err != nil && line == "" {
		s.printf("\n")
		return "", errors.New("nothing was written")
	}
	return strings.TrimSpace(line), nil
}

// write creates the file, and changes none that exists.
func (s *starting) write(text string) error {
	file, err := os.OpenFile(s.out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s exists, and is not changed: name another file with --out", s.out)
	}
	if err != nil {
		return err
	}
	_, err = file.WriteString(text)
	return errors.Join(err, file.Close())
}

// shellWord returns a name as a shell reads it as one word.
func shellWord(name string) string {
	if strings.Trim(name, wordBytes) == "" {
		return name
	}
	return "'" + strings.ReplaceAll(name, "'", `'\''`) + "'"
}

// wordBytes need no quotes in a shell.
const wordBytes = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:"

// next prints what to do with the file.
func (s *starting) next(starter *offline.Starter, tests int) {
	s.say("%s is written: no faults, %d %s passed\n", s.out, tests, plural(tests, "test"))
	if len(starter.Examples) > 0 {
		s.say("Its comments say what to change: %s.\n", strings.Join(starter.Examples, ", "))
	}
	s.printf("\nThe next steps, the first with the secrets; the comments say where they are:\n")
	s.printf("  export %s\n", strings.Join(starter.Variables, "=… ")+"=…")
	with := ""
	if s.out != s.usual {
		with = " --config " + shellWord(s.out)
	}
	s.printf("  surveygate check%s\n  surveygate run%s\n", with, with)
	s.printf("\nWhile it runs, in another terminal: an event that the rule matches, and the\nplatform's sample. `surveygate tail` shows what becomes of them.\n")
	s.printf("  surveygate emit '%s'\n  surveygate emit --sample %s\n", starter.Event, s.source)
}
