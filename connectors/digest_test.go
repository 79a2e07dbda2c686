package connectors_test

import (
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/connectors/connectortest"
	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/expression"
)

func TestDigestMessage(t *testing.T) {
	t.Parallel()
	at := func(text string) time.Time {
		when, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		return when
	}
	ten, eleven := at("2026-11-30T13:00:00+03:00"), at("2026-11-30T11:00:00Z")
	one := parse(t, `{"type": "response.completed", "nps_score": 3, "email": "jo@example.com", "feedback": "Slow\n\tand  <b>"}`)
	line := connectors.DigestLine{Score: "Score 3/10", Who: "jo@example.com", Comment: "Slow and <b>"}
	const between = ", between 10:00 and 11:00 UTC"
	for name, row := range map[string]struct {
		given connectors.Digest
		want  connectors.DigestMessage
	}{
		"all": {
			connectors.Digest{Rule: "detractors", From: ten, To: eleven, Total: 1, Events: []*event.Event{one}},
			connectors.DigestMessage{Title: "detractors", Count: "1 event without a message of its own" + between, Lines: []connectors.DigestLine{line}},
		},
		"some": {
			connectors.Digest{Rule: "detractors", From: ten, To: eleven, Total: 1234, Events: []*event.Event{one}},
			connectors.DigestMessage{Title: "detractors", Count: "1,234 events without a message of their own" + between, Lines: []connectors.DigestLine{line}, Rest: "and 1,233 more"},
		},
		"more": {
			connectors.Digest{Rule: "detractors", From: ten, To: eleven, Total: 1000, More: true, Events: []*event.Event{one}},
			connectors.DigestMessage{Title: "detractors", Count: "At least 1,000 events without a message of their own" + between, Lines: []connectors.DigestLine{line}, Rest: "and at least 999 more"},
		},
		"more than the lines": {
			connectors.Digest{Rule: "detractors", From: ten, To: eleven, More: true, Events: []*event.Event{one}},
			connectors.DigestMessage{Title: "detractors", Count: "At least 1 event without a message of its own" + between, Lines: []connectors.DigestLine{line}, Rest: "and more"},
		},
		"none kept, two days": {
			connectors.Digest{Rule: " ", From: at("2026-11-30T23:30:00Z"), To: at("2026-12-01T00:30:00Z"), Total: 12},
			connectors.DigestMessage{Title: "Digest", Count: "12 events without a message of their own, between 2026-11-30 23:30 and 2026-12-01 00:30 UTC", Lines: []connectors.DigestLine{}},
		},
	} {
		if diff := cmp.Diff(row.want, row.given.Message()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestDigestTitle(t *testing.T) {
	t.Parallel()
	for own, want := range map[string]string{
		"": "a\\_b", " ": "a\\_b", "NPS\n_alarms_ ": "NPS _alarms_: a\\_b", "Score {{ nps_score }}": "a\\_b",
	} {
		m := (&connectors.Digest{Rule: "a_b"}).Message()
		if got := m.TitleAfter(expression.MustText(own), connectors.Markdown("\\_").Escape); got != want {
			t.Errorf("%q: got %q, want %q", own, got, want)
		}
	}
}

func TestDigestLine(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		`{"type": "response.completed", "nps_score": 3, "email": "jo@example.com", "feedback": "Slow"}`: "*Score 3/10* · jo@example.com: Slow",
		`{"type": "response.completed", "csat_score": 4.5, "feedback": "Slow"}`:                         "*CSAT 4.5*: Slow",
		`{"type": "response.updated", "ces_score": 2, "phone": "+90"}`:                                  "*CES 2* · +90",
		`{"type": "response.completed", "name": "Jo", "survey": {"title": "On\nboarding"}}`:             "*New response: On boarding* · Jo",
		`{"type": "survey.closed"}`: "*survey.closed*",
	} {
		m := (&connectors.Digest{Events: []*event.Event{parse(t, given)}}).Message()
		if got := m.Lines[0].Text("*", connectors.Clip); got != want {
			t.Errorf("%s: got %q, want %q", given, got, want)
		}
	}
	for _, d := range connectortest.LongDigests(t) {
		for _, line := range d.Message().Lines {
			if n := utf8.RuneCountInString(line.Text("**", connectors.Clip)); n > connectors.MaxDigestLine {
				t.Errorf("a line of %d characters", n)
			}
		}
	}
}

func parse(t *testing.T, text string) *event.Event {
	t.Helper()
	ev, err := connectortest.ParseEvent([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return ev
}
