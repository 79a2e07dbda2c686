package jsonpath

import (
	"strings"
	"testing"
)

func TestIsText(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		`"a"`: true, `""`: true, `"\u00e9\n"`: true, `"\ud83d\ude00"`: true, `"x\ud83d\ude00y\ud83d\ude00"`: true, "\"\u00e9\"": true,
		`"\\ud800"`: true, `"\ufffd"`: true, "\"\uFFFD\"": true, `7`: true, `{"a":"\ud800"}`: true,
		`"\ud800"`: false, `"a\udc00"`: false, `"\ud800\ud800"`: false, `"\ud800x"`: false, `"\ude00\ud83d"`: false, `"\ud83d\u0041"`: false,
		"\"a\xff\"": false, "\"\xed\xa0\x80\"": false, "\"\\n\xfe\"": false,
	} {
		v := Parse([]byte(text))
		if got := v.IsText(); got != want {
			t.Errorf("%q: %v", text, got)
		}
		// What it calls text never gains a U+FFFD.
		if v.Kind() == String && want && !strings.Contains(strings.ToLower(text), "fffd") && strings.Contains(text, "\uFFFD") != strings.Contains(v.Text(), "\uFFFD") {
			t.Errorf("%q reads as %q", text, v.Text())
		}
	}
}
