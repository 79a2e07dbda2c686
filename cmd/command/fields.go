package command

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/surveygate/surveygate/gateway/offline"
	"github.com/surveygate/surveygate/rules/expression"
)

func (g *globals) fields() *cobra.Command {
	return &cobra.Command{
		Use:   "fields [SOURCE FILE]",
		Short: "Show the names that rules can use, and their values in a body",
		Long: `Show every name that a condition, a value or a text can use, with its type and meaning. With a source of the
configuration, or a profile (a built-in's name, or a file), and a file with a body: show the value of each name in that
body, and the names that are null. It needs no running gateway, and sends and stores nothing.`,
		Example: `  surveygate fields
  surveygate fields typeform body.json`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 || len(args) == 2 {
				return nil
			}
			return &exit{exitUsage, errors.New("fields takes no arguments, or a source and a file: surveygate fields typeform body.json")}
		},
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				if g.json {
					return g.print(offline.Fields())
				}
				g.showFields(offline.Fields())
				return nil
			}
			body, err := os.ReadFile(args[1])
			if err != nil {
				return &exit{exitUsage, err}
			}
			values, err := offline.FieldsOf(offline.Options{Config: g.config}, g.tenant, args[0], body)
			if err != nil {
				return &exit{exitUsage, err}
			}
			if g.json {
				return g.print(values)
			}
			g.showBody(values, args[1])
			return nil
		},
	}
}

// columns is the minimum width of a terminal.
const columns = 80

const (
	nameWidth = 24 // of the language's names
	typeWidth = 15
)

func (g *globals) showFields(all []offline.Field) {
	indent := strings.Repeat(" ", nameWidth+typeWidth)
	g.printf("%-*s%-*s%s\n", nameWidth, "NAME", typeWidth, "TYPE", "WHAT IT IS")
	for _, f := range all {
		about := wrap(f.About, columns-nameWidth-typeWidth)
		g.printf("%-*s%-*s%s\n", nameWidth, f.Name, typeWidth, f.Type, about[0])
		if f.Path != "" && len(about) == 1 {
			about = append(about, "")
		}
		for i, line := range about[1:] {
			if i == 0 && f.Path != "" {
				g.printf("%s\n", strings.TrimRight(fmt.Sprintf("%-*s%s", nameWidth+typeWidth, "  or "+f.Path, line), " "))
				continue
			}
			g.printf("%s%s\n", indent, line)
		}
	}
	g.printf("\nFunctions: answer(\"question\"), answered(\"question\"), raw(\"path.in.the.body\").\n")
	g.printf("Values in a body: surveygate fields SOURCE FILE\n")
	g.printf("Examples: %s\n", expression.DocsURL)
}

func (g *globals) showBody(body *offline.BodyFields, file string) {
	by := "the profile " + body.Profile
	if body.Source != "" {
		by = fmt.Sprintf("the source %s (%s)", body.Source, body.Profile)
	}
	for i, ev := range body.Events {
		if i > 0 {
			g.printf("\n")
		}
		for _, line := range wrap(fmt.Sprintf("%s through %s, event %d of %d: %s", file, by, i+1, len(body.Events), ev.Type), columns) {
			g.printf("%s\n", line)
		}
		g.printf("\n")
		var missing []string
		for j := range ev.Fields {
			v := &ev.Fields[j]
			if v.Missing() {
				missing = append(missing, v.Name)
				continue
			}
			g.showValue(v)
		}
		if len(missing) > 0 {
			g.printf("\nnull, because this body has no value:\n")
			for _, line := range wrap(strings.Join(missing, ", "), columns-2) {
				g.printf("  %s\n", line)
			}
		}
	}
	if body.Note != "" {
		g.printf("\n")
		for _, line := range wrap("note: "+body.Note, columns) {
			g.printf("%s\n", line)
		}
	}
}

// showValue prints a name and its value on one line, or on two if the name is long. The question of an answer follows below.
func (g *globals) showValue(v *offline.FieldValue) {
	name, value := v.Name, shownValue(v.Value)
	if utf8.RuneCountInString(name) >= nameWidth {
		g.printf("%s\n", cut(name, columns))
		name = ""
	}
	g.printf("%s%s%s\n", name, strings.Repeat(" ", nameWidth-utf8.RuneCountInString(name)), cut(value, columns-nameWidth))
	if strings.HasPrefix(v.Name, "answer(") && v.About != "" {
		g.printf("%s%s\n", strings.Repeat(" ", nameWidth), cut("("+oneLine(v.About)+")", columns-nameWidth))
	}
}

// shownValue returns a value as written in a condition; lists and objects are preceded by their size.
func shownValue(raw json.RawMessage) string {
	switch raw[0] {
	case '[':
		var items []json.RawMessage
		if json.Unmarshal(raw, &items) == nil && len(items) > 0 && items[0][0] == '{' {
			return fmt.Sprintf("list of %d: %s", len(items), raw)
		}
	case '{':
		var members map[string]json.RawMessage
		if json.Unmarshal(raw, &members) == nil {
			return fmt.Sprintf("object of %d: %s", len(members), raw)
		}
	}
	return string(raw)
}

// cut shortens a text to a width.
func cut(text string, width int) string {
	if utf8.RuneCountInString(text) <= width {
		return text
	}
	return string([]rune(text)[:width-1]) + "…"
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// wrap breaks a text into lines at spaces. Words longer than a line are shortened.
func wrap(text string, width int) []string {
	lines := []string{""}
	for word := range strings.FieldsSeq(text) {
		word = cut(word, width)
		last := &lines[len(lines)-1]
		switch {
		case *last == "":
			*last = word
		case utf8.RuneCountInString(*last)+1+utf8.RuneCountInString(word) <= width:
			*last += " " + word
		default:
			lines = append(lines, word)
		}
	}
	return lines
}
