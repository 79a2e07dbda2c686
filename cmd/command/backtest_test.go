package command

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/surveygate/surveygate/gateway/client"
)

// someBacktest is a result of so many days that end with a Sunday.
func someBacktest(days int) *client.Backtested {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	r := client.BacktestedRule{
		Rule: "a-rule-with-quite-a-long-name-as-people-give-them", Kind: "rule", Timezone: "Europe/Istanbul", Earlier: 7, Unknown: 3,
		Failed: []client.ReasonCount{{Reason: strings.Repeat("the condition takes too long ", 5), Count: 2}},
		Steps: []client.BacktestedStep{
			{Step: "crm.note", Destination: "crm", Connector: "hubspot.note", Sent: 1200, Skipped: 300, Rejected: 2, Waiting: 1, Clipped: 12},
			{Step: "a-step-with-a-name-of-its-own", Destination: "a-connection-with-a-long-name", Connector: "slack", Sent: 9},
		},
		Clipped: []client.ReasonCount{{Reason: "crm.note: `properties.hs_note_body` is cut to 65536 characters", Count: 12}},
		Busiest: &client.HourCount{From: "2026-02-28T14:00", Count: 40},
	}
	for n := range 12 {
		r.Skipped = append(r.Skipped, client.ReasonCount{Reason: fmt.Sprint("reason ", n), Count: 30 - n})
		r.Sources = append(r.Sources, client.NameCount{Name: fmt.Sprint("source", n), Count: 120 - n})
		r.Surveys = append(r.Surveys, client.NameCount{Name: fmt.Sprint("550e8400-e29b-41d4-a716-44665544000", n), Title: strings.Repeat("Title ", 12), Count: 120 - n})
	}
	r.Sources = append(r.Sources, client.NameCount{Count: 5, Other: true})
	for n := range days {
		day := client.DayCount{Day: at.AddDate(0, 0, n+1-days).Format(time.DateOnly), Count: 10 + n%7}
		r.Days, r.Matched = append(r.Days, day), r.Matched+day.Count
	}
	r.Asked = 20 * r.Matched
	for n := range 3 {
		sample := client.BacktestSample{
			Result: "sent", Event: fmt.Sprint("4b78263831b2152e7f454839ca9c5e3", n), Step: "crm.note", Note: "would be sent", Why: "its condition is true",
			Text: "POST /\n\n" + strings.Repeat("line\n", 40),
		}
		sample.Received.Time = at
		r.Samples = append(r.Samples, sample)
	}
	result := &client.Backtested{
		Asked: r.Asked, Rules: []client.BacktestedRule{r},
		Notes: []string{"rule a-rule-with-quite-a-long-name-as-people-give-them: quiet hours, at_most and contact_cap are not applied"},
	}
	result.At.Time, result.Since.Time, result.Until.Time = at, at.AddDate(0, 0, -days), at
	return result
}

// TestBacktestText: what a person sees of a result has the width of a terminal, and a length that can be read.
func TestBacktestText(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		days       int
		samples    bool
		have, lack string
	}{
		{31, false, "  by day (Europe/Istanbul)\n  2026-01-30  10  █", "by week"},
		{32, false, "  by week (Europe/Istanbul)\n  2026-01-26  46  █", "by day"}, // the 28th of January is a Wednesday
		{1, false, "  2026-03-01  10\n", "█"},
		{31, true, "line", "--samples"},
	} {
		var out bytes.Buffer
		b := &backtesting{globals: &globals{out: &out}, all: c.samples}
		b.shown(someBacktest(c.days))
		text := out.String()
		if !strings.Contains(text, c.have) || strings.Contains(text, c.lack) {
			t.Errorf("%d days: no %q, or a %q, in\n%s", c.days, c.have, c.lack, text)
		}
		for line := range strings.Lines(text) {
			if utf8.RuneCountInString(strings.TrimRight(line, "\n")) > width {
				t.Errorf("wider than a terminal: %s", line)
			}
		}
		if lines := strings.Count(text, "\n"); !c.samples && lines > 120 {
			t.Errorf("%d lines", lines)
		}
		for _, part := range []string{
			"  earlier     7\n", "  busiest hour: from 2026-02-28 14:00, 40\n", "  … and 4 more reasons why they are skipped: see --json\n", "  120  source0\n", "  447  5 more\n",
			"  2 cannot be evaluated: the condition", "  3 unknown: a field that the condition reads is absent\n", "crm.note: `properties.hs_note_body` is cut to 65536",
		} {
			if !strings.Contains(text, part) {
				t.Errorf("no %q in\n%s", part, text)
			}
		}
	}
}

// TestBacktestProgress: the progress says how far back it is, by the span or by the limit.
func TestBacktestProgress(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		asked, limit, since, back int // hours
		want                      string
	}{
		{0, 0, 0, 0, "events"},
		{10, 1000, 0, 15, "events, back to 2026-03-01 15:00 (25 %)"},
		{900, 1000, 0, 15, "events, back to 2026-03-01 15:00 (90 %)"},
		{1_000_000, 1_000_000, 2, 1, "events, back to 2026-03-01 01:00 (100 %)"},
	} {
		at := func(hour int) time.Time { return time.Date(2026, 3, 1, hour, 0, 0, 0, time.UTC) }
		p := client.BacktestProgress{Asked: c.asked, Limit: c.limit}
		if p.Since.Time, p.Until.Time = at(c.since), at(20); c.back > 0 {
			p.BackTo.Time = at(c.back)
		}
		if got := backtestProgress(&p); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}
