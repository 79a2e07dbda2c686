package command

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/surveygate/surveygate/gateway/receiver"
)

const (
	maxFail  = 1000             // more than any delivery is attempted
	maxDelay = 10 * time.Minute // longer than any sender waits for an answer
)

// listening holds the arguments of `listen`.
type listening struct {
	address, style string
	secrets        []string
	answer         int // --answer
	status         int // --status
	fail           int
	delay          time.Duration
}

func (g *globals) listen() *cobra.Command {
	l := &listening{}
	cmd := &cobra.Command{
		Use:   "listen",
		Short: "Receive webhooks, verify them and print them",
		Long: `Run a receiver for trying out webhooks: it verifies each signature, prints the request and answers 200, or 401 if the signature is
not valid. A line also says which attempt of its delivery the request is.

To see retries, --fail N answers the first N attempts of each delivery with --status (500 without it), and the others as usual. All
attempts of a delivery have the same webhook-id; requests without one are the same delivery if their path and body are. To see a
receiver that is down, --status without --fail answers every request with that status; --answer is the earlier name of that. To see
timeouts, --delay waits before each answer.`,
		Args: cobra.NoArgs,
		Example: `  surveygate listen --secret "$HOOK_SECRET"
  surveygate listen --signature none --fail 2 --status 503
  surveygate listen --listen 127.0.0.1:9001 --signature none --status 410
  surveygate listen --signature none --delay 20s`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := l.check(cmd); err != nil {
				return &exit{exitUsage, err}
			}
			if len(l.secrets) == 0 {
				if s := environ("SURVEYGATE_SECRET"); s != "" {
					l.secrets = []string{s}
				}
			}
			receiver, err := receiver.Listen(cmd.Context(), receiver.Options{
				Listen: l.address, Style: l.style, Secrets: l.secrets, Answer: l.answerOf, Delay: l.delay,
				Heard: func(r receiver.Received) { g.printReceived(r, l.style) },
			})
			if err != nil {
				return &exit{exitUsage, err}
			}
			_, _ = fmt.Fprintf(g.err, "listening on %s, checking `%s`\n", receiver.URL(), l.style)
			<-cmd.Context().Done()
			return receiver.Close()
		},
	}
	f := cmd.Flags()
	f.StringVar(&l.address, "listen", "127.0.0.1:9000", "host:port")
	f.StringVar(&l.style, "signature", "standard", "`style` of signature to verify; none verifies nothing")
	f.StringArrayVar(&l.secrets, "secret", nil, "secret to verify with; repeat it during rotation (or SURVEYGATE_SECRET)")
	f.IntVar(&l.fail, "fail", 0, "answer the first attempts of each delivery, so many, with --status")
	f.IntVar(&l.status, "status", 0, "status (200 to 599) for --fail (default 500), or without it for every request")
	f.DurationVar(&l.delay, "delay", 0, "wait so long before each answer, such as 2s")
	f.IntVar(&l.answer, "answer", 0, "the earlier name of --status without --fail")
	return cmd
}

func (l *listening) check(cmd *cobra.Command) error {
	given := cmd.Flags().Changed
	for _, flag := range []struct {
		name  string
		value int
	}{{"status", l.status}, {"answer", l.answer}} {
		if given(flag.name) && (flag.value < 200 || flag.value > 599) {
			return fmt.Errorf("--%s %d: a status is 200 to 599", flag.name, flag.value)
		}
	}
	switch {
	case given("answer") && (given("status") || given("fail")):
		return errors.New("--answer is the earlier name of --status without --fail: leave it out")
	case given("fail") && (l.fail < 1 || l.fail > maxFail):
		return fmt.Errorf("--fail %d: a number of attempts is 1 to %d", l.fail, maxFail)
	case l.delay < 0 || l.delay > maxDelay:
		return fmt.Errorf("--delay %s: a delay is 0s to %s", l.delay, maxDelay)
	}
	if l.answer != 0 {
		l.status = l.answer
	}
	if l.fail > 0 && l.status == 0 {
		l.status = http.StatusInternalServerError
	}
	return nil
}

// answerOf returns the status for a request.
func (l *listening) answerOf(r receiver.Received) int {
	if l.status == 0 || l.fail > 0 && r.Attempt > l.fail {
		return r.Status
	}
	return l.status
}

func (g *globals) printReceived(r receiver.Received, style string) {
	if g.json {
		_ = g.print(r)
		return
	}
	verdict := "signature ok"
	switch {
	case !r.Good:
		verdict = "REFUSED: " + r.Fault
	case style == "none":
		verdict = "not verified"
	}
	answered := fmt.Sprintf("answered %d", r.Status)
	if r.Status == 0 {
		answered = "not answered: the sender did not wait"
	}
	id := r.ID
	if id != "" {
		id += "  "
	}
	g.printf("%s %s %s  %s  %s  %sattempt %d\n%s\n\n", r.At.Format(time.TimeOnly), r.Method, r.Path, verdict, answered, id, r.Attempt, r.Body)
}
