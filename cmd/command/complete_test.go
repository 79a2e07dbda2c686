package command

import (
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// Every word in capitals of a command's usage is a name that is completed, a file, or one of these, which nobody completes.
func TestUsageWordsAreCompleted(t *testing.T) {
	t.Parallel()
	others := []string{"ID", "PERSON", "JSON", "COMMAND"}
	capitals := regexp.MustCompile(`[A-Z]{2,}`)
	names := 0
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		for _, child := range c.Commands() {
			walk(child)
		}
		for _, argument := range argumentsOf(c) {
			for _, word := range capitals.FindAllString(argument, -1) {
				_, byCommand := namedBy[c.Name()]
				_, named := (&globals{}).kindOf(c, word)
				switch {
				case named:
					names++
				case c.Name() == "create" && word == "NAME", byCommand, slices.Contains(others, word), slices.Contains(fileWords, word):
				case word == "NAME" && (strings.Contains(c.Use, "--destination NAME") || strings.Contains(c.Use, "--rule NAME")):
				default:
					t.Errorf("%s: %s has no completion", c.CommandPath(), word)
				}
			}
		}
	}
	walk(New(io.Discard, io.Discard))
	if names < 25 {
		t.Errorf("only %d names of arguments are completed", names)
	}
}
