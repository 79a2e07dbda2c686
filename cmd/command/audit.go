package command

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

func (g *globals) audit() *cobra.Command {
	var of, by, since, cursor string
	var limit int
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "List who changed what, and who did what by hand",
		Long: "List who changed what, and who did what by hand, newest first.\n" +
			"With --tenant '*' it lists what was done to the gateway itself, such as a reload. It needs the scope `admin`.",
		Args: cobra.NoArgs,
		Example: `  surveygate audit --since 24h
  surveygate audit --of webhook:crm
  surveygate audit --by token:ci`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			q := url.Values{}
			for name, value := range map[string]string{"of": of, "by": by, "since": since, "cursor": cursor} {
				if value != "" {
					q.Set(name, value)
				}
			}
			if limit > 0 {
				q.Set("limit", strconv.Itoa(limit))
			}
			gw, err := g.dialAny()
			if err != nil {
				return err
			}
			defer gw.Close()
			page, err := gw.Audit(cmd.Context(), q)
			if err != nil {
				return err
			}
			if g.json {
				return g.print(page)
			}
			rows := make([][]string, len(page.Data))
			for i := range page.Data {
				l := &page.Data[i]
				rows[i] = []string{l.At.Format(time.RFC3339), l.By, l.Did, l.Of, strings.Join(l.Changed, " ")}
			}
			g.wholeTable(rows)
			if page.Next != nil {
				_, _ = fmt.Fprintf(g.out, "there is more: --cursor %s\n", *page.Next)
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&of, "of", "", "done to KIND:NAME, or to any of a KIND, such as webhook:crm")
	f.StringVar(&by, "by", "", "done by token:NAME, portal:PERSON or socket, such as token:ci")
	f.StringVar(&since, "since", "", "since then: a time, or how long ago, such as 24h")
	f.StringVar(&cursor, "cursor", "", "continue where a list ended")
	f.IntVar(&limit, "limit", 0, "how many, up to 200 (default 50)")
	return cmd
}
