// Package checks declares what `surveygate check` warns of: settings that are valid and probably not meant. configs/CHECKS.md and
// `surveygate check --explain` are made of it.
package checks

import (
	"fmt"
	"slices"
	"strings"
)

// Code names a check. It never changes and is never used for another one, because comments of configurations have it.
type Code string

// Check is one kind of warning.
type Check struct {
	Code  Code   `json:"code"`
	Title string `json:"title"` // one sentence
	// Why says what goes wrong, and what is assumed where that is not certain. Do says what to do about it.
	Why string `json:"why"`
	Do  string `json:"do"`
	// Example is a configuration, or for a check of stored documents the files below them, that has this warning alone; Mended is the
	// same without it.
	Example string `json:"example"`
	Mended  string `json:"mended"`
	// Document is a stored document that has the warning over the files of Example.
	Document *Document `json:"document,omitempty"`
	// Changing reports that it depends on the time or on where the gateway runs, so that a comment which ignores it is never superfluous.
	Changing bool `json:"-"`
	// FilesOnly reports that stored documents are not checked for it: it needs all rules at once, or sources and tokens that may be
	// stored, too.
	FilesOnly bool `json:"files_only,omitempty"`
}

// Document is a stored document of the tenant `acme`.
type Document struct {
	Name string `json:"name"`
	Spec string `json:"spec"`
}

// Page is where all checks are explained.
const Page = "https://github.com/surveygate/surveygate/blob/main/configs/CHECKS.md"

// All returns all checks by code.
func All() []Check { return slices.Clone(all) }

var all = slices.Concat(ofConfigurations, ofConditions, ofRules, ofDestinations, ofCredentials, ofSources)

// Find returns the check with a code.
func Find(code string) (Check, bool) {
	i := slices.IndexFunc(all, func(c Check) bool { return string(c.Code) == code })
	if i < 0 {
		return Check{}, false
	}
	return all[i], true
}

// Codes returns all codes, in order.
func Codes() []string {
	codes := make([]string, len(all))
	for i := range all {
		codes[i] = string(all[i].Code)
	}
	return codes
}

// Text explains the check, for a terminal.
func (c Check) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n\n%s\n\n%s\n", c.Code, c.Title, wrapped(strings.TrimSpace(c.Why+" "+c.Scope())), wrapped("What to do: "+c.Do))
	part := func(title, text string) { fmt.Fprintf(&b, "\n%s:\n\n%s", title, indented(text)) }
	part("Example", c.Example)
	if c.Document != nil {
		part("Stored as "+c.Document.Name+" of a tenant", c.Document.Spec)
	}
	part("Without the warning", c.Mended)
	if !slices.ContainsFunc(ofConfigurations, func(of Check) bool { return of.Code == c.Code }) { // these are about comments, or on no line
		fmt.Fprintf(&b, "\nTo keep it as it is: # surveygate: ignore %s\n", c.Code)
	}
	return b.String()
}

// Scope says where else than in files a check is made; empty if it is made everywhere.
func (c Check) Scope() string {
	if c.FilesOnly {
		return "Only files are checked for this, not documents that are stored by API."
	}
	return ""
}

const textWidth = 78

// wrapped breaks a text into lines for a terminal.
func wrapped(text string) string {
	var b strings.Builder
	at := 0
	for i, word := range strings.Fields(text) {
		switch n := len([]rune(word)); {
		case i == 0:
			at = n
		case at+1+n > textWidth:
			b.WriteByte('\n')
			at = n
		default:
			b.WriteByte(' ')
			at += 1 + n
		}
		b.WriteString(word)
	}
	return b.String()
}

func indented(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString("    " + line)
	}
	return b.String()
}
