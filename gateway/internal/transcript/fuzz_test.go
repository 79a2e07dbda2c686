package transcript

import (
	"bytes"
	"errors"
	"testing"

	"github.com/surveygate/surveygate/gateway/internal/document"
)

// FuzzTranscript: a text is a transcript or has a fault, and what is sent is the same after it was written into the transcript and read.
func FuzzTranscript(f *testing.F) {
	for _, text := range []string{script, "", "-- event.json --\n{}\n-- steps --\nrule a: b\n", "\uFEFF-- source x --\r\n{}\r\n-- webhook a --\r\n"} {
		f.Add([]byte(text), "a", "b", []byte("POST /\n\n-- steps --\n"))
	}
	f.Fuzz(func(t *testing.T, text []byte, rule, step string, request []byte) {
		s, err := Parse("f.txtar", text)
		if err != nil {
			if faults, ok := errors.AsType[document.Faults](err); !ok || len(faults) != 1 || faults[0].Message == "" || faults[0].Remedy == "" {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		if len(s.Given) == 0 {
			t.Fatalf("%q has no event", text)
		}
		// Names of rules and steps are checked when the configuration is loaded.
		if !isName(rule) || !isName(step) {
			rule, step = "a", "b"
		}
		sent := []Step{NewStep(RuleStep(rule, step), request), NewStep(WebhookStep(rule), request)}
		written := s.With(sent)
		again, err := Parse("f.txtar", written)
		if err != nil {
			t.Fatalf("%q became %q: %v", text, written, err)
		}
		if diff, line := again.Compare(sent); diff != "" {
			t.Fatalf("%q became %q, and differs at line %d:\n%s", text, written, line, diff)
		}
		if len(again.Given) != len(s.Given) || again.Tenant != s.Tenant {
			t.Fatalf("%q became %q", text, written)
		}
		for i := range s.Given {
			if !bytes.Equal(s.Given[i].Body, again.Given[i].Body) || s.Given[i].Source != again.Given[i].Source {
				t.Fatalf("%q became %q", text, written)
			}
		}
	})
}

func isName(name string) bool {
	for _, r := range name {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_' && r != '.' {
			return false
		}
	}
	return name != ""
}
