package command

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/surveygate/surveygate/gateway"
)

// man is hidden, because it is for those who make packages.
func (g *globals) man() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:     "man",
		Short:   "Write a manual page for each command",
		Long:    "Write a manual page (section 1) for each command, such as surveygate-emit.1, to a folder. Packages install them in share/man/man1.",
		Example: "  surveygate man --dir man1",
		Hidden:  true,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if dir == "" {
				return &exit{exitUsage, errors.New("name the folder: surveygate man --dir man1")}
			}
			if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // packages take the pages with their modes
				return &exit{exitFailed, err}
			}
			var files []string
			for _, c := range documentedBelow(cmd.Root()) {
				name := pageOf(c) + ".1"
				if err := os.WriteFile(filepath.Join(dir, name), []byte(manPage(c)), 0o644); err != nil { //nolint:gosec // everybody reads them
					return &exit{exitFailed, err}
				}
				files = append(files, name)
			}
			if g.json {
				return g.print(map[string]any{"dir": dir, "files": files})
			}
			g.say("%d pages are written to %s\n", len(files), dir)
			return nil
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "", "the folder to write to")
	return cmd
}

// documentedBelow returns a command and all below it that its help shows.
func documentedBelow(c *cobra.Command) []*cobra.Command {
	all := []*cobra.Command{c}
	for _, child := range shownBelow(c) {
		all = append(all, documentedBelow(child)...)
	}
	return all
}

func shownBelow(c *cobra.Command) []*cobra.Command {
	return slices.DeleteFunc(slices.Clone(c.Commands()), func(c *cobra.Command) bool { return !c.IsAvailableCommand() })
}

// pageOf returns the name of a command's page.
func pageOf(c *cobra.Command) string { return strings.ReplaceAll(c.CommandPath(), " ", "-") }

// roff writes a manual page in the language of man(7).
type roff struct{ strings.Builder }

// manPage returns the page of a command.
func manPage(c *cobra.Command) string {
	c.InitDefaultHelpFlag()
	r := &roff{}
	r.line(fmt.Sprintf(".TH \"%s\" 1 \"\" \"surveygate %s\" \"surveygate\"", escaped(strings.ToUpper(pageOf(c))), escaped(gateway.Version())))
	r.section("NAME")
	r.line(escaped(pageOf(c)) + ` \- ` + escaped(c.Short))
	r.section("SYNOPSIS")
	r.synopsis(c)
	r.section("DESCRIPTION")
	text := c.Long
	if text == "" {
		text = c.Short + "."
	}
	r.text(text)
	if below := shownBelow(c); len(below) > 0 {
		r.section("COMMANDS")
		for _, child := range below {
			r.term(`\fB`+escaped(pageOf(child))+`\fR(1)`, child.Short)
		}
	}
	r.flags("OPTIONS", c.NonInheritedFlags())
	r.flags("GLOBAL OPTIONS", c.InheritedFlags())
	if c.Example != "" {
		r.section("EXAMPLES")
		r.code(strings.Split(c.Example, "\n"))
	}
	r.section("EXIT STATUS")
	for _, status := range exitTexts {
		r.term(fmt.Sprint(status.code), status.text)
	}
	r.seeAlso(c)
	return r.String()
}

// exitTexts say what the exit codes mean.
var exitTexts = []struct {
	code int
	text string
}{
	{exitOK, "Success."},
	{exitFailed, "The command failed: a test failed, or an event was refused."},
	{exitUsage, "Invalid flags or arguments, or a faulty configuration."},
	{exitNobody, "No gateway is running."},
	{exitNothing, "The id or the name does not exist."},
}

func (r *roff) line(text string) { r.WriteString(text + "\n") }

func (r *roff) section(name string) { r.line(".SH " + name) }

// term writes a paragraph with a tag.
func (r *roff) term(tag, text string) {
	r.line(".TP\n" + tag)
	r.line(begun(escaped(text)))
}

