package rules_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/expression"
	"github.com/surveygate/surveygate/rules/response"
)

// table is a table of the page, with the cells as they are written.
type table struct {
	line int // of its head
	head []string
	rows [][]string
}

// readPage reads the page of the rule language: its text, its tables, and the events of its people.
func readPage(t *testing.T) (text string, tables []table, people map[string]*event.Event) {
	t.Helper()
	page, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	text, people = string(page), map[string]*event.Event{}
	lines := strings.Split(text, "\n")
	var names []string
	for i := 0; i < len(lines); i++ {
		switch {
		case lines[i] == "```json":
			end := i + slices.Index(lines[i:], "```")
			body := strings.Join(lines[i+1:end], "\n")
			ev, err := event.ParseOne([]byte(body), event.Defaults{Tenant: "default", Source: "api", Received: time.Date(2026, 3, 3, 7, 15, 0, 0, time.UTC)})
			if err != nil {
				t.Fatalf("line %d: %v", i+1, err)
			}
			names = append(names, strings.Fields(lines[i-2])[0])
			people[names[len(names)-1]] = ev
			i = end
		case strings.HasPrefix(lines[i], "| "):
			one := table{line: i + 1, head: cells(lines[i])}
			for i += 2; i < len(lines) && strings.HasPrefix(lines[i], "| "); i++ {
				if row := cells(lines[i]); len(row) == len(one.head) {
					one.rows = append(one.rows, row)
				} else {
					t.Errorf("line %d has %d cells, want %d", i+1, len(row), len(one.head))
				}
			}
			tables = append(tables, one)
		}
	}
	if !slices.Equal(names, []string{"Jo", "Ada", "Sam"}) {
		t.Fatalf("the people are %v", names)
	}
	return text, tables, people
}

// cells returns the cells of a row; a backslash escapes a bar in a text.
func cells(row string) []string {
	const bar = "\x00"
	parts := strings.Split(strings.ReplaceAll(strings.Trim(row, "|"), `\|`, bar), "|")
	for i := range parts {
		parts[i] = strings.ReplaceAll(strings.TrimSpace(parts[i]), bar, "|")
	}
	return parts
}

func code(cell string) string { return strings.Trim(cell, "`") }

// Every example of the page is correct.
func TestEveryExampleOfThePage(t *testing.T) {
	t.Parallel()
	_, tables, people := readPage(t)
	questions, played, told := 0, 0, 0
	for _, one := range tables {
		for n, row := range one.rows {
			at := fmt.Sprintf("line %d", one.line+2+n)
			switch {
			case slices.Contains(one.head, "Filled by"): // derived by docgen
			case one.head[0] == "Warned of": // played by cmd/surveygate, which has a configuration to check
			case one.head[0] == "a":
				playTruth(t, at, row)
			case one.head[0] == "Told, one after the other":
				playTold(t, at, row)
				told++
			case one.head[0] == "You mean":
				playChoices(t, at, one.head, row)
			case one.head[0] == "Written":
				playMistake(t, at, row)
			default:
				expression, is := -1, ""
				for i, title := range one.head {
					switch title {
					case "Condition", "Example", "Written in YAML":
						expression, is = i, title
					}
				}
				if expression < 0 {
					t.Errorf("%s: nobody plays this table", at)
					continue
				}
				if is == "Condition" {
					questions++
				}
				for i, title := range one.head {
					if ev := people[title]; ev != nil {
						if is == "Written in YAML" && row[i] == "left out" {
							row[i] = "unknown"
						}
						if got := says(t, at, code(row[expression]), ev, is == "Condition"); got != code(row[i]) {
							t.Errorf("%s: %s of %s is %s, and the page says %s", at, row[expression], title, got, row[i])
						}
						played++
					}
				}
			}
		}
	}
	if questions < 40 || played < 150 || told < 10 {
		t.Errorf("%d questions, %d examples and %d responses were played", questions, played, told)
	}
}

