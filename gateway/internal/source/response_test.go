package source

import (
	"slices"
	"strings"
	"testing"

	"github.com/surveygate/surveygate/rules/event"
)

// A platform tells of one response in several events. All of them carry its survey, or none does: with it in some of them
// alone they would be of two responses.
func TestEventsOfAResponseShareItsIdentity(t *testing.T) {
	t.Parallel()
	for _, platform := range Builtin().Names() {
		p := profile(t, platform)
		if types := p.unsurveyed(); len(types) > 0 {
			t.Errorf("%s: %q have a response and no survey", platform, types)
		}
		s, with, without := open(t, p, Settings{}), "", ""
		for _, name := range published(t, platform) {
			events, err := s.Normalise(requestOf(t, name), noon)
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			for _, ev := range events {
				switch {
				case ev.ResponseID == "" || ev.Type == event.TypeTest:
				case ev.SurveyID == "":
					without = name
				default:
					with = name
				}
			}
		}
		if with != "" && without != "" {
			t.Errorf("the response of %s has a survey, that of %s has none", with, without)
		}
	}
}

// Who writes a profile is told where it would tear a response's events apart.
func TestAProfileThatSplitsResponsesIsWarnedOf(t *testing.T) {
	t.Parallel()
	const head = "source: x\nverify: [{kind: none}]\ntype: {path: e, map: {a: response.started, b: response.completed, c: survey.closed}, default: unknown}\ndedupe: \"{id}\"\n"
	for _, c := range []struct {
		name, maps, want string
	}{
		{"both everywhere", "map: {survey.id: s, response.id: r}", ""},
		{"no survey", "map: {response.id: r}", ""},
		{"a survey where there is no response", "map: {}\nmap_by_type: {response.started: {response.id: r}, response.completed: {response.id: r}, survey.closed: {survey.id: s}}", ""},
		{"by type, alike", "map_by_type: {response.started: {survey.id: s, response.id: r}, response.completed: {survey.id: t, response.id: r}}", ""},
		{"a survey in one type", "map: {response.id: r}\nmap_by_type: {response.completed: {survey.id: s}, survey.closed: {survey.id: s}, unknown: {survey.id: s}}", "response.started"},
	} {
		p, faults := Parse("test.yaml", []byte(head+c.maps+"\n"))
		if len(faults) > 0 {
			t.Fatalf("%s: %v", c.name, faults)
		}
		var told []string
		for _, w := range open(t, p, Settings{}).Warnings() {
			if w.Setting == "profile" {
				told = append(told, w.Message)
			}
		}
		if c.want == "" && len(told) > 0 || c.want != "" && !slices.ContainsFunc(told, func(m string) bool { return strings.Contains(m, c.want) }) {
			t.Errorf("%s: %q, want %q", c.name, told, c.want)
		}
	}
}
