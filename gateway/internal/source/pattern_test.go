package source

import (
	"regexp"
	"strings"
	"testing"
)

// TestPatternsAreBounded: neither what a profile says nor what a stranger sends makes a match long.
func TestPatternsAreBounded(t *testing.T) {
	t.Parallel()
	var p Pattern
	if err := p.UnmarshalText([]byte(`((a{90}){10}|b)+c`)); err != nil {
		t.Error(err)
	}
	if err := p.UnmarshalText([]byte(`((a{100}){10}|b)+c`)); err == nil || !strings.Contains(err.Error(), "at most 1000 are allowed: use fewer repetitions") {
		t.Errorf("a large pattern: %v", err)
	}
	if err := p.UnmarshalText([]byte(`^(a|b)+$`)); err != nil {
		t.Fatal(err)
	}
	for n, want := range map[int]bool{1: true, patternText: true, patternText + 1: false} {
		text := strings.Repeat("a", n)
		if p.MatchString(text) != want || p.fits(text) != want || (p.FindStringSubmatch(text) != nil) != want {
			t.Errorf("%d bytes: want %v", n, want)
		}
	}
}

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
