package command

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/surveygate/surveygate/gateway/receiver"
)

func (g *globals) listen() *cobra.Command {
	var address, style string
	var secrets []string
	var status int
	cmd := &cobra.Command{
		Use:     "listen",
		Short:   "Receive webhooks, verify them and print them",
		Long:    "Run a receiver for trying out webhooks: it verifies each signature, prints the request and answers 200, or 401 if the signature is not valid.",
		Args:    cobra.NoArgs,
		Example: "  surveygate listen --secret \"$HOOK_SECRET\"\n  surveygate listen --listen 127.0.0.1:9001 --signature none --answer 503",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if status != 0 && (status < 200 || status > 599) {
				return &exit{exitUsage, fmt.Errorf("--answer %d: a status is 200 to 599", status)}
			}
			if len(secrets) == 0 {
				if s := environ("SURVEYGATE_SECRET"); s != "" {
					secrets = []string{s}
				}
			}
			o := receiver.Options{
				Listen: address, Style: style, Secrets: secrets,
				Heard: func(r receiver.Received) { g.printReceived(r) },
			}
			if status != 0 {
				o.Answer = func(receiver.Received) int { return status }
			}
			receiver, err := receiver.Listen(cmd.Context(), o)
			if err != nil {
				return &exit{exitUsage, err}
			}
			_, _ = fmt.Fprintf(g.err, "listening on %s, checking `%s`\n", receiver.URL(), style)
			<-cmd.Context().Done()
			return receiver.Close()
		},
	}
	f := cmd.Flags()
	f.StringVar(&address, "listen", "127.0.0.1:9000", "host:port")
	f.StringVar(&style, "signature", "standard", "`style` of signature to verify; none verifies nothing")
	f.StringArrayVar(&secrets, "secret", nil, "secret to verify with; repeat it during rotation (or SURVEYGATE_SECRET)")
	f.IntVar(&status, "answer", 0, "answer every request with this status (200 to 599)")
	return cmd
}

func (g *globals) printReceived(r receiver.Received) {
	if g.json {
		_ = g.print(r)
		return
	}
	verdict := "signature ok"
	if !r.Good {
		verdict = "REFUSED: " + r.Fault
	}
	g.printf("%s %s %s  %s  answered %d  %s\n%s\n\n", r.At.Format(time.TimeOnly), r.Method, r.Path, verdict, r.Status, r.ID, r.Body)
}
