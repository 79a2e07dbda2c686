package page

import "testing"

func TestMessage(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                        "",
		"`events` is empty":       "<code>events</code> is empty",
		"<b> in `a<b>` and `c`":   "&lt;b&gt; in <code>a&lt;b&gt;</code> and <code>c</code>",
		"one ` is left of `this`": "one ` is left of `this`",
	} {
		if got := string(message(text)); got != want {
			t.Errorf("%q: %s", text, got)
		}
	}
}
