package explain

import (
	"fmt"
	"strings"
	"testing"

	"github.com/surveygate/surveygate/connectors"
)

// TestShortenedIn: texts that end in an ellipsis are found in JSON bodies, by their places; of notes, before their mark.
func TestShortenedIn(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ body, want string }{
		{`{"a": "whole", "b": ["x"]}`, "[]"},
		{`{"a": "…in the middle… of it"}`, "[]"},
		{`{"a": "cut…"}`, "[{a 4}]"},
		{`{"b": {"c": ["cut…", "also cut…", "whole"]}, "a": "cut…"}`, "[{a 4} {b.c[] 9}]"},
		{`[{"text": {"text": "cut…"}}]`, "[{[].text.text 4}]"},
		{`"cut…"`, "[{ 4}]"},
		{`{"note": "cut…<br>` + connectors.NoteMark("abc") + `"}`, "[{note 16}]"},
		{`text=cut…`, "[{ 9}]"},
		{``, "[]"},
	} {
		if got := fmt.Sprint(shortenedIn([]byte(c.body))); got != c.want {
			t.Errorf("%s: %s, want %s", c.body, got, c.want)
		}
	}
}

// TestShortenedCounts: what shortens a text counts it, and what does not need to, does not. It does not run beside other tests, which
// shorten texts too.
func TestShortenedCounts(t *testing.T) { //nolint:paralleltest // the count is of the process
	long := strings.Repeat("x", 20)
	for _, c := range []struct {
		name string
		do   func()
		want uint64
	}{
		{"short", func() { connectors.Clip("x", 10) }, 0},
		{"as long as the limit", func() { connectors.Clip(strings.Repeat("ü", 10), 10) }, 0},
		{"long", func() { connectors.Clip(long, 10) }, 1},
		{"nothing is left", func() { connectors.Clip(long, 0) }, 1},
		{"HTML", func() { connectors.ClipHTML(long, 10) }, 1},
		{"short HTML", func() { connectors.ClipHTML("<b>x</b>", 10) }, 0},
		{"Markdown", func() { connectors.Markdown("*\\").Clip(long, 10) }, 1},
		{"a list", func() { connectors.ClipTexts([]any{long, "x", long}, 10) }, 2},
		{"of one that cuts by itself", connectors.NoteShortened, 1},
	} {
		before := connectors.Shortened()
		c.do()
		if got := connectors.Shortened() - before; got != c.want {
			t.Errorf("%s: counted %d times, want %d", c.name, got, c.want)
		}
	}
}
