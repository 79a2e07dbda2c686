package command

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/surveygate/surveygate/gateway/client"
)

const (
	// maxDayRows is how many days are shown each for itself; more are shown by week.
	maxDayRows = 31
	// maxNameRows is how many sources, surveys and reasons are shown; --json has them all.
	maxNameRows = 8
	// maxShownRequest is how many lines of a request are shown; --samples shows all.
	maxShownRequest = 24

	// maxTitleColumn and maxIDColumn are where the title of a survey and its id are cut.
	maxTitleColumn, maxIDColumn = 26, 40

	toMinute = "2006-01-02 15:04"
)

// shown prints the result for a person.
func (b *backtesting) shown(result *client.Backtested) {
	asked := fmt.Sprintf("asked about %d %s", result.Asked, plural(result.Asked, "event"))
	var of []string
	for _, narrowed := range [][2]string{{"source", result.Source}, {"survey", result.Survey}, {"type", result.Type}} {
		if narrowed[1] != "" {
			of = append(of, narrowed[0]+" "+narrowed[1])
		}
	}
	if len(of) > 0 {
		asked += " of " + strings.Join(of, ", ")
	}
	asked += ", received from " + result.Since.Format(toMinute) + " to " + result.Until.Format(toMinute)
	if why := map[string]string{"events": "--limit is reached", "time": "the time for one request is over"}[result.Stopped]; why != "" {
		asked += "; stopped at " + result.BackTo.Format(toMinute) + ", because " + why
	}
	b.say("%s\n", asked)
	if text := b.variables(); text != "" {
		b.say("  %s\n", text)
	}
	for i := range result.Rules {
		b.printf("\n")
		b.rule(&result.Rules[i])
	}
	for i, note := range result.Notes {
		if i == 0 {
			b.printf("\n")
		}
		b.say("note: %s\n", note)
	}
}

// rule prints what one rule would have done.
func (b *backtesting) rule(r *client.BacktestedRule) {
	b.say("%s\n", backtestHeadline(r))
	for _, why := range r.Failed {
		b.say("  %d cannot be evaluated: %s\n", why.Count, why.Reason)
	}
	if r.Unknown > 0 {
		b.say("  %d unknown: a field that the condition reads is absent\n", r.Unknown)
	}
	b.steps(r)
	for _, of := range []struct {
		word    string
		reasons []client.ReasonCount
	}{{"skipped", r.Skipped}, {"rejected", r.Rejected}, {"waiting", r.Waiting}, {"cut", r.Clipped}} {
		for n, why := range of.reasons {
			if n == maxNameRows {
				b.say("  … and %d more reasons why they are %s: see --json\n", len(of.reasons)-n, of.word)
				break
			}
			b.say("  %d %s: %s\n", why.Count, of.word, why.Reason)
		}
	}
	if r.Matched == 0 {
		return
	}
	b.days(r)
	b.names("by source", r.Sources, "without a source")
	b.names("by survey", r.Surveys, "without a survey")
	b.samples(r)
}

// backtestHeadline is the result in a sentence.
func backtestHeadline(r *client.BacktestedRule) string {
	of, sent := "event", 0
	if r.Whole {
		of = "response"
	}
	for _, s := range r.Steps {
		sent += s.Sent
	}
	text := fmt.Sprintf("%s %s: would have matched %d of %d %s", r.Kind, r.Rule, r.Matched, r.Asked, plural(r.Asked, of))
	if r.Asked > 0 {
		text += fmt.Sprintf(" (%s)", percent(r.Matched, r.Asked))
	}
	return text + fmt.Sprintf(" and sent %d %s", sent, plural(sent, "request"))
}

// percent is a share, with one digit behind the point below ten.
func percent(n, of int) string {
	share := 100 * float64(n) / float64(of)
	if share < 10 && n > 0 {
		return strconv.FormatFloat(share, 'f', 1, 64) + " %"
	}
	return strconv.Itoa(int(share+0.5)) + " %"
}

// steps prints the counts of the steps, in columns of those results that there are.
func (b *backtesting) steps(r *client.BacktestedRule) {
	heads := []string{"sent", "skipped", "rejected", "waiting", "cut"}
	var rows [][]string
	used := make([]bool, len(heads))
	used[0] = true
	for _, s := range r.Steps {
		row := []string{stepName(&s)}
		for i, n := range []int{s.Sent, s.Skipped, s.Rejected, s.Waiting, s.Clipped} {
			used[i] = used[i] || n > 0
			row = append(row, strconv.Itoa(n))
		}
		rows = append(rows, row)
	}
	widest := 0
	for _, row := range rows {
		widest = max(widest, utf8.RuneCountInString(row[0]))
	}
	line := func(name string, cells []string) {
		b.printf("  %s%s", name, strings.Repeat(" ", widest-utf8.RuneCountInString(name)))
		for i, cell := range cells {
			if used[i] {
				b.printf("  %8s", cell)
			}
		}
		b.printf("\n")
	}
	line("", heads)
	for _, row := range rows {
		line(row[0], row[1:])
	}
}

// stepName is a step with its connector.
func stepName(s *client.BacktestedStep) string {
	name := clipped(s.Step, maxNameColumn)
	if s.Step != s.Destination && !strings.HasPrefix(s.Step, s.Destination+".") {
		name = clipped(s.Step+" ("+s.Destination+")", maxNameColumn)
	}
	return name
}

