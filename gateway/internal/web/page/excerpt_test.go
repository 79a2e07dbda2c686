package page

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

// TestIndent: with room for all, the text is that of json.Indent; with less, its beginning, and no byte of the source is unaccounted for.
func TestIndent(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`{}`, `[]`, ` [ ] `, `{"a":1}`, `[1,[2,{"b":[]}],"x\"y: {[,]}"]`, `"text"`, `1.0000000000000001`, "{\n  \"a\": [\n    true,null]}\n", `{"é":"日本語","b":{"c":{}}}`, `{"\\":"\\\\"}`,
	} {
		var want bytes.Buffer
		if err := json.Indent(&want, []byte(strings.TrimSpace(text)), "", "  "); err != nil {
			t.Fatal(err)
		}
		if got := Indent(text, 1<<20); got.Text != want.String() || got.Left != 0 {
			t.Errorf("%s: %+v, not %s", text, got, want.String())
		}
		for limit := range want.Len() {
			got := Indent(text, limit)
			if !strings.HasPrefix(want.String(), strings.TrimRight(got.Text, " \n")) || got.Left < 0 || got.Left > len(text) || len(got.Text) > limit+3 {
				t.Errorf("%s in %d: %+v", text, limit, got)
			}
		}
	}
	if got := Indent(`{"cut`, 3); got.Text != `{"c` || got.Left != 2 || got.Indented {
		t.Errorf("%+v", got)
	}
	if got := Cut("aé", 2); got.Text != "a" || got.Left != 2 {
		t.Errorf("%+v", got)
	}
	deep := strings.Repeat("[", 5000) + strings.Repeat("]", 5000)
	if got := Indent(deep, 1<<20); got.Text != deep || got.Indented {
		t.Errorf("a deeply nested list has %d bytes", len(got.Text))
	}
}
