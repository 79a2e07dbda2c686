package command

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/surveygate/surveygate/gateway/client"
)

// maxTried is how many events a trial may ask about.
const maxTried = 500

// trying holds the arguments of `try`.
type trying struct {
	*globals
	file, as, event, source, kind string
	last                          int
	ids, show                     []string
	brief                         bool // of several events, one example of each request is shown
}

func (g *globals) try() *cobra.Command {
	t := &trying{globals: g}
	cmd := &cobra.Command{
		Use:   "try [-f FILE]",
		Short: "Show what settings would do with events, before they are written",
		Long: `Ask a running gateway what a draft of rules, webhooks, connections and sources would do with events that it keeps, or with one in a
file: what would be sent that is not sent today, and the other way round, why, and the requests with masked secrets. Nothing is sent or kept. Without a draft,
it shows what the running settings do.

The draft has the form of a configuration file. With --as, it is the settings of one rule, webhook, connection or source, as
put takes them. A name whose settings are null is deleted in the draft. ${NAME} is replaced from the environment. A draft needs the scope settings.`,
		Example: `  surveygate try -f draft.yaml --last 500 --type response.completed
  surveygate try -f rule.yaml --as rule/detractor --event event.json
  surveygate try --event-id 22c72aaf6e3cc33966a37873c0b297d9`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return t.run(cmd) },
	}
	f := cmd.Flags()
	f.StringVarP(&t.file, "file", "f", "", "the draft, in YAML or JSON; - is stdin")
	f.StringVar(&t.as, "as", "", "the draft is the settings of KIND/NAME, such as rule/detractor")
	f.IntVar(&t.last, "last", 100, "how many of the newest events, up to 500")
	f.StringVar(&t.kind, "type", "", "of these, those of this type, such as response.completed")
	f.StringVar(&t.source, "source", "", "of these, those of this source; with --event, whose body the file is")
	f.StringSliceVar(&t.ids, "event-id", nil, "the ids of events, in place of the newest")
	f.StringVar(&t.event, "event", "", "a file with an event, or with the body of a source's platform")
	f.StringSliceVar(&t.show, "show", nil, "explain, requests or difference (default: all that apply)")
	_ = cmd.RegisterFlagCompletionFunc("show", cobra.FixedCompletions([]string{"explain", "requests", "difference"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func (t *trying) run(cmd *cobra.Command) error {
	trial := client.Trial{Show: t.show, Events: client.TrialEvents{Type: t.kind, Source: t.source, IDs: t.ids}}
	switch {
	case t.event != "" && (len(t.ids) > 0 || cmd.Flags().Changed("last")) || len(t.ids) > 0 && cmd.Flags().Changed("last"):
		return &exit{exitUsage, errors.New("--event, --event-id and --last exclude each other")}
	case t.last < 1 || t.last > maxTried:
		return &exit{exitUsage, fmt.Errorf("--last %d: this is 1 to %d", t.last, maxTried)}
	case t.as != "" && t.file == "":
		return &exit{exitUsage, errors.New("--as says what the draft in --file is: name the file")}
	case t.event != "":
		body, err := os.ReadFile(t.event)
		if err == nil {
			trial.Events.Body, err = eventBody(body, t.source != "")
		}
		if err != nil {
			return &exit{exitUsage, err}
		}
	case len(t.ids) == 0:
		trial.Events.Last = t.last
	}
	var draft *client.Draft
	if t.file != "" {
		var err error
		if draft, err = t.readDraft(cmd, t.file); err != nil {
			return err
		}
		if trial.Draft, err = t.draft(draft); err != nil {
			return &exit{exitUsage, err}
		}
	}
	if len(t.show) == 0 && !t.json {
		trial.Show = t.readable(trial.Draft != nil)
	}
	gw, err := t.dial()
	if err != nil {
		return err
	}
	defer gw.Close()
	tried, err := gw.Try(cmd.Context(), trial)
	if err != nil && draft != nil {
		err = draft.LocatedInTrial(err, t.as != "")
	}
	switch {
	case isRefusedInput(err):
		return &exit{exitUsage, err}
	case err != nil:
		return err
	case t.json:
		err = t.print(tried)
	default:
		err = t.shown(tried)
	}
	if err == nil && tried.Asked == 0 && len(tried.NotFound) > 0 {
		err = &exit{code: exitNothing}
	}
	return err
}

// readable returns what a person is shown who did not choose: of one event everything, which its explanation has; of several the
// difference and an example of each request, or without a draft why each was sent somewhere.
func (t *trying) readable(hasDraft bool) []string {
	t.brief = true
	one := t.event != "" || len(t.ids) == 1 || len(t.ids) == 0 && t.last == 1
	switch {
	case hasDraft && one:
		return []string{"difference", "explain", "requests"}
	case hasDraft:
		return []string{"difference", "requests"}
	case one:
		return []string{"explain", "requests"}
	}
	return []string{"explain"}
}

// draft returns the documents of a draft.
func (t *trying) draft(d *client.Draft) (*client.TrialDraft, error) {
	if t.as == "" {
		return d.Trial()
	}
	kind, name, ok := strings.Cut(t.as, "/")
	if !ok || name == "" || !slices.Contains(client.Kinds, client.Kind(kind)) {
		return nil, fmt.Errorf("--as %q: write rule/NAME, webhook/NAME, connection/NAME or source/NAME", t.as)
	}
	return d.TrialAs(client.Kind(kind), name), nil
}

// eventBody returns the event in a file as the API takes it. The body of a platform is sent as its text, because its bytes count.
func eventBody(body []byte, ofPlatform bool) (json.RawMessage, error) {
	switch {
	case !utf8.Valid(body):
		return nil, errors.New("the file is not text in UTF-8")
	case !ofPlatform && !json.Valid(body):
		return nil, errors.New("the file is not an event in JSON; if it is a platform's body, name its source: --source NAME")
	case !ofPlatform:
		return body, nil
	}
	return json.Marshal(string(body))
}

// shown prints the answer for a person.
func (t *trying) shown(tried *client.Tried) error {
	var out strings.Builder
	line := func(format string, args ...any) { out.WriteString(folded(fmt.Sprintf(format+"\n", args...))) }
	asked := fmt.Sprintf("asked about %d %s", tried.Asked, plural(tried.Asked, "event"))
	if !tried.SearchedBackTo.IsZero() {
		asked += ", back to " + tried.SearchedBackTo.Format(time.RFC3339)
	}
	if why := map[string]string{"size": "16 MiB of events are read", "time": "one second of work is over", "search": "too many other events are between them"}[tried.Stopped]; why != "" {
		asked += "; stopped there: " + why
	}
	line("%s", asked)
	if len(tried.NotFound) > 0 {
		line("no such event: %s", strings.Join(tried.NotFound, ", "))
	}
	for _, d := range tried.Draft {
		did := "would be " + d.Would + "d"
		if d.Would == "nothing" {
			did = "would not change"
		}
		line("%s: %s, %s", strings.Replace(d.Name, "/", " ", 1), did, d.State)
		for _, w := range d.Warnings {
			line("  warning: %s", w)
		}
	}
	if d := tried.Difference; d != nil {
		line("")
		line("deliveries: %d without the draft, %d with it: %d added, %d removed, %d changed", d.Before, d.Now, d.Added, d.Removed, d.Changed)
		for _, of := range []struct {
			what    string
			reasons []client.ReasonCount
		}{{"would be skipped", d.Skipped}, {"would be rejected", d.Rejected}, {"cannot be evaluated", d.Failed}} {
			for _, r := range of.reasons {
				line("  %d %s: %s", r.Count, of.what, r.Reason)
			}
		}
		for i := range d.Samples {
			s := &d.Samples[i]
			mark := map[[2]bool]string{{false, true}: "+", {true, false}: "-", {true, true}: "~"}[[2]bool{s.Before, s.Now}]
			why := ""
			if s.Why != "" {
				why = ": " + s.Why
			}
			line("  %s %s%s", mark, stepOf(s.Kind, s.Rule, s.Step), why)
			line("    event %s", s.Event)
		}
	}
	explained := client.Explained(tried)
	for _, x := range explained {
		if len(explained) > 1 || len(tried.Requests) > 0 {
			withoutRequests(x)
		}
		line("")
		line("event %s: %s from %s", x.Event.ID, x.Event.Type, x.Event.Source)
		var why strings.Builder
		if err := x.Brief(&why); err != nil {
			return err
		}
		out.WriteString(foldedExplanation(why.String()))
	}
	shown := map[string]bool{}
	for _, r := range tried.Requests {
		step := stepOf(r.Kind, r.Rule, r.Step)
		if t.brief && shown[step] {
			continue
		}
		shown[step] = true
		line("")
		line("%s: %s", step, r.Note)
		line("  event %s", r.Event)
		for text := range strings.Lines(strings.TrimSpace(r.Text)) {
			out.WriteString(strings.TrimRight("    "+text, " \r\n") + "\n")
		}
		if r.Cut {
			line("    … longer than what is shown")
		}
	}
	if len(shown) > 0 && t.brief && len(tried.Requests) > len(shown) {
		line("")
		line("one request of each; more with --show requests, why with --show explain")
	}
	t.printf("%s", out.String())
	return nil
}

// withoutRequests removes the requests from an explanation, where they would hide what it says.
func withoutRequests(x *client.Explanation) {
	for i := range x.Rules {
		for j := range x.Rules[i].Steps {
			x.Rules[i].Steps[j].Request = ""
		}
	}
}

// stepOf names a step of a rule, or a webhook, which is its own step.
func stepOf(kind, rule, step string) string {
	if kind == "webhook" && rule == step {
		return "webhook " + rule
	}
	return kind + " " + rule + " → " + step
}
