package discord

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// A text that is struck through stays within its limit, and each of its lines is whole.
func TestStrike(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "~~", "~~~~", "a", "a ~~b~~", strings.Repeat("a", 300), strings.Repeat("é\n", 300), strings.Repeat(`\~`, 300), strings.Repeat("x", maxTitle-5) + "\nyy",
	} {
		got := strike(text, maxTitle)
		if n := utf8.RuneCountInString(got); n > maxTitle {
			t.Errorf("%d characters", n)
		}
		for line := range strings.Lines(got) {
			line = strings.TrimSuffix(line, "\n")
			if len(line) < 5 || !strings.HasPrefix(line, tildes) || !strings.HasSuffix(line, tildes) || strings.Contains(line[2:len(line)-2], tildes) {
				t.Errorf("%.40q has the line %.60q", text, line)
			}
		}
	}
}
