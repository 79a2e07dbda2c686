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

	"github.com/spf13/cobra"

	"github.com/surveygate/surveygate/gateway/offline"
)

// testFlags are those of `source test`.
type testFlags struct {
	headers, query, secrets, vars []string
	headerFile, at, timezone      string
}

func (g *globals) sourceTest() *cobra.Command {
	var f testFlags
	cmd := &cobra.Command{
		Use:   "test PROFILE PAYLOAD",
		Short: "Hold a body against a profile",
		Long: `Hold what a platform sends against a profile: a YAML file of your own, or a built-in's name. It prints the event
that it becomes, what could not be used, what no part of the profile read, and with --secret how it was proved, or why
not and what was signed. Nothing runs, and nothing is sent or kept.`,
		Example: `  surveygate source test ./acme.yaml body.json --header 'X-Acme-Signature: sha256=00ff' --secret "$ACME_SECRET"
  surveygate source test typeform body.json`,
		Args: cobra.ExactArgs(2),
		RunE: func(_ *cobra.Command, args []string) error {
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
	flags.StringArrayVar(&f.headers, "header", nil, "a header that came with it, as 'Name: value'; may stand several times")
	flags.StringVar(&f.headerFile, "headers", "", "a `file` of such headers, one to a line, as source captured --save writes it")
	flags.StringArrayVar(&f.query, "query", nil, "a parameter of its URL, as name=value")
	flags.StringArrayVar(&f.secrets, "secret", nil, "what the platform signs with; without it nothing is checked")
	flags.StringArrayVar(&f.vars, "var", nil, "another placeholder of the profile, as name=value")
	flags.StringVar(&f.at, "at", "", "when it came, as 2026-01-02T03:04:05Z, for signatures with a time (default: now)")
	flags.StringVar(&f.timezone, "timezone", "", "that of times without one, as Europe/Istanbul (default: UTC)")
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
			return nil, fmt.Errorf("%q is no header: write 'Name: value'", line)
		}
		t.Header.Add(strings.TrimSpace(name), strings.TrimSpace(value))
	}
	for _, pair := range f.query {
		name, value, found := strings.Cut(pair, "=")
		if !found {
			return nil, errors.New("a parameter is written name=value")
		}
		t.Query.Add(name, value)
	}
	for _, pair := range f.vars {
		name, value, found := strings.Cut(pair, "=")
		if !found {
			return nil, errors.New("a var is written name=value")
		}
		t.Vars[name] = value
	}
	if f.at != "" {
		if t.At, err = time.Parse(time.RFC3339, f.at); err != nil {
			return nil, fmt.Errorf("--at %q is no time such as 2026-01-02T03:04:05Z", f.at)
		}
	}
	if f.timezone != "" {
		if t.Timezone, err = time.LoadLocation(f.timezone); err != nil {
			return nil, fmt.Errorf("--timezone %q is none such as Europe/Istanbul", f.timezone)
		}
	}
	return t, nil
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
		g.printf("proof: %s asks for none; its URL must be the secret (path_token)\n", t.Profile)
	default:
		flags := []string{"--secret"}
		for _, name := range t.Vars {
			flags = append(flags, "--var "+name+"=VALUE")
		}
		g.printf("proof: not checked, without %s; %s asks for\n  %s\n", strings.Join(flags, " and "), t.Profile, strings.Join(t.Asks, "\n  "))
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
