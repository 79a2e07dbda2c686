package command

import (
	"html"
	"regexp"
	"strings"
	"testing"

	"github.com/surveygate/surveygate/gateway/client"
)

// hostile is what a respondent may write to be read in a pull request.
const hostile = "a|b `c` *d* [e](https://evil.example) <script>f</script> @everyone #1 &amp; \n| new | row |\n```\n\x1b[31m"

// tags are those that the Markdown of a plan has.
var tags = regexp.MustCompile(`</?(code|details|summary)>`)

// TestPlanMarkdown: nothing that is written in a value becomes markup, a row, a link or a mention, and the rows of a table have its cells.
func TestPlanMarkdown(t *testing.T) {
	t.Parallel()
	value := hostile
	plan := &client.Plan{
		Changes: true, Events: 12_345, Deliveries: client.PlanCounts{Added: 1, Removed: 1_000, Changed: 2},
		Configuration: []client.PlanItem{{Kind: "webhook", Tenant: "default", Name: "crm", Change: "changed", Settings: []string{hostile}, Stored: false}},
		Rules: []client.PlanRule{{
			Kind: "rule", Tenant: "acme", Name: "low", PlanCounts: client.PlanCounts{Added: 1, Removed: 1_000, Changed: 2},
			Fields:   []client.PlanField{{Step: "alarms", Path: "body." + hostile, Count: 2, Old: &value}},
			Outcomes: []client.PlanOutcome{{From: "sent", To: "skipped", Reason: hostile, Count: 3}},
			Samples:  []client.PlanSample{{Change: "removed", Event: "e1", Tenant: "acme", Step: "alarms", Why: hostile, Parts: []client.ConditionPart{{Text: hostile, Value: "false", Decided: true}}}},
		}},
		Waiting: []client.PlanWaiting{{Tenant: "default", Destination: "crm", Kind: "webhook", Rule: "crm", Step: "crm", Becomes: "no longer configured", Count: 42}},
		Notes:   []string{hostile},
	}
	text := planMarkdown(plan, true)
	if !strings.Contains(text, "**Over 12,345 events since 0001-01-01 00:00 UTC: 1 delivery more, 1,000 fewer, 2 changed**") || !strings.Contains(text, "no longer configured&#58; 42") {
		t.Error(text)
	}
	cells := 0
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		switch {
		case !strings.HasPrefix(line, "|"):
			cells = 0
		case cells == 0:
			cells = strings.Count(line, "|")
		case strings.Count(line, "|") != cells:
			t.Errorf("%d cells, not %d: %s", strings.Count(line, "|"), cells, line)
		}
		rest := tags.ReplaceAllString(line, "")
		if strings.ContainsAny(rest, "<@`\x1b") || strings.Contains(rest, "](") {
			t.Errorf("markup in %s", line)
		}
	}
	if !strings.Contains(html.UnescapeString(text), "[e](https://evil.example) <script>f</script> @everyone #1 &amp;") {
		t.Error("the value is not shown")
	}
	plan.Rules[0].Outcomes, plan.Notes, plan.Configuration = nil, nil, nil
	plan.Rules[0].Fields[0].Path, plan.Rules[0].Samples[0].Why, plan.Rules[0].Samples[0].Parts = "body.text", "its condition is false", nil
	if text := planMarkdown(plan, false); strings.Contains(text, "evil") {
		t.Errorf("a value is shown: %s", text)
	}
}

// TestPlanMarkdownIsShort: a plan with many rules fits into a comment, and says what is left out.
func TestPlanMarkdownIsShort(t *testing.T) {
	t.Parallel()
	plan := &client.Plan{Changes: true, Events: 1}
	value := strings.Repeat("<", 200)
	for range 300 {
		r := client.PlanRule{Kind: "rule", Tenant: "default", Name: strings.Repeat("r", 60), PlanCounts: client.PlanCounts{Added: 1}}
		for range 50 {
			r.Fields = append(r.Fields, client.PlanField{Step: "s", Path: "body", Count: 1, Old: &value, New: &value})
		}
		plan.Rules = append(plan.Rules, r)
	}
	text := planMarkdown(plan, true)
	if len(text) > 65_536 || !strings.Contains(text, "more rules and webhooks are left out") || !strings.Contains(text, "… and 260 more.") {
		t.Errorf("%d bytes: %s", len(text), text[:min(len(text), 2000)])
	}
}

// TestPlanHeadline: what changes, in a sentence.
func TestPlanHeadline(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		plan client.Plan
		want string
	}{
		{client.Plan{}, "Nothing changes: the configuration means what the running one means"},
		{client.Plan{Changes: true}, "The configuration changes; no recent event is affected"},
		{client.Plan{Changes: true, Events: 1}, "Over 1 event since 0001-01-01 00:00 UTC: no delivery changes"},
		{client.Plan{Changes: true, Events: 1_234_567, Deliveries: client.PlanCounts{Removed: 2}}, "Over 1,234,567 events since 0001-01-01 00:00 UTC: 2 deliveries fewer"},
	} {
		if got := headline(&test.plan); got != test.want {
			t.Errorf("%s, want %s", got, test.want)
		}
	}
}
