// Package command implements surveygate's command line. A company with its own connector can import it: its main then only imports the
// connector and calls Main.
package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	_ "time/tzdata" // an image of the binary alone has no zones of the system

	"github.com/spf13/cobra"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/client"
	"github.com/surveygate/surveygate/gateway/config"
)

// Exit codes, for scripts.
const (
	exitOK      = 0
	exitFailed  = 1 // the command failed: a test failed, an event was refused
	exitUsage   = 2 // invalid flags, or a faulty configuration
	exitNobody  = 3 // no gateway is running
	exitNothing = 4 // the id or name does not exist
)

// Main runs one command and returns the process's exit code.
func Main(args []string, stdout, stderr io.Writer) int {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	go func() {
		select {
		case s := <-signals:
			signal.Reset(os.Interrupt) // a second interrupt ends the process at once
			cancel(&signalled{s})
		case <-ctx.Done():
		}
	}()
	root := New(stdout, stderr)
	root.SetArgs(args)
	return code(root.ExecuteContext(ctx), stderr)
}

// signalled is the cause with which Main's context ends after a signal.
type signalled struct{ os.Signal }

func (s *signalled) Error() string { return s.String() + " signal received" }

// leaving converts SIGTERM, which ends outer, to an announced stop: leave receives the signal, and ctx continues until the next one. An
// interrupt, or any other end of outer, ends ctx too.
func leaving(outer context.Context) (ctx context.Context, leave <-chan os.Signal, stop func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(outer))
	first, second := make(chan os.Signal, 1), make(chan os.Signal, 1)
	unhook := context.AfterFunc(outer, func() {
		var s *signalled
		if !errors.As(context.Cause(outer), &s) || s.Signal != syscall.SIGTERM {
			cancel()
			return
		}
		signal.Notify(second, os.Interrupt, syscall.SIGTERM)
		defer signal.Stop(second)
		first <- s.Signal
		select {
		case <-second:
			cancel()
		case <-ctx.Done():
		}
	})
	return ctx, first, func() {
		unhook()
		cancel()
	}
}

// exit is an error with an exit code. If the message is empty, nothing is printed, because the command has printed it already.
type exit struct {
	code int
	err  error
}

func (e *exit) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}
func (e *exit) Unwrap() error { return e.err }

func code(err error, stderr io.Writer) int {
	if err == nil {
		return exitOK
	}
	if text := err.Error(); text != "" {
		_, _ = fmt.Fprintln(stderr, text)
	}
	var e *exit
	var refused *client.APIError
	switch {
	case errors.As(err, &e):
		return e.code
	case errors.Is(err, client.ErrNotRunning):
		return exitNobody
	case errors.Is(err, client.ErrInterrupted):
		return exitFailed
	case errors.As(err, &refused):
		if refused.Status == 404 {
			return exitNothing
		}
		return exitFailed
	}
	return exitUsage
}

// New returns the complete command tree, for Main and for programs that add their own commands.
func New(stdout, stderr io.Writer) *cobra.Command {
	g := &globals{out: visible{stdout}, err: visible{stderr}}
	root := &cobra.Command{
		Use:           "surveygate",
		Short:         "An integration gateway for survey events",
		Long:          "surveygate receives survey events, applies your rules and delivers to your tools.\nStart with `surveygate demo`.",
		Example:       "  surveygate demo --once\n  surveygate check\n  surveygate run",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetOut(stdout)
	root.SetErr(stderr)
	flags := root.PersistentFlags()
	flags.StringVarP(&g.config, "config", "c", env("SURVEYGATE_CONFIG", "surveygate.yaml"), "configuration: a file, or a folder of them")
	flags.StringVar(&g.data, "data", environ("SURVEYGATE_DATA"), "folder of the gateway's store (default ./surveygate-data)")
	flags.StringVar(&g.server, "server", environ("SURVEYGATE_SERVER"), "URL of a running gateway, instead of the socket in --data")
	flags.StringVar(&g.token, "token", "", "bearer token for --server (or SURVEYGATE_TOKEN)")
	flags.StringVar(&g.tenant, "tenant", environ("SURVEYGATE_TENANT"), "tenant (default: the one of the token, else the tenant default)")
	flags.BoolVar(&g.json, "json", false, "print JSON")
	grouped(root, "run", "Run a gateway:", g.demo(), g.init(), g.check(), g.plan(), g.test(), g.fields(), g.run(), g.console(), g.reload(), g.secret(), g.store(), g.vault())
	grouped(root, "look", "See what happened, and act on it:",
		g.events(), g.tail(), g.explain(), g.deliveries(), g.dead(), g.destinations(), g.replay(), g.try(), g.suggest(), g.emit(), g.listen(), g.audit(), g.erase())
	grouped(root, "set", "Settings by API:", g.tenants(), g.tokens(), g.webhook(), g.documents(client.ConnectionKind), g.source(),
		g.documents(client.RuleKind), g.settings())
	root.AddCommand(g.version(), g.man())
	root.SetHelpCommand(help())
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd() // cobra would add both itself, and would let them accept any arguments
	for _, c := range root.Commands() {
		for _, shell := range c.Commands() {
			if c.Name() == "completion" {
				shell.Example = "  surveygate completion " + shell.Name()
			}
		}
	}
	known(root)
	g.completing(root)
	narrow(root)
	root.SetUsageTemplate(strings.NewReplacer(
		"FlagUsages", fmt.Sprint("FlagUsagesWrapped ", width), " for more information about a command.", " to read about one.",
	).Replace(root.UsageTemplate()))
	return root
}

// grouped adds commands under a heading of the help.
func grouped(root *cobra.Command, id, heading string, commands ...*cobra.Command) {
	root.AddGroup(&cobra.Group{ID: id, Title: heading})
	for _, c := range commands {
		c.GroupID = id
		root.AddCommand(c)
	}
}

// known makes a command that only has subcommands refuse an unknown one: cobra would print its help and succeed.
func known(parent *cobra.Command) {
	for _, child := range parent.Commands() {
		known(child)
	}
	if parent.Runnable() || !parent.HasSubCommands() {
		parent.Args = usable(parent.Args)
		return
	}
	parent.Args, parent.SuggestionsMinimumDistance = cobra.ArbitraryArgs, 2
	parent.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return cmd.Help()
		}
		text := fmt.Sprintf("unknown command %q for %q", args[0], cmd.CommandPath())
		if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
			text += "; did you mean " + near[0] + "?"
		}
		return fmt.Errorf("%s\n`%s --help` lists what there is", text, cmd.CommandPath())
	}
}