// days prints the counts by day, or by week if there are many, with bars.
func (b *backtesting) days(r *client.BacktestedRule) {
	what, rows := "by day", everyDay(r.Days)
	if len(rows) > maxDayRows {
		what, rows = "by week", weeks(rows)
	}
	b.printf("\n  %s (%s)\n", what, r.Timezone)
	most, digits := 0, 0
	for _, d := range rows {
		most = max(most, d.Count)
	}
	digits = len(strconv.Itoa(most))
	room := min(40, width-len("  2026-01-02    ")-digits)
	for _, d := range rows {
		bar := ""
		if d.Count > 0 && len(rows) > 1 {
			bar = strings.Repeat("█", max(d.Count*room/most, 1))
		}
		b.printf("%s\n", strings.TrimRight(fmt.Sprintf("  %s  %*d  %s", d.Day, digits, d.Count, bar), " "))
	}
	if r.Earlier > 0 {
		b.printf("  earlier     %d\n", r.Earlier)
	}
	if r.Busiest != nil {
		b.printf("  busiest hour: from %s, %d\n", strings.Replace(r.Busiest.From, "T", " ", 1), r.Busiest.Count)
	}
}

// everyDay returns the days from the first to the last, with those on which there is nothing.
func everyDay(days []client.DayCount) (all []client.DayCount) {
	for _, d := range days {
		at, err := time.Parse(time.DateOnly, d.Day)
		if err != nil {
			return days
		}
		for len(all) > 0 {
			last, _ := time.Parse(time.DateOnly, all[len(all)-1].Day)
			next := last.AddDate(0, 0, 1)
			if !next.Before(at) {
				break
			}
			all = append(all, client.DayCount{Day: next.Format(time.DateOnly)})
		}
		all = append(all, d)
	}
	return all
}

// weeks sums days by week, under the Monday of each.
func weeks(days []client.DayCount) (all []client.DayCount) {
	for _, d := range days {
		at, err := time.Parse(time.DateOnly, d.Day)
		if err != nil {
			continue
		}
		monday := at.AddDate(0, 0, -(int(at.Weekday())+6)%7).Format(time.DateOnly)
		if last := len(all) - 1; last >= 0 && all[last].Day == monday {
			all[last].Count += d.Count
		} else {
			all = append(all, client.DayCount{Day: monday, Count: d.Count})
		}
	}
	return all
}

// names prints the counts of sources or surveys; one alone, that is the same for all, in the heading's line.
func (b *backtesting) names(what string, all []client.NameCount, without string) {
	name := func(n *client.NameCount) string {
		switch {
		case n.Other:
			return "other"
		case n.Title != "":
			return clipped(n.Title, maxTitleColumn) + " (" + clipped(n.Name, maxIDColumn) + ")"
		}
		return clipped(cmp.Or(n.Name, without), maxTitleColumn+maxIDColumn)
	}
	if len(all) == 1 {
		b.say("  %s: all are of %s\n", what, cmp.Or(strings.TrimPrefix(name(&all[0]), "without "), name(&all[0])))
		return
	}
	b.printf("\n  %s\n", what)
	digits := 0
	if len(all) > 0 {
		digits = len(strconv.Itoa(all[0].Count))
	}
	rest := 0
	for i := range all {
		if i >= maxNameRows {
			rest += all[i].Count
			continue
		}
		b.say("  %*d  %s\n", digits, all[i].Count, name(&all[i]))
	}
	if rest > 0 {
		b.printf("  %*d  %d more\n", digits, rest, len(all)-maxNameRows)
	}
}

// samples prints examples: one of each result, or all.
func (b *backtesting) samples(r *client.BacktestedRule) {
	shown, left := map[string]bool{}, 0
	for i := range r.Samples {
		s := r.Samples[i]
		if shown[s.Result] && !b.all {
			left++
			continue
		}
		shown[s.Result] = true
		b.printf("\n")
		b.say("  %s: event %s, received %s\n", example(s.Result), s.Event, s.Received.Format(time.DateTime))
		var text strings.Builder
		if s.Cut {
			s.Text += "\n…"
		}
		if err := client.ExplainedSample(r, &s).Brief(&text); err != nil {
			continue
		}
		b.printf("%s", b.bounded(foldedExplanation(indented(text.String()))))
	}
	if left > 0 {
		b.printf("\n  more examples: --samples\n")
	}
}

func example(result string) string {
	if result == "clipped" {
		return "an example with a text that is cut"
	}
	return "an example that is " + result
}

// bounded leaves out the end of a long request, unless all is shown.
func (b *backtesting) bounded(text string) string {
	lines := strings.SplitAfter(text, "\n")
	if b.all || len(lines) <= maxShownRequest {
		return text
	}
	return strings.Join(lines[:maxShownRequest], "") + "  " + requestIndent + "… (" + strconv.Itoa(len(lines)-maxShownRequest-1) + " more lines: --samples)\n"
}

// indented returns lines behind two blanks.
func indented(text string) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		if line != "\n" {
			out.WriteString("  ")
		}
		out.WriteString(line)
	}
	return out.String()
}
