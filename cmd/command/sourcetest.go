package command

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/surveygate/surveygate/gateway/client"
	"github.com/surveygate/surveygate/gateway/offline"
)

// testFlags are the flags of `source test`.
type testFlags struct {
	headers, query, secrets, vars []string
	headerFile, at, timezone      string
	running                       bool
}

func (g *globals) sourceTest() *cobra.Command {
	var f testFlags
	cmd := &cobra.Command{
		Use:   "test PROFILE PAYLOAD",
		Short: "Test a profile, or a source that runs, with a body",
		Long: `Test a profile, which is your own YAML file or a built-in's name, with a platform's body. It prints the resulting events,
what could not be used, the places that the profile does not read, and with --secret how the request was verified, or why
not, and the signed text. It needs no running gateway, and sends and stores nothing.

With --running, or --server, PROFILE is the name of a source of the running gateway, whose profile, secrets and settings count. Nothing is stored.`,
		Example: `  surveygate source test ./acme.yaml body.json --secret "$ACME_SECRET" \
    --header 'X-Acme-Signature: sha256=00ff'
  surveygate source test typeform body.json
  surveygate source test my-source body.json --running`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.running || cmd.Flags().Changed("server") {
				return g.testRunning(cmd, &f, args[0], args[1])
			}
			t, err := f.request(args[0], args[1])
			if err != nil {
				return &exit{exitUsage, err}
			}
			tested, err := offline.TestSource(*t)
			if err != nil {
				return &exit{exitUsage, err}
			}
			if g.json {
				err = g.print(tested)
			} else {
				err = g.showTested(tested)
			}
			if err == nil && (tested.Error != "" || len(tested.Checks) > 0 && !tested.Proved) {
				err = &exit{exitFailed, nil}
			}
			return err
		},
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&f.headers, "header", nil, "a header of the request, as 'Name: value'; can be repeated")
	flags.StringVar(&f.headerFile, "headers", "", "a `file` of headers, one per line, as written by source captured --save")
	flags.StringArrayVar(&f.query, "query", nil, "a parameter of the URL, as name=value")
	flags.StringArrayVar(&f.secrets, "secret", nil, "the platform's secret; without it, the request is not verified")
	flags.StringArrayVar(&f.vars, "var", nil, "another placeholder of the profile, as name=value")
	flags.StringVar(&f.at, "at", "", "time of receipt, such as 2026-01-02T03:04:05Z, for signatures with a time (default: now)")
	flags.BoolVar(&f.running, "running", false, "test a source of the running gateway")
	flags.StringVar(&f.timezone, "timezone", "", "time zone of times without one, such as Europe/Istanbul (default: UTC)")
	return cmd
}

func (f *testFlags) request(profile, payload string) (*offline.SourceTest, error) {
	body, err := os.ReadFile(payload)
	if err != nil {
		return nil, err
	}
	t := &offline.SourceTest{Profile: profile, Body: body, Header: http.Header{}, Query: url.Values{}, Secrets: f.secrets, Vars: map[string]string{}}
	lines := f.headers
	if f.headerFile != "" {
		text, err := os.ReadFile(f.headerFile)
		if err != nil {
			return nil, err
		}
		lines = append(strings.Split(string(text), "\n"), lines...)
	}
	for _, line := range lines {
		if strings.TrimSpace(line) == "" {
			continue
		}
		name, value, found := strings.Cut(line, ":")
		if !found {
			return nil, fmt.Errorf("%q is not a header: write 'Name: value'", line)
		}
		t.Header.Add(strings.TrimSpace(name), strings.TrimSpace(value))
	}
	for _, pair := range f.query {
		name, value, found := strings.Cut(pair, "=")
		if !found {
			return nil, errors.New("write a parameter as name=value")
		}
		t.Query.Add(name, value)
	}
	for _, pair := range f.vars {
		name, value, found := strings.Cut(pair, "=")
		if !found {
			return nil, errors.New("write a var as name=value")
		}
		t.Vars[name] = value
	}
	if f.at != "" {
		if t.At, err = time.Parse(time.RFC3339, f.at); err != nil {
			return nil, fmt.Errorf("--at %q is not a time such as 2026-01-02T03:04:05Z", f.at)
		}
	}
	if f.timezone != "" {
		if t.Timezone, err = time.LoadLocation(f.timezone); err != nil {
			return nil, fmt.Errorf("--timezone %q is not a time zone such as Europe/Istanbul", f.timezone)
		}
	}
	return t, nil
}

