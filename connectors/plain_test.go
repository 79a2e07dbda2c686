package connectors

import (
	"encoding/json"
	"testing"

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
