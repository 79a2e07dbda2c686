package source

import (
	"regexp"
	"testing"
)

// TestPatterns: looking for a literal first never changes what matches.
func TestPatterns(t *testing.T) {
	t.Parallel()
	patterns := map[string]string{ // with what every match must hold
		`(?i)first name`: "first name", `(?i)^first name$`: "first name", `(^| / )First$`: "First", `^[^@\s]+@[^@\s]+\.[^@\s]+$`: "@",
		`(?i)recommend`: "recommend", `(?i)^(your |full )?name$`: "name", `(?i)^howLikely|^nps`: "", `.`: "", ``: "", `(?i)é`: "",
		`^1980-01-01`: "1980-01-01", `a(?i)bc`: "a", `(?i)k`: "k", `(?i)straße`: "",
	}
	texts := []string{
		"", "First name", "What is your FIRST NAME?", "first  name", "Your Name / First", "First", "a@b.c", "a@", "K", "\u212a", "ſ", "é", "É",
		"Would you recommend us?", "would you RECOMMEND", "recommen", "name", "Full Name", "NPS", "nps", "howlikely", "1980-01-01 00:00:00", "aBC", "abc", "Abc", "fir\u017ft name",
	}
	for pattern, needs := range patterns {
		var p Pattern
		if err := p.UnmarshalText([]byte(pattern)); err != nil {
			t.Fatal(err)
		}
		if p.needs != needs {
			t.Errorf("%q needs %q, want %q", pattern, p.needs, needs)
		}
		plain := regexp.MustCompile(pattern)
		for _, text := range texts {
			if got, want := p.fits(text), plain.MatchString(text); got != want {
				t.Errorf("%q on %q: %v, want %v", pattern, text, got, want)
			}
		}
	}
}
