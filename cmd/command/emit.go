package command

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/surveygate/surveygate/gateway/client"
	"github.com/surveygate/surveygate/gateway/offline"
)

func (g *globals) emit() *cobra.Command {
	var source, sample string
	r := &repeating{globals: g}
	cmd := &cobra.Command{
		Use:   "emit [FILE | JSON | -]",
		Short: "Publish an event to a running gateway",
		Long: `Publish one event in surveygate's own format, several as a JSON array or one per line, a platform's own body (with
--source, through that source's profile), or a platform's sample (--sample). A sample goes to the source with the
platform's name, or to --source. With --token, the token's ` + "`sources`" + ` must name the source. There are samples of
` + list(offline.Samples(), 100) + `

With --rate, --for or --count the event is published again and again, until the time or the number is over, or until Ctrl-C. Each one
has an id and a response id of its own; a sample gets new ids. --vary gives a field another value each time: a score goes through its
range (nps_score from 0 to 10, csat_score and ces_score from 1 to 5), a number counts up, and a text, such as an e-mail address, a name or
an id, gets a number. --seed makes the ids of an earlier run again: its events are then duplicates. When the gateway asks to wait (429,
503), the command waits and sends the event again. The last line has the totals; exit code 1 means that events were refused.`,
		Example: `  surveygate emit '{"type": "response.completed", "nps_score": 3}'
  surveygate emit event.json
  surveygate emit --sample pollqr --source pollqr
  surveygate emit --rate 5/s --for 1m --vary nps_score event.json
  surveygate emit --sample popsee --count 20`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			body, err := g.emitted(cmd, args, sample)
			if err != nil {
				return &exit{exitUsage, err}
			}
			if cmd.Flags().Changed("count") && r.count < 1 {
				return &exit{exitUsage, fmt.Errorf("--count %d: a number of events is 1 or more", r.count)}
			}
			repeats, err := r.check()
			if err != nil {
				return &exit{exitUsage, err}
			}
			named := "" // the source, by the sample
			if source == "" {
				source, named = sample, sample
			}
			if repeats {
				r.source = source
				return sampleError(r.repeat(cmd.Context(), body, sample), named)
			}
			gw, err := g.dial()
			if err != nil {
				return err
			}
			defer gw.Close()
			results, err := gw.Publish(cmd.Context(), source, body)
			err = sampleError(err, named)
			if g.json && results != nil {
				_ = g.print(results)
			}
			for _, r := range results {
				if !g.json {
					g.printf("%s\n", strings.TrimSpace(r.ID+" "+r.Status+" "+faultText(r)))
					for _, w := range r.Warnings {
						g.printf("  warning: %s\n", w)
					}
				}
				if r.Status == "invalid" {
					err = &exit{exitFailed, nil}
				}
			}
			return err
		},
	}
	cmd.Flags().StringVar(&source, "source", "", "the body is from this source's platform")
	cmd.Flags().StringVar(&sample, "sample", "", "a platform's published sample, with new ids each time")
	f := cmd.Flags()
	f.StringVar(&r.rateText, "rate", "", "publish again at this rate, such as 5/s or 600/m (default "+defaultEmitRate+")")
	f.DurationVar(&r.span, "for", 0, "publish again for so long, such as 1m")
	f.IntVar(&r.count, "count", 0, "publish so many")
	f.StringArrayVar(&r.vary, "vary", nil, "field that gets another value each time; repeat it for others")
	f.StringVar(&r.seed, "seed", "", "text that the ids are made from (default: a new one)")
	_ = cmd.RegisterFlagCompletionFunc("sample", func(_ *cobra.Command, _ []string, begun string) ([]string, cobra.ShellCompDirective) {
		return beginning(offline.Samples(), begun), cobra.ShellCompDirectiveNoFileComp
	})
	return cmd
}

// sampleError explains that a source does not exist which only a sample named.
func sampleError(err error, sample string) error {
	if refused, ok := errors.AsType[*client.APIError](err); ok && sample != "" && refused.Status == http.StatusNotFound {
		return fmt.Errorf("%w: a sample goes to the source with the platform's name, `%s`; use --source NAME for another source of that platform", err, sample)
	}
	return err
}

// list joins words by commas, in lines of at most width characters.
func list(words []string, width int) string {
	var b strings.Builder
	line := 0
	for i, word := range words {
		if i > 0 {
			b.WriteString(",")
			if line += 2; line+len(word) > width {
				b.WriteString("\n")
				line = 0
			} else {
				b.WriteString(" ")
			}
		}
		b.WriteString(word)
		line += len(word)
	}
	return b.String() + "."
}

func (g *globals) emitted(cmd *cobra.Command, args []string, sample string) ([]byte, error) {
	switch {
	case sample != "" && len(args) > 0:
		return nil, errors.New("either --sample or a body, not both")
	case sample != "":
		return offline.Sample(sample)
	case len(args) == 0:
		return nil, errors.New("name what to publish: a file, JSON, - for standard input, or --sample pollqr")
	case args[0] == "-":
		return io.ReadAll(cmd.InOrStdin())
	case strings.HasPrefix(strings.TrimSpace(args[0]), "{"), strings.HasPrefix(strings.TrimSpace(args[0]), "["):
		return []byte(args[0]), nil
	}
	body, err := os.ReadFile(args[0])
	if err != nil {
		return nil, fmt.Errorf("%w (to publish JSON, write it in quotes)", err)
	}
	return body, nil
}

func faultText(r client.Published) string {
	if r.Error == nil {
		return ""
	}
	text := r.Error.Msg
	if len(r.Error.Loc) > 0 {
		text = strings.Join(r.Error.Loc, ".") + ": " + text
	}
	if r.Error.Line > 0 {
		text = "line " + strconv.Itoa(r.Error.Line) + ": " + text
	}
	return text
}
