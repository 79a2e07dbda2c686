package command

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/surveygate/surveygate/gateway/client"
)

func (g *globals) suggest() *cobra.Command {
	var source string
	cmd := &cobra.Command{
		Use:   "suggest",
		Short: "Show what stored events suggest for the settings",
		Long: `Look at the newest 1,000 events of each source of a running gateway, and show questions that no role reads and that look like an e-mail
address, a score, a consent, a phone number or a comment, with what was seen of them and the YAML to paste. Of personal answers, only the shape is shown.

Then show enabled rules and webhooks that none of the newest 1,000 events matched that they were asked about, with the part of their condition that said
no. Rules that were asked about fewer than 50 events, and rules that are asked about a whole response, are left out.

One request looks at 5,000 events at most, for a second. Nothing is changed.`,
		Example: `  surveygate suggest
  surveygate suggest --source forms --tenant acme`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			gw, err := g.dial()
			if err != nil {
				return err
			}
			defer gw.Close()
			found, err := gw.Suggestions(cmd.Context(), source)
			switch {
			case err != nil:
				return err
			case g.json:
				return g.print(found)
			}
			g.showSuggestions(found)
			return nil
		},
	}
	cmd.Flags().StringVar(&source, "source", "", "only the questions of this source")
	return cmd
}

func (g *globals) showSuggestions(found *client.Suggestions) {
	some := false
	for i := range found.Sources {
		if len(found.Sources[i].Roles) > 0 {
			g.showRoles(&found.Sources[i])
			some = true
		}
	}
	if len(found.Rules) > 0 {
		g.say("rules that matched none of the newest events:\n\n")
		for i := range found.Rules {
			g.showSilent(&found.Rules[i])
		}
		if found.More > 0 {
			g.say("and %d more %s\n\n", found.More, plural(found.More, "rule"))
		}
		some = true
	}
	if !some {
		g.say("nothing to suggest: no question without a role looks like one of the known kinds, and no rule matched nothing\n")
	}
	g.say("looked at %d %s for rules%s\n", found.Events, plural(found.Events, "event"), stoppedBy(found.Stopped))
	for i := range found.Sources {
		s := &found.Sources[i]
		g.say("looked at %d %s of the source %s%s\n", s.Events, plural(s.Events, "event"), s.Source, stoppedBy(s.Stopped))
		if s.Note != "" {
			g.say("  %s\n", s.Note)
		}
	}
}

// stoppedBy says why no older events were looked at.
func stoppedBy(stopped string) string {
	switch stopped {
	case "events":
		return ", the newest"
	case "time":
		return ", the newest; a second was not enough for more"
	}
	return ""
}

// maxQuestionShown is where the id of a question, and that of a survey, is cut: whoever fills in a form may choose it.
const maxQuestionShown = 100

// showRoles prints the questions of a source that look like something, and the YAML.
func (g *globals) showRoles(s *client.SourceSuggestions) {
	g.say("%s: questions without a role that look like one:\n\n", s.Source)
	for i := range s.Roles {
		r := &s.Roles[i]
		what := clipped(r.Question, maxQuestionShown)
		if r.Title != "" {
			what += " (" + clipped(r.Title, 50) + ")"
		}
		if r.Survey != "" {
			what += " of the survey " + clipped(r.Survey, maxQuestionShown)
		}
		g.say("  %s: %s\n", what, r.Field)
		for _, evidence := range r.Evidence {
			g.say("    %s\n", oneLine(evidence))
		}
		if r.Example != "" {
			g.say("    such as: %s\n", r.Example)
		}
		if len(r.Also) > 0 {
			g.say("    looks the same, and only one of them can be %s: %s\n", r.Field, oneLine(strings.Join(r.Also, ", ")))
		}
	}
	g.say("\n  the YAML belongs %s:\n\n", s.Where)
	for line := range strings.Lines(s.YAML) {
		g.printf("%s", line) // as it is: a folded line is other YAML
	}
	g.printf("\n")
}

func (g *globals) showSilent(r *client.SilentRule) {
	kind := ""
	if r.Kind != "rule" {
		kind = r.Kind + " "
	}
	g.say("  %s%s, asked about %d %s: %s\n", kind, r.Name, r.Asked, plural(r.Asked, "event"), clipped(r.When, 200))
	if r.Explained < r.Asked {
		g.say("    the reasons of %d of them were counted\n", r.Explained)
	}
	for i := range r.Parts {
		g.say("    %s\n", r.Parts[i].Why)
	}
	for _, hint := range r.Hints {
		g.say("    %s\n", hint)
	}
	g.printf("\n")
}
