package command

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/surveygate/surveygate/gateway"
	"github.com/surveygate/surveygate/gateway/client"
	"github.com/surveygate/surveygate/gateway/offline"
	"github.com/surveygate/surveygate/gateway/receiver"
)

func (g *globals) demo() *cobra.Command {
	var once bool
	var listen string
	cmd := &cobra.Command{
		Use:     "demo",
		Example: `  surveygate demo --once`,
		Short:   "Show a working gateway, without any set-up",
		Long: `Run a gateway in a new folder and a receiver that verifies signatures, and send the platforms' signed samples. Then show
four stories: an event that matched, one that did not and why, one whose receiver failed twice, and a response that was never
finished. Nothing leaves this machine.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			d := &demo{globals: g, listen: listen, once: once}
			err := d.run(cmd.Context())
			if err != nil && !errors.Is(err, context.Canceled) {
				return &exit{exitFailed, err}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&once, "once", false, "exit after the four stories")
	cmd.Flags().StringVar(&listen, "listen", "127.0.0.1:0", "host:port of the gateway")
	return cmd
}

// demo is the state of one demonstration.
type demo struct {
	*globals
	listen string
	once   bool
	dir    string
	token  string
	log    *requestLog
	gw     *client.Client
	base   string
	urls   map[string]string
	tally  []*platformTally
}

// platformTally is the output of --json for each platform.
type platformTally struct {
	Platform string `json:"platform"`
	// Received counts accepted events, Matched their rules and webhooks, Delivered their deliveries, SignatureOK the deliveries whose
	// signature the receiver verified.
	Received    int `json:"received"`
	Matched     int `json:"matched"`
	Delivered   int `json:"delivered"`
	SignatureOK int `json:"signature_ok"`
}

func (d *demo) printText(format string, args ...any) {
	if !d.json {
		d.printf(format+"\n", args...)
	}
}

func (d *demo) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	dir := d.data
	if dir == "" {
		made, err := os.MkdirTemp("", "surveygate-demo-")
		if err != nil {
			return err
		}
		dir = made
	}
	d.dir = dir
	d.log = newRequestLog()
	secrets, err := newDemoSecrets()
	if err != nil {
		return err
	}
	d.token = secrets["TOKEN"]
	customer, err := receiver.Listen(ctx, receiver.Options{
		Listen: "127.0.0.1:0", Style: "standard", Secrets: []string{secrets["HOOK"]}, Answer: d.log.answer, Heard: d.log.add,
	})
	if err != nil {
		return err
	}
	defer func() { _ = customer.Close() }()
	chat, err := receiver.Listen(ctx, receiver.Options{
		Listen: "127.0.0.1:0", Style: "none", Heard: d.log.add,
		Body: func(receiver.Received) string { return "ok" }, // as Slack answers
	})
	if err != nil {
		return err
	}
	defer func() { _ = chat.Close() }()

	file := filepath.Join(dir, "surveygate.yaml")
	if err := os.WriteFile(file, []byte(demoConfig(customer.URL(), chat.URL(), secrets)), 0o600); err != nil {
		return err
	}
	noEnv := func(string) (string, bool) { return "", false } // the demo uses no variables and no Redis
	options := offline.Options{Config: file, Env: noEnv}
	started := make(chan gateway.Started, 1)
	ended := make(chan error, 1)
	go func() {
		ended <- gateway.Run(ctx, gateway.Options{
			Config: file, Data: dir, Listen: d.listen, Env: noEnv, Started: func(s gateway.Started) { started <- s },
		})
	}()
	select {
	case s := <-started:
		d.base, d.urls = "http://"+s.Address, map[string]string{}
	case err := <-ended:
		return err
	}
	report, err := offline.Check(options, d.base)
	if err != nil {
		return err
	}
	for _, source := range report.Sources {
		d.urls[source.Name] = source.URL
	}
	if d.gw, err = client.Dial(client.Options{Data: dir}); err != nil {
		return err
	}
	defer d.gw.Close()
	if err := d.present(ctx, options); err != nil {
		return err
	}
	if !d.once {
		link, err := d.gw.LoginLink(ctx, "")
		if err != nil {
			return err
		}
		d.printText("\nEvery delivery is shown here until you press Ctrl-C. The console is at this link,\nwhich signs you in once:\n%s", link.URL)
		d.log.follow(ctx, func(r receiver.Received) {
			d.printText("%s  %-11s %s", r.At.Format(time.TimeOnly), r.Path, signatureText(r))
		})
	}
	cancel()
	return <-ended
}

// present sends the samples and tells the stories.
func (d *demo) present(ctx context.Context, options offline.Options) error {
	d.printText("surveygate %s on %s\nits configuration and its store: %s", gateway.Version(), d.base, d.dir)
	d.printText("\nEach platform's own sample, signed as the platform signs it:")
	for _, platform := range demoPlatforms {
		if err := d.platform(ctx, options, platform); err != nil {
			return err
		}
	}
	if d.json {
		if err := d.stories(ctx, options); err != nil {
			return err
		}
		return d.print(d.tally)
	}
	if err := d.stories(ctx, options); err != nil {
		return err
	}
	if d.once {
		d.printText("\nThis gateway stops now. Without --once it keeps running: post the next event\nyourself, and ask how it was handled:")
	} else {
		d.printText("\nPost the next event yourself, and ask how it was handled:")
	}
	d.printText("  curl -H 'Authorization: Bearer %s' %s/v1/events \\\n  -d '{\"type\": \"response.completed\", \"nps_score\": 3, \"email\": \"jo@example.com\"}'", d.token, d.base)
	d.printText("  surveygate explain --data %s ID", d.dir)
	return nil
}

// platform sends one sample and waits for its delivery.
func (d *demo) platform(ctx context.Context, options offline.Options, name string) error {
	before := time.Now()
	id, err := d.post(ctx, options, name, 9)
	if err != nil {
		return err
	}
	got, err := d.log.wait(ctx, "/warehouse", id, 1)
	if err != nil {
		return err
	}
	d.printText("  %-12s  accepted  →  warehouse in %3d ms, %s", name, got.At.Sub(before).Milliseconds(), signatureText(got))
	x, err := d.settled(ctx, id)
	if err != nil {
		return err
	}
	t := &platformTally{Platform: name, Received: 1}
	for _, r := range x.Rules {
		if r.Matched {
			t.Matched++
		}
		for _, step := range r.Steps {
			if step.Delivery != nil && step.Delivery.State == "delivered" {
				t.Delivered++
			}
		}
	}
	t.SignatureOK = d.log.good("/warehouse", id)
	d.tally = append(d.tally, t)
	return nil
}

func signatureText(r receiver.Received) string {
	if r.Good {
		return "signature ok"
	}
	return "signature WRONG: " + r.Fault
}

// stories shows four responses, each with the rules and webhooks that it is about.
func (d *demo) stories(ctx context.Context, options offline.Options) error {
	for _, s := range []struct {
		title, source string
		score         float64
		path          string
		times         int
		shown         []string
	}{
		{"1. An unhappy customer: the rule matches and notifies Slack", "pollqr", 3, "/slack", 1, []string{"detractor", "warehouse", "helpdesk"}},
		{"2. A happy customer: the rule does not match, and here is why", "popsee", 8, "/warehouse", 1, []string{"detractor"}},
		{"3. A furious customer: the help desk fails twice and still receives the event", "pollqr", 0, "/helpdesk", 3, []string{"helpdesk"}},
	} {
		id, err := d.post(ctx, options, s.source, s.score)
		if err != nil {
			return err
		}
		if _, err := d.log.wait(ctx, s.path, id, s.times); err != nil {
			return err
		}
		d.printText("\n%s", s.title)
		if err := d.show(ctx, fmt.Sprintf("event %s from %s, score %g:", id, s.source, s.score), id, s.shown...); err != nil {
			return err
		}
	}
	return d.unfinished(ctx, options)
}

// unfinished shows a response that is never finished: two events, and one request with what there is of it.
func (d *demo) unfinished(ctx context.Context, options offline.Options) error {
	const source, path = "poltio", "/unfinished"
	sample, err := offline.NewSignedSample(options, source, 9)
	if err != nil {
		return err
	}
	var ids [2]string
	for answers := range ids {
		session, err := unfinishedSession(sample, answers)
		if err != nil {
			return err
		}
		if ids[answers], err = d.send(ctx, source, session); err != nil {
			return err
		}
	}
	got, err := d.log.wait(ctx, path, ids[1], 1)
	if err != nil {
		return err
	}
	d.printText("\n4. A visitor who leaves in the middle: told once, with what there is by then")
	for answers, id := range ids {
		head := fmt.Sprintf("event %s from %s, %d answered:", id, source, answers)
		if err := d.show(ctx, head, id, "unfinished"); err != nil {
			return err
		}
	}
	d.printText("  received: %s", got.Body)
	return nil
}

// show prints what became of an event under some rules and webhooks.
func (d *demo) show(ctx context.Context, head, id string, rules ...string) error {
	x, err := d.settled(ctx, id)
	if err != nil || d.json {
		return err
	}
	var text bytes.Buffer
	if err := x.Brief(&text, rules...); err != nil {
		return err
	}
	d.printText("  %s", head)
	for line := range strings.Lines(text.String()) {
		d.printf("%s", folded("  "+line))
	}
	return nil
}

// settled polls until all deliveries of an event are finished.
func (d *demo) settled(ctx context.Context, id string) (*client.Explanation, error) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		x, err := d.gw.Explain(ctx, id, "")
		if err != nil || x.Settled() {
			return x, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-tick.C:
		}
	}
}

// post sends a new sample, and returns the event's id.
func (d *demo) post(ctx context.Context, options offline.Options, source string, score float64) (string, error) {
	sample, err := offline.NewSignedSample(options, source, score)
	if err != nil {
		return "", err
	}
	return d.send(ctx, source, sample)
}

// send posts a sample as its platform would, and returns the event's id.
func (d *demo) send(ctx context.Context, source string, sample *offline.SignedSample) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.urls[source], bytes.NewReader(sample.Body))
	if err != nil {
		return "", err
	}
	for name, value := range sample.Headers {
		req.Header.Set(name, value)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return "", err
	}
	answer, err := client.ParseAnswer(text)
	if err != nil || res.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s answered %d %s", req.URL, res.StatusCode, text)
	}
	return answer.ID, nil
}

func newDemoSecrets() (map[string]string, error) {
	secrets := map[string]string{}
	for name, purpose := range map[string]string{
		"TOKEN": "token", "HOOK": "webhook", "POLLQR": "path", "POPSEE": "path", "POLLARIX": "path", "POLTIO": "path", "CHATTOSURVEY": "path",
	} {
		made, err := offline.NewSecret(purpose)
		if err != nil {
			return nil, err
		}
		secrets[name] = made.Secret
	}
	return secrets, nil
}