// synopsis writes how a command is called.
func (r *roff) synopsis(c *cobra.Command) {
	usage := strings.TrimPrefix(c.UseLine(), c.CommandPath())
	if c.HasSubCommands() && !strings.Contains(c.Use, " ") {
		usage = " COMMAND"
	}
	r.line(`\fB` + escaped(c.CommandPath()) + `\fR` + escaped(usage))
}

// text writes paragraphs, as narrow reads them: a line that begins with a blank is to be copied, and `- ` begins an item of a list.
func (r *roff) text(text string) {
	for paragraph := range strings.SplitSeq(text, "\n\n") {
		if !strings.HasPrefix(paragraph, " ") {
			r.line(".PP")
		}
		item := false
		var code []string
		for line := range strings.SplitSeq(strings.TrimRight(paragraph, "\n"), "\n") {
			if strings.HasPrefix(line, " ") && !item {
				code = append(code, line)
				continue
			}
			r.code(code)
			code = nil
			if rest, isItem := strings.CutPrefix(line, "- "); isItem {
				item = true
				r.line(`.IP \(bu 2`)
				line = rest
			}
			r.line(begun(escaped(strings.TrimSpace(line))))
		}
		r.code(code)
	}
}

// code writes lines as they are.
func (r *roff) code(lines []string) {
	if len(lines) == 0 {
		return
	}
	r.line(".PP\n.RS 2\n.nf")
	for _, line := range lines {
		r.line(begun(escaped(strings.TrimPrefix(line, "  "))))
	}
	r.line(".fi\n.RE")
}

// flags writes what the flags do, if there are any.
func (r *roff) flags(section string, flags *pflag.FlagSet) {
	if !flags.HasAvailableFlags() {
		return
	}
	r.section(section)
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Deprecated != "" {
			return
		}
		value, usage := pflag.UnquoteUsage(f)
		tag := `\fB` + escaped("--"+f.Name) + `\fR`
		if f.Shorthand != "" {
			tag = `\fB` + escaped("-"+f.Shorthand) + `\fR, ` + tag
		}
		if value != "" {
			tag += ` \fI` + escaped(value) + `\fR`
		}
		if !slices.Contains([]string{"", "0", "0s", "false", "[]"}, f.DefValue) {
			usage += fmt.Sprintf(" (default %s)", f.DefValue)
		}
		r.term(tag, usage)
	})
}

// seeAlso names the pages of the commands above and below.
func (r *roff) seeAlso(c *cobra.Command) {
	var pages []string
	if c.HasParent() {
		pages = append(pages, pageOf(c.Parent()))
	}
	for _, child := range shownBelow(c) {
		pages = append(pages, pageOf(child))
	}
	if len(pages) == 0 {
		return
	}
	r.section("SEE ALSO")
	for i, page := range pages {
		end := ","
		if i == len(pages)-1 {
			end = ""
		}
		r.line(`\fB` + escaped(page) + `\fR(1)` + end)
	}
}

// escaped is a text in which nothing is a request of roff. Characters beyond ASCII are written by their numbers, which needs no setting of
// the reader's language.
func escaped(text string) string {
	var b strings.Builder
	for _, c := range text {
		switch {
		case c == '\\':
			b.WriteString(`\e`)
		case c == '-':
			b.WriteString(`\-`)
		case c == '\'':
			b.WriteString(`\(aq`)
		case c == '"':
			b.WriteString(`\(dq`)
		case c == '`':
			b.WriteString(`\(ga`)
		case c == '^':
			b.WriteString(`\(ha`)
		case c == '~':
			b.WriteString(`\(ti`)
		case c > 0x7e:
			fmt.Fprintf(&b, `\[u%04X]`, c)
		default:
			b.WriteRune(c)
		}
	}
	return b.String()
}

// begun is a line of text, which must not begin as a request does.
func begun(line string) string {
	if strings.HasPrefix(line, ".") || line == "" {
		return `\&` + line
	}
	return line
}
