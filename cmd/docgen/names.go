package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/rules/event"
)

// names is the part of the rule language's page that tells of every name: its type, what it is, who fills it.
func names(platforms []config.Platform) file {
	var b strings.Builder
	b.WriteString("| Name | Type | What it is | Filled by |\n| --- | --- | --- | --- |\n")
	for _, n := range event.Glossary() {
		shown, path := "`"+n.Name+"`", n.Name
		if n.Path != "" {
			shown, path = shown+" or `"+n.Path+"`", n.Path
		}
		if n.Alias != "" {
			shown += " or `" + n.Alias + "`"
		}
		kind := n.Kind.Words()
		if n.Open {
			kind += " of free names"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", shown, kind, cell(n.About), filledBy(path, platforms))
	}
	groups := event.GroupNames()
	fmt.Fprintf(&b, "\n`%s` are groups of these: `has(respondent)` asks whether anything of the respondent is known.\n", strings.Join(groups, "`, `"))
	return file{path: "rules/README.md", text: []byte(b.String()), part: "names"}
}

// byGateway are names that the gateway fills itself, for every platform.
var byGateway = []string{
	"type", "source", "tenant", "time", "received", event.NameHour, event.NameWeekday, event.NameAge, "response.completed", event.NameComplete, "warnings",
}

// fewMissing is how many platforms may be missing for a list of those to be shorter than one of the others.
const fewMissing = 4

// filledBy says which platforms fill a field without any role.
func filledBy(path string, platforms []config.Platform) string {
	if slices.Contains(byGateway, path) {
		return "the gateway, for every platform"
	}
	switch path {
	case "nps_group":
		path = event.Shortcuts["nps_score"]
	case event.NameRate:
		path = "response.answers"
	}
	parts := []string{path}
	switch path { // the gateway makes whole names of their parts, and parts of whole names
	case "respondent.name":
		parts = append(parts, "respondent.first_name", "respondent.last_name")
	case "respondent.first_name", "respondent.last_name":
		parts = append(parts, "respondent.name")
	}
	var fill, missing []string
	for _, p := range platforms {
		if slices.ContainsFunc(parts, func(part string) bool { return slices.Contains(p.Fills, part) }) {
			fill = append(fill, p.Name)
		} else {
			missing = append(missing, p.Name)
		}
	}
	switch {
	case len(missing) == 0:
		return "every platform"
	case len(fill) == 0:
		return "none: a role, or your own code"
	case len(missing) <= fewMissing:
		return "every platform but " + strings.Join(missing, ", ")
	}
	return strings.Join(fill, ", ")
}