// help shows the help of a command.
func help() *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND...]",
		Short: "Show the help of a command",

		Example: "  surveygate help destinations pause",
		Args:    cobra.ArbitraryArgs,

		ValidArgsFunction: commandNames,
		RunE: func(cmd *cobra.Command, args []string) error {
			found, rest, err := cmd.Root().Find(args)
			if err == nil && len(rest) > 0 {
				err = fmt.Errorf("unknown command %q for %q\n`%s --help` lists all commands", rest[0], found.CommandPath(), found.CommandPath())
			}
			if err != nil {
				return err
			}
			found.InitDefaultHelpFlag()
			return found.Help()
		},
	}
}

// usable makes a command with too few or too many arguments print its usage: cobra only prints their number.
func usable(fits cobra.PositionalArgs) cobra.PositionalArgs {
	if fits == nil {
		return nil
	}
	return func(cmd *cobra.Command, args []string) error {
		err := fits(cmd, args)
		if err == nil {
			return nil
		}
		if _, explained := errors.AsType[*exit](err); explained {
			return err
		}
		what := "an argument is missing"
		switch {
		case len(args) > 0 && !strings.Contains(strings.TrimSuffix(cmd.Use, "[flags]"), " "):
			what = fmt.Sprintf("%s takes no arguments, but was given %q", cmd.CommandPath(), args[0])
			return fmt.Errorf("%s\n`%s --help` shows more", what, cmd.CommandPath())
		case len(args) > 0 && fits(cmd, args[:len(args)-1]) == nil:
			what = fmt.Sprintf("%q is one argument too many", args[len(args)-1])
		}
		return fmt.Errorf("%s: write %s\n`%s --help` shows more", what, strings.TrimSuffix(cmd.UseLine(), " [flags]"), cmd.CommandPath())
	}
}

// globals holds the flags that all commands share, and their output.
type globals struct {
	out, err                            io.Writer
	config, data, server, token, tenant string
	json                                bool
}

// redisFlag adds --redis to commands that load a configuration like `run`. Its default is not taken from the environment, because the
// help would print the URL.
func redisFlag(cmd *cobra.Command, url *string) {
	cmd.Flags().StringVar(url, "redis", "", "store everything in Redis: redis://host:6379/0 (if it has a password, use SURVEYGATE_REDIS, which process lists do not show)")
}

// environ returns an environment variable without surrounding white space, which `$(cat token)` and mounted secrets add.
func environ(name string) string { return strings.TrimFunc(os.Getenv(name), connectors.IsBlank) }

func env(name, fallback string) string {
	if v := environ(name); v != "" {
		return v
	}
	return fallback
}

// everyTenant is the value of --tenant that stands for all of them.
const everyTenant = "*"

// dial returns a client of the gateway that the flags select, for one tenant.
func (g *globals) dial() (*client.Client, error) {
	if g.tenant == everyTenant {
		return nil, &exit{exitUsage, errors.New("--tenant '*' is for lists of states (destinations, deliveries, dead letters, webhooks, connections, " +
			"sources,\nrules, tokens) and for audit; this shows or changes what belongs to one tenant: name it")}
	}
	return g.dialFor(g.tenant)
}

// dialAny is dial for what can be asked about all tenants at once.
func (g *globals) dialAny() (*client.Client, error) { return g.dialFor(g.tenant) }

// dialFor is dial for another tenant.
func (g *globals) dialFor(tenant string) (*client.Client, error) {
	token := g.token
	if token == "" {
		token = environ("SURVEYGATE_TOKEN")
	}
	data := g.data
	if data == "" {
		data = config.DefaultData
	}
	return client.Dial(client.Options{
		Data: data, Server: g.server, Token: connectors.NewSecret(token), Tenant: tenant,
	})
}

func (g *globals) printf(format string, args ...any) { _, _ = fmt.Fprintf(g.out, format, args...) }

// print writes a value as indented JSON.
func (g *globals) print(v any) error {
	enc := json.NewEncoder(g.out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