// says returns the result of an expression in the form of the page.
func says(t *testing.T, at, text string, ev *event.Event, condition bool) string {
	t.Helper()
	if condition {
		c, err := expression.CompileCondition(text)
		if err != nil {
			t.Errorf("%s: %v", at, err)
			return ""
		}
		return map[expression.Truth]string{expression.True: "yes", expression.False: "no", expression.Unknown: "unknown"}[c.Match(ev).Truth]
	}
	v, err := expression.CompileValue(text)
	if err != nil {
		t.Errorf("%s: %v", at, err)
		return ""
	}
	out, present, err := v.Evaluate(ev)
	switch {
	case err != nil:
		t.Errorf("%s: %v", at, err)
		return ""
	case !present:
		return "unknown"
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(out); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(b.String())
}

// playTruth plays a row of the table of and, or, not.
func playTruth(t *testing.T, at string, row []string) {
	t.Helper()
	ev, err := event.ParseOne([]byte(`{"type":"response.completed"}`), event.Defaults{Tenant: "default", Source: "api", Received: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	word := func(s string) string { return strings.ReplaceAll(s, "unknown", "(nps_score > 1)") }
	for i, condition := range []string{row[0] + " and " + row[1], row[0] + " or " + row[1], "not " + row[0]} {
		c, err := expression.CompileCondition(word(condition))
		if err != nil {
			t.Errorf("%s: %v", at, err)
		} else if got := c.Match(ev).Truth.String(); got != row[2+i] {
			t.Errorf("%s: %s is %s, and the page says %s", at, condition, got, row[2+i])
		}
	}
}

// playChoices plays a row of the table of one choice and several.
func playChoices(t *testing.T, at string, head, row []string) {
	t.Helper()
	for i := 2; i < len(head); i++ {
		body := `{"type":"response.completed"}`
		if answer := strings.TrimPrefix(head[i], "of "); answer != "no answer" {
			body = `{"type":"response.completed","response":{"answers":[{"question_id":"q","value":` + code(answer) + `}]}}`
		}
		ev, err := event.ParseOne([]byte(body), event.Defaults{Tenant: "default", Source: "api", Received: time.Now()})
		if err != nil {
			t.Fatal(err)
		}
		c, err := expression.CompileCondition(code(row[1]))
		if err != nil {
			t.Errorf("%s: %v", at, err)
		} else if got := c.Match(ev).Truth.String(); got != row[i] {
			t.Errorf("%s: %s %s is %s, and the page says %s", at, row[1], head[i], got, row[i])
		}
	}
}

// playTold plays a row of the table of responses as a whole.
func playTold(t *testing.T, at string, row []string) {
	t.Helper()
	var events []*event.Event
	for body := range strings.SplitSeq(code(row[0]), "` `") {
		ev, err := event.ParseOne([]byte(body), event.Defaults{Tenant: "default", Source: "api", Type: event.TypeResponseCompleted, Received: time.Now()})
		if err != nil {
			t.Fatalf("%s: %v", at, err)
		}
		events = append(events, ev)
	}
	whole, err := response.Fold(events).Event(events[len(events)-1])
	if err != nil {
		t.Fatalf("%s: %v", at, err)
	}
	if got := says(t, at, code(row[1]), whole, false); got != code(row[2]) {
		t.Errorf("%s: %s is %s, and the page says %s", at, row[1], got, row[2])
	}
}

// playMistake plays a row of the table of mistakes.
func playMistake(t *testing.T, at string, row []string) {
	t.Helper()
	plain := strings.NewReplacer("`", "")
	if _, err := expression.CompileCondition(code(row[0])); err == nil || !strings.Contains(plain.Replace(err.Error()), plain.Replace(row[1])) {
		t.Errorf("%s: %s says %v, and the page says %s", at, row[0], err, row[1])
	}
}

// The page lists all functions, operators and names, and its limits are correct.
func TestPageListsEverything(t *testing.T) {
	t.Parallel()
	text, tables, _ := readPage(t)
	told := map[string][]string{}
	for _, one := range tables {
		switch one.head[0] {
		case "Operator", "Function":
			for _, row := range one.rows {
				for name := range strings.FieldsSeq(row[0]) {
					if name = code(name); !slices.Contains(told[one.head[0]], name) {
						told[one.head[0]] = append(told[one.head[0]], name)
					}
				}
			}
		}
	}
	for of, known := range map[string][]string{"Operator": expression.Operators(), "Function": expression.Functions()} {
		if slices.Sort(told[of]); !slices.Equal(told[of], known) {
			t.Errorf("%ss told: %v\nknown: %v", of, told[of], known)
		}
	}
	for _, limit := range []string{
		thousands(expression.MaxLength) + " bytes, " + thousands(expression.MaxNodes) + " parts, " + thousands(expression.MaxDepth) + " levels",
		thousands(expression.MaxTextLength) + " bytes. One pattern", thousands(expression.MaxPattern) + " steps", thousands(event.MaxWork) + " steps of work",
	} {
		if !strings.Contains(text, limit) {
			t.Errorf("the page does not say %q", limit)
		}
	}
	// Operators further down bind tighter.
	for loose, tight := range map[string]string{
		`true or false and false`: `true or (false and false)`, `false and true == false`: `false and (true == false)`,
		`1 + 2 == 3`: `(1 + 2) == 3`, `1 + 2 * 3`: `1 + (2 * 3)`, `2 * 2 ** 3`: `2 * (2 ** 3)`, `true or true ? 1 : 2`: `(true or true) ? 1 : 2`,
		`"a" + "b" contains "ab"`: `("a" + "b") contains "ab"`, `1 + 1 in [2]`: `(1 + 1) in [2]`, `not true or true`: `(not true) or true`,
	} {
		ev, err := event.ParseOne([]byte(`{"type":"response.completed"}`), event.Defaults{Tenant: "default", Source: "api", Received: time.Now()})
		if err != nil {
			t.Fatal(err)
		}
		if a, b := says(t, loose, loose, ev, false), says(t, tight, tight, ev, false); a != b {
			t.Errorf("%s is %s, and %s is %s", loose, a, tight, b)
		}
	}
}

// thousands writes a number as people read it: 65,536.
func thousands(n int) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%s,%03d", thousands(n/1000), n%1000)
}

// Every link within the page leads to one of its headings.
func TestLinksOfThePage(t *testing.T) {
	t.Parallel()
	text, _, _ := readPage(t)
	places := map[string]bool{}
	for line := range strings.Lines(text) {
		if title, ok := strings.CutPrefix(line, "## "); ok {
			place := strings.Map(func(r rune) rune {
				if strings.ContainsRune("`,.:", r) {
					return -1
				}
				return r
			}, strings.ToLower(strings.TrimSpace(title)))
			places[strings.ReplaceAll(place, " ", "-")] = true
		}
	}
	links := 0
	for _, part := range strings.Split(text, "](#")[1:] {
		place, _, _ := strings.Cut(part, ")")
		links++
		if !places[place] {
			t.Errorf("no heading is #%s", place)
		}
	}
	if links < 10 {
		t.Errorf("%d links", links)
	}
}

// The README, the API's page and the faults of a condition link to the page.
func TestThePageIsLinked(t *testing.T) {
	t.Parallel()
	for page, link := range map[string]string{"../README.md": "](rules/README.md)", "../gateway/API.md": "](../rules/README.md)"} {
		if text, err := os.ReadFile(page); err != nil || !strings.Contains(string(text), link) {
			t.Errorf("%s has no link (%v)", page, err)
		}
	}
	if !strings.HasSuffix(expression.DocsURL, "/surveygate/blob/main/rules/README.md") {
		t.Errorf("faults lead to %s", expression.DocsURL)
	}
}
