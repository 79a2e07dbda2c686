package suggest

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/document"
	"github.com/surveygate/surveygate/gateway/internal/source"
	"github.com/surveygate/surveygate/rules/event"
)

// short returns the shortest name of a field.
func short(f source.Field) string {
	for name, path := range event.Shortcuts {
		if path == f.Name {
			return name
		}
	}
	return f.Name
}

// quoted writes a text as YAML does between double quotes, where every escape of Go that printable text needs means the same.
func quoted(text string) string { return strconv.Quote(strings.ToValidUTF8(text, "\uFFFD")) }

// lineOf is the line of one role.
func lineOf(question string, f source.Field) string { return quoted(question) + ": " + short(f) }

// plainName are names that YAML reads as a text without quotes.
var plainName = regexp.MustCompile(`^[a-z][a-z0-9_-]*$`)

func nameOf(name string) string {
	if !plainName.MatchString(name) || slices.Contains([]string{"y", "n", "yes", "no", "on", "off", "true", "false", "null"}, name) {
		return quoted(name)
	}
	return name
}

// yaml returns the roles of the source as they are, with those that were chosen, and where they belong. They replace what the source
// has: two settings with the same name are a fault.
func (q *questions) yaml(all []chosen) (text, where string) {
	receiver := q.source.Receiver
	roles := maps.Clone(receiver.Roles)
	if roles == nil {
		roles = map[string]source.Field{}
	}
	surveys := map[string]source.Survey{}
	for id, survey := range receiver.Surveys {
		surveys[id] = source.Survey{Name: survey.Name, Roles: maps.Clone(survey.Roles)}
	}
	inSurveys := false
	for _, c := range all {
		if c.survey == "" {
			roles[c.key] = c.field
			continue
		}
		inSurveys = true
		survey := surveys[c.survey]
		if survey.Roles == nil {
			survey.Roles = map[string]source.Field{}
		}
		survey.Roles[c.key] = c.field
		surveys[c.survey] = survey
	}
	var b strings.Builder
	indent := ""
	of, stored := strings.CutPrefix(q.source.At.File, config.StorePrefix)
	if !stored {
		fmt.Fprintf(&b, "sources:\n  %s:\n", nameOf(q.source.Name))
		indent = "    "
	}
	writeRoles(&b, indent, roles)
	in := ""
	if len(receiver.Roles) > 0 || len(receiver.Surveys) > 0 {
		in = ", in place of its `roles`"
	}
	if inSurveys {
		if in != "" {
			in += " and `surveys`"
		}
		fmt.Fprintf(&b, "%ssurveys:\n", indent)
		for _, id := range slices.Sorted(maps.Keys(surveys)) {
			fmt.Fprintf(&b, "%s  %s:\n", indent, quoted(id))
			if name := surveys[id].Name; name != "" {
				fmt.Fprintf(&b, "%s    name: %s\n", indent, quoted(document.EscapeVariables(name)))
			}
			writeRoles(&b, indent+"    ", surveys[id].Roles)
		}
	}
	switch {
	case stored:
		where = "in the document " + of + in
	case q.source.At.File == "":
		where = "in the configuration, at the source " + q.source.Name + in
	default:
		where = fmt.Sprintf("at the source %s in %s:%d%s", q.source.Name, q.source.At.File, q.source.At.Line, in)
	}
	return b.String(), where
}

func writeRoles(b *strings.Builder, indent string, roles map[string]source.Field) {
	if len(roles) == 0 {
		return
	}
	fmt.Fprintf(b, "%sroles:\n", indent)
	for _, question := range slices.Sorted(maps.Keys(roles)) {
		fmt.Fprintf(b, "%s  %s\n", indent, lineOf(question, roles[question]))
	}
}
