package connectors

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/surveygate/surveygate/rules/expression"
)

func TestPlainText(t *testing.T) {
	t.Parallel()
	rows := []struct {
		value any
		want  string
		ok    bool
	}{
		{nil, "", true},
		{" slow ", "slow", true},
		{true, "true", true},
		{9.0, "9", true},
		{4.5, "4.5", true},
		{int64(7), "7", true},
		{7, "7", true},
		{json.Number("12345678901234567890"), "12345678901234567890", true},
		{[]any{"price", "", 3.0, []any{"a", false}}, "price, 3, a, false", true},
		{expression.Object{{Key: "a", Value: 1.0}}, "", false},
		{[]any{"a", expression.Object{}}, "", false},
	}
	for _, row := range rows {
		if got, ok := PlainText(row.value); got != row.want || ok != row.ok {
			t.Errorf("%#v: got %q, %v, want %q, %v", row.value, got, ok, row.want, row.ok)
		}
	}
}

func TestJoinedText(t *testing.T) {
	t.Parallel()
	if got, ok := JoinedText([]any{" a ", "", 3.0, []any{"b", true}}, ";"); got != "a;3;b, true" || !ok {
		t.Errorf("got %q, %v", got, ok)
	}
	if got, ok := JoinedText("a, b", ";"); got != "a, b" || !ok {
		t.Errorf("got %q, %v", got, ok)
	}
}

func TestClip(t *testing.T) {
	t.Parallel()
	rows := []struct {
		text  string
		limit int
		want  string
	}{
		{"", 0, ""},
		{"", 5, ""},
		{"abc", 3, "abc"},
		{"abcd", 3, "ab…"},
		{"abc", 1, "…"},
		{"abc", 0, ""},
		{"abc", -1, ""},
		{"çğş", 3, "çğş"},
		{"çğşı", 3, "çğ…"},
		{"👍👍👍", 2, "👍…"},
	}
	for _, row := range rows {
		if got := Clip(row.text, row.limit); got != row.want {
			t.Errorf("%q to %d: got %q, want %q", row.text, row.limit, got, row.want)
		}
	}
}

func FuzzClip(f *testing.F) {
	f.Add("abc", 2)
	f.Add("\xff\xfe\xfd", 2)
	f.Add(strings.Repeat("é", 100), 50)
	f.Fuzz(func(t *testing.T, text string, limit int) {
		got := Clip(text, limit)
		if n := utf8.RuneCountInString(got); n > max(limit, 0) {
			t.Errorf("%d runes, at most %d", n, limit)
		}
		if got != text && got != "" && !strings.HasSuffix(got, "…") {
			t.Errorf("%q became %q without a mark", text, got)
		}
		if utf8.ValidString(text) && !utf8.ValidString(got) {
			t.Errorf("%q became %q", text, got)
		}
	})
}
