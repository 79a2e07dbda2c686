package slack

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// A message that is struck through is as long as a message that is changed may be, and each of its lines is whole.
func TestStrike(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "~", "```", " \n\n ", "a", "a ~ b\n~c~", strings.Repeat("a", 2*maxChanged), strings.Repeat("é\n", maxChanged),
		strings.Repeat("&lt;&amp;~ ", maxChanged/5), strings.Repeat("x", maxChanged-1), strings.Repeat("x", maxChanged-3) + "\nyy",
	} {
		got := strike(text)
		if n := utf8.RuneCountInString(got); n > maxChanged {
			t.Errorf("%d characters", n)
		}
		for line := range strings.Lines(got) {
			line = strings.TrimSuffix(line, "\n")
			if len(line) < 3 || line[0] != '~' || line[len(line)-1] != '~' || strings.Count(line, "~") != 2 {
				t.Errorf("%.40q has the line %.60q", text, line)
			}
		}
	}
	for text, want := range map[string]string{
		"a ~b~\n\n c":                   "~a ∼b∼~\n~c~",
		"<https://x.example/~jo|~jo> ~": "~<https://x.example/~jo|∼jo> ∼~",
		"<https://x.example/~jo>":       "~<https://x.example/~jo>~",
		"3 < 4 ~":                       "~3 < 4 ∼~",
	} {
		if got := strike(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func TestReceipts(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]receipt{
		"C0123/1.2":      {channel: "C0123", message: "1.2"},
		"D0123/1.2/3.45": {channel: "D0123", message: "1.2", reply: "3.45"},
	} {
		got, err := parseReceipt(text)
		if err != nil || got != want || got.String() != text {
			t.Errorf("%s: got %+v (%v)", text, got, err)
		}
	}
	for _, text := range []string{"#nps/1.2", "C0123", "C0123/", "C0123/1.2/", "C0123/1.2/x", "C0123/1.2/3.4/5.6", "c0123/1.2", "C0123/12"} {
		if got, err := parseReceipt(text); err == nil {
			t.Errorf("%s: got %+v", text, got)
		}
	}
}
