package audit

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

// Lines that are written together with settings get the versions of these, whatever text they have, and are bounded together.
func TestLinesTogether(t *testing.T) {
	t.Parallel()
	l := &Log{Clock: clock.System()}
	lines := []Line{
		{By: By{Name: string(versionText), RequestID: `,"version":18446744073709551615`}, Did: "rule.update", Of: "rule/a", After: json.RawMessage(`{"version":18446744073709551615}`)},
		{Did: "rule.delete", Of: "rule/b", Before: json.RawMessage(`{"version":18446744073709551615}`)},
	}
	b := &state.Batch{Writes: make([]state.Write, 2)}
	if err := l.AddTo(b, "acme", lines, []int{2, 0}); err != nil {
		t.Fatal(err)
	}
	for i, version := range []uint64{17, 0} {
		var got Line
		if err := json.Unmarshal(b.Items[i].With([]uint64{3, 17}), &got); err != nil {
			t.Fatalf("%s: %v", b.Items[i].Head, err)
		}
		want := lines[i]
		want.Version = version
		if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
			t.Errorf("%+v, want %+v", got, want)
		}
	}

	const each = 10 << 10
	many, of := make([]Line, 1000), make([]int, 1000)
	for i := range many {
		many[i].After = json.RawMessage(`"` + strings.Repeat("x", each) + `"`)
	}
	b = &state.Batch{}
	if err := l.AddTo(b, "acme", many, of); err != nil {
		t.Fatal(err)
	}
	size := 0
	for i := range b.Items {
		size += len(b.Items[i].Head)
	}
	if len(b.Items) != len(many) || size > maxTogether+2*each+len(many)*200 {
		t.Errorf("%d lines take %d bytes", len(b.Items), size)
	}
}