// testRunning asks a running gateway how one of its sources reads a request.
func (g *globals) testRunning(cmd *cobra.Command, f *testFlags, name, payload string) error {
	for flag, set := range map[string]bool{"--secret": f.secrets != nil, "--var": f.vars != nil, "--at": f.at != "", "--timezone": f.timezone != ""} {
		if set {
			return &exit{exitUsage, errors.New("a source that runs has its own secrets and settings: leave out " + flag)}
		}
	}
	read, err := f.request(name, payload)
	if err != nil {
		return &exit{exitUsage, err}
	}
	if !utf8.Valid(read.Body) {
		return &exit{exitUsage, errors.New(payload + " is not text in UTF-8, which a running gateway can be asked about")}
	}
	asked := client.SourceTest{Headers: map[string]string{}, Query: map[string]string{}}
	for name, values := range read.Header {
		asked.Headers[name] = strings.Join(values, ", ")
	}
	for name, values := range read.Query {
		asked.Query[name] = values[0]
	}
	if asked.Body, err = json.Marshal(string(read.Body)); err != nil { // its bytes count for signatures, so it is sent as text
		return err
	}
	gw, err := g.dial()
	if err != nil {
		return err
	}
	defer gw.Close()
	tested, err := gw.TestSource(cmd.Context(), name, asked)
	switch {
	case err != nil:
		return err
	case g.json:
		err = g.print(tested)
	default:
		shown := &offline.SourceTested{Profile: tested.Profile, Checks: tested.Checks, Proved: tested.Proved, Error: tested.Error}
		for _, ev := range tested.Events {
			shown.Events = append(shown.Events, offline.TestedEvent(ev))
		}
		for _, u := range tested.Unmapped {
			shown.Unmapped = append(shown.Unmapped, offline.Unmapped(u))
		}
		if err = g.showTested(shown); tested.Incomplete {
			g.printf("  there may be more: the search took too long\n")
		}
		g.printf("the platform would get: %d %s\n", tested.Status, http.StatusText(tested.Status))
	}
	if err == nil && tested.Status >= http.StatusBadRequest {
		err = &exit{exitFailed, nil}
	}
	return err
}

func (g *globals) showTested(t *offline.SourceTested) error {
	for i, ev := range t.Events {
		var pretty bytes.Buffer
		if err := json.Indent(&pretty, ev.Envelope, "", "  "); err != nil {
			return err
		}
		g.printf("event %d of %d: %s\n%s\n", i+1, len(t.Events), ev.Type, pretty.String())
		for _, w := range ev.Warnings {
			g.printf("warning: %s\n", w)
		}
		if len(ev.Unread) > 0 {
			g.printf("not read: %s\n", strings.Join(ev.Unread, ", "))
		}
		g.printf("\n")
	}
	if t.Error != "" {
		g.printf("no event: %s\n\n", t.Error)
	}
	switch {
	case len(t.Checks) > 0:
		g.printf("proof:\n")
		g.showChecks(t.Checks, "  ")
	case len(t.Asks) == 0:
		g.printf("proof: %s has none; its URL must be secret (path_token)\n", t.Profile)
	default:
		flags := []string{"--secret"}
		for _, name := range t.Vars {
			flags = append(flags, "--var "+name+"=VALUE")
		}
		g.printf("proof: not verified, without %s; %s uses\n  %s\n", strings.Join(flags, " and "), t.Profile, strings.Join(t.Asks, "\n  "))
	}
	if t.Error != "" {
		return nil
	}
	if len(t.Unmapped) == 0 {
		g.printf("not mapped: nothing\n")
		return nil
	}
	g.printf("not mapped:\n")
	for _, u := range t.Unmapped {
		if u.Why == "" {
			g.printf("  %s\n", u.Path)
		} else {
			g.printf("  %s  (%s)\n", u.Path, u.Why)
		}
	}
	return nil
}
