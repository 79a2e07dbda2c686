package connectors_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/surveygate/surveygate/connectors"
)

const sampleMarkdown = connectors.Markdown("\\*_[]")

func TestMarkdownEscape(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"":                       "",
		"slow":                   "slow",
		"*very* slow":            `\*very\* slow`,
		`\*`:                     `\\\*`,
		"[é](https://x.example)": `\[é\](https://x.example)`,
	} {
		if got := sampleMarkdown.Escape(given); got != want {
			t.Errorf("%q became %q, want %q", given, got, want)
		}
	}
}

// A backslash that has lost its character would escape the mark, and be shown in some products.
func TestMarkdownClipKeepsEscapes(t *testing.T) {
	t.Parallel()
	for _, text := range []string{`\*\*\*\*\*`, `\\\\\\\\\*`, "é" + strings.Repeat(`\_`, 20), strings.Repeat(`a\*`, 9)} {
		for limit := range 30 {
			got := sampleMarkdown.Clip(text, limit)
			if n := utf8.RuneCountInString(got); n > limit {
				t.Errorf("%q to %d: %d runes", text, limit, n)
			}
			bare, cut := strings.CutSuffix(got, "…")
			if cut && strings.HasSuffix(strings.ReplaceAll(bare, `\\`, ""), `\`) {
				t.Errorf("%q to %d: %q ends in half an escape", text, limit, got)
			}
			if !cut && got != text && limit > 0 {
				t.Errorf("%q to %d: %q has no mark", text, limit, got)
			}
		}
	}
}
